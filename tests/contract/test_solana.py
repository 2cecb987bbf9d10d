"""The local Solana node answers as a validator does, and the kit makes on it what the flow tests gate by."""

from __future__ import annotations

import base64
import os
import re
import signal
import struct
import subprocess
import time
from pathlib import Path

import httpx
import pytest
from solders.keypair import Keypair
from solders.pubkey import Pubkey
from solders.rpc import errors, responses
from solders.signature import Signature
from solders.system_program import TransferParams, transfer

from tests.kit.ports import free_port
from tests.kit.fault_proxy import PROVIDERS, FaultProxy
from tests.kit.solana import (
    CORE,
    LOCAL_CHAIN,
    METADATA,
    SYSTEM,
    TOKEN,
    TOKEN_2022,
    Collection,
    CoreAsset,
    CoreCollection,
    Group,
    Mint,
    SolanaChain,
    SolanaError,
    SolanaWallet,
    forged_elsewhere,
    forged_in_place,
    metadata_address,
    metadata_bytes,
    record_address,
)

SERVER = Path(__file__).resolve().parents[2] / "localstack" / "solana" / "server.mjs"
BASE64 = {"encoding": "base64"}


class Node:
    """One server of this file's own, on a free port."""

    def __init__(self, state: Path, slot_milliseconds: int = 400):
        self.state, self.slot_milliseconds, self.child = state, slot_milliseconds, None
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"

    def start(self) -> Node:
        environment = os.environ | {
            "STREAMGATE_CACHE": os.environ.get("STREAMGATE_CACHE", str(SERVER.parents[2] / ".cache")),
            "STREAMGATE_SOLANA_PORT": str(self.port),
            "STREAMGATE_SOLANA_STATE": str(self.state),
            "STREAMGATE_SOLANA_SLOT_MILLISECONDS": str(self.slot_milliseconds),
        }
        self.child = subprocess.Popen(["node", str(SERVER)], env=environment, stderr=subprocess.PIPE)
        for _ in range(200):
            assert self.child.poll() is None, self.child.stderr.read().decode()
            try:
                httpx.get(f"{self.url}/health", trust_env=False).raise_for_status()
                return self
            except httpx.TransportError:
                time.sleep(0.05)
        raise AssertionError("the node does not answer")

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        self.child.send_signal(how)
        self.child.wait(10)
        self.child.stderr.close()

    def post(self, content, **headers) -> httpx.Response:
        body = {"content": content} if isinstance(content, (str, bytes)) else {"json": content}
        return httpx.post(self.url, headers={"content-type": "application/json"} | headers, trust_env=False, **body)


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    node = Node(tmp_path_factory.mktemp("solana") / "state").start()
    yield node
    node.stop()


@pytest.fixture(scope="module")
def chain(node) -> SolanaChain:
    return SolanaChain(node.url)


@pytest.fixture(scope="module")
def authority() -> SolanaWallet:
    return SolanaWallet.fresh(name="authority")


@pytest.fixture
def holder() -> SolanaWallet:
    return SolanaWallet.fresh(name="holder")


@pytest.fixture
def other() -> SolanaWallet:
    return SolanaWallet.fresh(name="other")


@pytest.fixture(scope="module")
def proxy(node):
    port = free_port()
    proxy = FaultProxy(port, {LOCAL_CHAIN: node.url})
    yield proxy
    proxy.stop()


@pytest.fixture(scope="module")
def providers(proxy) -> list[SolanaChain]:
    return [SolanaChain(proxy.url(LOCAL_CHAIN, provider)) for provider in PROVIDERS]


def error_of(chain: SolanaChain, method: str, *parameters) -> SolanaError:
    with pytest.raises(SolanaError) as caught:
        chain.call(method, *parameters)
    return caught.value


# ---- The node


def test_the_chain_has_one_name_everywhere(chain):
    from stack import SOLANA

    assert chain.caip2() == LOCAL_CHAIN == SOLANA
    assert len(bytes(Pubkey.from_string(chain.call("getGenesisHash")))) == 32


def test_facts_about_the_node(chain):
    assert chain.call("getHealth") == "ok"
    version = chain.call("getVersion")
    assert re.fullmatch(r"\d+\.\d+\.\d+", version["solana-core"]) and isinstance(version["feature-set"], int)
    assert chain.call("getMinimumBalanceForRentExemption", 165) == 2_039_280
    latest = chain.call("getLatestBlockhash", {"commitment": "finalized"})
    assert latest["context"]["slot"] <= chain.slot()
    assert latest["value"]["lastValidBlockHeight"] - latest["context"]["slot"] == 150
    assert chain.call("getBlockHeight") >= latest["context"]["slot"]


def test_slots_go_on_by_time_by_transactions_and_by_command(chain):
    start = chain.slot()
    assert chain.advance(1000) >= start + 1000
    before = chain.slot()
    chain.airdrop(SolanaWallet.fresh().address)
    assert chain.slot() > before
    began, before = time.monotonic(), chain.slot()
    blockhash = chain.call("getLatestBlockhash")["value"]["blockhash"]
    while chain.slot() < before + 2:
        assert time.monotonic() < began + 20
        time.sleep(0.05)
    assert chain.slot() - before <= (time.monotonic() - began) / 0.4 + 2
    assert chain.call("getLatestBlockhash")["value"]["blockhash"] != blockhash


def test_http_and_json_rpc_rules(node):
    assert httpx.get(node.url, trust_env=False).status_code == 405
    assert node.post("{}", **{"content-type": "text/plain"}).status_code == 415
    assert node.post(b" " * 5_000_000).status_code == 413
    assert node.post("{").json()["error"]["code"] == -32700
    for nonsense in (
        [],
        {},
        7,
        "null",
        {"jsonrpc": "1.0", "id": 1, "method": "getSlot"},
        {"jsonrpc": "2.0", "id": 1, "method": 7},
    ):
        assert node.post(nonsense).json()["error"]["code"] == -32600, nonsense
    asked = {"jsonrpc": "2.0", "id": "a", "method": "getNothing"}
    assert node.post(asked).json() == {
        "jsonrpc": "2.0",
        "id": "a",
        "error": {"code": -32601, "message": "Method not found"},
    }
    answers = node.post([asked, {"jsonrpc": "2.0", "id": 2, "method": "getHealth"}, 7]).json()
    assert [(answer["id"], answer.get("result")) for answer in answers] == [("a", None), (2, "ok"), (None, None)]


@pytest.mark.parametrize(
    ("method", "parameters"),
    [
        ("getAccountInfo", []),
        ("getAccountInfo", ["not base58: 0OIl"]),
        ("getAccountInfo", ["4uQeVj5tqViQh7yWWGStvkEG1Zmhx6uasJtWCJzi"]),
        ("getAccountInfo", [str(TOKEN), {"encoding": "jsonParsed"}]),
        ("getAccountInfo", [str(TOKEN), {"encoding": "base64", "dataSlice": {"offset": 0}}]),
        ("getAccountInfo", [str(TOKEN), {"commitment": "certain"}]),
        ("getAccountInfo", [str(TOKEN), "base64"]),
        ("getAccountInfo", {"pubkey": str(TOKEN)}),
        ("getMultipleAccounts", [[str(TOKEN)] * 101]),
        ("getMultipleAccounts", [str(TOKEN)]),
        ("getMultipleAccounts", [["x"]]),
        ("getSlot", [{"minContextSlot": -1}]),
        ("getTokenAccountsByOwner", [str(TOKEN), {}]),
        ("getTokenAccountsByOwner", [str(TOKEN), {"mint": str(CORE)}]),
        ("getTokenAccountsByOwner", [str(TOKEN), {"mint": str(TOKEN)}]),
        ("getTokenAccountsByOwner", [str(TOKEN), {"programId": str(CORE)}]),
        ("getProgramAccounts", [str(CORE), {"filters": [{"dataSize": 1}] * 5}]),
        ("getProgramAccounts", [str(CORE), {"filters": [{"memcmp": {"offset": 0, "bytes": "0"}}]}]),
        ("getProgramAccounts", [str(CORE), {"filters": [{"newest": True}]}]),
        ("getSignatureStatuses", [["1"]]),
        ("requestAirdrop", [str(CORE), "1"]),
        ("requestAirdrop", [str(CORE), -1]),
        ("sendTransaction", ["AAAA", {"encoding": "base64"}]),
        ("sendTransaction", ["0", {}]),
        ("sendTransaction", [base64.b64encode(bytes(1233)).decode(), {"encoding": "base64"}]),
        (
            "sendTransaction",
            [base64.b64encode(b"\1" + bytes(64) + b"\x80" + bytes(40)).decode(), {"encoding": "base64"}],
        ),
        ("sendTransaction", [base64.b64encode(b"\xff" * 200).decode(), {"encoding": "base64"}]),
        ("streamgate_revert", [99]),
    ],
)
def test_bad_parameters_are_refused(node, method, parameters):
    answer = node.post({"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters}).json()
    assert answer["error"]["code"] == -32602, answer
    assert node.post({"jsonrpc": "2.0", "id": 1, "method": "getHealth"}).json()["result"] == "ok"


@pytest.mark.parametrize(
    ("method", "parameters"),
    [
        ("getSlot", []),
        ("getBalance", [str(TOKEN)]),
        ("getAccountInfo", [str(TOKEN)]),
        ("getMultipleAccounts", [[str(TOKEN)]]),
        ("getProgramAccounts", [str(CORE)]),
        ("getTokenAccountsByOwner", [str(TOKEN), {"programId": str(TOKEN)}]),
    ],
)
def test_a_node_that_is_behind_says_so(chain, method, parameters):
    ahead = chain.slot() + 1000
    problem = error_of(chain, method, *parameters, {"minContextSlot": ahead, "commitment": "confirmed"})
    assert problem.code == -32016 and ahead - 1000 <= problem.data["contextSlot"] <= chain.slot()
    chain.advance(1000)
    chain.call(method, *parameters, {"minContextSlot": ahead, "commitment": "confirmed", **BASE64})


def test_an_account_in_every_encoding(chain):
    address, data = str(Keypair().pubkey()), bytes(range(100))
    slot = chain.place(address, data, CORE)
    how = {"encoding": "base64", "commitment": "confirmed", "minContextSlot": slot}
    answer = chain.call("getAccountInfo", address, how)
    assert answer["context"]["slot"] >= slot
    assert answer["value"] == {
        "data": [base64.b64encode(data).decode(), "base64"],
        "executable": False,
        "lamports": chain.rent(100),
        "owner": str(CORE),
        "rentEpoch": 2**64 - 1,
        "space": 100,
    }
    slices = how | {"dataSlice": {"offset": 98, "length": 32}}
    value = chain.call("getAccountInfo", address, slices)["value"]
    assert base64.b64decode(value["data"][0]) == data[98:] and value["space"] == 100
    text, label = chain.call("getAccountInfo", address, {"encoding": "base58"})["value"]["data"]
    assert label == "base58" and chain.call("getAccountInfo", address)["value"]["data"] == text
    assert (
        bytes(
            Pubkey.from_string(
                chain.call("getAccountInfo", address, {"dataSlice": {"offset": 0, "length": 32}})["value"]["data"]
            )
        )
        == data[:32]
    )
    text, label = chain.call("getAccountInfo", address, {"encoding": "base64+zstd"})["value"]["data"]
    # A frame of one stored block; see RFC 8878.
    expected = bytes.fromhex("28b52ffda0") + struct.pack("<I", 100) + (100 << 3 | 1).to_bytes(3, "little") + data
    assert label == "base64+zstd" and base64.b64decode(text) == expected
    chain.place(address, bytes(200), CORE)
    assert error_of(chain, "getAccountInfo", address).code == -32600
    chain.remove(address)
    assert chain.call("getAccountInfo", address, BASE64)["value"] is None


@pytest.mark.parametrize(
    ("parser", "method", "parameters"),
    [
        (responses.GetHealthResp, "getHealth", []),
        (responses.GetVersionResp, "getVersion", []),
        (responses.GetGenesisHashResp, "getGenesisHash", []),
        (responses.GetSlotResp, "getSlot", [{"commitment": "confirmed"}]),
        (responses.GetBlockHeightResp, "getBlockHeight", []),
        (responses.GetLatestBlockhashResp, "getLatestBlockhash", []),
        (responses.GetMinimumBalanceForRentExemptionResp, "getMinimumBalanceForRentExemption", [0]),
        (responses.GetBalanceResp, "getBalance", [str(TOKEN)]),
        (responses.GetAccountInfoResp, "getAccountInfo", [str(TOKEN), BASE64]),
        (responses.GetAccountInfoResp, "getAccountInfo", [str(TOKEN), {"encoding": "base64+zstd"}]),
        (responses.GetAccountInfoResp, "getAccountInfo", [str(TOKEN)]),
        (responses.GetAccountInfoResp, "getAccountInfo", [str(CORE), BASE64]),
        (responses.GetMultipleAccountsResp, "getMultipleAccounts", [[str(TOKEN), str(CORE)], BASE64]),
        (responses.GetProgramAccountsResp, "getProgramAccounts", [str(TOKEN), BASE64]),
        (
            responses.GetProgramAccountsWithContextResp,
            "getProgramAccounts",
            [str(TOKEN), BASE64 | {"withContext": True}],
        ),
        (
            responses.GetTokenAccountsByOwnerResp,
            "getTokenAccountsByOwner",
            ["OWNER", {"programId": str(TOKEN)}, BASE64],
        ),
        (responses.GetSignatureStatusesResp, "getSignatureStatuses", [["DONE", "FAILED", str(Signature.default())]]),
        (responses.RequestAirdropResp, "requestAirdrop", [str(TOKEN_2022), 1]),
        (responses.SendTransactionResp, "sendTransaction", ["GOOD", BASE64]),
        (responses.SimulateTransactionResp, "simulateTransaction", ["GOOD", BASE64]),
        (responses.SimulateTransactionResp, "simulateTransaction", ["BAD", BASE64]),
        (errors.MinContextSlotNotReachedMessage, "getSlot", [{"minContextSlot": 2**40}]),
        (errors.SendTransactionPreflightFailureMessage, "sendTransaction", ["BAD", BASE64]),
        (errors.InvalidParamsMessage, "getAccountInfo", ["x"]),
        (errors.MethodNotFoundMessage, "getNothing", []),
    ],
)
def test_rust_clients_read_every_answer(node, chain, holder, authority, parser, method, parameters):
    """solders reads answers by the types of Solana's own Rust client."""

    def payment(lamports: int) -> str:
        return chain.signed(
            [transfer(TransferParams(from_pubkey=chain.payer.key, to_pubkey=holder.key, lamports=lamports))]
        )

    def made(name):
        if name == "OWNER":
            Mint.create(chain, authority).mint_to(holder)
            return holder.address
        if name == "GOOD":
            return payment(1_000_000)
        if name == "BAD":
            return payment(1)  # Less than the rent asks for.
        if name == "DONE":
            return chain.call("sendTransaction", payment(1_000_000), BASE64)
        if name == "FAILED":
            return chain.call("sendTransaction", payment(2**60), BASE64 | {"skipPreflight": True})
        return [made(part) for part in name] if isinstance(name, list) else name

    asked = {"jsonrpc": "2.0", "id": 1, "method": method, "params": [made(part) for part in parameters]}
    text = node.post(asked).text
    # Any response's reader reads errors as well, each as a type of its own.
    reader = parser if parser.__module__.endswith("responses") else responses.GetSlotResp
    assert isinstance(reader.from_json(text), parser), text


def test_many_accounts_at_one_slot(chain, holder):
    assert error_of(chain, "requestAirdrop", holder.address, 5).code == -32002  # Less than the rent asks for.
    chain.airdrop(holder.address, 1_000_000)
    nobody = SolanaWallet.fresh().address
    answer = chain.call("getMultipleAccounts", [holder.address, nobody, str(TOKEN), holder.address])
    values = answer["value"]
    assert [value and value["lamports"] for value in values] == [1_000_000, None, values[2]["lamports"], 1_000_000]
    assert values[0]["owner"] == str(SYSTEM) and values[0]["data"] == ["", "base64"] and values[2]["executable"]
    assert chain.balance(holder.address) == 1_000_000 and chain.balance(nobody) == 0


# ---- Transactions


def test_a_transfer_of_lamports(chain, holder):
    pay = transfer(TransferParams(from_pubkey=chain.payer.key, to_pubkey=holder.key, lamports=1_000_000))
    before = chain.slot()
    signature = chain.send([pay])
    (status,) = chain.call("getSignatureStatuses", [signature])["value"]
    assert status == {
        "slot": status["slot"],
        "confirmations": None,
        "err": None,
        "status": {"Ok": None},
        "confirmationStatus": "finalized",
    }
    assert before < status["slot"] <= chain.slot()
    assert chain.balance(holder.address) == 1_000_000
    assert chain.call("getSignatureStatuses", [str(Signature.default())])["value"] == [None]


def test_what_fails_says_why(chain, holder):
    chain.airdrop(holder.address, 1_000_000)
    too_much = transfer(TransferParams(from_pubkey=holder.key, to_pubkey=chain.payer.key, lamports=2_000_000))
    problem = error_of(chain, "sendTransaction", chain.signed([too_much], holder), BASE64)
    assert problem.code == -32002 and problem.data["err"] == {"InstructionError": [0, {"Custom": 1}]}
    assert any("insufficient lamports" in line for line in problem.data["logs"])
    # Without preflight it is taken in, and has failed.
    with pytest.raises(SolanaError) as caught:
        chain.send([too_much], holder, preflight=False)
    assert caught.value.data["err"] == {"InstructionError": [0, {"Custom": 1}]}
    assert chain.balance(holder.address) == 1_000_000


def test_signatures_blockhashes_and_replays_are_checked(chain, holder):
    def pay(lamports: int) -> str:
        return chain.signed(
            [transfer(TransferParams(from_pubkey=chain.payer.key, to_pubkey=holder.key, lamports=lamports))]
        )

    forged = bytearray(base64.b64decode(pay(900_001)))
    forged[10] ^= 1
    assert error_of(chain, "sendTransaction", base64.b64encode(forged).decode(), BASE64).code == -32003
    early = pay(900_002)
    chain.advance(100)
    late = pay(900_003)
    chain.call("sendTransaction", early, BASE64)
    assert error_of(chain, "sendTransaction", early, BASE64).data["err"] == "AlreadyProcessed"
    chain.advance(151)
    assert error_of(chain, "sendTransaction", late, BASE64).data["err"] == "BlockhashNotFound"
    chain.call("sendTransaction", late, BASE64 | {"skipPreflight": True})
    assert chain.balance(holder.address) == 900_002


def test_a_simulation_changes_nothing(chain, holder):
    pay = transfer(TransferParams(from_pubkey=chain.payer.key, to_pubkey=holder.key, lamports=1_000_000))
    sent = chain.signed([pay])
    value = chain.call("simulateTransaction", sent, BASE64 | {"sigVerify": True})["value"]
    assert value["err"] is None and value["unitsConsumed"] > 0 and value["logs"]
    unsigned = base64.b64encode(b"\1" + bytes(64) + base64.b64decode(sent)[65:]).decode()
    assert chain.call("simulateTransaction", unsigned, BASE64)["value"]["err"] is None
    assert error_of(chain, "simulateTransaction", unsigned, BASE64 | {"sigVerify": True}).code == -32003
    # Signatures are checked again afterwards.
    assert error_of(chain, "sendTransaction", unsigned, BASE64).code == -32003
    chain.advance(200)
    assert chain.call("simulateTransaction", sent, BASE64)["value"]["err"] == "BlockhashNotFound"
    assert chain.call("simulateTransaction", sent, BASE64 | {"replaceRecentBlockhash": True})["value"]["err"] is None
    assert chain.balance(holder.address) == 0


# ---- SPL tokens


@pytest.mark.parametrize("program", [TOKEN, TOKEN_2022])
def test_a_token_from_mint_to_close(chain, authority, holder, other, program):
    mint = Mint.create(chain, authority, decimals=6, program=program)
    mint.mint_to(holder, 5_000_000)
    second = mint.open_another(holder)
    mint.mint_to(holder, 7, second)
    assert second != mint.account_of(holder) and mint.balance(holder) == 5_000_007
    mint.transfer(holder, other, 1_000_000)
    mint.approve(holder, authority, 5)
    mint.transfer(authority, other, 5, owner=holder)
    with pytest.raises(SolanaError):
        mint.transfer(authority, other, 1, owner=holder)
    assert (mint.balance(holder), mint.balance(other)) == (4_000_002, 1_000_005)
    mint.freeze(holder)
    assert chain.account(mint.account_of(holder)).data[108] == 2 and mint.balance(holder) == 4_000_002
    with pytest.raises(SolanaError):
        mint.transfer(holder, other, 1)
    mint.thaw(holder)
    with pytest.raises(SolanaError):
        mint.close(holder)
    mint.burn(holder, 3_999_995)
    mint.close(holder)
    assert chain.account(mint.account_of(holder)) is None and mint.balance(holder) == 7
    with pytest.raises(SolanaError):
        Mint(chain, other, mint.key, 6, program).mint_to(other, 1)
    assert mint.condition("1.5") == {"kind": "spl", "chain": LOCAL_CHAIN, "mint": mint.address, "min": "1.5"}


def test_token_accounts_are_found_by_mint_and_by_program(chain, authority, holder, other):
    old, new = (Mint.create(chain, authority, program=program) for program in (TOKEN, TOKEN_2022))
    member = Group.create(chain, authority).member(holder)
    old.mint_to(holder)
    new.mint_to(holder)
    old.mint_to(other)
    old.open_another(holder)
    # Looks like a token account, but says of itself that it is a mint.
    content = bytearray(new.chain.account(new.account_of(holder)).data.ljust(200, b"\0"))
    content[165] = 1
    chain.place(Keypair().pubkey(), bytes(content), TOKEN_2022)

    def found(**which) -> set[str]:
        answer = chain.call("getTokenAccountsByOwner", holder.address, which, BASE64 | {"commitment": "confirmed"})
        assert answer["context"]["slot"] <= chain.slot()
        return {entry["pubkey"] for entry in answer["value"]}

    assert str(old.account_of(holder)) in found(mint=old.address) and len(found(mint=old.address)) == 2
    assert found(mint=new.address) == {str(new.account_of(holder))}
    assert found(programId=str(TOKEN)) == found(mint=old.address)
    assert found(programId=str(TOKEN_2022)) == {str(mint.account_of(holder)) for mint in (new, member)}
    assert "not a Token mint" in str(
        error_of(chain, "getTokenAccountsByOwner", holder.address, {"mint": str(old.account_of(holder))})
    )


def test_a_group_and_who_is_in_it(chain, authority, holder, other):
    group = Group.create(chain, authority, most_members=2)
    first, second = group.member(holder), group.member(other)
    stranger = Group.pretender(chain, other, group.mint, other)
    with pytest.raises(SolanaError):
        group.member(holder)

    def extension(mint: Mint, kind: int) -> bytes | None:
        data, position = chain.account(mint.key).data, 166
        while position + 4 <= len(data):
            found, size = struct.unpack_from("<HH", data, position)
            if found == kind:
                return data[position + 4 : position + 4 + size]
            position += 4 + size
        return None

    # 21 is TokenGroup, 22 GroupMemberPointer, 23 TokenGroupMember.
    assert struct.unpack_from("<QQ", extension(group.mint, 21), 64) == (2, 2)
    for number, member in ((1, first), (2, second)):
        content = extension(member, 23)
        assert content == bytes(member.key) + bytes(group.mint.key) + struct.pack("<Q", number)
        assert extension(member, 22)[32:] == bytes(member.key)
    assert extension(stranger, 22)[32:] == bytes(group.mint.key) and extension(stranger, 23) is None
    assert (first.balance(holder), second.balance(holder), stranger.balance(other)) == (1, 0, 1)
    assert group.condition() == {"kind": "token2022_group", "chain": LOCAL_CHAIN, "group": group.address, "min": "1"}


# ---- Token Metadata


@pytest.fixture(scope="module")
def collection(chain, authority) -> Collection:
    return Collection.create(chain, authority)


def test_metadata_says_what_was_verified(chain, authority, collection, holder, other):
    """The real program's bytes, and the kit's own for forgeries, are the same ones."""
    nft = collection.mint_nft(holder, creators=[authority, holder, other])
    creators = [(authority, False), (holder, False), (other, False)]
    assert chain.account(nft.metadata).owner == str(METADATA)
    assert chain.account(nft.metadata).data == metadata_bytes(nft, authority, collection=collection, creators=creators)
    nft.verify_creator(other)
    creators[2] = (other, True)
    assert chain.account(nft.metadata).data == metadata_bytes(nft, authority, collection=collection, creators=creators)
    nft.unverify()
    unverified = metadata_bytes(nft, authority, collection=collection, verified=False, creators=creators)
    assert chain.account(nft.metadata).data == unverified
    with pytest.raises(SolanaError):
        nft.verify_creator(SolanaWallet.fresh())
    assert collection.condition() == {
        "kind": "metaplex_collection",
        "chain": LOCAL_CHAIN,
        "collection": collection.address,
        "min": "1",
    }
    assert chain.creator_condition(other.address, "2") == {
        "kind": "metaplex_creator",
        "chain": LOCAL_CHAIN,
        "creator": other.address,
        "min": "2",
    }


def test_nobody_else_verifies_for_a_collection(chain, collection, holder, other):
    nft = collection.mint_nft(holder, verified=False)
    assert chain.account(nft.metadata).data == metadata_bytes(nft, nft.authority, collection=collection, verified=False)
    nft.collection = Collection(chain, other, collection.key, 0, TOKEN, None)
    with pytest.raises(SolanaError):
        nft.verify()


@pytest.mark.parametrize("program", [TOKEN, TOKEN_2022])
def test_an_nft_is_sold_and_burned(chain, collection, holder, other, program):
    nft = collection.mint_nft(holder, program=program)
    assert chain.account(nft.mint.account_of(holder)).owner == str(program)
    nft.transfer(holder, other)
    assert (nft.mint.balance(holder), nft.mint.balance(other)) == (0, 1)
    with pytest.raises(SolanaError):
        nft.burn(holder)
    nft.burn(other)
    assert nft.mint.balance(other) == 0
    # The fee and a byte stay, with the program as owner: no metadata.
    assert chain.account(nft.metadata).data == b"\0"


def test_a_programmable_nft_is_frozen_and_still_sold(chain, collection, authority, holder, other):
    nft = collection.mint_nft(holder, programmable=True)
    account = chain.account(nft.mint.account_of(holder))
    assert account.data[108] == 2 and account.data[64] == 1
    assert chain.account(nft.metadata).data[:-1].rstrip(b"\0") == programmable_content(nft, authority, collection)
    assert chain.account(record_address(nft, nft.mint.account_of(holder))).owner == str(METADATA)
    with pytest.raises(SolanaError):
        nft.mint.transfer(holder, other)
    nft.transfer(holder, other)
    assert (nft.mint.balance(holder), nft.mint.balance(other)) == (0, 1)
    nft.burn(other)
    assert nft.mint.balance(other) == 0


def programmable_content(nft, authority, collection) -> bytes:
    """As of any other NFT up to its end: standard 4, and a programmable configuration without a rule set."""
    plain = metadata_bytes(nft, authority, collection=collection, standard=4)[:-1].rstrip(b"\0")
    # No uses, no collection details; then there is a configuration, its version, and no rule set in it.
    content = plain + bytes(2) + b"\1\0\0"
    return content.rstrip(b"\0")


def test_forged_metadata(chain, authority, collection, holder, other):
    worthless = Mint.create(chain, other)
    worthless.mint_to(holder)
    elsewhere = forged_elsewhere(chain, worthless, authority, collection=collection)
    assert elsewhere != metadata_address(worthless) and chain.account(metadata_address(worthless)) is None
    assert chain.account(elsewhere).owner == str(METADATA)
    in_place = forged_in_place(chain, worthless, authority, owner=other.key, collection=collection)
    assert in_place == metadata_address(worthless) and chain.account(in_place).owner == other.address
    assert chain.account(in_place).data == chain.account(elsewhere).data


# ---- Metaplex Core


def test_core_assets_have_their_documented_layout(chain, authority, holder, other):
    collection = CoreCollection.create(chain, authority)
    plain, frozen = collection.asset(holder), collection.asset(holder, frozen=True)
    loose = CoreAsset.create(chain, holder, collection.key)
    forged = collection.asset(holder, program=other.key)
    assert chain.account(plain.address).data == (
        b"\1" + bytes(holder.key) + b"\2" + bytes(collection.key)
        + struct.pack("<I", 15) + b"StreamGate Pass"
        + struct.pack("<I", 31) + b"https://films.example/pass.json" + b"\0"
    )  # fmt: skip
    content = chain.account(frozen.address).data
    base = len(plain.content())
    assert content[:base] == plain.content()
    # The header leads to the registry, and its entry to the plugin.
    (registry,) = struct.unpack_from("<xQ", content, base)
    assert content[base] == 3 and content[registry] == 4
    count, kind, manager, plugin, external = struct.unpack_from("<IBBQI", content, registry + 1)
    assert (count, kind, manager, content[plugin : plugin + 2], external) == (1, 1, 1, b"\1\1", 0)
    assert chain.account(loose.address).data[33:66] == b"\1" + bytes(collection.key)
    assert chain.account(forged.address).owner == other.address
    assert chain.account(collection.address).data[-8:] == struct.pack("<II", 3, 3)

    def held_by(wallet) -> set[str]:
        """As a gate would ask: assets of this owner in this collection."""
        filters = [
            {
                "memcmp": {
                    "offset": 0,
                    "bytes": base64.b64encode(b"\1" + bytes(wallet.key)).decode(),
                    "encoding": "base64",
                }
            },
            {"memcmp": {"offset": 34, "bytes": collection.address}},
        ]
        how = {"encoding": "base64", "filters": filters, "withContext": True, "dataSlice": {"offset": 33, "length": 1}}
        answer = chain.call("getProgramAccounts", str(CORE), how)
        assert answer["context"]["slot"] <= chain.slot()
        return {
            entry["pubkey"]
            for entry in answer["value"]
            if entry["account"]["data"][0] == base64.b64encode(b"\2").decode()
        }

    assert held_by(holder) == {plain.address, frozen.address}
    plain.transfer(other)
    assert (held_by(holder), held_by(other)) == ({frozen.address}, {plain.address})
    plain.burn()
    frozen.close()
    assert held_by(holder) == held_by(other) == set()
    assert chain.account(plain.address).data == b"\0" and chain.account(frozen.address) is None
    assert collection.condition() == {
        "kind": "core_collection",
        "chain": LOCAL_CHAIN,
        "collection": collection.address,
        "min": "1",
    }


def test_program_accounts_by_size_and_without_context(chain):
    program, one, two = (Keypair().pubkey() for _ in range(3))
    chain.place(one, bytes(10), program)
    chain.place(two, bytes(11), program)
    found = chain.call("getProgramAccounts", str(program), {"encoding": "base64", "filters": [{"dataSize": 11}]})
    assert [entry["pubkey"] for entry in found] == [str(two)] and found[0]["account"]["space"] == 11
    assert len(chain.call("getProgramAccounts", str(program))) == 2


# ---- Wallets


def test_a_wallet_signs(chain):
    wallet = SolanaWallet.numbered(1)
    assert wallet.account == f"{LOCAL_CHAIN}:{wallet.address}" and SolanaWallet.numbered(1).address == wallet.address
    assert SolanaWallet.numbered(2).address != wallet.address != SolanaWallet.fresh().address
    message = "films.example wants you to sign in with your Solana account:\n"
    signature = Signature.from_string(wallet.sign(message))
    assert signature.verify(wallet.key, message.encode()) and not signature.verify(wallet.key, b"another")


# ---- Providers that fail or lie


def test_each_provider_is_counted_and_faulted_apart(chain, proxy, providers):
    proxy.reset_counts()
    first, second, third = providers
    with proxy.fault("rpc_error", provider="b"):
        assert first.caip2() == third.caip2() == LOCAL_CHAIN
        assert error_of(second, "getGenesisHash").code == -32005
    with proxy.fault("wrong_chain", provider="c"):
        assert second.caip2() == LOCAL_CHAIN != third.caip2()
    assert proxy.requests() == {(LOCAL_CHAIN, "a"): 1, (LOCAL_CHAIN, "b"): 2, (LOCAL_CHAIN, "c"): 2}
    assert proxy.counts()[LOCAL_CHAIN, "b", "getGenesisHash"] == 2


def test_slots_that_are_not_true(chain, proxy, providers):
    liar = providers[0]
    true = chain.slot()
    with proxy.fault("lie_head", provider="a"):
        assert liar.slot() > true + 900_000
        answer = liar.call("getMultipleAccounts", [str(TOKEN)], {"minContextSlot": true + 900_000})
        assert answer["context"]["slot"] > true + 900_000 and answer["value"][0]["executable"]
    with proxy.fault("stale_head", provider="a"):
        assert liar.slot() < true - 8_000
        assert liar.call("getMultipleAccounts", [str(TOKEN)])["context"]["slot"] < true - 8_000
        assert error_of(liar, "getMultipleAccounts", [str(TOKEN)], {"minContextSlot": true}).code == -32016
    assert liar.slot() >= true


def test_accounts_that_are_not_true(chain, proxy, providers, authority, collection, holder, other):
    liar = providers[0]
    mint, nft = Mint.create(chain, authority, decimals=6), collection.mint_nft(holder, verified=False, creators=[other])
    mint.mint_to(holder, 1)
    asset = CoreCollection.create(chain, authority).asset(holder)
    token_account = mint.account_of(holder)
    addresses = [str(token_account), str(nft.metadata), asset.address, SolanaWallet.fresh().address]

    def seen(by: SolanaChain) -> list[bytes | None]:
        values = by.call("getMultipleAccounts", addresses, {"commitment": "confirmed"})["value"]
        return [value and base64.b64decode(value["data"][0]) for value in values]

    truth = seen(chain)
    with proxy.fault("lie", provider="a", account=other.account):
        told = seen(liar)
        assert seen(providers[1]) == truth
        assert told[0][:32] == truth[0][:32] and told[0][32:64] == bytes(other.key)
        assert struct.unpack_from("<Q", told[0], 64)[0] > 1 and told[0][72:] == truth[0][72:]
        assert told[1] == metadata_bytes(nft, authority, collection=collection, creators=[(other, True)])
        assert told[2] == b"\1" + bytes(other.key) + truth[2][33:] and told[3] is None
        # What is not there at all is made up where it is asked for by owner.
        assert Mint(liar, authority, mint.key, 6, TOKEN).balance(other) > 0
        # A slice is too little to lie with.
        how = BASE64 | {"dataSlice": {"offset": 32, "length": 40}}
        assert (
            liar.call("getAccountInfo", str(token_account), how)["value"]
            == chain.call("getAccountInfo", str(token_account), how)["value"]
        )
    assert seen(liar) == truth and mint.balance(other) == 0


# ---- What stays


def test_accounts_go_back_and_slots_go_on(chain, authority, holder, other):
    mint = Mint.create(chain, authority)
    mint.mint_to(holder)
    before = chain.snapshot()
    mint.transfer(holder, other)
    slot = chain.slot()
    assert chain.revert(before) > slot
    assert (mint.balance(holder), mint.balance(other)) == (1, 0)
    mint.transfer(holder, other)
    assert (mint.balance(holder), mint.balance(other)) == (0, 1)


def test_state_survives_a_stop_and_a_crash(tmp_path, authority, holder, other):
    node = Node(tmp_path / "state").start()
    try:
        chain = SolanaChain(node.url)
        mint = Mint.create(chain, authority)
        mint.mint_to(holder)
        slot = chain.slot()
        node.stop()
        node.start()
        chain = SolanaChain(node.url)
        assert (
            chain.slot() > slot
            and mint.account_of(holder)
            and Mint(chain, authority, mint.key, 0, TOKEN).balance(holder) == 1
        )
        mint = Mint(chain, authority, mint.key, 0, TOKEN)
        mint.transfer(holder, other)
        chain.call("streamgate_save")
        mint.mint_to(other, 5)
        # Slots that were not saved; there is room for what transactions take in the time between two saves.
        slot = chain.advance(400)
        node.stop(signal.SIGKILL)
        node.start()
        mint = Mint(SolanaChain(node.url), authority, mint.key, 0, TOKEN)
        assert mint.chain.slot() > slot and (mint.balance(holder), mint.balance(other)) == (0, 1)
        mint.mint_to(other, 5)
        assert mint.chain.call("streamgate_restart") > slot and mint.balance(other) == 1
        # The state of another version of the VM is left alone.
        node.stop()
        content = node.state.read_bytes()
        node.state.write_bytes(content.replace(b'"version":"', b'"version":"0.', 1))
        node.start()
        assert Mint(SolanaChain(node.url), authority, mint.key, 0, TOKEN).chain.account(mint.key) is None
    finally:
        node.stop()


def test_a_taken_port_and_missing_programs_are_said(node, tmp_path):
    for variables, words in (
        ({"STREAMGATE_SOLANA_PORT": str(node.port)}, "EADDRINUSE"),
        ({"STREAMGATE_CACHE": str(tmp_path)}, "make tools"),
    ):
        done = subprocess.run(
            ["node", str(SERVER)], env=os.environ | variables, capture_output=True, timeout=20, check=False
        )
        assert done.returncode == 1 and words in done.stderr.decode()
