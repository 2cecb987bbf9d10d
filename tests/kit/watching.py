"""The chains, watched for as long as a block lasts: locally nothing need call the function every minute."""

from __future__ import annotations

import contextlib
import threading

from tests.kit import inside


@contextlib.contextmanager
def watching(stack, **changes: str):
    """Invokes OwnershipWatch again and again, a few seconds each; answers with a function that says whether it failed."""
    failures: list = []
    over = threading.Event()

    def invoke():
        while not over.is_set():
            answer = stack.invoke("OwnershipWatch", {})
            if answer["error"]:
                failures.append(answer)
            # At once while another holds the lease.
            over.wait(0.5)

    with inside.environment(stack, "OwnershipWatch", **({"RUN_SECONDS": "6", "WATCH_SECONDS": "1"} | changes)):
        # The engine keeps to the schedule, and whoever began under the other settings holds the lease a while longer.
        stack.client("dynamodb").delete_item(TableName=stack.output("WatchTableName"), Key={"name": {"S": "lease:watch"}})
        thread = threading.Thread(target=invoke, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join(timeout=30)
    assert failures == []


def cursor(stack, chain: str) -> dict | None:
    """How far a chain has been followed."""
    answer = stack.client("dynamodb").get_item(
        TableName=stack.output("WatchTableName"), Key={"name": {"S": chain}}, ConsistentRead=True
    )
    return inside._plain(answer["Item"]) if "Item" in answer else None


def follows(stack, chain: str, number: int, seconds: float = 15) -> dict:
    """Waits until a chain has been followed to a block."""

    def there():
        found = cursor(stack, chain)
        return found if found and found["marks"] and int(found["marks"][-1]["number"]) >= number else None

    return inside.wait_until(there, seconds, lambda: f"{chain} was followed to {cursor(stack, chain)}, not to {number}")
