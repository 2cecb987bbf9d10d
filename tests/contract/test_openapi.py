"""Holds infra/openapi.yaml to template.yaml, to itself, and to what the flow tests saw.

That the running API answers as the contract says is checked by the kit's client on every request of every flow test
(tests/kit/contract.py); here is what those checks cannot see.
"""

from __future__ import annotations

import copy
import json
import re

import httpx
import pytest
import yaml
from openapi_spec_validator import validate
from template import read as read_template

from tests.kit import contract
from tests.kit.policies import BAD, GOOD, PERSON

DOCUMENT = contract.load()

# Successes that the flow tests don't exercise, each with its reason: "operationId status" -> why.
NOT_EXERCISED: dict[str, str] = {}

# Problems that no flow test provokes.
NOT_PROVOKED: dict[str, str] = {
    "internal": "it is a fault of ours: a test that knew how to cause one would be a bug report",
}


def template_routes() -> dict[tuple[str, str], str]:
    """(METHOD, path) -> the logical id of the function."""
    template = read_template()
    routes = {}
    for logical_id, resource in template["Resources"].items():
        if resource["Type"] != "AWS::Serverless::Function":
            continue
        for event in (resource["Properties"].get("Events") or {}).values():
            if event["Type"] == "HttpApi":
                properties = event["Properties"]
                routes[properties["Method"].upper(), properties["Path"]] = logical_id
    return routes


def normal(path: str) -> str:
    """Parameters' names are free to differ; places are not."""
    return re.sub(r"\{[^}]*\}", "{}", path)


def test_the_contract_is_valid_openapi():
    validate(DOCUMENT)
    # As it is published, with a file beside it.
    validate(yaml.safe_load(contract.CONTRACT.read_text()), base_uri=contract.CONTRACT.as_uri())


def test_routes_of_template_and_contract_are_the_same():
    template = {(method, normal(path)): function for (method, path), function in template_routes().items()}
    written = {
        (method, normal(path)): operation["x-function"] for method, path, operation in contract.operations(DOCUMENT)
    }
    assert template == written


def test_operation_ids_are_unique():
    ids = [operation["operationId"] for _, _, operation in contract.operations(DOCUMENT)]
    assert len(ids) == len(set(ids))


def objects(node, path=""):
    """Every object schema that lists properties, with where it stands."""
    if isinstance(node, dict):
        if node.get("type") == "object" and "properties" in node:
            yield path, node
        for key, value in node.items():
            yield from objects(value, f"{path}/{key}")
    elif isinstance(node, list):
        for number, value in enumerate(node):
            yield from objects(value, f"{path}/{number}")


def test_objects_are_closed_but_for_problems():
    open_ones = [
        path
        for path, schema in objects(DOCUMENT)
        if schema.get("additionalProperties") is not False and not path.startswith("/components/schemas/Problem")
    ]
    assert open_ones == []


def test_every_operation_can_be_unavailable_and_can_fail():
    for method, path, operation in contract.operations(DOCUMENT):
        assert {"500", "503"} <= set(operation["responses"]), f"{method} {path}"


def test_operations_that_need_a_session_say_what_happens_without_one():
    for method, path, operation in contract.operations(DOCUMENT):
        security = operation.get("security", DOCUMENT["security"])
        needs = bool(security) and {} not in security
        if needs:
            assert "401" in operation["responses"], f"{method} {path}"


def test_every_problem_schema_is_used():
    written = json.dumps(DOCUMENT)
    unused = [
        name
        for name in DOCUMENT["components"]["schemas"]
        if name.startswith("Problem") and f'"#/components/schemas/{name}"' not in written
    ]
    assert unused == []


# Policies: their schema is a file of its own, which the contract refers to.

ID = "0f8e1d2c3b4a59687766554433221100"
PUBLIC = {"id": ID, "title": "Harbour", "stage": "ready"}
OWN = PUBLIC | {
    "owner": PERSON,
    "size": 1,
    "content_type": "video/mp4",
    "created_at": "2026-11-22T21:54:17Z",
    "updated_at": "2026-11-22T21:54:17Z",
}


def complaints(method: str, path: str, sent=None, answered=None) -> list[str]:
    """What the contract has against a request that was answered so."""
    request = httpx.Request(method, f"http://films.example{path}", json=sent, headers={"Authorization": "Bearer x"})
    response = httpx.Response(200, json=answered, request=request)
    asked, seen = contract.SeenRequest(request), contract.SeenResponse(response)
    api = contract.contract().openapi
    errors = [*(api.iter_request_errors(asked) if sent is not None else ()), *api.iter_response_errors(asked, seen)]
    return [contract.explain(error) for error in errors]


def as_seen_by_the_public(policy: dict) -> dict:
    policy = copy.deepcopy(policy)
    for _, schema in leaves_of(policy["rule"]):
        for field in {"accounts": ("allow", "deny"), "lambda": ("parameters",)}.get(schema["kind"], ()):
            schema.pop(field, None)
    return policy


def leaves_of(rule: dict, path: str = "rule"):
    lists = [(word, rule[word]) for word in ("all", "any", "none", "of") if word in rule]
    if not lists:
        yield path, rule
    for word, rules in lists:
        for number, inner in enumerate(rules):
            yield from leaves_of(inner, f"{path}.{word}[{number}]")


def test_good_policies_are_in_the_contract():
    path = f"/v1/videos/{ID}/policy"
    for policy in GOOD:
        assert complaints("PUT", path, {"policy": policy}, OWN | {"policy": policy}) == [], policy
        seen = as_seen_by_the_public(policy)
        assert complaints("GET", f"/v1/videos/{ID}", None, PUBLIC | {"policy": seen}) == [], seen


def test_bad_policies_are_not_in_the_contract():
    bodies = [{"policy": bad.policy} for bad in BAD if not bad.schema_accepts]
    passed = [body for body in bodies if not complaints("PUT", f"/v1/videos/{ID}/policy", body, OWN)]
    assert len(bodies) > 90 and passed == []


def test_the_public_sees_no_list_and_no_parameters():
    secret = [policy for policy in GOOD if as_seen_by_the_public(policy) != policy]
    assert {leaf["kind"] for policy in secret for _, leaf in leaves_of(policy["rule"])} >= {"accounts", "lambda"}
    passed = [
        policy for policy in secret if not complaints("GET", f"/v1/videos/{ID}", None, PUBLIC | {"policy": policy})
    ]
    assert passed == []


def test_outcomes_have_every_kind_and_every_path_of_a_policy():
    schemas = DOCUMENT["components"]["schemas"]
    leaves = [(path, leaf["kind"]) for policy in GOOD for path, leaf in leaves_of(policy["rule"])]
    assert {kind for _, kind in leaves} == set(schemas["Outcome"]["properties"]["kind"]["enum"])
    pattern = schemas["Outcome"]["properties"]["path"]["pattern"]
    assert [path for path, _ in leaves if not re.search(pattern, path)] == []


# What was seen. These run last, and only beside the flow tests.


@pytest.fixture
def seen(request) -> list[dict]:
    if not any("/flow/" in item.path.as_posix() for item in request.session.items):
        pytest.skip("only beside the flow tests: they are what is looked at")
    path = contract.coverage_path()
    assert path.exists(), f"the flow tests left no {path}"
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.after_flow
def test_every_documented_success_was_exercised(seen):
    exercised = {f"{entry['operation']} {entry['status']}" for entry in seen}
    documented = {
        f"{operation['operationId']} {status}"
        for _, _, operation in contract.operations(DOCUMENT)
        for status in operation["responses"]
        if status.startswith("2")
    }
    assert documented - exercised - set(NOT_EXERCISED) == set()
    assert set(NOT_EXERCISED) & exercised == set(), "these are exercised by now: take them off the list"
    assert set(NOT_EXERCISED) <= documented, "these are not in the contract any more"


@pytest.mark.after_flow
def test_every_documented_problem_was_provoked(seen):
    provoked = {entry["problem"] for entry in seen if entry["problem"]}
    documented = {
        schema["properties"]["type"]["const"].rpartition("/")[2]
        for name, schema in DOCUMENT["components"]["schemas"].items()
        if name.startswith("Problem") and name != "Problem"
    }
    assert documented - provoked - set(NOT_PROVOKED) == set()
    assert set(NOT_PROVOKED) <= documented, "these are not in the contract any more"
