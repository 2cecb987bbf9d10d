"""The offline verifier of receipts, on one that the domain made: shared/domain/src/receipt.rs holds the same text."""

from __future__ import annotations

import base64
import importlib.util
import json
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = json.loads((ROOT / "shared/domain/tests/receipt.json").read_text())


@pytest.fixture(scope="module")
def verifier():
    spec = importlib.util.spec_from_file_location("verify_receipt", ROOT / "infra/verify_receipt.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def encoded(value: dict) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def test_a_receipt_is_verified_with_the_published_keys_alone(verifier):
    claims = verifier.verify(SAMPLE["keys"], SAMPLE["iss"], SAMPLE["receipt"])
    assert claims["video"] == "00112233445566778899aabbccddeeff" and claims["verdict"] == "yes"


def test_what_is_altered_foreign_or_of_another_kind_is_refused(verifier):
    head, body, mark = SAMPLE["receipt"].split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    kid = SAMPLE["keys"]["keys"][0]["kid"]
    header = {"alg": "ES256", "typ": verifier.TYPE, "kid": kid}
    bad = [
        "",
        "a.b",
        f"{head}.{body}",
        f"{head}.{body}.",
        f"{head}.{encoded(claims | {'verdict': 'no'})}.{mark}",
        *(f"{encoded(header | change)}.{body}.{mark}" for change in ({"alg": "none"}, {"alg": "HS256"}, {"typ": "JWT"}, {"kid": "x"}, {"crit": []})),
        f"{head}.{body}.{mark[:-4]}AAAA",
        "a" * (verifier.MAX_BYTES + 1),
    ]
    for token in bad:
        with pytest.raises(verifier.Refused):
            verifier.verify(SAMPLE["keys"], SAMPLE["iss"], token)
    with pytest.raises(verifier.Refused, match="another stack"):
        verifier.verify(SAMPLE["keys"], "https://elsewhere.example", SAMPLE["receipt"])
    with pytest.raises(verifier.Refused, match="not among"):
        verifier.verify({"keys": []}, SAMPLE["iss"], SAMPLE["receipt"])
