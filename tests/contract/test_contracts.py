"""The contracts that films are gated with, on a chain of this module's own: no stack is needed.

What a policy's conditions and sign-in are tried on must itself be what it stands for: artifacts of these sources, the
real Multicall3, ABIs as the real contracts have them, and a signature validator that no wallet can talk into a yes.
"""

from __future__ import annotations

import base64
import hashlib
import json
import time

import pytest
from eth_abi import decode, encode
from eth_utils import keccak

from tests.kit.chain import (
    CONTRACTS,
    DELEGATE_REGISTRY,
    MULTICALL3,
    Chain,
    Coin,
    Delegations,
    Editions,
    Hostile,
    Lock,
    Oracle,
    RpcError,
    SmartWallet,
    Token,
    Traits,
    WalletFactory,
    artifact,
    encode_call,
)
from tests.kit.wallet import MAGIC_SUFFIX, Wallet, personal_hash, wrap_signature

SOURCES = sorted(path.stem for path in CONTRACTS.glob("*.sol"))
# By the real contracts' published ABIs (delegate.xyz's registry v2, Unlock's PublicLock v14, Multicall3).
SELECTORS = {
    "Delegations": {
        "delegateAll": "30ff3140",
        "delegateContract": "d90e73ab",
        "delegateERC721": "b18e2bbb",
        "delegateERC20": "003c2ba6",
        "delegateERC1155": "ab764683",
        "getIncomingDelegations": "42f87c25",
    },
    "SmartWallet": {"isValidSignature": "1626ba7e"},
}
MESSAGE = "films.example wants you to sign in"


@pytest.fixture(scope="module")
def chain(scratch_chain) -> Chain:
    return scratch_chain


@pytest.fixture(scope="module")
def owner() -> Wallet:
    return Wallet.numbered(0)


@pytest.fixture(scope="module")
def holder() -> Wallet:
    return Wallet.numbered(1)


@pytest.fixture(scope="module")
def stranger() -> Wallet:
    return Wallet.numbered(2)


@pytest.fixture(scope="module")
def factory(chain, owner) -> WalletFactory:
    return WalletFactory.deploy(chain, owner)


# ---- What is committed


@pytest.mark.parametrize("name", SOURCES)
def test_each_artifact_was_compiled_from_its_source(name):
    def digest(file: str) -> str:
        return hashlib.sha256((CONTRACTS / file).read_bytes()).hexdigest()

    compiled = artifact(name)
    assert compiled["source_sha256"] == digest(f"{name}.sol"), "run localstack/contracts/build.mjs"
    for imported, expected in compiled.get("imports_sha256", {}).items():
        assert digest(imported) == expected, "run localstack/contracts/build.mjs"


def test_nothing_committed_is_without_a_source():
    others = {"PublicLock"}
    assert {path.stem for path in CONTRACTS.glob("*.json")} == {*SOURCES, *others}
    lock = artifact("PublicLock")
    assert hashlib.sha256(lock["bytecode"].removeprefix("0x").encode()).hexdigest() == lock["bytecode_sha256"]


def test_the_adapter_embeds_the_validator_that_is_tried_here():
    embedded = CONTRACTS.parents[1] / "shared" / "adapters" / "evm" / "src" / "signature_validator.hex"
    assert "0x" + embedded.read_text().strip() == artifact("SignatureValidator")["bytecode"]


@pytest.mark.parametrize("name", SELECTORS)
def test_selectors_are_those_of_the_real_contracts(name):
    def shape(entry: dict) -> str:
        return f"{entry['name']}({','.join(part['type'] for part in entry['inputs'])})"

    functions = {entry["name"]: shape(entry) for entry in artifact(name)["abi"] if entry["type"] == "function"}
    for function, selector in SELECTORS[name].items():
        assert keccak(text=functions[function])[:4].hex() == selector, functions[function]


def test_multicall3_is_the_real_one(chain):
    code = bytes.fromhex((CONTRACTS / "multicall3.hex").read_text().strip())
    assert keccak(code).hex() == "d5c15df687b16f2ff992fc8d767b4216323184a2bbc6ee2f9c398c318e770891"
    assert chain.call("eth_getCode", MULTICALL3, "latest") == "0x" + code.hex()


def test_multicall3_reads_many_contracts_at_once(chain, owner, holder):
    token, coin = Token.deploy(chain, owner), Coin.deploy(chain, owner, decimals=6)
    token.mint(holder.address, 1)
    coin.mint(holder.address, 7)
    question = bytes.fromhex(encode_call("balanceOf(address)", [holder.address])[2:])
    broken = Hostile.deploy(chain, owner, "revert", 100)
    calls = [(contract.address, True, question) for contract in (token, coin, broken)]
    data = keccak(text="aggregate3((address,bool,bytes)[])")[:4] + encode(["(address,bool,bytes)[]"], [calls])
    answer = chain.call("eth_call", {"to": MULTICALL3, "data": "0x" + data.hex()}, chain.block()["hash"])
    (results,) = decode(["(bool,bytes)[]"], bytes.fromhex(answer[2:]))
    seen = [(done, int.from_bytes(data) if done else len(data)) for done, data in results]
    assert seen == [(True, 1), (True, 7), (False, 100)]


# ---- Tokens


def test_a_collection_with_traits_on_the_chain(chain, owner, holder, stranger):
    traits = Traits.deploy(chain, owner, "Hats", "HAT")
    for number in (3, 8):
        traits.mint(holder.address, number)
    traits.set_trait(3, "Hat", "Blue")
    traits.set_trait(3, "Hat", "Red")
    traits.set_trait(3, "Eyes", "Laser")
    kind, _, data = traits.uri(3).partition(",")
    assert kind == "data:application/json;base64"
    described = json.loads(base64.b64decode(data))
    assert described["name"] == "Hats 3"
    assert described["attributes"] == [
        {"trait_type": "Hat", "value": "Red"},
        {"trait_type": "Eyes", "value": "Laser"},
    ]
    assert json.loads(base64.b64decode(traits.uri(8).partition(",")[2]))["attributes"] == []
    assert [traits.read("tokenOfOwnerByIndex(address,uint256)(uint256)", holder.address, i) for i in (0, 1)] == [3, 8]
    for size in (1, 31, 32, 33, 200_000):
        traits.set_padding(size)
        described = json.loads(base64.b64decode(traits.uri(3).partition(",")[2]))
        assert described["description"] == "." * size and described["attributes"][0]["value"] == "Red"
    traits.set_uri("https://hats.example/3.json")
    assert traits.uri(3) == "https://hats.example/3.json"
    traits.set_uri("")
    traits.transfer(holder, stranger.address, 3)
    traits.burn(8)
    assert (traits.balance(holder.address), traits.owner_of(3), traits.owner_of(8)) == (0, stranger.address, None)
    assert traits.condition(ids=[3, "10-20"], traits={"Hat": "Red"}, via="delegate.xyz") == {
        "kind": "erc721",
        "chain": "eip155:1",
        "contract": traits.address,
        "ids": ["3", "10-20"],
        "traits": [{"trait": "Hat", "value": "Red"}],
        "via": "delegate.xyz",
    }
    assert traits.condition(min_balance=2, max=5) == traits.condition(min=2, max=5)
    assert traits.condition(token_id=7)["ids"] == ["7"]


def test_editions(chain, owner, holder, stranger):
    editions = Editions.deploy(chain, owner)
    editions.mint(holder.address, 4, 10)
    editions.transfer(holder, stranger.address, 4, 3)
    editions.burn(holder.address, 4, 5)
    assert [editions.balance(wallet.address, 4) for wallet in (holder, stranger)] == [2, 3]
    assert editions.condition(ids=[4, "5-9"], min=2) == {
        "kind": "erc1155",
        "chain": "eip155:1",
        "contract": editions.address,
        "ids": ["4", "5-9"],
        "min": "2",
    }


@pytest.mark.parametrize("decimals", [0, 6, 18, 78, 255])
def test_a_coin_has_the_decimals_it_was_told(chain, owner, holder, stranger, decimals):
    coin = Coin.deploy(chain, owner, decimals)
    coin.mint(holder.address, 100)
    coin.transfer(holder, stranger.address, 40)
    coin.burn(holder.address, 10)
    assert coin.decimals() == decimals
    assert [coin.balance(wallet.address) for wallet in (holder, stranger)] == [50, 40]
    assert coin.condition(min="10.5")["min"] == "10.5"


def test_a_lock_s_keys_run_out(chain, owner, holder, stranger):
    lock = Lock.deploy(chain, owner)
    assert lock.read("publicLockVersion()(uint16)") == 14
    first, second = lock.grant(holder.address), lock.grant(holder.address, seconds=7200)
    assert lock.keys(holder.address) == [first, second] and lock.valid_keys(holder.address) == 2
    assert lock.has_valid_key(holder.address) and not lock.has_valid_key(stranger.address)
    assert abs(lock.expires(second) - time.time() - 7200) < 30
    lock.expire(first)
    assert not lock.is_valid(first) and lock.valid_keys(holder.address) == 1 and lock.has_valid_key(holder.address)
    lock.cancel(second)
    assert not lock.has_valid_key(holder.address) and lock.valid_keys(holder.address) == 0
    assert lock.keys(holder.address) == [first, second], "those that ran out still count here"
    third = lock.grant(holder.address)
    lock.transfer(holder, stranger.address, third)
    assert lock.has_valid_key(stranger.address) and not lock.has_valid_key(holder.address)
    assert lock.condition() == {"kind": "unlock", "chain": "eip155:1", "contract": lock.address}


def test_an_oracle_says_what_it_was_told(chain, owner, holder):
    oracle = Oracle.deploy(chain, owner)
    oracle.set_level(holder.address, 7, 3)
    oracle.set_member(holder.address)
    oracle.set_badge(holder.address, b"gold")
    oracle.set_name(holder.address, "Ada")
    oracle.set_score(holder.address, -5)
    assert oracle.read("levelOf(address,uint256)(uint256)", holder.address, 7) == 3
    assert oracle.read("levelOf(address,uint256)(uint256)", holder.address, 8) == 0
    assert oracle.read("isMember(address)(bool)", holder.address) is True
    assert oracle.read("badgeOf(address)(bytes32)", holder.address) == b"gold".ljust(32, b"\0")
    assert oracle.read("nameOf(address)(string)", holder.address) == "Ada"
    assert oracle.read("scoreOf(address)(int256)", holder.address) == -5
    leaf = oracle.condition("levelOf(address,uint256)(uint256)", [":account", "7"], at_least="3")
    assert leaf["result"] == {"at_least": "3"} and leaf["arguments"] == [":account", "7"]


# ---- Contracts that mean no good


@pytest.mark.parametrize("mode", Hostile.MODES)
def test_a_hostile_contract_does_what_it_is_there_for(chain, owner, mode):
    """Else what is tried on it below, and in the fault tests, would be tried on nothing."""
    hostile = Hostile.deploy(chain, owner, mode, 300_000)
    assert hostile.is_there()
    assert hostile.condition("erc1155", ids=["1"]) == {
        "kind": "erc1155",
        "chain": "eip155:1",
        "contract": hostile.address,
        "ids": ["1"],
    }
    question = {"to": hostile.address, "data": encode_call("balanceOf(address)", [owner.address])}
    if mode in ("burn", "loop", "revert", "magic_revert"):
        with pytest.raises(RpcError):
            chain.call("eth_call", question, "latest")
        return
    answer = bytes.fromhex(chain.call("eth_call", question, "latest")[2:])
    magic = bytes.fromhex("1626ba7e")
    expected = {
        "always_true": (1).to_bytes(32),
        "flood": answer if len(answer) == 300_000 else None,
        "short": bytes(31),
        "empty": b"",
        "magic_long": magic.ljust(64, b"\0"),
        "magic_short": magic,
        "magic_dirty": magic + bytes(27) + b"\1",
        "magic_writing": magic.ljust(32, b"\0"),
    }[mode]
    assert answer == expected


def test_one_that_burns_its_gas_takes_the_gas_of_those_behind_it(chain, owner, holder):
    """Multicall3 gives each call all it has but 1/64: a failure behind such a contract is no word of who was asked."""
    burning, hats = Hostile.deploy(chain, owner, "burn"), Traits.deploy(chain, owner)
    hats.mint(holder.address, 1)
    hats.set_padding(20_000)
    asked = {
        "burning": (burning.address, True, b""),
        "hat": (hats.address, True, bytes.fromhex(encode_call("tokenURI(uint256)", [1])[2:])),
    }

    def read(*order: str) -> dict[str, tuple[bool, int]]:
        calls = [asked[name] for name in order]
        data = keccak(text="aggregate3((address,bool,bytes)[])")[:4] + encode(["(address,bool,bytes)[]"], [calls])
        question = {"to": MULTICALL3, "data": "0x" + data.hex(), "gas": hex(28_000_000)}
        answer = chain.call("eth_call", question, "latest")
        (results,) = decode(["(bool,bytes)[]"], bytes.fromhex(answer[2:]))
        return {name: (done, len(data)) for name, (done, data) in zip(order, results, strict=True)}

    first = read("hat", "burning")
    assert first["hat"][0] and first["hat"][1] > 20_000 and first["burning"] == (False, 0)
    assert read("burning", "hat")["hat"] == (False, 0)


# ---- Delegations


def test_delegations_go_round_the_registry(chain, owner, holder, stranger):
    registry, vault, token = Delegations(chain), holder, Token.deploy(chain, owner)
    assert registry.address == DELEGATE_REGISTRY
    to = Wallet.fresh().address
    assert registry.incoming(to) == []
    registry.all(vault, to)
    registry.contract(vault, to, token.address, rights=b"watch")
    registry.erc721(vault, to, token.address, 7)
    registry.erc20(stranger, to, token.address, 500)
    registry.erc1155(vault, to, token.address, 9, 2)
    found = registry.incoming(to)
    assert [one["kind"] for one in found] == ["all", "contract", "erc721", "erc20", "erc1155"]
    assert {one["to"] for one in found} == {to.lower()}
    assert [one["from"] for one in found].count(stranger.address.lower()) == 1
    assert found[1] == {
        "kind": "contract",
        "to": to.lower(),
        "from": vault.address.lower(),
        "rights": b"watch".ljust(32, b"\0"),
        "contract": token.address.lower(),
        "token_id": 0,
        "amount": 0,
    }
    assert [(one["token_id"], one["amount"]) for one in found[2:]] == [(7, 0), (0, 500), (9, 2)]
    # Taken back by the one who gave it, and by nobody else.
    registry.all(stranger, to, enable=False)
    assert len(registry.incoming(to)) == 5
    registry.all(vault, to, enable=False)
    registry.erc20(stranger, to, token.address, 0)
    registry.erc1155(vault, to, token.address, 9, 1)
    left = [(one["kind"], one["amount"]) for one in registry.incoming(to)]
    assert left == [("contract", 0), ("erc721", 0), ("erc1155", 1)]
    registry.all(vault, to)
    assert len(registry.incoming(to)) == 4, "given again, and listed once"


# ---- Signatures of contract wallets


def test_a_contract_wallet_s_owner_signs_for_it_and_nobody_else(chain, owner, holder, stranger):
    wallet = SmartWallet.deploy(chain, holder)
    digest, signature = personal_hash(MESSAGE), wallet.wallet.sign(MESSAGE)
    assert chain.validate(wallet.address, digest, signature)
    assert not chain.validate(wallet.address, digest, stranger.sign(MESSAGE))
    assert not chain.validate(wallet.address, personal_hash(MESSAGE + "."), signature)
    assert not chain.validate(wallet.address, digest, "0x")
    assert not chain.validate(wallet.address, digest, signature[:-2])
    wallet.refuse()
    assert not chain.validate(wallet.address, digest, signature)
    wallet.refuse(False)
    assert chain.validate(wallet.address, digest, signature)


def test_the_wallet_is_asked_the_hash_that_personal_sign_signs(chain, holder):
    """Else the validator's yes would be about something else than what a person saw."""
    wallet = SmartWallet.deploy(chain, holder)
    answer = wallet.read(
        "isValidSignature(bytes32,bytes)(bytes4)", personal_hash(MESSAGE), bytes.fromhex(holder.sign(MESSAGE)[2:])
    )
    assert answer.hex() == "1626ba7e"


def test_a_wallet_that_is_not_there_yet(chain, owner, holder, stranger, factory):
    wallet = factory.wallet(holder, salt=1)
    digest, signature = personal_hash(MESSAGE), wallet.sign(MESSAGE)
    assert not chain.has_code(wallet.address)
    assert chain.validate(wallet.address, digest, signature)
    assert not chain.has_code(wallet.address), "asking deploys nothing"
    # Its owner's bare signature doesn't say how to make the wallet.
    assert not chain.validate(wallet.address, digest, holder.sign(MESSAGE))
    # The right factory call with another's signature, and another wallet's factory call.
    assert not chain.validate(wallet.address, digest, wrap_signature(*wallet.creation, stranger.sign(MESSAGE)))
    other = factory.wallet(stranger, salt=1)
    assert not chain.validate(wallet.address, digest, other.sign(MESSAGE))
    assert not chain.validate(wallet.address, digest, wrap_signature(owner.address, "0x", holder.sign(MESSAGE)))
    # Once it is there both forms do.
    factory.make(holder, salt=1)
    assert chain.has_code(wallet.address)
    assert chain.validate(wallet.address, digest, signature)
    assert chain.validate(wallet.address, digest, holder.sign(MESSAGE))
    assert not chain.validate(wallet.address, digest, wrap_signature(*wallet.creation, stranger.sign(MESSAGE)))


def test_a_plain_key_is_no_contract_wallet(chain, holder):
    assert not chain.validate(holder.address, personal_hash(MESSAGE), holder.sign(MESSAGE))


def test_a_factory_call_cannot_change_a_wallet_that_is_there(chain, owner, holder):
    """The call in a wrapped signature is made for absent wallets only."""
    wallet = SmartWallet.deploy(chain, holder)
    burning = Hostile.deploy(chain, owner, "burn")
    wrapped = wrap_signature(burning.address, "0x", holder.sign(MESSAGE))
    # Gas enough to ask the wallet, but not after such a factory has had its part: it isn't called.
    assert chain.validate(wallet.address, personal_hash(MESSAGE), wrapped, gas=200_000)


@pytest.mark.parametrize("mode", Hostile.MODES)
@pytest.mark.parametrize("role", ["wallet", "factory"])
def test_nothing_that_a_hostile_contract_does_is_a_yes(chain, owner, holder, factory, mode, role):
    hostile = Hostile.deploy(chain, owner, mode, 1_000_000 if mode == "flood" else 100_000)
    digest = personal_hash(MESSAGE)
    if role == "wallet":
        assert not chain.validate(hostile.address, digest, holder.sign(MESSAGE))
    else:
        absent = factory.wallet(holder, salt=99)
        wrapped = wrap_signature(hostile.address, absent.creation[1], holder.sign(MESSAGE))
        assert not chain.validate(absent.address, digest, wrapped)


def test_malformed_wrappings_are_refused_and_never_revert(chain, holder, factory):
    wallet = factory.wallet(holder, salt=2)
    digest = personal_hash(MESSAGE)
    good = bytes.fromhex(wallet.sign(MESSAGE)[2:])
    assert chain.validate(wallet.address, digest, "0x" + good.hex())
    body = good[: -len(MAGIC_SUFFIX)]

    def with_word(index: int, value: int) -> bytes:
        return body[: 32 * index] + value.to_bytes(32, "big") + body[32 * (index + 1) :]

    words = len(body) // 32
    tries = [b"", b"\0" * 31, body[:95], body[:96], body[:-32], body[:128]]
    # The factory's upper bytes, both offsets, and every length: past the end, huge, and so large that sums overflow.
    for index in range(words):
        for value in (len(body), len(body) - 31, 2**64, 2**256 - 1, 2**256 - 32, 2**256 - 64):
            tries.append(with_word(index, value))
    factory_with_more = int(factory.address, 16) | 1 << 200
    forged = with_word(0, factory_with_more) + MAGIC_SUFFIX
    assert not chain.validate(wallet.address, digest, "0x" + forged.hex())
    refused = 0
    for forged in tries:
        answer = chain.validate(wallet.address, digest, "0x" + (forged + MAGIC_SUFFIX).hex())
        refused += not answer
    # Words of padding or of unused text may hold anything; those that matter may not.
    assert refused >= len(tries) - 12
    for index in (0, 1, 2, 3):
        for value in (2**256 - 1, 2**256 - 32, 2**256 - 64, 2**64 + len(body)):
            forged = with_word(index, value if index else value | (1 << 200))
            assert not chain.validate(wallet.address, digest, "0x" + (forged + MAGIC_SUFFIX).hex()), (index, value)


# ---- The chain's own helpers


def test_a_reorganised_chain_forgets(chain, owner, holder):
    token = Token.deploy(chain, owner)
    chain.mine(3)
    before = chain.block()
    token.mint(holder.address, 1)
    assert token.balance(holder.address) == 1
    seen = chain.block()
    chain.reorg(1)
    now = chain.block(int(seen["number"], 16))
    assert now["hash"] != seen["hash"] and now["parentHash"] == before["hash"]
    assert token.balance(holder.address) == 0
    with pytest.raises(RpcError):
        # By the hash of a block that has never been: no answer, rather than one from another block.
        call = {"to": token.address, "data": encode_call("balanceOf(address)", [holder.address])}
        chain.call("eth_call", call, seen["hash"])


def test_snapshots_funds_and_blocks(chain, owner):
    poor = Wallet.fresh()
    chain.fund(poor.address, 5 * 10**17)
    height, snapshot = chain.block_number(), chain.snapshot()
    chain.mine(2)
    chain.fund(poor.address, 1)
    assert (chain.block_number(), chain.balance(poor.address)) == (height + 2, 1)
    chain.revert(snapshot)
    assert (chain.block_number(), chain.balance(poor.address)) == (height, 5 * 10**17)
    assert chain.native_condition("0.1") == {"kind": "native", "chain": "eip155:1", "min": "0.1"}


def test_a_contract_wallet_holds_and_sells(chain, owner, holder, stranger):
    token, editions = Token.deploy(chain, owner), Editions.deploy(chain, owner)
    wallet = SmartWallet.deploy(chain, holder)
    token.mint(wallet.address, 1)
    editions.mint(wallet.address, 5, 2)
    wallet.execute(token.address, "transferFrom(address,address,uint256)", wallet.address, stranger.address, 1)
    assert (token.owner_of(1), editions.balance(wallet.address, 5)) == (stranger.address, 2)
    with pytest.raises(RpcError):
        wallet.act("execute(address,bytes)", token.address, b"", by=stranger)
