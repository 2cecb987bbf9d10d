"""What tests see of the deployed stack and do to it beside its public API."""

from __future__ import annotations

import contextlib
import hmac
import json
import os
import time
from pathlib import Path

import boto3.dynamodb.types
from template import read as read_template

REPOSITORY = Path(__file__).resolve().parents[2]


def wait_until(true, seconds: float, what, interval: float = 0.2):
    """Waits for something to be true, and answers with it. `what` is what is said otherwise: a text, or a function."""
    until = time.monotonic() + seconds
    while True:
        found = true()
        if found:
            return found
        assert time.monotonic() < until, f"after {seconds:.0f} s: {what() if callable(what) else what}"
        time.sleep(interval)


# ---- The template


def functions(optional: bool = False) -> dict[str, dict]:
    """Logical id -> properties, of every function that the template always has, or of all."""
    template = read_template()
    return {
        logical_id: resource["Properties"] | {"Binary": resource["Metadata"]["BuildProperties"]["Binary"]}
        for logical_id, resource in template["Resources"].items()
        if resource["Type"] == "AWS::Serverless::Function" and (optional or "Condition" not in resource)
    }


# ---- Tables, buckets, queues


def _plain(item: dict) -> dict:
    read = boto3.dynamodb.types.TypeDeserializer().deserialize
    return {key: read(value) for key, value in item.items()}


def record(stack, video: str) -> dict | None:
    """A video as it is stored."""
    answer = stack.client("dynamodb").get_item(
        TableName=stack.output("VideosTableName"), Key={"id": {"S": video}}, ConsistentRead=True
    )
    return _plain(answer["Item"]) if "Item" in answer else None


def tasks(stack, video: str) -> dict[str, dict]:
    """A video's tasks by name."""
    answer = stack.client("dynamodb").query(
        TableName=stack.output("TasksTableName"),
        KeyConditionExpression="video = :video",
        ExpressionAttributeValues={":video": {"S": video}},
        ConsistentRead=True,
    )
    return {item["task"]["S"]: _plain(item) for item in answer["Items"]}


def grants(stack, video: str) -> list[dict]:
    """Every grant that was ever given for a video."""
    pages = stack.client("dynamodb").get_paginator("scan").paginate(
        TableName=stack.output("GrantsTableName"),
        FilterExpression="video = :video",
        ExpressionAttributeValues={":video": {"S": video}},
        ConsistentRead=True,
    )
    return [_plain(item) for page in pages for item in page["Items"]]


def grant_key(address: str) -> str:
    """The id of the grant whose token a playlist's address carries."""
    return address.rpartition("grant=")[2][:40]


def objects(stack, bucket: str, prefix: str) -> set[str]:
    """`bucket` is Uploads or Media."""
    pages = stack.client("s3").get_paginator("list_objects_v2").paginate(
        Bucket=stack.output(f"{bucket}BucketName"), Prefix=prefix
    )
    return {item["Key"] for page in pages for item in page.get("Contents", [])}


def playlist_objects(stack, video: str) -> set[str]:
    """What the media folder holds beside segments once a film is published."""
    folder = f"v/{video}"
    body = stack.client("s3").get_object(Bucket=stack.output("MediaBucketName"), Key=f"{folder}/presentation.json")["Body"]
    presentation = json.loads(body.read())
    names = {"presentation.json", "master.m3u8", "manifest.mpd"}
    for track in presentation["tracks"]:
        names.add(f"{track['name']}.m3u8")
        if track["encoded"]["kind"]["type"] == "video":
            names.add(f"{track['name']}-iframes.m3u8")
    if storyboard := presentation.get("storyboard"):
        segments = len(next(track for track in presentation["tracks"] if track["encoded"]["kind"]["type"] == "video")["encoded"]["segments"])
        sheets = range(1, segments + 1, storyboard["sheet_tiles"])
        names |= {"poster.jpg", "storyboard.vtt"} | {f"{storyboard['folder']}/{sheet:05}.jpg" for sheet in sheets}
    return {f"{folder}/{name}" for name in names}


def queues(stack) -> list[str]:
    """The outputs with the addresses of all queues that the stack has now."""
    wanted = [f"{name}{kind}Url" for name in ("Plan", "Task", "Publish", "Convert") for kind in ("Queue", "DeadLetters")]
    return [output for output in wanted if output in stack.outputs()]


def queue_sizes(stack) -> dict[str, int]:
    """Messages, also those at work, of every queue."""
    sizes = {}
    for output in queues(stack):
        wanted = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        answer = stack.client("sqs").get_queue_attributes(QueueUrl=stack.output(output), AttributeNames=wanted)
        sizes[output.removesuffix("Url")] = sum(int(value) for value in answer["Attributes"].values())
    return sizes


def wait_for_empty_queues(stack, seconds: float) -> None:
    """Nothing waits, nothing is at work, nothing was given up."""
    wait_until(lambda: not any(queue_sizes(stack).values()), seconds, lambda: queue_sizes(stack))


def purge(stack) -> None:
    """Empties every queue: what one test left must not be the next one's."""
    for output in queues(stack):
        stack.client("sqs").purge_queue(QueueUrl=stack.output(output))


def send(stack, queue: str, body: dict) -> None:
    """`queue` is Plan, Task, Publish or Convert."""
    more = {}
    if queue == "Publish":
        more = {"MessageGroupId": body["video"], "MessageDeduplicationId": os.urandom(16).hex()}
    stack.client("sqs").send_message(QueueUrl=stack.output(f"{queue}QueueUrl"), MessageBody=json.dumps(body), **more)


def arrived(stack, video: str) -> dict:
    """What S3 says when a video's file is complete."""
    return {
        "Records": [
            {
                "eventSource": "aws:s3",
                "eventName": "ObjectCreated:CompleteMultipartUpload",
                "s3": {"bucket": {"name": stack.output("UploadsBucketName")}, "object": {"key": f"uploads/{video}/source"}},
            }
        ]
    }


@contextlib.contextmanager
def paused(stack, *logical_ids: str):
    """Functions that take no messages until the block ends."""
    client = stack.client("lambda")
    mappings = [
        mapping["UUID"]
        for logical_id in logical_ids
        for mapping in client.list_event_source_mappings(FunctionName=stack.resource(logical_id))["EventSourceMappings"]
    ]
    assert len(mappings) == len(logical_ids)
    for mapping in mappings:
        client.update_event_source_mapping(UUID=mapping, Enabled=False)
    try:
        yield
    finally:
        for mapping in mappings:
            client.update_event_source_mapping(UUID=mapping, Enabled=True)


@contextlib.contextmanager
def environment(stack, logical_id: str, **changes: str):
    """A function with other variables than the template's, until the block ends."""
    client, name = stack.client("lambda"), stack.resource(logical_id)
    before = client.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
    client.update_function_configuration(FunctionName=name, Environment={"Variables": before | changes})
    try:
        yield
    finally:
        client.update_function_configuration(FunctionName=name, Environment={"Variables": before})


# ---- Processes


def processes(stack, logical_id: str) -> dict[int, dict[str, str]]:
    """The running processes of a function of this engine: pid -> environment. As on AWS, only busy ones must be there."""
    engine, name, found = stack.engine.pid(), stack.resource(logical_id), {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or parent(int(entry.name)) != engine:
            continue
        with contextlib.suppress(OSError):
            text = (entry / "environ").read_bytes().decode(errors="replace")
            variables = dict(line.split("=", 1) for line in text.split("\0") if "=" in line)
            if variables.get("AWS_LAMBDA_FUNCTION_NAME") == name:
                found[int(entry.name)] = variables
    return found


def parent(pid: int) -> int | None:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, IndexError):
        return None


def children(pid: int) -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit() and parent(int(entry.name)) == pid]


def command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def encoding(stack) -> dict[int, list[int]]:
    """Workers in mid-task, with their ffmpegs."""
    found = {}
    for pid in processes(stack, "TranscodeWork"):
        encoders = [child for child in children(pid) if "libx264" in command(child)]
        if encoders:
            found[pid] = encoders
    return found


# ---- Keys, for what could otherwise only be seen by waiting for it to expire


def keyring(stack, secret: str) -> list[dict]:
    """The keys in a secret, oldest first."""
    answer = stack.client("secretsmanager").get_secret_value(SecretId=stack.resource(secret))
    return json.loads(answer["SecretString"])["keys"]


def put_keyring(stack, secret: str, keys: list[dict]) -> None:
    """The secret with other keys, or with keys of other times."""
    text = json.dumps({"keys": keys})
    stack.client("secretsmanager").put_secret_value(SecretId=stack.resource(secret), SecretString=text)


def minting(stack, secret: str) -> dict:
    """The key of a secret that is minted with now."""
    usable = [key for key in keyring(stack, secret) if key.get("usable_at", float("inf")) <= time.time()]
    return max(usable, key=lambda key: key["usable_at"])


def session_key(stack) -> bytes:
    return bytes.fromhex(minting(stack, "SessionSecret")["key"])


def old_nonce(stack, account: str, domain: str, expires_at: int) -> str:
    """A nonce as the stack would have made it then."""
    body = os.urandom(12) + expires_at.to_bytes(4, "big")
    text = b"streamgate nonce v1\0" + body + domain.encode() + b"\0" + account.encode()
    return (body + hmac.new(session_key(stack), text, "sha256").digest()[:16]).hex()
