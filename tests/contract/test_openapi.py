"""Holds infra/openapi.yaml to template.yaml, to itself, and to what the flow tests saw.

That the running API answers as the contract says is checked by the kit's client on every request of every flow test
(tests/kit/contract.py); here is what those checks cannot see.
"""

from __future__ import annotations

import json
import re

import pytest
import yaml
from openapi_spec_validator import validate

from tests.kit import contract

DOCUMENT = contract.load()

# Successes that the flow tests don't exercise, each with its reason: "operationId status" -> why.
NOT_EXERCISED: dict[str, str] = {}

# Problems that no flow test provokes.
NOT_PROVOKED: dict[str, str] = {
    "internal": "it is a fault of ours: a test that knew how to cause one would be a bug report",
}


class Template(yaml.SafeLoader):
    """Reads CloudFormation's short forms (!Ref and its like) as plain values: only the routes matter here."""


def any_tag(loader: yaml.Loader, _suffix: str, node: yaml.Node):
    if isinstance(node, yaml.ScalarNode):
        return loader.construct_scalar(node)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return loader.construct_mapping(node, deep=True)


Template.add_multi_constructor("!", any_tag)


def template_routes() -> dict[tuple[str, str], str]:
    """(METHOD, path) -> the logical id of the function."""
    template = yaml.load((contract.REPOSITORY / "template.yaml").read_text(), Loader=Template)  # noqa: S506
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
