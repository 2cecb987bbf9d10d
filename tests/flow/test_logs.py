"""Every request leaves one line in its function's log, and no secret in any log."""

from __future__ import annotations

import json
import re

import pytest

from tests.kit import inside
from tests.kit.fault_proxy import RPC_PATH

pytestmark = pytest.mark.after_flow

FUNCTIONS = inside.functions()


def lines(stack, logical_id: str) -> list[dict]:
    """The function's own lines; the engine adds START, END and REPORT as Lambda does."""
    own = [line for line in stack.log_lines(logical_id) if not re.match(r"(START|END|REPORT|INIT_START) ", line)]
    # A line that is no JSON is a panic or a stray print, and fails here.
    return [json.loads(part) for line in own for part in line.splitlines() if part.strip()]


@pytest.mark.parametrize("logical_id", FUNCTIONS)
def test_every_request_is_one_line_of_json(stack, request, logical_id):
    requests = [line for line in lines(stack, logical_id) if line.get("message") == "request"]
    if not requests and request.config.getoption("keyword"):
        pytest.skip("the tests that would have called it were not chosen")
    assert requests, "it was never called: is its flow test missing?"
    for line in requests:
        assert {"timestamp", "level", "request", "route", "outcome", "status", "duration_ms"} <= set(line)
        assert line["request"] and line["route"] and line["outcome"] and line["duration_ms"] >= 0
    identifiers = [line["request"] for line in requests]
    if "Events" in FUNCTIONS[logical_id] and any(event["Type"] == "HttpApi" for event in FUNCTIONS[logical_id]["Events"].values()):
        assert len(identifiers) == len(set(identifiers)), "two lines for one request"
        routes = {f"{event['Properties']['Method']} {event['Properties']['Path']}" for event in FUNCTIONS[logical_id]["Events"].values()}
        assert {line["route"] for line in requests} <= routes


def test_a_request_can_be_found_by_its_id(stack, as_nobody):
    """The id in the line is Lambda's, so line, platform lines and trace belong together."""
    as_nobody.health()
    messages = inside.wait_until(lambda: [line for line in stack.log_lines("Health") if '"request"' in line], 5, "no line")
    identifier = json.loads(messages[-1])["request"]
    assert any(identifier in line and line.startswith("START") for line in stack.log_lines("Health"))


def test_no_secret_is_in_any_log(stack, secrets, as_holder, video, player):
    # Something of every kind, also when only this test runs.
    player.hls(as_holder.playback(video["id"])["hls"])
    wanted = dict(secrets.found)
    manager = stack.client("secretsmanager")
    for logical_id in ("SessionSecret", "SigningSecret", "TokenSecret", "ContentSecret", "ReceiptSecret"):
        for key in inside.keyring(stack, logical_id):
            # A PEM has line breaks, which a log would write otherwise: a line of its middle stands for it.
            wanted[max((key.get("key") or key["private_key"]).splitlines(), key=len)] = logical_id
    wanted[RPC_PATH.strip("/")] = "the key in an RPC address"
    kinds = set(wanted.values())
    assert {"session token", "nonce", "signature", "grant", "SessionSecret", "SigningSecret"} <= kinds, kinds

    texts = {"edge.log": stack.edge.log.read_text(errors="replace"), "engine.log": stack.engine.log.read_text(errors="replace")}
    logs = stack.client("logs")
    for page in logs.get_paginator("describe_log_groups").paginate():
        for group in page["logGroups"]:
            name = group["logGroupName"]
            pages = logs.get_paginator("filter_log_events").paginate(logGroupName=name)
            texts[name] = "\n".join(event["message"] for found in pages for event in found["events"])
    assert sum("/aws/" in name or "Logs" in name for name in texts) >= len(FUNCTIONS)
    found = [
        f"{kind} in {name}: …{text[max(0, text.index(secret) - 80) : text.index(secret)]}"
        for name, text in texts.items()
        for secret, kind in wanted.items()
        if secret in text
    ]
    assert not found, "\n".join(found)
