"""infra/policy.schema.json on the policies of tests/kit/policies.py, which the flow tests send to the API as well."""

from __future__ import annotations

import json

import pytest
from jsonschema import Draft202012Validator
from jsonschema.protocols import Validator

from tests.kit import contract
from tests.kit.policies import BAD, GOOD, Bad

SCHEMA = json.loads((contract.REPOSITORY / "infra" / "policy.schema.json").read_text())
KINDS = {
    "erc721", "erc1155", "erc20", "native", "contract", "unlock", "spl", "metaplex_collection", "metaplex_creator",
    "core_collection", "token2022_group", "accounts", "time", "lambda",
}  # fmt: skip


@pytest.fixture(scope="module")
def schema() -> Validator:
    return Draft202012Validator(SCHEMA)


def brief(policy) -> str:
    return json.dumps(policy.get("rule", policy) if isinstance(policy, dict) else policy, ensure_ascii=True)[:80]


def nodes(value):
    """Every object in a schema or a policy."""
    if isinstance(value, dict):
        yield value
        for inner in value.values():
            yield from nodes(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from nodes(inner)


def kinds(policy) -> set[str]:
    return {node["kind"] for node in nodes(policy) if isinstance(node.get("kind"), str)}


def test_the_schema_is_one():
    Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"


@pytest.mark.parametrize("policy", GOOD, ids=brief)
def test_a_good_policy_passes(schema, policy):
    assert [error.message for error in schema.iter_errors(policy)] == []


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: f"{bad.path} of {brief(bad.policy)}")
def test_a_bad_policy_is_refused_where_a_schema_can_see_it(schema, bad: Bad):
    # One that the schema refuses by now must lose its mark, so that the table says what the schema does.
    assert schema.is_valid(bad.policy) == bad.schema_accepts, bad.path


def test_the_schemas_own_examples_pass_it(schema):
    for example in SCHEMA["examples"]:
        schema.validate(example)
    for name, definition in SCHEMA["$defs"].items():
        part = Draft202012Validator({"$ref": f"#/$defs/{name}", "$defs": SCHEMA["$defs"]})
        for example in definition.get("examples", ()):
            part.validate(example)


def test_every_object_of_the_language_is_closed():
    open_ones = [node for node in nodes(SCHEMA) if node.get("type") == "object" and "properties" in node]
    assert open_ones and all(node["additionalProperties"] is False for node in open_ones)


def test_the_table_has_every_kind_and_every_field():
    properties = {
        kind: set(definition["properties"]) - {"kind"}
        for definition in SCHEMA["$defs"].values()
        if "kind" in definition.get("properties", {})
        for kind in definition["properties"]["kind"].get("enum", [definition["properties"]["kind"].get("const")])
    }
    assert set(properties) == KINDS
    used: dict[str, set[str]] = {kind: set() for kind in KINDS}
    for policy in GOOD:
        for node in nodes(policy):
            if node.get("kind") in KINDS:
                used[node["kind"]] |= set(node) - {"kind"}
    assert used == properties
    assert set().union(*(kinds(bad.policy) for bad in BAD)) >= KINDS
    assert len(GOOD) >= 40 and len(BAD) >= 90


def test_no_policy_is_there_twice():
    for table in (GOOD, [bad.policy for bad in BAD]):
        written = [json.dumps(policy, sort_keys=True) for policy in table]
        assert len(written) == len(set(written)), [text for text in written if written.count(text) > 1]


def test_what_is_too_long_is_too_long_and_what_is_good_is_not():
    sizes = [len(json.dumps(policy, separators=(",", ":"), ensure_ascii=False).encode()) for policy in GOOD]
    assert max(sizes) <= 16 * 1024
    (long,) = [bad.policy for bad in BAD if bad.path == "policy" and isinstance(bad.policy, dict)]
    assert len(json.dumps(long, separators=(",", ":")).encode()) > 16 * 1024
