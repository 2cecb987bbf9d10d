"""Contracts that mean no good, and addresses that are none: nobody gets in by them, and every refusal says why.

A creator may name any contract by mistake, and a contract may be anybody's. Where a no would let somebody in (`none`),
an answer without sense is no no: 503. Hostile (tests/kit/chain.py) misbehaves whatever it is asked; Scripted
(tests/kit/scripted.py) makes contracts that know their manners and misbehave in the one function that counts.
"""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from tests.kit.chain import DELEGATE_REGISTRY, Coin, Contract, Delegations, Hostile, Token
from tests.kit.scripted import Scripted, assemble, word
from tests.kit.wallet import Wallet

KNOWS_TOO_MUCH = "the contract answers questions that it can't know"
NO_CONTRACT = "no contract of this kind answers at that address"
MEMBER = {"function": "isMember(address)(bool)", "arguments": [":account"], "result": {"equals": "true"}}
NAME = {"function": "nameOf(address)(string)", "arguments": [":account"], "result": {"equals": "x"}}
#: A leaf of every kind that asks a contract, but for where it is. A contract that says 1 to everything would meet most.
LEAVES = {
    "erc721": {"kind": "erc721"},
    "erc721 by id": {"kind": "erc721", "ids": ["1"]},
    "erc721 by range": {"kind": "erc721", "ids": ["0-1000000"]},
    "erc721 by trait": {"kind": "erc721", "traits": [{"trait": "Hat", "value": "Red"}]},
    "erc721 delegated": {"kind": "erc721", "via": "delegate.xyz"},
    "erc1155": {"kind": "erc1155", "ids": ["1-3"]},
    "erc20": {"kind": "erc20", "min": "0.1"},
    "contract": {"kind": "contract", **MEMBER},
    "unlock": {"kind": "unlock"},
}
#: What a contract does to every call, and what is said of it. Sizes are what "flood" answers and "revert" gives as its
#: reason; 3 MB of answer is more than is read of a body at all.
MODES = {
    "always_true": (0, KNOWS_TOO_MUCH),
    "short": (0, KNOWS_TOO_MUCH),
    "empty": (0, NO_CONTRACT),
    "burn": (0, "uses up all gas"),
    "loop": (0, "uses up all gas"),
    "flood": (1_000_000, "answers more than 32 KiB"),
    "flood beyond a body": (3_000_000, "answers more than 32 KiB"),
    "revert": (100_000, "reverted"),
}
LONG = ("loop", "flood", "flood beyond a body")
REFUSING = ("burn", *LONG, "revert")
#: Kinds that ask for a wallet's tokens one by one.
SEARCHES = ("erc721 by range", "erc721 by trait")
NO_SENSE = "the contract's answer makes no sense"
#: One bad function each: which leaf asks it, what it does, and what is said of it.
MANNERED = {
    "31 bytes": ("erc721", {"balanceOf(address)": b"\xff" * 31}, NO_SENSE),
    "64 bytes": ("erc721", {"balanceOf(address)": word(1) * 2}, NO_SENSE),
    "burns": ("erc721", {"balanceOf(address)": "burn"}, "uses up all gas"),
    "works for ever": ("erc721", {"balanceOf(address)": "loop"}, "uses up all gas"),
    "floods": ("erc721", {"balanceOf(address)": ("flood", 1_000_000)}, "answers more than 32 KiB"),
    "reverts": ("erc721", {"balanceOf(address)": "revert"}, "reverted"),
    "answers nothing": ("erc721", {"balanceOf(address)": b""}, NO_CONTRACT),
    "31 bytes for a coin": ("erc20", {"decimals()": word(0), "balanceOf(address)": b"\xff" * 31}, NO_SENSE),
    "no decimals": ("erc20", {"balanceOf(address)": word(10**30)}, "reverted"),
    "short decimals": ("erc20", {"decimals()": b"\0" * 31, "balanceOf(address)": word(10**30)}, NO_SENSE),
    "78 decimals": ("erc20", {"decimals()": word(78), "balanceOf(address)": word(-1)}, "it has 78 decimals"),
    "256 decimals": ("erc20", {"decimals()": word(256), "balanceOf(address)": word(-1)}, "it has 256 decimals"),
    "most decimals": ("erc20", {"decimals()": word(-1), "balanceOf(address)": word(-1)}, f"has {2**256 - 1} decimals"),
    "31 bytes for an edition": ("erc1155", {"balanceOf(address,uint256)": b"\xff" * 31}, NO_SENSE),
    "a bool of 2": ("contract", {"isMember(address)": word(2)}, NO_SENSE),
    "a bool of 31 bytes": ("contract", {"isMember(address)": b"\0" * 30 + b"\1"}, NO_SENSE),
    "a text that lies elsewhere": ("text", {"nameOf(address)": word(2**255) + word(1) + b"x" * 32}, NO_SENSE),
    "a text longer than its bytes": ("text", {"nameOf(address)": word(32) + word(2**40) + b"x" * 32}, NO_SENSE),
    "a text that is none": ("text", {"nameOf(address)": word(32) + word(1) + b"\xff" * 32}, NO_SENSE),
    "a key without an end": (
        "unlock",
        {
            "getHasValidKey(address)": word(1), "totalKeys(address)": word(1),
            "tokenOfOwnerByIndex(address,uint256)": word(1), "keyExpirationTimestampFor(uint256)": "burn",
        },
        "uses up all gas",
    ),
    "a yes of 2": ("unlock", {"getHasValidKey(address)": word(2), "totalKeys(address)": word(1)}, NO_SENSE),
    "metadata that is no text": (
        "erc721 by trait",
        {
            "balanceOf(address)": word(1), "tokenOfOwnerByIndex(address,uint256)": word(1),
            "ownerOf(uint256)": "the viewer", "tokenURI(uint256)": word(32) + word(2) + b"\xff\xfe".ljust(32, b"\0"),
        },
        NO_SENSE,
    ),
    "an owner with dirty bytes": ("erc721 by id", {"ownerOf(uint256)": "the viewer, dirty"}, NO_SENSE),
}  # fmt: skip


@pytest.fixture(scope="module")
def viewer(caip2) -> Wallet:
    return Wallet.fresh(caip2, "viewer")


@pytest.fixture(scope="module")
def contracts(chain, second_chain, creator, gate, viewer) -> SimpleNamespace:
    """All that is asked about, before it is asked about."""
    hostile = {mode: Hostile.deploy(chain, creator, mode.partition(" ")[0], size) for mode, (size, _) in MODES.items()}
    number = int(viewer.address, 16)
    owners = {"the viewer": word(number), "the viewer, dirty": word(2**255 + number)}
    mannered = {}
    for name, (_, functions, _) in MANNERED.items():
        named = {function: does for function, does in functions.items() if does in owners}
        filled = functions | {function: owners[does] for function, does in named.items()}
        mannered[name] = Scripted.make(chain, creator, filled)
    made = SimpleNamespace(
        hostile=hostile,
        mannered=mannered,
        far=Token.deploy(second_chain, creator),
        coins={decimals: Coin.deploy(chain, creator, decimals) for decimals in (77, 78, 255)},
    )
    made.far.mint(viewer.address, 1)
    for coin in made.coins.values():
        coin.mint(viewer.address, 2**256 - 1)
    gate.settle()
    return made


def at(contract: Contract, leaf: dict) -> dict:
    return {"chain": contract.chain.caip2(), "contract": contract.address, **leaf}


def opens_nothing(gate, rule: dict, viewer, reason: str) -> None:
    """Not by a yes, and not by a no."""
    gate.refuses(rule, viewer, because=reason)
    gate.cannot_tell({"none": [rule]}, viewer, because=reason)


# ---- What can be seen in the policy


@pytest.mark.parametrize(
    ("leaf", "path"),
    [
        ({"kind": "erc721", "contract": "0x" + "00" * 20}, "rule.contract"),
        ({"kind": "unlock", "contract": "0x" + "00" * 20}, "rule.contract"),
        ({"kind": "contract", "contract": "0x" + "00" * 20, **MEMBER}, "rule.contract"),
        ({"kind": "erc721", "contract": "0x" + "12" * 20, "ids": [str(2**256)]}, "rule.ids[0]"),
        ({"kind": "erc1155", "contract": "0x" + "12" * 20, "ids": ["1", f"2-{2**256}"]}, "rule.ids[1]"),
    ],
)
def test_what_cannot_be_is_refused_as_a_policy(as_creator, gate, viewer, caip2, leaf, path):
    """Guards: domain, condition.rs, contract_address and ids (number.rs, whole)."""
    policy = {"version": 1, "rule": {"chain": caip2, **leaf}}
    for method, where, body in (
        ("PUT", f"/v1/videos/{gate.video}/policy", {"policy": policy}),
        ("POST", "/v1/verify", {"policy": policy, "account": viewer.account}),
    ):
        answer = as_creator.ask(method, where, body)
        assert (answer.status_code, answer.json()["path"]) == (422, path), where


# ---- What only the chain can tell


@pytest.mark.parametrize("kind", LEAVES)
def test_an_address_without_a_contract(gate, contracts, chain, viewer, kind):
    """The viewer's own, which even has a balance. Guard: domain, leaf/evm.rs, reading (no answer at all)."""
    chain.fund(viewer.address)
    leaf = {"chain": chain.caip2(), "contract": viewer.address, **LEAVES[kind]}
    opens_nothing(gate, leaf, viewer, NO_CONTRACT)


@pytest.mark.parametrize("mode", MODES)
def test_a_contract_that_misbehaves_whatever_it_is_asked(gate, contracts, viewer, mode):
    """As a contract of every kind.

    Guards: domain, leaf/evm.rs, manners ("always_true", "short") and reading; adapters/evm, multicall.rs, bytes (more
    than 32 KiB) and provider.rs, singly and alone (what burns or floods is told from what a neighbour does).
    """
    _, reason = MODES[mode]
    for kind, leaf in LEAVES.items():
        rule = at(contracts.hostile[mode], leaf)
        if kind in SEARCHES and mode in LONG:
            # So many long answers, or long calculations, that there may be no answer at all.
            for one in (rule, {"none": [rule]}):
                assert "yes" not in gate.look(one, viewer).verdict
        elif kind == "erc721 by id" and mode in REFUSING:
            # By ERC-721 a refusal of ownerOf says that there is no such token. That is a no; but no reason to let
            # anybody in, for this contract refuses everything.
            gate.refuses(rule, viewer)
            gate.cannot_tell({"none": [rule]}, viewer)
        else:
            opens_nothing(gate, rule, viewer, reason)


@pytest.mark.parametrize("case", MANNERED)
def test_a_contract_that_misbehaves_where_it_counts(gate, contracts, viewer, case):
    """Guards: domain, abi.rs (as_number, as_address, as_bool, as_bytes, Type::decode) and leaf/evm.rs, reading, erc20
    (decimals) and unlock (a key's end).
    """
    kind, _, reason = MANNERED[case]
    leaf = {"kind": "contract", **NAME} if kind == "text" else LEAVES[kind]
    opens_nothing(gate, at(contracts.mannered[case], leaf), viewer, reason)


@pytest.mark.parametrize("decimals", [78, 255])
def test_a_coin_with_more_decimals_than_there_can_be(gate, contracts, viewer, decimals):
    """All there can be of it is held. Guard: domain, leaf/evm.rs, erc20 (number.rs, MAX_DECIMALS)."""
    rule = contracts.coins[decimals].condition("0." + "0" * 76 + "1")
    opens_nothing(gate, rule, viewer, f"it has {decimals} decimals")


def test_a_coin_with_the_most_decimals_there_can_be(gate, contracts, viewer):
    """It counts, and more than 2^256 of its smallest units is what nobody holds. Guard: domain, number.rs, at_least."""
    coin = contracts.coins[77]
    assert gate.admits(coin.condition("1"), viewer).value.startswith("1.157920892373161954235709850086879")
    opens_nothing(gate, coin.condition("2"), viewer, "with the token's 77 decimals nobody can hold 2")


# ---- Beside good ones


@pytest.mark.proof
def test_ten_megabytes_open_nothing(gate, chain, creator, viewer, stranger):
    """Whether a node answers that in time or not: nobody gets in, the answer says why, and a good contract is read after.

    Guards: adapters/provider, endpoint.rs, MAX_BODY; adapters/evm, multicall.rs, bytes.
    """
    hostile = Hostile.deploy(chain, creator, "flood", 10_000_000)
    token = Token.deploy(chain, creator)
    token.mint(viewer.address, 1)
    gate.settle()
    for kind in ("erc721", "erc20"):
        bad = at(hostile, LEAVES[kind])
        for wallet in (viewer, stranger):
            seen = gate.playback(bad, wallet)
            assert seen.verdict in ("no", "unknown") and seen.reasons.strip("; ")
            assert gate.playback({"none": [bad]}, wallet).verdict != "yes"
    gate.admits(token.condition(), viewer, seconds=45)


@pytest.mark.parametrize("mode", ["burn", "loop", "flood", "flood beyond a body", "revert"])
def test_a_bad_contract_takes_nothing_from_a_good_one(gate, chain, creator, viewer, stranger, mode):
    """All are read in one call, and the bad ones come first and eat its gas.

    They are new, because what is remembered is not read; and three, because each leaves a 64th of the gas, which would
    be enough for the good one yet.

    Guards: adapters/evm, provider.rs, read (what failed silently, alone or with all others, is asked again singly); for
    "revert" multicall.rs, encode (each may fail for itself).
    """
    size, _ = MODES[mode]
    token = Token.deploy(chain, creator)
    token.mint(viewer.address, 1)
    hostile = [Hostile.deploy(chain, creator, mode.partition(" ")[0], size) for _ in range(3)]
    gate.settle()
    good = token.condition()
    bad = [at(contract, LEAVES[kind]) for contract, kind in zip(hostile, ("erc721", "erc20", "erc721"), strict=True)]
    gate.admits({"any": [*bad, good]}, viewer)
    gate.admits({"any": [good, bad[0]]}, viewer)
    gate.refuses({"any": [*bad, good]}, stranger)
    gate.refuses({"all": [*bad, good]}, viewer)
    # The good one alone would let the stranger in here.
    gate.admits({"none": [good]}, stranger)
    gate.cannot_tell({"none": [good, *bad]}, stranger)
    gate.cannot_tell({"all": [good, {"none": bad}]}, viewer)


def test_a_broken_registry_adds_nobody_and_takes_nobody_away(gate, contracts, second_chain, viewer, stranger):
    """Delegations are read from one place on every chain. Guards: domain, leaf/evm.rs, Purse::new and add; abi.rs."""
    rule = contracts.far.condition(via=Delegations.VIA)
    before = second_chain.call("eth_getCode", DELEGATE_REGISTRY, "latest")

    def row(to: Wallet, kind: int = 3) -> list[int]:
        return [kind, int(to.address, 16), int(viewer.address, 16), 0, int(contracts.far.address, 16), 1, 0]

    def for_another(me: Wallet) -> bytes:
        return rows(row(viewer, kind=1))

    def dirty(me: Wallet) -> bytes:
        """By somebody whose address has dirty bytes."""
        kind, to, giver, *rest = row(me, kind=1)
        return rows([kind, to, giver + 2**255, *rest])

    def endless(me: Wallet) -> bytes:
        """Of more rows than there are bytes."""
        return word(32) + word(2**64) + b"".join(map(word, row(me, kind=1)))

    try:
        for answer in ("burn", ("flood", 1_000_000), b"\1" * 31, for_another, dirty, endless):
            # Somebody new each time: what was remembered of the answer before would say nothing of this one.
            me = Wallet.fresh(viewer.chain, "me")
            code = assemble({"getIncomingDelegations(address)": answer(me) if callable(answer) else answer})
            second_chain.call("anvil_setCode", DELEGATE_REGISTRY, "0x" + code.hex())
            second_chain.mine()
            gate.settle()
            gate.admits(rule, viewer)
            gate.refuses(rule, me)
        # In form it would count.
        code = assemble({"getIncomingDelegations(address)": rows(row(stranger))})
        second_chain.call("anvil_setCode", DELEGATE_REGISTRY, "0x" + code.hex())
        second_chain.mine()
        gate.admits(rule, stranger)
    finally:
        second_chain.call("anvil_setCode", DELEGATE_REGISTRY, before)
        second_chain.mine()
    gate.turns_away(rule, stranger)


def rows(*each: list[int]) -> bytes:
    """An answer of the registry's form."""
    return word(32) + word(len(each)) + b"".join(word(field) for row in each for field in row)
