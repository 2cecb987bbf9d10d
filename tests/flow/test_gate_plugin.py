"""A plug-in decides: the stack's example, which asks what day it is (functions/plugin-example)."""

from __future__ import annotations

import datetime

import pytest

from tests.kit.wallet import Wallet

PLUGIN = "example"
WEEKDAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]


def rule(**parameters) -> dict:
    return {"kind": "lambda", "function": PLUGIN, "parameters": parameters}


@pytest.fixture(scope="module")
def viewer(caip2) -> Wallet:
    return Wallet.fresh(caip2, "viewer")


def far_days() -> list[str]:
    """Neither today nor, for a test at midnight, tomorrow."""
    today = datetime.datetime.now(datetime.UTC).weekday()
    return [day for number, day in enumerate(WEEKDAYS) if number not in (today, (today + 1) % 7)]


def test_a_plugin_lets_in_and_refuses(gate, viewer):
    """Its reason is shown. Guard: domain, leaf/mod.rs, lambda."""
    gate.admits(rule(weekdays=WEEKDAYS), viewer)
    seen = gate.verify(rule(weekdays=WEEKDAYS), viewer)
    (condition,) = seen.conditions
    assert (condition["kind"], condition["subject"], condition["outcome"]) == ("lambda", PLUGIN, "yes")
    assert "today is" in condition["reason"] and "chain" not in condition and "block" not in condition
    gate.refuses(rule(weekdays=[]), viewer, because="today is")
    gate.refuses(rule(weekdays=far_days()), viewer, because="today is")
    # It answered in form, so its no is a good one.
    gate.admits({"none": [rule(weekdays=[])]}, viewer)


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"weekdays": "monday"},
        {"weekdays": ["Monday"]},
        {"weekdays": ["someday"]},
        {"weekdays": WEEKDAYS, "weekends": True},
        {"days": WEEKDAYS},
        {"weekdays": None},
    ],
)
def test_parameters_that_a_plugin_does_not_know_let_nobody_in(gate, viewer, parameters):
    """It fails, and that is neither a yes nor a no. Guard: adapters/lambda, said (function_error)."""
    gate.cannot_tell(rule(**parameters), viewer, because="the plug-in failed")
    gate.cannot_tell({"none": [rule(**parameters)]}, viewer, because="the plug-in failed")


def test_a_plugin_that_fails_matters_only_where_it_could_change_the_answer(gate, viewer):
    broken, yes, no = rule(days=[]), rule(weekdays=WEEKDAYS), rule(weekdays=[])
    gate.admits({"any": [broken, yes]}, viewer)
    gate.refuses({"all": [broken, no]}, viewer)
    gate.cannot_tell({"any": [broken, no]}, viewer)
    gate.cannot_tell({"all": [broken, yes]}, viewer)


def test_a_plugin_that_keeps_failing_for_one_policy_goes_on_for_others(gate, viewer):
    """A creator's slip must not shut it for everybody. Guard: adapters/lambda, said (the breaker)."""
    for number in range(8):
        gate.cannot_tell(rule(days=[number]), viewer)
    # In words that no other test has: what is remembered asks nobody.
    gate.admits(rule(weekdays=WEEKDAYS[::-1]), viewer)


@pytest.mark.parametrize("name", ["examples", "Example", "PluginExample", "ChainVerify"])
def test_a_plugin_that_is_not_on_the_list_is_no_policy(as_creator, gate, viewer, name):
    """Nor is any other function that is there. Guard: domain, policy.rs, Policy::parse (plugins)."""
    policy = {"version": 1, "rule": {"kind": "lambda", "function": name}}
    before = as_creator.video(gate.video)
    for method, path, body in (
        ("PUT", f"/v1/videos/{gate.video}/policy", {"policy": policy}),
        ("POST", "/v1/videos", {"title": "A film", "size": 10, "content_type": "video/mp4", "policy": policy}),
        ("POST", "/v1/verify", {"policy": policy, "account": viewer.account}),
    ):
        answer = as_creator.ask(method, path, body)
        assert (answer.status_code, answer.json()["path"]) == (422, "rule.function"), path
    assert as_creator.video(gate.video) == before


def test_viewers_do_not_see_what_a_plugin_is_told(as_creator, gate, viewer):
    """Guard: domain, policy.rs, Policy::to_public_json."""
    told = rule(weekdays=WEEKDAYS)
    gate.set(told)
    assert as_creator.video(gate.video)["policy"]["rule"] == told
    assert gate.client(viewer).video(gate.video)["policy"]["rule"] == {"kind": "lambda", "function": PLUGIN}
