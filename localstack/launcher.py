"""Starts MiniStack, the local AWS engine, with the few shims that this stack needs.

Each shim is tied to the version below. Another version stops here, so that nobody patches what was not looked at:
read the notes, try `stack.py up` without the shim, and move the number.

Everything else is set by environment variables, which stack.py sets (see Stack.engine_environment there).

Credentials. With AUTH=true MiniStack enforces IAM: a function gets a session of its role, and every call is checked
against the role's statements. The account's root is whoever uses the access key that MiniStack itself was started with
(AWS_ACCESS_KEY_ID, here "test"), or a 12-digit account id; root's signature is not checked and root may do everything.
So the scripts here are "test"/"test", as on AWS the deployer would be an administrator. Data plane calls to S3 without
any credentials are anonymous and refused.
"""

import importlib.metadata
import socketserver

VERSION = "1.5.33"


def shim_latency() -> None:
    """Stands in for nothing on AWS: without it a warm call takes 97 ms instead of 4.

    The Runtime API that functions poll writes head and body of a response apart, so Nagle's algorithm holds the body
    back until the head is acknowledged. And after each call MiniStack waits up to 50 ms for log lines.
    """
    from ministack.core.lambda_runtime import ProvidedWorker, Worker

    socketserver.StreamRequestHandler.disable_nagle_algorithm = True
    # first_line_wait, idle_confirm, hard_cap. A function writes its line before it answers, so a short wait finds it.
    assert Worker._drain_stderr_bounded.__defaults__ == (0.050, 0.005, 0.250)
    assert ProvidedWorker._drain_stderr_bounded is Worker._drain_stderr_bounded
    Worker._drain_stderr_bounded.__defaults__ = (0.003, 0.001, 0.250)


def shim_secret_versions() -> None:
    """Stands in for Secrets Manager's rule that a version can't be written twice.

    A version that is there takes no other content: PutSecretValue answers ResourceExistsException. Key rotation finds
    out by it that another run was quicker. MiniStack puts the new content in the place of the old.
    """
    from ministack.core.responses import error_response_json
    from ministack.services import secretsmanager

    put = secretsmanager._put_secret_value

    def put_once(data):
        _, secret = secretsmanager._resolve(data.get("SecretId"))
        known = (secret or {}).get("Versions", {}).get(data.get("ClientRequestToken"))
        if known and known["SecretString"] != data.get("SecretString"):
            reason = "You can't modify an existing version, you can only create a new version."
            return error_response_json("ResourceExistsException", reason, 400)
        return put(data)

    assert "put_once" not in put.__name__
    secretsmanager._put_secret_value = put_once


def shim_mapping_numbers() -> None:
    """Stands in for CloudFormation's typing: a Ref of a Number parameter arrives as text in the engine, and its queue
    poller then fails on ScalingConfig.MaximumConcurrency in every round."""
    from ministack.services.cloudformation import provisioners

    handler = provisioners._RESOURCE_HANDLERS["AWS::Lambda::EventSourceMapping"]
    create, update = handler["create"], handler["update"]

    def typed(properties: dict) -> dict:
        scaling = properties.get("ScalingConfig")
        if not scaling:
            return properties
        return {**properties, "ScalingConfig": {key: int(value) for key, value in scaling.items()}}

    def create_typed(logical_id, properties, stack_name):
        return create(logical_id, typed(properties), stack_name)

    def update_typed(identifier, old_properties, properties, *rest, **named):
        return update(identifier, typed(old_properties), typed(properties), *rest, **named)

    handler["create"], handler["update"] = create_typed, update_typed


def shim_move_tasks() -> None:
    """Stands in for SQS's StartMessageMoveTask without a destination: all of a dead-letter queue goes back to where each
    message came from, as a new message that nobody has received yet."""
    import time

    from ministack.core.responses import new_uuid
    from ministack.services import sqs

    def start(data: dict, url: str) -> dict:
        dead = sqs._queue_by_arn(data.get("SourceArn", ""))
        if dead is None:
            raise sqs._Err("ResourceNotFoundException", "The resource that you specified for the SourceArn parameter doesn't exist.", 404)
        if "DestinationArn" in data or "MaxNumberOfMessagesPerSecond" in data:
            raise sqs._Err("UnsupportedOperation", "This shim moves everything at once, back to where it came from.")
        sqs._enforce_queue_policy(dead, "sqs:StartMessageMoveTask")
        now, kept = time.time(), []
        with sqs._queues_lock:
            for message in dead["messages"]:
                system = dict(message.get("sys", {}))
                origin = sqs._queue_by_arn(system.pop("DeadLetterQueueSourceArn", ""))
                if origin is None:
                    kept.append(message)
                    continue
                fresh = {"id": new_uuid(), "sys": system, "receive_count": 0, "first_receive_at": None, "receipt_handle": None}
                origin["messages"].append(message | fresh | {"sent_at": now, "visible_at": now})
            dead["messages"] = kept
        sqs.esm_wake.set()
        return {"TaskHandle": new_uuid()}

    assert "StartMessageMoveTask" not in sqs._HANDLERS, "MiniStack knows the action now: drop this shim"
    sqs._HANDLERS["StartMessageMoveTask"] = start


def shim_mediaconvert() -> None:
    """Stands in for what MediaConvert may do at other services, which the engine does not have: tell the default event
    bus as `aws.mediaconvert`, and assume the role of a job. Both are given to root alone, as whom the stand-in in
    mediaconvert/ comes; the role must still trust the service, and then gives what it gives, no more. And for the
    CloudFormation type AWS::MediaConvert::Queue, whose queues are the stand-in's."""
    import functools
    import json

    import boto3
    from ministack.core import iam_evaluator
    from ministack.services import eventbridge
    from ministack.services.cloudformation import provisioners

    put_events, trusts = eventbridge._put_events, iam_evaluator.evaluate_trust_policy

    def is_root(caller: str) -> bool:
        return caller.endswith(":root")

    @functools.wraps(put_events)
    def put_events_of_service(data, allow_aws_source=False):
        sources = {entry.get("Source") for entry in data.get("Entries", [])}
        ours = sources == {"aws.mediaconvert"} and is_root(iam_evaluator.caller_arn())
        return put_events(data, allow_aws_source or ours)

    @functools.wraps(trusts)
    def trusts_service(document, caller, context):
        if is_root(caller) and context.service_context.get("sts:rolesessionname") == "mediaconvert":
            policy = json.loads(document) if isinstance(document, str) else document
            services = {statement.get("Principal", {}).get("Service") for statement in policy.get("Statement", [])
                        if statement.get("Effect") == "Allow" and statement.get("Action") == "sts:AssumeRole"}  # fmt: skip
            return "mediaconvert.amazonaws.com" in services
        return trusts(document, caller, context)

    eventbridge._put_events = put_events_of_service
    iam_evaluator.evaluate_trust_policy = trusts_service

    def queues():
        return boto3.client("mediaconvert")

    def create(logical_id, properties, stack_name):
        if set(properties) - {"Name", "Description", "Status", "Tags", "PricingPlan"}:
            raise ValueError(f"AWS::MediaConvert::Queue: {sorted(properties)} is more than the stand-in knows")
        name = properties.get("Name", f"{stack_name}-{logical_id}")
        queue = queues().create_queue(Name=name, Status=properties.get("Status", "ACTIVE"))["Queue"]
        return queue["Name"], {"Arn": queue["Arn"], "Name": queue["Name"]}

    def update(identifier, old_properties, properties, stack_name):
        queue = queues().update_queue(Name=identifier, Status=properties.get("Status", "ACTIVE"))["Queue"]
        return identifier, {"Arn": queue["Arn"], "Name": queue["Name"]}

    def delete(identifier, properties):
        queues().delete_queue(Name=identifier)

    handlers = provisioners._RESOURCE_HANDLERS
    assert "AWS::MediaConvert::Queue" not in handlers, "MiniStack knows the type now: drop this part"
    handlers["AWS::MediaConvert::Queue"] = {"create": create, "update": update, "delete": delete}


def shim_store_resources() -> None:
    """Stands in for the resource of a call to a key value store's data plane: its ARN is in the path, and MiniStack, which
    evaluates the caller's statements, takes every call to be on `*`, so that only a statement on `*` would allow it."""
    import functools
    import re
    from urllib.parse import unquote

    from ministack.core import iam_actions

    extract = iam_actions.extract_resource_arn

    @functools.wraps(extract)
    def extract_with_stores(service, method, path, *rest, **named):
        if service == "cloudfront-keyvaluestore":
            found = re.match(r"/key-value-stores/(arn:[^/]+/[A-Za-z0-9_-]+)(/|$)", unquote(path))
            return found.group(1) if found else "*"
        return extract(service, method, path, *rest, **named)

    iam_actions.extract_resource_arn = extract_with_stores


def main() -> None:
    found = importlib.metadata.version("ministack")
    if found != VERSION:
        raise SystemExit(f"ministack {found} is installed; the shims in {__file__} are for {VERSION}")

    from ministack import app

    shim_latency()
    shim_secret_versions()
    shim_mapping_numbers()
    shim_move_tasks()
    shim_mediaconvert()
    shim_store_resources()
    app.main()


if __name__ == "__main__":
    main()
