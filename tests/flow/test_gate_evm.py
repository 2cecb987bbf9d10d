"""Every kind of condition on EVM chains: who holds gets in, who doesn't is told why, and who held is turned away.

Whatever is expected is asked of the film itself and of POST /v1/verify (tests/kit/gate.py). Contracts are deployed
first and all together, so that functions see them before they are asked about.
"""

from __future__ import annotations

import datetime
import itertools
import time
from types import SimpleNamespace

import pytest
from eth_utils import keccak, to_checksum_address

from tests.kit.chain import Coin, Delegations, Editions, Lock, Oracle, SmartWallet, Token, Traits
from tests.kit.gate import eventually
from tests.kit.wallet import ContractWallet, Wallet

WEI = 10**18
NOBODY = "0x" + "12" * 20
HUGE = "a long one"
# What a token says of itself, and what is said of that.
BAD_METADATA = {
    "https://films.example/hat.json": "not on the chain",
    "ipfs://bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi": "not on the chain",
    "data:text/html,<b>Red</b>": "not on the chain",
    "data:application/json;base64": "no data URI",
    "data:application/json;base64,%%%": "no base64",
    'data:application/json,{"attributes":[{"trait_type":"Hat","value":"Red"': "no JSON metadata",
    'data:application/json,%zz{"attributes":[]}': "badly escaped",
    HUGE: "answers more than 32 KiB",
}


@pytest.fixture(scope="module")
def hat_holder(caip2) -> Wallet:
    return Wallet.fresh(caip2, "hat holder")


@pytest.fixture(scope="module")
def contracts(chain, second_chain, creator, gate, hat_holder) -> SimpleNamespace:
    """One of each kind, and what must be there before it is first asked for."""
    made = SimpleNamespace(
        passes=Token.deploy(chain, creator, "Passes", "PASS"),
        others=Token.deploy(chain, creator, "Others", "OTHER"),
        far=Token.deploy(second_chain, creator, "Far passes", "FAR"),
        hats=Traits.deploy(chain, creator, "Hats", "HAT"),
        bad_hats={uri: Traits.deploy(chain, creator, "Hats", "HAT") for uri in BAD_METADATA},
        editions=Editions.deploy(chain, creator),
        coins={decimals: Coin.deploy(chain, creator, decimals) for decimals in (0, 6, 18)},
        oracle=Oracle.deploy(chain, creator),
        lock=Lock.deploy(chain, creator),
        registry=Delegations(chain),
        # Ids that no other test mints.
        ids=itertools.count(1000),
    )
    for uri, hats in made.bad_hats.items():
        hats.mint(hat_holder.address, 1)
        hats.set_trait(1, "Hat", "Red")
        if uri == HUGE:
            hats.set_padding(40_000)
        else:
            hats.set_uri(uri)
    gate.settle()
    return made


@pytest.fixture
def someone(chain, second_chain, caip2):
    """`someone("seller")`: a wallet that holds nothing yet, and can pay for transactions on both chains."""

    def make(name: str = "someone") -> Wallet:
        wallet = Wallet.fresh(caip2, name)
        chain.fund(wallet.address)
        second_chain.fund(wallet.address)
        return wallet

    return make


def rfc3339(moment: float) -> str:
    return datetime.datetime.fromtimestamp(int(moment), datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def seconds(text: str) -> int:
    return int(datetime.datetime.fromisoformat(text).timestamp())


def asset(token, token_id: int, standard: str = "erc721") -> str:
    """CAIP-19."""
    return f"{token.chain.caip2()}/{standard}:{token.address}/{token_id}"


# ---- erc721


def test_erc721_by_number(gate, contracts, someone, stranger):
    """Held twice is enough for two and not for three; sold and burnt it is gone. Guard: domain, leaf/evm.rs, erc721."""
    passes, holder, buyer = contracts.passes, someone("holder"), someone("buyer")
    first, second = next(contracts.ids), next(contracts.ids)
    passes.mint(holder.address, first)
    passes.mint(holder.address, second)
    two = passes.condition(min=2)
    assert gate.admits(two, holder).value == "2"
    assert gate.admits(passes.condition(), holder)
    gate.refuses(passes.condition(min=3), holder, because="holds 2, needs 3")
    gate.refuses(two, stranger, because="holds 0, needs 2")
    passes.transfer(holder, buyer.address, first)
    gate.turns_away(two, holder, because="holds 1, needs 2")
    gate.admits(passes.condition(), buyer)
    passes.burn(first)
    gate.turns_away(passes.condition(), buyer, because="holds 0, needs 1")
    # By its CAIP-19 name.
    short = {"kind": "erc721", "asset": f"{passes.chain.caip2()}/erc721:{passes.address}"}
    gate.admits(short, holder)
    gate.refuses(short, stranger)


def test_erc721_no_more_than(gate, contracts, someone):
    """Guard: domain, leaf/mod.rs, Tally::weigh."""
    passes, collector = contracts.passes, someone("collector")
    first, second = next(contracts.ids), next(contracts.ids)
    passes.mint(collector.address, first)
    one_only, none_at_all = passes.condition(max=1), passes.condition(min=0, max=0)
    gate.admits(one_only, collector)
    gate.refuses(none_at_all, collector, because="holds 1, at most 0 is allowed")
    passes.mint(collector.address, second)
    gate.turns_away(one_only, collector, because="holds 2, at most 1 is allowed")
    for token_id in (first, second):
        passes.burn(token_id)
    gate.admits(none_at_all, collector)


def test_erc721_by_ids(gate, contracts, someone, stranger):
    """Only the listed ones count, each by ownerOf. Guard: domain, leaf/evm.rs, held_ids and owns."""
    passes, holder, buyer = contracts.passes, someone("holder"), someone("buyer")
    ids = [next(contracts.ids) for _ in range(6)]
    single, inside, outside = ids[0], ids[3], ids[5]
    for token_id in (single, inside, outside):
        passes.mint(holder.address, token_id)
    rule = passes.condition(ids=[single, f"{ids[2]}-{ids[4]}"])
    assert gate.admits(rule, holder).value == "2"
    gate.admits(rule | {"min": "2"}, holder)
    gate.refuses(rule | {"min": "3"}, holder, because="holds 2, needs 3")
    gate.refuses(rule, stranger)
    # One that was never minted: the contract reverts, and that is a plain no.
    gate.refuses(passes.condition(ids=[2**256 - 1]), holder, because="holds 0, needs 1")
    # A range of millions that only the hint makes out; this collection lists nobody's tokens.
    wide = passes.condition(ids=[f"{ids[5]}-9000000"])
    gate.refuses(wide, holder, because="name the token in assets")
    gate.admits(wide, holder, assets=[asset(passes, outside)])
    # A hint is no proof: not of another's token, of one outside the range, or of another contract's.
    gate.refuses(wide, stranger, assets=[asset(passes, outside)])
    gate.refuses(wide, holder, assets=[asset(passes, single)])
    gate.refuses(wide, holder, assets=[asset(contracts.others, outside)])
    passes.transfer(holder, buyer.address, single)
    gate.turns_away(passes.condition(ids=[single]), holder)
    gate.admits(passes.condition(ids=[single]), buyer)
    passes.burn(outside)
    gate.turns_away(wide, holder, assets=[asset(passes, outside)])


def test_erc721_ranges_of_a_collection_that_lists_tokens(gate, contracts, someone, stranger):
    """ERC-721 Enumerable needs no hint. Guard: domain, leaf/evm.rs, list_tokens."""
    hats, holder = contracts.hats, someone("holder")
    low, high = next(contracts.ids), 5_000_000
    hats.mint(holder.address, low)
    rule = hats.condition(ids=["4000000-9000000"])
    gate.refuses(rule, holder)
    hats.mint(holder.address, high)
    gate.admits(rule, holder)
    gate.refuses(rule, stranger)
    hats.transfer(holder, stranger.address, high)
    gate.turns_away(rule, holder)
    gate.admits(rule, stranger)
    hats.burn(high)
    gate.turns_away(rule, stranger)


def test_erc721_by_traits(gate, contracts, someone, stranger):
    """By metadata on the chain itself. Guard: domain, leaf/metadata.rs, has_traits."""
    hats, holder = contracts.hats, someone("holder")
    red, blue = next(contracts.ids), next(contracts.ids)
    for token_id, colour in ((red, "Red"), (blue, "Blue")):
        hats.mint(holder.address, token_id)
        hats.set_trait(token_id, "Hat", colour)
    hats.set_trait(red, "Size", "7")
    gate.admits(hats.condition(traits={"Hat": "Red"}), holder)
    gate.admits(hats.condition(traits={"Hat": "Red", "Size": "7"}), holder)
    gate.admits(hats.condition(traits={"Hat": "Blue"}, ids=[blue]), holder)
    gate.refuses(hats.condition(traits={"Hat": "Red"}, min=2), holder, because="holds 1, needs 2")
    # Both traits are held, but not by one token.
    gate.refuses(hats.condition(traits={"Hat": "Blue", "Size": "7"}), holder)
    gate.refuses(hats.condition(traits={"Hat": "Red"}, ids=[blue]), holder)
    gate.refuses(hats.condition(traits={"hat": "red"}), holder)
    gate.refuses(hats.condition(traits={"Hat": "Red"}), stranger)
    # Two ways to lose it: it is repainted, it is sold.
    hats.set_trait(red, "Hat", "Green")
    gate.turns_away(hats.condition(traits={"Hat": "Red"}), holder)
    gate.admits(hats.condition(traits={"Hat": "Blue"}), holder)
    hats.burn(blue)
    gate.turns_away(hats.condition(traits={"Hat": "Blue"}), holder)


@pytest.mark.parametrize("uri", BAD_METADATA)
def test_metadata_that_cannot_be_used_admits_nobody(gate, contracts, hat_holder, uri):
    """Nothing is fetched, whatever the token says. Guard: domain, leaf/metadata.rs, has_traits."""
    rule = contracts.bad_hats[uri].condition(ids=[1], traits={"Hat": "Red"})
    gate.refuses(rule, hat_holder, because=BAD_METADATA[uri])
    # Nor does it let in whoever must not have it.
    gate.cannot_tell({"none": [rule]}, hat_holder, because=BAD_METADATA[uri])


# ---- erc1155


def test_erc1155(gate, contracts, someone, stranger):
    """The ids are added up. Guard: domain, leaf/evm.rs, erc1155."""
    editions, holder, buyer = contracts.editions, someone("holder"), someone("buyer")
    first, _, third = (next(contracts.ids) for _ in range(3))
    editions.mint(holder.address, first, 2)
    editions.mint(holder.address, third, 3)
    rule = editions.condition([f"{first}-{third}"], min=5)
    assert gate.admits(rule, holder).value == "5"
    gate.refuses(rule | {"min": "6"}, holder, because="holds 5, needs 6")
    gate.refuses(editions.condition([first], min=3), holder)
    gate.refuses(rule | {"min": "0", "max": "4"}, holder, because="at most 4 is allowed")
    gate.refuses(rule, stranger)
    editions.transfer(holder, buyer.address, third, 1)
    gate.turns_away(rule, holder, because="holds 4, needs 5")
    gate.admits(editions.condition([third]), buyer)
    editions.burn(buyer.address, third, 1)
    gate.turns_away(editions.condition([third]), buyer)
    # Of a wide range only the ids that are named are looked at.
    wide = editions.condition([f"{first}-9000000"])
    gate.refuses(wide, holder, because="name the token in assets")
    gate.admits(wide, holder, assets=[asset(editions, first, "erc1155")])
    gate.refuses(wide, stranger, assets=[asset(editions, first, "erc1155")])


# ---- erc20 and native


@pytest.mark.parametrize(
    ("decimals", "amount", "least"),
    [
        pytest.param(18, "0.000000000000000001", 1, marks=pytest.mark.proof),
        (18, "10.5", 10_500_000_000_000_000_000),
        pytest.param(6, "10.5", 10_500_000, marks=pytest.mark.proof),
        # A part of a smallest unit is rounded up: nobody gets in for less.
        (6, "0.0000001", 1),
        pytest.param(0, "10.5", 11, marks=pytest.mark.proof),
        pytest.param(0, "3", 3, marks=pytest.mark.proof),
    ],
)
def test_erc20(gate, contracts, someone, stranger, decimals, amount, least):
    """By the coin's own decimals. Guard: domain, number.rs, Amount::at_least."""
    coin, holder = contracts.coins[decimals], someone("holder")
    rule = coin.condition(amount)
    coin.mint(holder.address, least)
    gate.admits(rule, holder)
    gate.refuses(rule, stranger)
    coin.transfer(holder, NOBODY, 1)
    gate.turns_away(rule, holder, because="needs")
    coin.mint(holder.address, 1)
    gate.admits(rule, holder)
    coin.burn(holder.address, least)
    gate.turns_away(rule, holder, because="holds 0, needs")


def test_erc20_between(gate, contracts, someone):
    coin, holder = contracts.coins[6], someone("holder")
    rule = coin.condition("1") | {"max": "2.5"}
    coin.mint(holder.address, 2_500_000)
    assert gate.admits(rule, holder).value == "2.5"
    coin.mint(holder.address, 1)
    gate.turns_away(rule, holder, because="holds 2.500001, at most 2.5 is allowed")


def test_native(gate, chain, someone, caip2):
    """Guard: domain, leaf/evm.rs, native."""
    rich, poor = Wallet.fresh(caip2, "rich"), Wallet.fresh(caip2, "poor")
    chain.fund(rich.address, WEI // 10)
    chain.fund(poor.address, WEI // 10 - 1)
    chain.mine()
    rule = chain.native_condition("0.1")
    assert gate.admits(rule, rich).value == "0.1"
    gate.refuses(rule, poor, because="holds 0.099999999999999999, needs 0.1")
    chain.fund(rich.address, 0)
    chain.mine()
    gate.turns_away(rule, rich, because="holds 0, needs 0.1")


# ---- Any function


LEVEL = "levelOf(address,uint256)(uint256)"


def test_each_comparator(gate, contracts, someone, stranger):
    """Guard: domain, leaf/evm.rs, compare."""
    oracle, player = contracts.oracle, someone("player")
    season = next(contracts.ids)
    oracle.set_level(player.address, season, 3)

    def rule(**result: str) -> dict:
        return oracle.condition(LEVEL, [":account", str(season)], **result)

    # From here on functions have seen the level.
    gate.admits(rule(equals="3"), player)
    for result, with_three, with_none in (
        ({"not_equals": "3"}, "no", "yes"),
        ({"at_least": "3"}, "yes", "no"),
        ({"at_least": "4"}, "no", "no"),
        ({"at_most": "2"}, "no", "yes"),
        ({"at_most": "3"}, "yes", "yes"),
        ({"above": "2"}, "yes", "no"),
        ({"above": "3"}, "no", "no"),
        ({"below": "3"}, "no", "yes"),
        ({"below": "4"}, "yes", "yes"),
        ({"equals": "3"}, "yes", "no"),
    ):
        verdicts = tuple(gate.look(rule(**result), wallet).verdict for wallet in (player, stranger))
        assert verdicts == (with_three, with_none), result
    oracle.set_level(player.address, season, 2)
    gate.turns_away(rule(at_least="3"), player, because="answers 2, which is not at least 3")


@pytest.mark.proof
def test_each_type_of_result(gate, contracts, someone, stranger):
    """A yes for whom the contract says so, a no after it says otherwise. Guard: domain, abi.rs, Type::decode."""
    oracle, member = contracts.oracle, someone("member")
    gold = "0x" + b"gold".ljust(32, b"\0").hex()
    most = 2**256 - 1

    def level(account: str, number: int) -> None:
        oracle.set_level(account, 7, number)

    for function, result, say, good, bad in (
        ("isMember(address)(bool)", {"equals": "true"}, oracle.set_member, True, False),
        ("badgeOf(address)(bytes32)", {"equals": gold}, oracle.set_badge, b"gold", b"gold?"),
        ("nameOf(address)(string)", {"equals": "Ünal 🎬"}, oracle.set_name, "Ünal 🎬", "Ünal"),
        ("scoreOf(address)(int256)", {"below": "-5"}, oracle.set_score, -6, -5),
        ("scoreOf(address)(int256)", {"above": "5"}, oracle.set_score, 6, -7),
        (LEVEL, {"at_least": str(2**255)}, level, most, 1),
    ):
        rule = oracle.condition(function, [":account", "7"] if function == LEVEL else None, **result)
        say(member.address, good)
        gate.admits(rule, member)
        gate.refuses(rule, stranger, because="which is not")
        say(member.address, bad)
        gate.turns_away(rule, member, because="which is not")


def test_a_function_of_nobody_in_particular(gate, contracts, creator, stranger):
    """It opens for everybody, or for nobody."""
    owner = contracts.oracle.condition("owner()(address)", equals=creator.address) | {"arguments": []}
    gate.admits(owner, stranger)
    gate.refuses(owner | {"result": {"equals": NOBODY}}, stranger, because="which is not")


def test_a_result_that_is_none_of_its_type(gate, contracts, someone):
    oracle, member = contracts.oracle, someone("member")
    oracle.set_level(member.address, 8, 300)
    gate.admits(oracle.condition(LEVEL, [":account", "8"], equals="300"), member)
    narrow = oracle.condition("levelOf(address,uint256)(uint8)", [":account", "8"], at_least="1")
    gate.refuses(narrow, member, because="makes no sense")


# ---- Unlock


def test_unlock(gate, contracts, someone, stranger):
    """A key counts while it is good, and a grant ends with it. Guard: domain, leaf/evm.rs, unlock."""
    lock, member, buyer = contracts.lock, someone("member"), someone("buyer")
    rule = lock.condition()
    # Sooner than a grant would end by itself.
    key = lock.grant(member.address, seconds=90)
    seen = gate.admits(rule, member)
    assert seconds(seen.grant["expires_at"]) == lock.expires(key)
    gate.refuses(rule, stranger, because="holds no valid key")
    lock.transfer(member, buyer.address, key)
    gate.turns_away(rule, member)
    assert seconds(gate.admits(rule, buyer).grant["expires_at"]) <= lock.expires(key)
    lock.expire(key)
    gate.turns_away(rule, buyer)


@pytest.mark.proof
def test_an_unlock_key_runs_out_by_itself(gate, contracts, someone):
    """No transaction says so, and the chain's newest block is of before. Guard: domain, leaf/evm.rs, unlock."""
    lock, member = contracts.lock, someone("member")
    key = lock.grant(member.address, seconds=12)
    gate.admits(lock.condition(), member)
    eventually(time.time, lambda now: now > lock.expires(key), seconds=15)
    gate.turns_away(lock.condition(), member)


def test_an_unlock_key_that_is_cancelled_opens_nothing(gate, contracts, someone):
    lock, member = contracts.lock, someone("member")
    first, second = lock.grant(member.address, seconds=3600), lock.grant(member.address, seconds=7200)
    gate.admits(lock.condition(), member)
    lock.cancel(first)
    gate.admits(lock.condition(), member)
    lock.cancel(second)
    gate.turns_away(lock.condition(), member)


# ---- Delegations


def test_delegations(gate, contracts, someone, stranger):
    """What a vault holds counts for whom it trusts with all of it, and for nobody else.

    Guard: domain, leaf/evm.rs, Purse::add.
    """
    passes, registry = contracts.passes, contracts.registry
    vault, hot, other = someone("vault"), someone("hot"), someone("other")
    token_id, second = next(contracts.ids), next(contracts.ids)
    passes.mint(vault.address, token_id)
    passes.mint(vault.address, second)
    rule = passes.condition(min=2, via=Delegations.VIA)
    gate.admits(rule, vault)
    gate.refuses(rule, hot)
    registry.all(vault, hot.address)
    gate.admits(rule, hot)
    # Without `via` a delegation is nothing.
    gate.refuses(passes.condition(min=2), hot)
    # The viewer's own and the vault's are added up.
    passes.mint(hot.address, next(contracts.ids))
    three = passes.condition(min=3, via=Delegations.VIA)
    assert gate.admits(three, hot).value == "3"
    # It doesn't go the other way, nor on to a third: that one is trusted by the second, with what the second has.
    gate.refuses(three, vault, because="holds 2, needs 3")
    registry.all(hot, other.address)
    assert gate.admits(passes.condition(via=Delegations.VIA), other).value == "1"
    gate.refuses(rule, other, because="holds 1, needs 2")
    registry.all(vault, hot.address, enable=False)
    gate.turns_away(rule, hot)
    gate.refuses(rule, stranger)


def test_delegations_of_one_contract_or_one_token(gate, contracts, someone):
    passes, others, registry = contracts.passes, contracts.others, contracts.registry
    vault, hot, buyer = someone("vault"), someone("hot"), someone("buyer")
    token_id, second = next(contracts.ids), next(contracts.ids)
    for collection in (passes, others):
        collection.mint(vault.address, token_id)
        collection.mint(vault.address, second)
    of_passes, of_others = (collection.condition(via=Delegations.VIA) for collection in (passes, others))
    registry.contract(vault, hot.address, passes.address)
    gate.admits(of_passes | {"min": "2"}, hot)
    gate.refuses(of_others, hot)
    registry.contract(vault, hot.address, passes.address, enable=False)
    gate.turns_away(of_passes, hot)
    registry.erc721(vault, hot.address, passes.address, token_id)
    assert gate.admits(of_passes, hot).value == "1"
    gate.admits(of_passes | {"ids": [str(token_id)]}, hot)
    gate.refuses(of_passes | {"ids": [str(second)]}, hot)
    gate.refuses(of_passes | {"min": "2"}, hot)
    # Whoever sold the token can delegate nothing.
    passes.transfer(vault, buyer.address, token_id)
    gate.turns_away(of_passes, hot)


def test_limited_rights_do_not_count(gate, contracts, someone):
    """"Only to claim" is not "to watch". Guard: domain, leaf/evm.rs, Purse::add (rights)."""
    passes, registry = contracts.passes, contracts.registry
    vault, hot = someone("vault"), someone("hot")
    token_id = next(contracts.ids)
    passes.mint(vault.address, token_id)
    rule = passes.condition(via=Delegations.VIA)
    gate.admits(rule, vault)
    registry.all(vault, hot.address, rights=b"claim")
    registry.contract(vault, hot.address, passes.address, rights=b"claim")
    registry.erc721(vault, hot.address, passes.address, token_id, rights=b"claim")
    assert len(registry.incoming(hot.address)) == 3
    gate.settle()
    gate.refuses(rule, hot, because="holds 0, needs 1")


def test_delegations_of_coins_and_editions(gate, contracts, someone):
    """Of the whole contract they count; of an amount they don't, for the vault may hold less by now."""
    coin, editions, registry = contracts.coins[6], contracts.editions, contracts.registry
    vault, hot = someone("vault"), someone("hot")
    token_id = next(contracts.ids)
    coin.mint(vault.address, 5_000_000)
    editions.mint(vault.address, token_id, 2)
    for_coin = coin.condition("5", via=Delegations.VIA)
    for_edition = editions.condition([token_id], min=2, via=Delegations.VIA)
    registry.erc20(vault, hot.address, coin.address, 5_000_000)
    registry.erc1155(vault, hot.address, editions.address, token_id, 2)
    gate.settle()
    gate.refuses(for_coin, hot)
    gate.refuses(for_edition, hot)
    registry.contract(vault, hot.address, coin.address)
    registry.contract(vault, hot.address, editions.address)
    gate.admits(for_coin, hot)
    gate.admits(for_edition, hot)
    coin.burn(vault.address, 1)
    gate.turns_away(for_coin, hot)


# ---- Several wallets


def test_linked_wallets_are_summed(gate, contracts, someone):
    """Guard: domain, leaf/mod.rs, wallets."""
    passes, first, second = contracts.passes, someone("first"), someone("second")
    for wallet in (first, second):
        passes.mint(wallet.address, next(contracts.ids))
    rule = passes.condition(min=2)
    assert gate.admits(rule, first, second).value == "2"
    for wallet in (first, second):
        gate.refuses(rule, wallet, because="holds 1, needs 2")
    coin = contracts.coins[6]
    coin.mint(first.address, 400_000)
    coin.mint(second.address, 600_000)
    assert gate.admits(coin.condition("1"), second, first).value == "1"
    coin.burn(second.address, 1)
    gate.turns_away(coin.condition("1"), second, first, because="holds 0.999999, needs 1")


def test_one_wallet_twice_counts_once(gate, contracts, someone, second_chain):
    """Linked again, or by another chain's account. Guards: domain, leaf/mod.rs, wallets; session.rs, linked."""
    passes, holder = contracts.passes, someone("holder")
    passes.mint(holder.address, next(contracts.ids))
    elsewhere = Wallet(holder.key.key.hex(), second_chain.caip2(), "the same elsewhere")
    rule = passes.condition(min=2)
    assert gate.admits(passes.condition(), holder).value == "1"
    gate.refuses(rule, holder, holder, because="holds 1, needs 2")
    gate.refuses(rule, holder, elsewhere, because="holds 1, needs 2")
    # A key's owner is the same on every EVM chain, and counts there by whichever account it signed in with.
    gate.admits(passes.condition(), elsewhere)
    contracts.far.mint(holder.address, next(contracts.ids))
    gate.admits(contracts.far.condition(), holder)


@pytest.mark.proof
def test_a_token_that_moves_between_linked_wallets_is_never_counted_twice(gate, contracts, someone):
    """Each wallet is asked about alone, so that what is remembered of one may be of before the move, and of the other
    of after it. Guard: domain, decision.rs, Needs::note (one place) and app, gate.rs, read.
    """
    passes, left, right = contracts.passes, someone("left"), someone("right")
    token_id = next(contracts.ids)
    passes.mint(left.address, token_id)
    rule, alone = passes.condition(min=2), passes.condition()
    gate.admits(alone, left)
    seen, holders = [], [left, right]
    until = time.monotonic() + 14
    while time.monotonic() < until:
        gate.verify(alone, left)
        gate.verify(alone, right)
        seen.append(gate.verify(rule, left, right))
        gate.playback(alone, left)
        gate.playback(alone, right)
        seen.append(gate.playback(rule, right, left))
        if len(seen) % 8 == 0:
            passes.transfer(holders[0], holders[1].address, token_id)
            holders.reverse()
    assert {(one.verdict, one.value) for one in seen} == {("no", "1")}
    assert len(seen) > 16, "too few questions between two moves"


# ---- Without a chain


def test_lists_of_accounts(gate, someone, second_chain):
    """Guard: domain, leaf/mod.rs, accounts."""
    guest, stranger = someone("guest"), someone("stranger")
    allow, deny = {"kind": "accounts", "allow": [guest.account]}, {"kind": "accounts", "deny": [guest.account]}
    gate.admits(allow, guest)
    gate.refuses(allow, stranger, because="not on the list")
    gate.admits(deny, stranger)
    gate.refuses(deny, guest, because="on the list")
    # One linked wallet is enough to be let in, and to be kept out.
    gate.admits(allow, stranger, guest)
    gate.refuses(deny, stranger, guest)
    # A key is the same on all chains of its family, in lists too.
    far = {"kind": "accounts", "allow": [f"{second_chain.caip2()}:{guest.address}"]}
    gate.admits(far, guest)
    gate.refuses(far, stranger)


@pytest.mark.proof
def test_a_stretch_of_time(gate, someone):
    """It begins and ends by itself, and no grant outlasts it. Guards: leaf/mod.rs, time; grant_playback.rs."""
    viewer, now = someone("viewer"), time.time()
    until = {"kind": "time", "until": rfc3339(now + 100)}
    assert gate.admits(until, viewer).grant["expires_at"] == until["until"]
    gate.refuses({"kind": "time", "from": rfc3339(now + 100)}, viewer, because="begins at")
    gate.refuses({"kind": "time", "until": rfc3339(now - 1)}, viewer, because="ended at")
    soon = {"kind": "time", "from": rfc3339(time.time() + 4), "until": rfc3339(time.time() + 9)}
    gate.refuses(soon, viewer)
    gate.admits(soon, viewer)
    gate.turns_away(soon, viewer)


# ---- Together


def test_at_least_and_none(gate, contracts, someone, stranger):
    """Guard: domain, decision.rs, Node::weigh."""
    passes, others, holder = contracts.passes, contracts.others, someone("holder")
    passes.mint(holder.address, next(contracts.ids))
    others.mint(holder.address, next(contracts.ids))
    yes, also, no = passes.condition(), others.condition(), contracts.hats.condition()
    two = {"at_least": 2, "of": [yes, no, also]}
    seen = gate.admits(two, holder)
    assert seen.outcomes == {"rule.of[0]": "yes", "rule.of[1]": "no", "rule.of[2]": "yes"}
    gate.refuses({"at_least": 3, "of": [yes, no, also]}, holder)
    gate.refuses(two, stranger)
    gate.admits({"none": [no]}, holder)
    gate.refuses({"none": [no, yes]}, holder)
    gate.admits({"none": [yes, also]}, stranger)
    gate.admits({"none": [{"none": [yes]}]}, holder)
    gate.refuses({"none": [{"none": [yes]}]}, stranger)
    sold = next(contracts.ids)
    others.mint(holder.address, sold)
    blocked = {"all": [yes, {"none": [others.condition(ids=[sold])]}]}
    gate.turns_away(blocked, holder)
    others.burn(sold)
    gate.admits(blocked, holder)


def test_outcomes_say_what_was_seen_and_at_which_block(gate, contracts, chain, second_chain, someone):
    """All of one chain's reads are of one block, and that block is the chain's. Guard: adapters/evm, chain.rs, read."""
    holder = someone("holder")
    passes, editions, coin = contracts.passes, contracts.editions, contracts.coins[6]
    token_id = next(contracts.ids)
    passes.mint(holder.address, token_id)
    editions.mint(holder.address, token_id, 4)
    coin.mint(holder.address, 1_250_000)
    contracts.far.mint(holder.address, token_id)
    contracts.oracle.set_level(holder.address, token_id, 9)
    rule = {
        "all": [
            passes.condition(),
            passes.condition(ids=[token_id]),
            editions.condition([token_id]),
            coin.condition("1.25"),
            chain.native_condition("0.000001"),
            contracts.oracle.condition(LEVEL, [":account", str(token_id)], at_least="9"),
            contracts.far.condition(),
            second_chain.native_condition("1"),
        ]
    }
    gate.admits(rule, holder)
    seen = gate.verify(rule, holder)
    assert [one["kind"] for one in seen.conditions] == [
        "erc721", "erc721", "erc1155", "erc20", "native", "contract", "erc721", "native",
    ]  # fmt: skip
    assert [one["value"] for one in seen.conditions] == ["1", "1", "4", "1.25", "1", "9", "1", "1"]
    subjects = [one.get("subject", "").lower() for one in seen.conditions]
    assert subjects == [leaf.get("contract", "").lower() for leaf in rule["all"]]
    for one in (chain, second_chain):
        blocks = [part["block"] for part in seen.conditions if part["chain"] == one.caip2()]
        assert len(blocks) in (2, 6) and all(block == blocks[0] for block in blocks)
        assert one.block(blocks[0]["number"])["hash"] == blocks[0]["hash"]
    assert not any("slot" in part or "grace" in part for part in seen.conditions)


def test_a_coin_that_is_deployed_after_its_policy_counts(gate, chain, creator, someone):
    """That there was nothing at its address must not be remembered for as long as decimals are.

    Guard: domain, decision.rs, Needs::note (what counts as steady).
    """
    deployer, holder = someone("deployer"), someone("holder")
    address = first_contract_of(deployer)
    rule = {"kind": "erc20", "chain": chain.caip2(), "contract": address, "min": "1"}
    gate.refuses(rule, holder, because="no contract of this kind answers")
    coin = Coin.create(chain, deployer, "Late", "LATE", 2)
    assert coin.address == address
    coin.mint(holder.address, 100)
    gate.admits(rule, holder)


# ---- Contract wallets


def first_contract_of(deployer: Wallet) -> str:
    """Where a key's first transaction puts a contract: on every chain the same."""
    return to_checksum_address(keccak(b"\xd6\x94" + bytes.fromhex(deployer.address[2:]) + b"\x80")[12:])


def test_a_contract_wallet_counts_on_its_own_chain_only(gate, chain, second_chain, contracts, someone, caip2):
    """On another chain the same address is another's: here it even holds the token there.

    Guard: domain, session.rs, Holder::counts_on.
    """
    deployer, mine, theirs = someone("deployer"), someone("mine"), someone("theirs")
    here = SmartWallet.create(chain, deployer, mine.address)
    there = SmartWallet.create(second_chain, deployer, theirs.address)
    assert here.address == there.address == first_contract_of(deployer)
    contracts.far.mint(there.address, next(contracts.ids))
    contracts.passes.mint(here.address, next(contracts.ids))
    gate.settle()
    wallet = ContractWallet(mine, here.address)
    gate.admits(contracts.passes.condition(), wallet)
    gate.refuses(contracts.far.condition(), wallet)
    gate.refuses({"kind": "accounts", "allow": [f"{second_chain.caip2()}:{there.address}"]}, wallet)
    gate.admits({"kind": "accounts", "allow": [f"{caip2}:{here.address}"]}, wallet)
    # Whose it is there: that one signs in there.
    owner = ContractWallet(Wallet(theirs.key.key.hex(), second_chain.caip2(), "theirs"), there.address)
    gate.admits(contracts.far.condition(), owner)
    gate.refuses(contracts.passes.condition(), owner)
    # Beside a key of one's own the contract's token still counts on its chain, and only there.
    contracts.far.mint(mine.address, next(contracts.ids))
    assert gate.admits(contracts.far.condition(), mine, wallet)
    gate.refuses(contracts.far.condition(min=2), mine, wallet)
