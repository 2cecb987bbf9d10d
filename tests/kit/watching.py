"""The chains, watched for as long as a block lasts: locally nothing need call the function every minute."""

from __future__ import annotations

import contextlib
import threading
import time

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


@contextlib.contextmanager
def unwatched(stack, name: str, chain):
    """Nobody watches that chain, for a test holds the lease; it begins when the last one who had it has stopped."""
    table = {"TableName": stack.output("WatchTableName")}
    lease = {"name": {"S": "lease:watch"}}
    held = {"holder": {"S": "a test"}, "until": {"N": str(int(time.time()) + 600)}}
    stack.client("dynamodb").put_item(**table, Item=lease | held)

    def stands_still():
        chain.mine()
        # Longer than from one look at the chains to the next (WatchSeconds).
        time.sleep(4)
        found = cursor(stack, name)
        return not found or int(found["marks"][-1]["number"]) < chain.block_number()

    try:
        inside.wait_until(stands_still, 30, "somebody still watches")
        yield
    finally:
        stack.client("dynamodb").delete_item(**table, Key=lease)


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
