"""IAM is enforced, and each function's role lacks what the function does not need."""

from __future__ import annotations

import json

import botocore.exceptions
import pytest

from tests.kit import inside

FUNCTIONS = inside.functions()

# One action that each function lacks, of those that would do most harm in its place.
LACKS = {
    "AuthNonce": ("dynamodb", "put_item", lambda stack: {"TableName": stack.output("NoncesTableName"), "Item": {"nonce": {"S": "x"}}}),
    "AuthSession": ("dynamodb", "delete_item", lambda stack: {"TableName": stack.output("NoncesTableName"), "Key": {"nonce": {"S": "x"}}}),
    "VideoCreate": ("dynamodb", "put_item", lambda stack: {"TableName": stack.output("GrantsTableName"), "Item": {"grant": {"S": "x"}}}),
    "VideoUpload": ("s3", "delete_object", lambda stack: {"Bucket": stack.output("UploadsBucketName"), "Key": "uploads/x/source"}),
    "VideoRead": ("dynamodb", "update_item", lambda stack: {"TableName": stack.output("VideosTableName"), "Key": {"id": {"S": "x"}}}),
    "VideoDecisions": ("dynamodb", "put_item", lambda stack: {"TableName": stack.resource("AuditTable"), "Item": {"video": {"S": "x"}, "moment": {"S": "x"}}}),
    "VideoPolicy": ("dynamodb", "delete_item", lambda stack: {"TableName": stack.output("VideosTableName"), "Key": {"id": {"S": "x"}}}),
    "VideoSubtitle": ("s3", "put_object", lambda stack: {"Bucket": stack.output("MediaBucketName"), "Key": "page/index.html", "Body": b""}),
    "VideoDelete": ("s3", "delete_object", lambda stack: {"Bucket": stack.output("MediaBucketName"), "Key": "page/index.html"}),
    "ChainVerify": ("dynamodb", "get_item", lambda stack: {"TableName": stack.output("VideosTableName"), "Key": {"id": {"S": "x"}}}),
    "PlaybackGrant": ("dynamodb", "delete_item", lambda stack: {"TableName": stack.resource("AuditTable"), "Key": {"video": {"S": "x"}, "moment": {"S": "x"}}}),
    "GrantRenew": ("secretsmanager", "get_secret_value", lambda stack: {"SecretId": stack.output("SessionSecretArn")}),
    "GrantEnd": ("secretsmanager", "get_secret_value", lambda stack: {"SecretId": stack.output("SigningSecretArn")}),
    "GrantReview": ("secretsmanager", "get_secret_value", lambda stack: {"SecretId": stack.output("SigningSecretArn")}),
    "EdgeRevoke": ("secretsmanager", "get_secret_value", lambda stack: {"SecretId": stack.resource("TokenSecret")}),
    "EdgeForget": ("cloudfront", "list_distributions", lambda stack: {}),
    "PluginExample": ("dynamodb", "put_item", lambda stack: {"TableName": stack.output("FactsTableName"), "Item": {"fact": {"S": "x"}}}),
    "PlaylistSign": ("dynamodb", "put_item", lambda stack: {"TableName": stack.output("GrantsTableName"), "Item": {"grant": {"S": "x"}}}),
    "ContentKey": ("secretsmanager", "put_secret_value", lambda stack: {"SecretId": stack.resource("ContentSecret"), "SecretString": "x"}),
    "ReceiptKeys": ("secretsmanager", "get_secret_value", lambda stack: {"SecretId": stack.output("SessionSecretArn")}),
    "Health": ("secretsmanager", "get_secret_value", lambda stack: {"SecretId": stack.output("SessionSecretArn")}),
    "TranscodePlan": ("s3", "put_object", lambda stack: {"Bucket": stack.output("MediaBucketName"), "Key": "v/x", "Body": b""}),
    "TranscodeWork": ("s3", "put_object", lambda stack: {"Bucket": stack.output("MediaBucketName"), "Key": "page/index.html", "Body": b""}),
    "TranscodePublish": ("s3", "get_object", lambda stack: {"Bucket": stack.output("UploadsBucketName"), "Key": "uploads/x/source"}),
    "OwnershipWatch": ("dynamodb", "put_item", lambda stack: {"TableName": stack.output("GrantsTableName"), "Item": {"grant": {"S": "x"}}}),
    "WebhookChain": ("dynamodb", "put_item", lambda stack: {"TableName": stack.output("FactsTableName"), "Item": {"fact": {"S": "x"}}}),
    "StackKeys": ("secretsmanager", "get_secret_value", lambda stack: {"SecretId": stack.output("EdgeSecretArn")}),
    "KeyRotate": ("cloudfront", "list_distributions", lambda stack: {}),
    "StackPage": ("s3", "put_object", lambda stack: {"Bucket": stack.output("MediaBucketName"), "Key": "v/x", "Body": b""}),
}

# Refused by everybody's role: no function touches what the stack is made of.
NOBODY = [
    ("iam", "list_roles", {}),
    ("s3", "list_buckets", {}),
    ("secretsmanager", "list_secrets", {}),
    ("dynamodb", "list_tables", {}),
    ("lambda", "list_functions", {}),
]


def credentials(stack, logical_id: str) -> tuple[str, str, str]:
    """Those that the engine hands to the function: out of the environment of its running process."""
    if not inside.processes(stack, logical_id):
        # Nothing that a function would act on; it only has to run.
        stack.invoke(logical_id, {"Records": []})
    environment = next(iter(inside.processes(stack, logical_id).values()))
    return tuple(environment[name] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"))


def refusal(call) -> str | None:
    try:
        call()
    except botocore.exceptions.ClientError as error:
        return error.response["Error"]["Code"]
    return None


def test_every_function_is_in_the_list():
    assert set(LACKS) == set(FUNCTIONS)


@pytest.mark.parametrize("logical_id", list(FUNCTIONS))
def test_a_function_is_refused_what_it_lacks(stack, secrets, logical_id):
    keys = credentials(stack, logical_id)
    secrets.add("a function's secret key", keys[1])
    secrets.add("a function's session token", keys[2])
    # The credentials are good, and of this function's own role: what is refused is refused by that role.
    caller = stack.client("sts", *keys).get_caller_identity()["Arn"]
    assert f":assumed-role/{stack.resource(logical_id + 'Role')}/" in caller
    service, action, arguments = LACKS[logical_id]
    assert refusal(lambda: getattr(stack.client(service, *keys), action)(**arguments(stack))) in ("AccessDenied", "AccessDeniedException")
    for service, action, arguments in NOBODY:
        code = refusal(lambda: getattr(stack.client(service, *keys), action)(**arguments))
        assert code in ("AccessDenied", "AccessDeniedException"), f"{service} {action}: {code}"


def test_a_function_is_allowed_what_it_needs(stack):
    """The other half: the same door opens for who has the key."""
    keys = credentials(stack, "VideoRead")
    answer = stack.client("dynamodb", *keys).get_item(TableName=stack.output("VideosTableName"), Key={"id": {"S": "x"}})
    assert "Item" not in answer


@pytest.mark.parametrize("logical_id", ["PlaybackGrant", "GrantRenew", "GrantReview", "VideoDecisions"])
def test_nobody_may_change_what_was_decided(stack, logical_id):
    client = stack.client("dynamodb", *credentials(stack, logical_id))
    where = {"TableName": stack.resource("AuditTable"), "Key": {"video": {"S": "x"}, "moment": {"S": "x"}}}
    assert refusal(lambda: client.delete_item(**where)) == "AccessDeniedException"
    assert refusal(lambda: client.update_item(**where)) == "AccessDeniedException"


@pytest.mark.parametrize("logical_id", ["ChainVerify", "PlaybackGrant"])
def test_who_decides_may_call_plug_ins_and_no_other_function(stack, logical_id):
    functions = stack.client("lambda", *credentials(stack, logical_id))
    question = json.dumps({"version": 1, "parameters": {"weekdays": []}, "accounts": []})
    answer = functions.invoke(FunctionName=stack.resource("PluginExample"), Payload=question)
    assert json.load(answer["Payload"])["yes"] is False
    for other in ("StackKeys", "TranscodePlan", logical_id):
        code = refusal(lambda: functions.invoke(FunctionName=stack.resource(other), Payload="{}"))
        assert code in ("AccessDenied", "AccessDeniedException"), f"{other}: {code}"


def test_without_credentials_everything_is_refused(stack):
    import httpx

    for path in (f"/{stack.output('MediaBucketName')}/page/index.html", f"/{stack.output('UploadsBucketName')}"):
        assert httpx.get(f"{stack.engine_url}{path}", trust_env=False).status_code == 403
    wrong = stack.client("dynamodb", "AKIAIOSFODNN7EXAMPLE", "wrong")
    assert refusal(lambda: wrong.list_tables()) is not None
