"""All providers are down, slow, or lie in their own way: 503, never a grant, and never a 403 that lies.

Guard: what a provider does not answer in form and in time is `Verdict::Unknown` (adapters/provider, adapters/evm,
adapters/solana), and `Unknown` is a 503 (app, grant_playback.rs). The decision is Kleene's, so it can't turn into a yes
or a no on the way.
"""

from __future__ import annotations

import concurrent.futures

import pytest

from tests.kit.fault_proxy import MISLED_CHAIN, FaultProxy
from tests.kit.gate import eventually

# A provider of Solana's that only says an old slot, with accounts and a clock of now, withholds nothing.
HARMLESS = {("solana", "stale_head")}


@pytest.mark.parametrize("fault", FaultProxy.FAULTS)
def test_providers_that_all_fail_open_nothing_and_refuse_nobody(
    fresh_functions, proxy, gate, grounds, as_nobody, fault
):
    """One condition for each chain; whoever asks has a wallet of each family."""
    tried = [ground for name, ground in grounds.items() if (name.partition(":")[0], fault) not in HARMLESS]
    rule = {"all": [ground.rule() for ground in tried]}
    gate.set(rule)
    evm, *_, solana = grounds.values()
    holders, strangers = (evm.holder, solana.holder), (evm.stranger, solana.stranger)
    sessions = [gate.client(*wallets) for wallets in (holders, strangers)]
    path = f"/v1/videos/{gate.video}/playback"
    # Functions are fresh, so providers are checked now; nothing that was learned before helps.
    with proxy.fault(fault), concurrent.futures.ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(client.ask, "POST", path) for client in sessions]
        verified = pool.submit(gate.verify, rule, *holders)
        health = pool.submit(as_nobody.health)
        for answer in (one.result() for one in asked):
            assert answer.status_code == 503, answer.text
            assert answer.json()["type"].endswith("/unavailable") and int(answer.headers["Retry-After"]) > 0
            # Neither a provider's address nor its words.
            assert str(proxy.port) not in answer.text and "captcha" not in answer.text
        seen = verified.result()
        assert seen.verdict == "unknown" and [*seen.outcomes.values()] == ["unknown"] * len(tried)
        health = health.result()
        assert health["status"] == "degraded" and str(proxy.port) not in str(health)
        for ground in tried:
            assert check_of(health, ground.name)["status"] == "degraded", ground.name
    # And it is over when the providers are back, at the latest when their breakers let one request try.
    gate.admits(rule, *holders, seconds=45)
    gate.refuses(rule, *strangers)
    for ground in tried:
        check = eventually(lambda: check_of(as_nobody.health(), ground.name), lambda check: check["status"] == "ok", 45)
        assert [provider["status"] for provider in check["providers"]] == ["ok"] * 3


def check_of(health: dict, name: str) -> dict:
    return next(check for check in health["checks"] if check["name"] == name)


def test_a_provider_of_another_chain_is_not_believed(fresh_functions, gate, token, holder, stranger, as_nobody):
    """It answers perfectly well, for a contract of that address and for that wallet, and nobody contradicts it.

    Guard: adapters/evm, provider.rs, check (the chain's id).
    """
    rule = {**token.condition(min_balance=1), "chain": MISLED_CHAIN}
    for wallet in (holder, stranger):
        gate.cannot_tell(rule, wallet, because="the provider does not answer")
    check = check_of(as_nobody.health(), MISLED_CHAIN)
    assert check["status"] == "degraded" and check["providers"][0]["detail"] == "it serves another chain"


def test_the_owner_needs_no_chain(proxy, as_creator, small_video):
    with proxy.fault("http_500"):
        assert as_creator.playback(small_video["id"])["hls"]


def test_a_grant_that_was_given_still_plays(fresh_functions, proxy, as_holder, player, small_video):
    granted = as_holder.playback(small_video["id"])
    with proxy.fault("hang_up"):
        track = player.hls(granted["hls"])[0]
        assert player.statuses(track.addresses) == {200}
