"""Some of a chain's three providers are down, slow, or lie: one changes nothing, two end every decision.

Two must agree (quorum 2 of 3). So two that tell the same lie are believed: whoever is afraid of that needs more
providers and a higher quorum, and no test here says otherwise. Two that lie differently, or one that lies beside one
that is dead, get nobody in.

Guards: adapters/provider, panel.rs and outcome.rs (agreement, who is asked next); adapters/evm, head.rs and chain.rs;
adapters/solana, cluster.rs. Where a test is for one rule in particular, it says which.
"""

from __future__ import annotations

import json

import pytest

from tests.kit import inside
from tests.kit.chain import Token
from tests.kit.fault_proxy import PROVIDERS, FaultProxy
from tests.kit.gate import GROUNDS, Ground, eventually
from tests.kit.solana import LOCAL_CHAIN
from tests.kit.wallet import Wallet

pytestmark = pytest.mark.usefixtures("fresh_functions")

EVM, _, SOLANA = GROUNDS
EVERY = FaultProxy.FAULTS + FaultProxy.LIES
# Waits until time is up, again and again.
SLOW = pytest.param("slow", marks=pytest.mark.proof)


def both(gate, ground: Ground) -> tuple[str, str]:
    """What holder and stranger are told, by the film and by verify."""
    rule = ground.rule()
    return gate.look(rule, ground.holder).verdict, gate.look(rule, ground.stranger).verdict


def lines(stack, message: str) -> list[dict]:
    """What PlaybackGrant logged with this message."""
    logged = [line for line in stack.log_lines("PlaybackGrant") if message in line]
    return [json.loads(part) for line in logged for part in line.splitlines() if message in part]


# ---- One of three


@pytest.mark.parametrize("name", GROUNDS)
@pytest.mark.parametrize("fault", EVERY)
def test_one_bad_provider_changes_nothing(gate, proxy, grounds, name, fault):
    """It is one of the first two that are asked: functions are fresh."""
    ground = grounds[name]
    proxy.reset_counts()
    with proxy.fault(fault, provider="a", chain=name, account=ground.friend):
        assert both(gate, ground) == ("yes", "no")
    assert proxy.requests().get((name, "a")), "the bad one was never asked"


@pytest.mark.parametrize("name", GROUNDS)
@pytest.mark.parametrize("provider", PROVIDERS)
def test_whichever_provider_lies(gate, proxy, grounds, name, provider):
    """Also the third, which is asked once the first two differ or are slow."""
    ground = grounds[name]
    other = next(one for one in PROVIDERS if one != provider)
    with proxy.fault("lie", provider=provider, chain=name, account=ground.friend):
        assert both(gate, ground) == ("yes", "no")
        with proxy.delay(0.2):
            assert both(gate, ground) == ("yes", "no")
        with proxy.fault("down", provider=other, chain=name):
            holder, stranger = both(gate, ground)
            # One honest word is none, and one lie neither.
            assert holder == "unknown"
            # Where there is no account on Solana there is nothing to lie about: both say so.
            assert stranger == "unknown" or (stranger == "no" and name == LOCAL_CHAIN)


@pytest.mark.parametrize("name", GROUNDS)
def test_a_disagreement_is_logged(stack, gate, proxy, grounds, name):
    """By chain and place, without an address. Guard: adapters/provider, panel.rs, settle."""
    ground = grounds[name]
    message = "the providers disagree"

    def count() -> int:
        return len([line for line in lines(stack, message) if name in json.dumps(line)])

    before = count()
    with proxy.fault("lie", provider="a", chain=name, account=ground.friend):
        assert gate.playback(ground.rule(), ground.holder).verdict == "yes"
    inside.wait_until(lambda: count() > before, 10, "no line")
    assert str(proxy.port) not in json.dumps(lines(stack, message) + lines(stack, "a provider gave no answer"))


@pytest.mark.parametrize("name", GROUNDS)
def test_health_shows_the_bad_provider(gate, proxy, grounds, as_nobody, name):
    """Its place and what is wrong with it, and not its address. The chain is well: two are enough."""

    def check() -> dict:
        health = as_nobody.health()
        assert str(proxy.port) not in str(health) and "rpc-key" not in str(health)
        return next(one for one in health["checks"] if one["name"] == name)

    with proxy.fault("http_500", provider="b", chain=name):
        seen = check()
        assert (seen["status"], seen["quorum"]) == ("ok", 2)
        assert [one["status"] for one in seen["providers"]] == ["ok", "degraded", "ok"]
        assert "overloaded or out of order" in seen["providers"][1]["detail"]
        with proxy.fault("down", provider="c", chain=name):
            seen = check()
            assert seen["status"] == "degraded"
            assert [one["status"] for one in seen["providers"]] == ["ok", "degraded", "degraded"]
    eventually(check, lambda seen: [one["status"] for one in seen["providers"]] == ["ok"] * 3)


# ---- Two of three


@pytest.mark.parametrize("name", GROUNDS)
@pytest.mark.parametrize("fault", ["down", SLOW, "http_500", "rpc_error", "null", "wrong_chain"])
def test_two_dead_providers_end_every_decision(gate, proxy, grounds, name, fault):
    """503 for whoever holds and for whoever doesn't: nothing is known of either."""
    ground = grounds[name]
    rule = ground.rule()
    with proxy.fault(fault, provider=("a", "b"), chain=name):
        for wallet in (ground.holder, ground.stranger):
            gate.cannot_tell(rule, wallet, because="2 of 3 providers do not answer")
    gate.admits(rule, ground.holder, seconds=45)
    gate.refuses(rule, ground.stranger)


@pytest.mark.parametrize("fault", [SLOW if fault == "slow" else fault for fault in EVERY])
def test_a_bad_provider_beside_a_dead_one(gate, proxy, grounds, fault):
    """Whatever it does, it lets nobody in who holds nothing, and calls nobody a stranger who isn't."""
    ground = grounds[EVM]
    with (
        proxy.fault(fault, provider="a", chain=EVM, account=ground.friend),
        proxy.fault("down", provider="b", chain=EVM),
    ):
        holder, stranger = both(gate, ground)
    assert holder in ("yes", "unknown") and stranger in ("no", "unknown")
    if fault not in ("lie_head", "stale_head", "wrong_chain"):
        # Those three answer truly to whoever knows which block he wants, or has not asked them which chain they are.
        assert (holder, stranger) == ("unknown", "unknown")


def test_two_different_lies_are_no_agreement(gate, proxy, grounds):
    ground = grounds[EVM]
    rule = ground.rule() | {"ids": ["5000-5003"]}
    with (
        proxy.fault("lie", provider=("a", "b"), chain=EVM, account=ground.friend),
        proxy.fault("lie", provider="b", chain=EVM, account=ground.friend),
    ):
        # The second one grows each balance twice.
        for wallet in (ground.holder, ground.stranger):
            gate.cannot_tell(rule, wallet, because="the providers disagree")


# ---- After it


@pytest.mark.proof
@pytest.mark.parametrize("name", GROUNDS)
def test_a_breaker_opens_and_closes_again(gate, proxy, grounds, name):
    """After some failures nobody waits for them any more; soon one request tries, and all is well.

    Guard: adapters/provider, breaker.rs.
    """
    ground = grounds[name]
    rule = ground.rule()

    def requests() -> int:
        proxy.reset_counts()
        assert gate.look(rule, ground.holder).verdict == "unknown"
        return sum(count for (chain, _), count in proxy.requests().items() if chain == name)

    with proxy.fault("http_500", chain=name):
        assert requests() > 0
        eventually(requests, lambda count: count == 0, 25, "a decision without a request")
    gate.admits(rule, ground.holder, seconds=45)
    gate.refuses(rule, ground.stranger)


def test_a_reorganisation_takes_the_token_away(gate, grounds, chain, creator, caip2):
    """The block that gave it has never been.

    Guards: adapters/evm, chain.rs, read (a head that is lost is renewed) and provider.rs, at (reads are of one block's
    hash).
    """
    ground = grounds[EVM]
    passes, holder, other = Token.deploy(chain, creator), Wallet.fresh(caip2, "holder"), Wallet.fresh(caip2, "other")
    passes.mint(other.address, 2)
    gate.settle()
    before = chain.block_number()
    passes.mint(holder.address, 1)
    gate.admits(passes.condition(), holder)
    # The head is as new as can be, so that it outlives the block that it is.
    gate.settle()
    gate.verify(ground.rule(), ground.holder)
    chain.reorg(chain.block_number() - before)
    # What is told after it is told of a block that there is. Nothing is remembered of this condition.
    seen = eventually(lambda: gate.verify(ground.rule(), ground.holder), lambda seen: seen.verdict != "unknown", 45)
    (block,) = (condition["block"] for condition in seen.conditions)
    assert chain.block(block["number"])["hash"] == block["hash"]
    assert passes.balance(holder.address) == 0
    verdicts = []

    def look() -> str:
        verdicts.append(gate.look(passes.condition(), holder).verdict)
        return verdicts[-1]

    # What nobody knows any more is asked for again; a breaker may need its time.
    eventually(look, lambda verdict: verdict == "no", 60)
    gate.admits(passes.condition(), other, seconds=45)


# ---- What it costs


def test_twenty_conditions_are_one_request_to_each_asked_provider(gate, proxy, grounds):
    """Ten on each of two chains, none of them asked before. Guard: adapters/evm, multicall.rs and chain.rs, read."""
    first, second = (grounds[name] for name in GROUNDS[:2])
    assert first.holder is second.holder

    def ask() -> tuple[dict, dict]:
        # A new policy has the live grants of its film decided again, and those questions would be counted too.
        gate.owner.revoke(gate.video)
        gate.playback({"all": [first.rule(), second.rule()]}, first.holder)
        gate.owner.revoke(gate.video)
        rule = {"all": [ground.rule() for ground in (first, second) for _ in range(10)]}
        gate.set(rule)
        proxy.reset_counts()
        assert gate.playback(rule, first.holder).verdict == "yes"
        return proxy.counts(), proxy.requests()

    # A head lives for seconds, and may end between the two.
    counts, requests = eventually(ask, lambda seen: not any("eth_call" != method for _, _, method in seen[0]))
    for ground in (first, second):
        asked = {provider: count for (name, provider), count in requests.items() if name == ground.name}
        # As many as must agree; a third only where one of those is slow.
        assert len(asked) >= 2 and set(asked.values()) == {1}, asked
    assert all(count == 1 for count in counts.values()), counts
