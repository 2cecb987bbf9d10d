"""The RPC provider is down, slow, or lies in its own way: 503, never a grant, and never a 403 that lies.

Guard: what a provider does not answer in form and in time is `Verdict::Unknown` (adapters/evm), and `Unknown` is a 503
(app::grant_playback). The decision is Kleene's, so it can't turn into a yes or a no on the way.
"""

from __future__ import annotations

import concurrent.futures
import time

import pytest

from tests.kit.fault_proxy import MISLED_CHAIN, FaultProxy


@pytest.mark.parametrize("fault", FaultProxy.FAULTS)
def test_a_provider_that_fails_opens_nothing_and_refuses_nobody(
    proxy, as_creator, as_holder, as_stranger, as_nobody, small_video, policy, fault
):
    path = f"/v1/videos/{small_video['id']}/playback"
    assert as_holder.ask("POST", path).status_code == 200
    with proxy.fault(fault), concurrent.futures.ThreadPoolExecutor(4) as pool:
        began = time.monotonic()
        asked = [pool.submit(client.ask, "POST", path) for client in (as_holder, as_stranger)]
        verified = pool.submit(as_creator.verify, policy, as_holder.wallet.account)
        health = pool.submit(as_nobody.health)
        for answer in (one.result() for one in asked):
            assert answer.status_code == 503, answer.text
            assert answer.json()["type"].endswith("/unavailable") and int(answer.headers["Retry-After"]) > 0
            # Neither the provider's address nor its words.
            assert str(proxy.port) not in answer.text and "captcha" not in answer.text
        verdict = verified.result()
        assert verdict["verdict"] == "unknown" and {part["outcome"] for part in verdict["conditions"]} == {"unknown"}
        health = health.result()
        assert health["status"] == "degraded"
        assert {check["name"]: check["status"] for check in health["checks"]}["eip155:31337"] == "degraded"
        assert str(proxy.port) not in str(health)
        # Four seconds for a provider; a caller must not wait for ever.
        assert time.monotonic() - began < 10
    # And it is over as soon as the provider is back.
    assert as_holder.ask("POST", path).status_code == 200
    assert as_stranger.ask("POST", path).status_code == 403
    checks = {check["name"]: check["status"] for check in as_nobody.health()["checks"]}
    assert checks["eip155:31337"] == "ok"


def test_a_provider_of_another_chain_is_not_believed(as_creator, as_holder, small_video, token, policy):
    """It answers perfectly well, for a contract of that address and for that wallet. Guard: the chain id is asked for."""
    as_creator.set_policy(small_video["id"], {"version": 1, "rule": {**token.condition(min_balance=1), "chain": MISLED_CHAIN}})
    try:
        answer = as_holder.ask("POST", f"/v1/videos/{small_video['id']}/playback")
        assert answer.status_code == 503, answer.text
    finally:
        as_creator.set_policy(small_video["id"], policy)


def test_the_owner_needs_no_chain(proxy, as_creator, small_video):
    with proxy.fault("http_500"):
        assert as_creator.playback(small_video["id"])["hls"]


def test_a_grant_that_was_given_still_plays(proxy, as_holder, player, small_video):
    granted = as_holder.playback(small_video["id"])
    with proxy.fault("hang_up"):
        track = player.hls(granted["hls"])[0]
        assert player.statuses(track.addresses) == {200}
