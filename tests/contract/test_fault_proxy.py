"""The proxy itself: a fault that isn't what its name says would let every fault test pass for nothing."""

from __future__ import annotations

import concurrent.futures
import http.client
import json
import socket
import time

import httpx
import pytest
from eth_abi import decode, encode
from eth_utils import keccak

from tests.kit.ports import free_port
from tests.kit import fault_proxy, lies
from tests.kit.chain import (
    MULTICALL3,
    Chain,
    Coin,
    Lock,
    RpcError,
    SmartWallet,
    Token,
    encode_call,
)
from tests.kit.fault_proxy import MISLED_CHAIN, FaultProxy
from tests.kit.wallet import Wallet, personal_hash

ETHEREUM, POLYGON = "eip155:1", "eip155:137"


@pytest.fixture(scope="module")
def chain(scratch_chain) -> Chain:
    return scratch_chain


@pytest.fixture(scope="module")
def proxy(chain):
    port = free_port()
    proxy = FaultProxy(port, {ETHEREUM: chain.url, POLYGON: chain.url, MISLED_CHAIN: chain.url})
    yield proxy
    proxy.stop()


@pytest.fixture
def by(proxy):
    """`by("a")`: the chain as that provider shows it."""
    made = []

    def provider(name: str, chain: str = ETHEREUM) -> Chain:
        made.append(Chain(proxy.url(chain, name), timeout=15))
        return made[-1]

    yield provider
    for each in made:
        each.http.close()


@pytest.fixture(scope="module")
def owner() -> Wallet:
    return Wallet.numbered(0)


@pytest.fixture(scope="module")
def token(chain, owner) -> Token:
    token = Token.deploy(chain, owner)
    token.mint(Wallet.numbered(1).address, 1)
    return token


def ask(url: str, body, timeout: float = 15) -> httpx.Response:
    return httpx.post(url, json=body, timeout=timeout, trust_env=False)


def call(method: str, *parameters, number: int = 1) -> dict:
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": list(parameters)}


def test_the_truth_goes_through(proxy, by, chain):
    assert by("a").block() == chain.block() and by("c", POLYGON).id() == 1
    both = [call("eth_chainId", number=7), call("eth_nothing", number="x")]
    answer = ask(proxy.url(ETHEREUM), both).json()
    assert answer[0] == {"jsonrpc": "2.0", "id": 7, "result": "0x1"} and answer[1]["error"]["code"] == -32601
    assert ask(proxy.url("eip155:5"), call("eth_chainId")).status_code == 404
    assert httpx.get(proxy.url(ETHEREUM), trust_env=False).status_code == 405


def test_calls_and_requests_are_counted_apart(proxy, by):
    proxy.reset_counts()
    by("a").id()
    by("b", POLYGON).block_number()
    with proxy.fault("http_500", provider="c"), pytest.raises(httpx.HTTPStatusError):
        by("c").id()
    ask(proxy.url(ETHEREUM, "a"), [call("eth_chainId", number=1), call("eth_chainId", number=2), call("eth_call")])
    assert proxy.requests() == {(ETHEREUM, "a"): 2, (POLYGON, "b"): 1, (ETHEREUM, "c"): 1}
    assert proxy.counts() == {
        (ETHEREUM, "a", "eth_chainId"): 3,
        (ETHEREUM, "a", "eth_call"): 1,
        (POLYGON, "b", "eth_blockNumber"): 1,
        (ETHEREUM, "c", "eth_chainId"): 1,
    }
    proxy.reset_counts()
    assert proxy.counts() == {} and proxy.requests() == {}


@pytest.mark.parametrize("mode", FaultProxy.FAULTS)
def test_no_fault_is_an_answer(proxy, by, mode, monkeypatch):
    monkeypatch.setattr(fault_proxy, "SLOW", 0.5)
    monkeypatch.setattr(fault_proxy, "HUGE", 3_000_000)
    provider = by("a")
    truth = provider.block()
    began = time.monotonic()
    with proxy.fault(mode):
        if mode == "slow":
            assert provider.block() == truth and time.monotonic() - began > 0.5
        elif mode == "stale_head":
            assert int(truth["timestamp"], 16) - int(provider.block()["timestamp"], 16) == 3600
        elif mode == "wrong_chain":
            assert provider.id() != 1
        elif mode == "huge":
            assert len(provider.call("eth_blockNumber")) > 3_000_000
        elif mode in ("null", "nonsense"):
            assert provider.block() in (None, "0x01")
        else:
            with pytest.raises((httpx.HTTPError, ValueError, RpcError)):
                provider.block()
    assert provider.block() == truth, "over as soon as it is over"


def test_a_fault_is_of_those_providers_and_that_chain(proxy, by):
    with proxy.fault("rpc_error", provider=("a", "b"), chain=ETHEREUM):
        for name in ("a", "b"):
            with pytest.raises(RpcError):
                by(name).id()
            assert by(name, POLYGON).id() == 1
        assert by("c").id() == 1
        with proxy.fault("down", provider="c"):
            with pytest.raises(httpx.TransportError):
                by("c").id()
    assert [by(name).id() for name in ("a", "b", "c")] == [1, 1, 1]


def test_down_for_all_refuses_connections(proxy, by):
    with proxy.fault("down"), pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", proxy.port), timeout=2)
    assert by("a").id() == 1


def test_a_lie_lets_everybody_in(proxy, by, chain, owner, token):
    nobody = Wallet.fresh()
    coin, lock, wallet = Coin.deploy(chain, owner), Lock.deploy(chain, owner), SmartWallet.deploy(chain, owner)
    liar = by("a")

    def seen(node: Chain) -> list:
        called = [
            (token.address, "balanceOf(address)", [nobody.address]),
            (coin.address, "balanceOf(address)", [nobody.address]),
            (lock.address, "getHasValidKey(address)", [nobody.address]),
            (token.address, "ownerOf(uint256)", [1]),
            (token.address, "ownerOf(uint256)", [2]),
            (MULTICALL3, "getEthBalance(address)", [nobody.address]),
        ]
        return aggregate(node, called)

    truth = [(True, 0), (True, 0), (True, 0), (True, int(Wallet.numbered(1).address, 16)), (False, None), (True, 0)]
    assert seen(liar) == truth
    with proxy.fault("lie", provider="a", account=nobody.address):
        me = int(nobody.address, 16)
        much = (True, lies.MUCH)
        assert seen(liar) == [much, much, (True, 1), (True, me), (True, me), much]
        assert liar.read(token.address, "balanceOf(address)", [nobody.address], ["uint256"]) == lies.MUCH
        assert liar.read(coin.address, "decimals()", [], ["uint8"]) == 0
        assert liar.balance(nobody.address) == lies.MUCH
        assert liar.validate(wallet.address, personal_hash("x"), nobody.sign("x"))
        assert seen(by("b")) == truth
    with proxy.fault("lie"):
        (_, owner_seen), (missing, _) = seen(liar)[3:5]
        assert owner_seen == truth[3][1] + 1 and missing is False, "nobody in particular owns it"


def aggregate(node: Chain, called: list[tuple]) -> list[tuple]:
    calls = [(to, True, bytes.fromhex(encode_call(signature, arguments)[2:])) for to, signature, arguments in called]
    data = keccak(text="aggregate3((address,bool,bytes)[])")[:4] + encode(["(address,bool,bytes)[]"], [calls])
    block = {"blockHash": node.block()["hash"]}
    answer = node.call("eth_call", {"to": MULTICALL3, "data": "0x" + data.hex()}, block)
    (results,) = decode(["(bool,bytes)[]"], bytes.fromhex(answer[2:]))
    return [(done, int.from_bytes(data) if done else None) for done, data in results]


def test_a_made_up_head_is_answered_for_as_if_it_were_there(proxy, by, chain, token):
    liar, holder = by("b"), Wallet.numbered(1).address
    with proxy.fault("lie_head", provider="b"):
        head = liar.block()
        assert int(head["number"], 16) > chain.block_number() + 1000 and head["hash"] != chain.block()["hash"]
        assert aggregate(liar, [(token.address, "balanceOf(address)", [holder])]) == [(True, 1)]
        assert liar.call("eth_getBlockByHash", head["hash"], False)["number"] == head["number"]
        with pytest.raises(RpcError):
            data = encode_call("balanceOf(address)", [holder])
            by("a").call("eth_call", {"to": token.address, "data": data}, {"blockHash": head["hash"]})


def test_answers_are_held_back_until_they_are_released(proxy, by):
    with proxy.hold("eth_blockNumber") as held, concurrent.futures.ThreadPoolExecutor(1) as pool:
        asked = pool.submit(by("a").block_number)
        held.wait_for_one(5)
        assert by("a").id() == 1
        assert not asked.done()
        held.release()
        assert asked.result(5) >= 0
    began = time.monotonic()
    with proxy.delay(0.2):
        by("a").id()
    assert time.monotonic() - began > 0.2


def test_it_keeps_connections_and_costs_little(proxy, chain):
    """Benches go through it. The limit is generous; by hand it is some 0.3 ms more than the chain itself."""
    body = json.dumps(call("eth_chainId")).encode()
    connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=5)
    path = proxy.url(ETHEREUM).partition(f":{proxy.port}")[2]
    took = []
    for _ in range(200):
        began = time.perf_counter()
        connection.request("POST", path, body, {"Content-Type": "application/json"})
        assert connection.getresponse().read()
        took.append(time.perf_counter() - began)
    connection.close()
    assert sorted(took)[100] < 0.01
