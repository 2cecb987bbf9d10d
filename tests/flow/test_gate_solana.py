"""Every kind of condition on Solana: who holds gets in, who doesn't is told why, who held is turned away, and accounts
that only look right count for nothing.

SPL Token, Token-2022 and Token Metadata are the real programs; what no transaction could bring about, and all that is
of Metaplex Core, is placed (tests/kit/solana.py). Whatever is expected is asked of the film and of POST /v1/verify.
A no is remembered for a second, so every forgery has a wallet of its own.
"""

from __future__ import annotations

import struct

import pytest
from solders.keypair import Keypair
from solders.pubkey import Pubkey
from solders.system_program import ID as SYSTEM

from tests.kit.chain import Token
from tests.kit.solana import (
    METADATA,
    TOKEN,
    TOKEN_2022,
    Collection,
    CoreAsset,
    CoreCollection,
    Group,
    Mint,
    Nft,
    SolanaWallet,
    forged_elsewhere,
    forged_in_place,
    metadata_address,
    metadata_bytes,
)
from tests.kit.wallet import Wallet

# How many tokens of a wallet the gate looks through (domain, leaf/solana.rs).
MOST_LOOKED_AT = 200
# Some program that is none of those that are known.
OTHER_PROGRAM = Pubkey.from_string("Stake11111111111111111111111111111111111111")


@pytest.fixture(scope="module")
def issuer() -> SolanaWallet:
    return SolanaWallet.fresh(name="issuer")


@pytest.fixture
def someone(solana):
    """`someone("holder")`: a wallet that holds nothing yet, and can pay."""

    def make(name: str = "someone") -> SolanaWallet:
        wallet = SolanaWallet.fresh(name=name)
        solana.airdrop(wallet.address)
        return wallet

    return make


@pytest.fixture(scope="module")
def outsider(solana) -> SolanaWallet:
    """Holds nothing, ever."""
    return SolanaWallet.fresh(name="outsider")


@pytest.fixture(scope="module")
def collection(solana, issuer) -> Collection:
    return Collection.create(solana, issuer)


def asset(solana, key) -> str:
    """CAIP-19, as a viewer names an NFT."""
    return f"{solana.caip2()}/nft:{key}"


def token_account(mint, owner, amount: int, state: int = 1) -> bytes:
    """A token account's bytes, as SPL Token would write them."""
    return bytes(mint) + bytes(owner) + struct.pack("<Q", amount) + bytes(36) + bytes([state]) + bytes(56)


# ---- spl


@pytest.mark.parametrize("program", [TOKEN, TOKEN_2022], ids=["token", "token-2022"])
def test_spl(gate, solana, issuer, someone, outsider, program):
    """Amounts by the mint's decimals, over all of a wallet's accounts. Guard: domain, leaf/solana.rs, spl and held."""
    mint = Mint.create(solana, issuer, decimals=6, program=program)
    holder, buyer = someone("holder"), someone("buyer")
    rule = mint.condition("1.5")
    mint.mint_to(holder, 1_000_000)
    gate.refuses(rule, holder, because="holds 1, needs 1.5")
    # In another account than wallets use by default.
    mint.mint_to(holder, 500_000, account=mint.open_another(holder))
    assert gate.admits(rule, holder).value == "1.5"
    gate.refuses(rule, outsider, because="holds 0, needs 1.5")
    mint.transfer(holder, buyer, 1)
    gate.turns_away(rule, holder, because="holds 1.499999, needs 1.5")
    gate.admits(mint.condition("0.000001"), buyer)
    mint.burn(buyer, 1)
    gate.turns_away(mint.condition("0.000001"), buyer, because="holds 0, needs 0.000001")
    mint.close(buyer)
    gate.refuses(mint.condition("0.000001"), buyer, because="holds 0, needs 0.000001")


def test_a_closed_account_holds_nothing(gate, solana, issuer, someone):
    mint, holder, buyer = Mint.create(solana, issuer), someone("holder"), someone("buyer")
    mint.mint_to(holder, 1)
    gate.admits(mint.condition(), holder)
    mint.transfer(holder, buyer, 1)
    mint.close(holder)
    gate.turns_away(mint.condition(), holder)
    gate.admits(mint.condition(), buyer)


def test_a_frozen_account_does_not_count(gate, solana, issuer, someone):
    """The issuer froze it so that its tokens can't be used. Guard: domain, leaf/solana.rs, held (frozen)."""
    mint, holder = Mint.create(solana, issuer), someone("holder")
    mint.mint_to(holder, 1)
    gate.admits(mint.condition(), holder)
    mint.freeze(holder)
    gate.turns_away(mint.condition(), holder, because="frozen")
    # It may be thawed any time, so it is no reason to let in whoever must not have it.
    gate.cannot_tell({"none": [mint.condition()]}, holder, because="frozen")
    mint.thaw(holder)
    gate.admits(mint.condition(), holder)


def test_a_delegated_account_counts_for_its_owner_alone(gate, solana, issuer, someone):
    """Guard: domain, leaf/solana.rs, held (owner) and TokenAccount::read."""
    mint, holder, delegate = Mint.create(solana, issuer), someone("holder"), someone("delegate")
    mint.mint_to(holder, 2)
    mint.approve(holder, delegate, 2)
    gate.admits(mint.condition("2"), holder)
    gate.refuses(mint.condition(), delegate, because="holds 0, needs 1")
    # What the delegate takes is his.
    mint.transfer(delegate, delegate, 1, owner=holder)
    gate.admits(mint.condition(), delegate)
    gate.turns_away(mint.condition("2"), holder)


def test_an_account_that_was_given_away_counts_for_its_new_owner_alone(gate, solana, issuer, someone):
    """It stays where its first owner's account is looked for. Guard: domain, leaf/solana.rs, held (owner and mint)."""
    mint, other = Mint.create(solana, issuer), Mint.create(solana, issuer)
    holder, buyer, cheat = someone("holder"), someone("buyer"), someone("cheat")
    mint.mint_to(holder, 5)
    mint.give_away(holder, buyer)
    gate.refuses(mint.condition(), holder, because="holds 0, needs 1")
    gate.admits(mint.condition("5"), buyer)
    # Right but for the mint that it is of.
    solana.place(mint.account_of(cheat), token_account(other.key, cheat.key, 5), TOKEN)
    gate.refuses(mint.condition(), cheat, because="holds 0, needs 1")


def test_a_mint_that_is_none(gate, solana, issuer, someone):
    """A wallet, a token account, a metadata account, nothing at all. Guard: domain, leaf/solana.rs, Mint::read."""
    mint, holder = Mint.create(solana, issuer), someone("holder")
    mint.mint_to(holder, 1)
    nft = Nft.create(solana, issuer, holder)
    for address, reason in (
        (holder.address, "that account is no mint"),
        (mint.account_of(holder), "that account is no mint"),
        (nft.metadata, "that account is no mint"),
        (Keypair().pubkey(), "there is no such mint"),
    ):
        rule = solana.spl_condition(address)
        gate.refuses(rule, holder, because=reason)
        gate.cannot_tell({"none": [rule]}, holder, because=reason)
    # The bytes of a mint, written by another program.
    forged = Keypair().pubkey()
    solana.place(forged, solana.account(mint.key).data, OTHER_PROGRAM)
    gate.refuses(solana.spl_condition(forged), holder, because="that account is no mint")


def test_a_token_account_of_another_program_does_not_count(gate, solana, issuer, someone):
    """Where the wallet's account should be, with the right bytes. Guard: domain, leaf/solana.rs, held (programs)."""
    mint, honest = Mint.create(solana, issuer), someone("honest")
    # Nor does one of Token-2022, for a mint of the other program.
    for program in (OTHER_PROGRAM, SYSTEM, TOKEN_2022):
        cheat = someone("cheat")
        solana.place(mint.account_of(cheat), token_account(mint.key, cheat.key, 5), program)
        gate.refuses(mint.condition(), cheat, because="holds 0, needs 1")
    # It is the program alone that was wrong.
    solana.place(mint.account_of(honest), token_account(mint.key, honest.key, 5), TOKEN)
    gate.admits(mint.condition("5"), honest)


def test_a_mint_that_is_made_after_its_policy_counts(gate, solana, issuer, someone):
    """That it wasn't there must not be remembered for as long as decimals are.

    Guard: domain, decision.rs, Needs::note (what counts as steady).
    """
    holder, address = someone("holder"), Keypair().pubkey()
    rule = solana.spl_condition(address)
    gate.refuses(rule, holder, because="there is no such mint")
    model = Mint.create(solana, issuer)
    solana.place(address, solana.account(model.key).data, TOKEN)
    late = Mint(solana, issuer, address, 0, TOKEN)
    solana.place(late.account_of(holder), token_account(address, holder.key, 1), TOKEN)
    gate.admits(rule, holder)


# ---- Metaplex Token Metadata


def test_a_verified_collection(gate, solana, collection, someone, outsider):
    """Guard: domain, leaf/solana.rs, bears_mark and held."""
    holder, buyer = someone("holder"), someone("buyer")
    first, second = collection.mint_nft(holder), collection.mint_nft(holder)
    gate.admits(collection.condition(), holder)
    assert gate.admits(collection.condition("2"), holder).value == "2"
    gate.refuses(collection.condition("3"), holder, because="holds 2, needs 3")
    gate.refuses(collection.condition(), outsider, because="holds 0, needs 1")
    first.transfer(holder, buyer)
    gate.turns_away(collection.condition("2"), holder, because="holds 1, needs 2")
    gate.admits(collection.condition(), buyer)
    second.burn(holder)
    gate.turns_away(collection.condition(), holder, because="holds 0, needs 1")
    first.unverify()
    gate.turns_away(collection.condition(), buyer)


def test_an_unverified_collection_does_not_count(gate, solana, collection, someone, outsider):
    """Anybody can name any collection; only its authority can verify. Guard: domain, leaf/solana.rs, bears_mark."""
    forger = someone("forger")
    nft = Nft.create(solana, forger, forger, collection=collection, verified=False)
    gate.refuses(collection.condition(), forger, because="holds 0, needs 1")
    gate.refuses(collection.condition(), forger, assets=[asset(solana, nft.key)])
    # The same NFT once it is verified.
    nft.verify()
    gate.admits(collection.condition(), forger)
    gate.refuses(collection.condition(), outsider)


def test_a_verified_creator(gate, solana, issuer, someone, outsider):
    """Guard: domain, leaf/solana.rs, bears_mark (creators)."""
    artist, fan, cheat = someone("artist"), someone("fan"), someone("cheat")
    rule = solana.creator_condition(artist.address)
    Nft.create(solana, issuer, cheat, creators=[issuer, artist])
    # Another creator's signature is not the artist's.
    nft = Nft.create(solana, issuer, fan, creators=[issuer, artist])
    nft.verify_creator(issuer)
    for wallet in (cheat, fan):
        gate.refuses(rule, wallet, because="holds 0, needs 1")
    nft.verify_creator(artist)
    gate.admits(rule, fan)
    gate.refuses(rule, outsider)
    nft.transfer(fan, outsider)
    gate.turns_away(rule, fan)


def test_a_programmable_nft_counts_though_it_is_frozen(gate, solana, collection, someone, outsider):
    """Its account always is. Guard: domain, leaf/solana.rs, count (frozen)."""
    holder, buyer = someone("holder"), someone("buyer")
    nft = collection.mint_nft(holder, programmable=True)
    gate.admits(collection.condition(), holder)
    gate.refuses(collection.condition(), outsider)
    nft.transfer(holder, buyer)
    gate.turns_away(collection.condition(), holder)
    gate.admits(collection.condition(), buyer)
    nft.burn(buyer)
    gate.turns_away(collection.condition(), buyer)


def test_forged_metadata_does_not_count(gate, solana, issuer, collection, someone):
    """Right bytes in the wrong place, and in the right place of the wrong program. Named by the viewer, or found.

    Guards: domain, leaf/solana.rs, metadata_account (the place) and bears_mark (the program, and the mint in it).
    """
    rule, content = collection.condition(), {"collection": collection.key, "verified": True}
    elsewhere, cheat = Mint.create(solana, issuer), someone("elsewhere")
    elsewhere.mint_to(cheat, 1)
    account = forged_elsewhere(solana, elsewhere.key, issuer, **content)
    for hints in (None, [asset(solana, elsewhere.key)], [asset(solana, account)]):
        gate.refuses(rule, cheat, assets=hints)
    for program in (OTHER_PROGRAM, SYSTEM):
        in_place, other = Mint.create(solana, issuer), someone("in place")
        in_place.mint_to(other, 1)
        forged_in_place(solana, in_place.key, issuer, program, **content)
        for hints in (None, [asset(solana, in_place.key)]):
            gate.refuses(rule, other, assets=hints)
    # In the right place, of the right program, but of another token.
    mixed, third = Mint.create(solana, issuer), someone("mixed")
    mixed.mint_to(third, 1)
    solana.place(metadata_address(mixed.key), metadata_bytes(elsewhere.key, issuer, **content), METADATA)
    gate.refuses(rule, third)
    # A creator that was never asked.
    forged = forged_elsewhere(solana, elsewhere.key, issuer, creators=[(issuer.key, True)])
    gate.refuses(solana.creator_condition(issuer.address), cheat, assets=[asset(solana, forged)])


def test_anothers_nft_does_not_count(gate, solana, collection, someone):
    """A hint is where to look, and no proof. Guard: domain, leaf/solana.rs, count."""
    holder, other = someone("holder"), someone("other")
    nft = collection.mint_nft(holder)
    gate.admits(collection.condition(), holder, assets=[asset(solana, nft.key)])
    gate.refuses(collection.condition(), other, assets=[asset(solana, nft.key)])
    # Named twice, and found as well: it is one.
    hints = [asset(solana, nft.key)] * 2
    gate.refuses(collection.condition("2"), holder, assets=hints, because="holds 1, needs 2")


def test_a_wallet_full_of_dust_names_its_nft(gate, solana, collection, someone):
    """Anybody can fill a wallet; its owner then says which token it is. Guard: domain, leaf/solana.rs, nft (hints)."""
    holder = someone("holder")
    nft = collection.mint_nft(holder)
    gate.admits(collection.condition(), holder)
    # Before every real mint, in the order in which tokens are looked through.
    for number in range(MOST_LOOKED_AT + 1):
        mint = Pubkey(bytes(28) + struct.pack(">I", number + 1))
        solana.place(Keypair().pubkey(), token_account(mint, holder.key, 1), TOKEN)
    gate.turns_away(collection.condition(), holder, because="name the token in assets")
    gate.admits(collection.condition(), holder, assets=[asset(solana, nft.key)])
    gate.cannot_tell({"none": [collection.condition()]}, holder, because="name the token in assets")


# ---- Metaplex Core


def test_a_core_collection(gate, solana, issuer, someone, outsider):
    """Guard: domain, leaf/solana.rs, core_owner."""
    core, holder, buyer = CoreCollection.create(solana, issuer), someone("holder"), someone("buyer")
    first, second = core.asset(holder), core.asset(holder, frozen=True)
    assert gate.admits(core.condition("2"), holder).value == "2"
    gate.refuses(core.condition("3"), holder, because="holds 2, needs 3")
    gate.refuses(core.condition(), outsider, because="holds 0, needs 1")
    gate.refuses(core.condition(), outsider, assets=[asset(solana, first.key)])
    first.transfer(buyer)
    gate.turns_away(core.condition("2"), holder)
    gate.admits(core.condition(), buyer, assets=[asset(solana, first.key)])
    first.burn()
    gate.turns_away(core.condition(), buyer)
    gate.turns_away(core.condition(), buyer, assets=[asset(solana, first.key)])
    second.close()
    gate.turns_away(core.condition(), holder)


def test_a_core_asset_that_only_looks_like_one(gate, solana, issuer, someone):
    """Guards: domain, leaf/solana.rs, count (the program) and core_owner (whose authority it is)."""
    core, cheat = CoreCollection.create(solana, issuer), someone("cheat")
    of_another_program = core.asset(cheat, program=OTHER_PROGRAM)
    of_no_collection = CoreAsset.create(solana, cheat)
    # An update authority that has the collection's address, and isn't it as a collection.
    by_address = CoreAsset.create(solana, cheat, authority=core.key)
    of_anothers = CoreCollection.create(solana, cheat).asset(cheat)
    gate.refuses(core.condition(), cheat)
    for one in (of_another_program, of_no_collection, by_address, of_anothers):
        gate.refuses(core.condition(), cheat, assets=[asset(solana, one.key)])
    core.asset(cheat)
    gate.admits(core.condition(), cheat)


# ---- Token-2022 groups


def test_a_token_group(gate, solana, issuer, someone, outsider):
    """Guard: domain, leaf/solana.rs, bears_mark (GROUP_MEMBER)."""
    group, holder, buyer = Group.create(solana, issuer), someone("holder"), someone("buyer")
    member = group.member(holder)
    gate.admits(group.condition(), holder)
    gate.refuses(group.condition("2"), holder, because="holds 1, needs 2")
    gate.refuses(group.condition(), outsider)
    member.transfer(holder, buyer)
    gate.turns_away(group.condition(), holder)
    gate.admits(group.condition(), buyer, assets=[asset(solana, member.key)])
    member.burn(buyer)
    gate.turns_away(group.condition(), buyer)
    gate.turns_away(group.condition(), buyer, assets=[asset(solana, member.key)])


def test_a_mint_that_points_at_a_group_is_no_member(gate, solana, issuer, someone):
    """Anybody's mint can point anywhere; the group enters its members. Guard: domain, leaf/solana.rs, bears_mark."""
    group, forger = Group.create(solana, issuer), someone("forger")
    pretender = Group.pretender(solana, forger, group.address, forger)
    own = Group.create(solana, forger).member(forger)
    for hints in (None, [asset(solana, pretender.key)], [asset(solana, own.key)]):
        gate.refuses(group.condition(), forger, assets=hints)


# ---- Together


def test_a_session_of_both_families(gate, solana, chain, creator, caip2, issuer, someone):
    """Wallets of one chain are added up, and each chain has its own. Guard: domain, session.rs, Holder::counts_on."""
    mint, first, second = Mint.create(solana, issuer), someone("first"), someone("second")
    evm, token = Wallet.fresh(caip2, "evm"), Token.deploy(chain, creator)
    for wallet in (first, second):
        mint.mint_to(wallet, 1)
    token.mint(evm.address, 1)
    both = {"all": [token.condition(), mint.condition("2")]}
    gate.settle()
    seen = gate.admits(both, evm, first, second)
    assert seen.outcomes == {"rule.all[0]": "yes", "rule.all[1]": "yes"}
    gate.refuses(both, evm, first, because="holds 1, needs 2")
    gate.refuses(both, first, second)
    gate.refuses(both, evm)
    mint.transfer(second, issuer, 1)
    gate.turns_away(both, evm, first, second)


def test_outcomes_say_what_was_seen_and_at_which_slot(gate, solana, issuer, collection, someone):
    """Guard: app, gate.rs, ask_solana."""
    mint, holder = Mint.create(solana, issuer, decimals=2), someone("holder")
    mint.mint_to(holder, 250)
    collection.mint_nft(holder)
    before = solana.slot()
    rule = {"all": [mint.condition("2.5"), collection.condition()]}
    gate.admits(rule, holder)
    seen = gate.verify(rule, holder)
    assert [one["kind"] for one in seen.conditions] == ["spl", "metaplex_collection"]
    assert [one["value"] for one in seen.conditions] == ["2.5", "1"]
    assert [one["subject"] for one in seen.conditions] == [mint.address, collection.address]
    slots = {one["slot"] for one in seen.conditions}
    # The newest that a quorum has said to be at, which may be some seconds old.
    assert len(slots) == 1 and before - 60 < slots.pop() <= solana.slot()
    assert not any("block" in one for one in seen.conditions)
