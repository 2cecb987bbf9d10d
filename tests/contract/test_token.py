"""The committed bytecode of the demo's and the tests' ERC-721 is of the committed source."""

from __future__ import annotations

import hashlib
import json

from tests.kit.chain import ARTIFACT


def test_token_json_was_compiled_from_token_sol():
    source = ARTIFACT.with_name("Token.sol").read_bytes()
    compiled = json.loads(ARTIFACT.read_text())
    assert compiled["source_sha256"] == hashlib.sha256(source).hexdigest(), "run localstack/contracts/build.mjs"
    functions = {entry["name"] for entry in compiled["abi"] if entry["type"] == "function"}
    assert {"mint", "burn", "balanceOf", "ownerOf", "transferFrom"} <= functions
