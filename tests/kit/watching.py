"""The chains, watched for as long as a block lasts, or not at all: locally nothing need call the function."""

from __future__ import annotations

import contextlib
import threading
import time

from tests.kit import inside

LEASE = {"name": {"S": "lease:watch"}}


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
        stack.client("dynamodb").delete_item(TableName=stack.output("WatchTableName"), Key=LEASE)
        thread = threading.Thread(target=invoke, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join(timeout=30)
    assert failures == []


@contextlib.contextmanager
def unwatched(stack):
    """Nobody watches until the block ends: the lease is somebody's who does nothing."""
    table, client = stack.output("WatchTableName"), stack.client("dynamodb")
    until = {"N": str(int(time.time()) + 24 * 3600)}
    client.put_item(TableName=table, Item=LEASE | {"holder": {"S": "a test"}, "until": until})
    # Whoever was at it learns that at its next renewal.
    time.sleep(4)
    before = client.scan(TableName=table, ConsistentRead=True)["Items"]
    try:
        yield
        assert client.scan(TableName=table, ConsistentRead=True)["Items"] == before, "somebody watched all the same"
    finally:
        client.delete_item(TableName=table, Key=LEASE)


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
