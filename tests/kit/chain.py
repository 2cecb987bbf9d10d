"""An EVM chain by plain JSON-RPC, and the ERC-721 of localstack/contracts on it."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import httpx
from eth_abi import decode, encode
from eth_utils import keccak, to_checksum_address

from .wallet import Wallet

ARTIFACT = Path(__file__).resolve().parents[2] / "localstack" / "contracts" / "Token.json"


class RpcError(Exception):
    """The node answered with an error."""


class Chain:
    """A JSON-RPC node. Transactions are signed here, as with a node that holds no keys."""

    def __init__(self, url: str | None = None, timeout: float = 10.0):
        port = os.environ.get("STREAMGATE_CHAIN_PORT", "8545")
        self.url = url or os.environ.get("STREAMGATE_CHAIN", f"http://127.0.0.1:{port}")
        # A chain on this machine must not be looked for behind a proxy.
        self.http = httpx.Client(timeout=timeout, trust_env=False)
        self.number = 0

    def call(self, method: str, *parameters):
        """One JSON-RPC call. Also reaches the node's test methods, such as anvil_setBalance."""
        self.number += 1
        body = {"jsonrpc": "2.0", "id": self.number, "method": method, "params": list(parameters)}
        answer = self.http.post(self.url, json=body).raise_for_status().json()
        if "error" in answer:
            raise RpcError(f"{method}: {answer['error'].get('message')}")
        return answer["result"]

    def id(self) -> int:
        return int(self.call("eth_chainId"), 16)

    def caip2(self) -> str:
        return f"eip155:{self.id()}"

    def block_number(self) -> int:
        return int(self.call("eth_blockNumber"), 16)

    def has_code(self, address: str) -> bool:
        return self.call("eth_getCode", address, "latest") not in ("0x", None)

    def send(self, wallet: Wallet, data: str, to: str | None = None, timeout: float = 20.0) -> dict:
        """Signs and sends a transaction and waits for its receipt. A reverted one raises."""
        price = int(self.call("eth_gasPrice"), 16)
        draft = {"from": wallet.address, "data": data} | ({"to": to} if to else {})
        gas = int(self.call("eth_estimateGas", draft), 16)
        transaction = {
            "chainId": self.id(),
            "nonce": int(self.call("eth_getTransactionCount", wallet.address, "pending"), 16),
            # A quarter more: what the estimate saw may have changed by the time it is mined.
            "gas": gas + gas // 4,
            "maxFeePerGas": price * 2,
            "maxPriorityFeePerGas": min(price, 1_000_000_000),
            "value": 0,
            "data": data,
        } | ({"to": to_checksum_address(to)} if to else {})
        raw = wallet.key.sign_transaction(transaction).raw_transaction
        sent = self.call("eth_sendRawTransaction", "0x" + raw.hex().removeprefix("0x"))
        until = time.monotonic() + timeout
        while time.monotonic() < until:
            receipt = self.call("eth_getTransactionReceipt", sent)
            if receipt:
                if int(receipt["status"], 16) != 1:
                    raise RpcError(f"transaction {sent} was reverted")
                return receipt
            time.sleep(0.02)
        raise RpcError(f"transaction {sent} was not mined within {timeout} s")

    def read(self, to: str, signature: str, arguments: list, returns: list[str]):
        """Calls a view function, e.g. read(token, "balanceOf(address)", [holder], ["uint256"])."""
        answer = self.call("eth_call", {"to": to, "data": encode_call(signature, arguments)}, "latest")
        values = decode(returns, bytes.fromhex(answer.removeprefix("0x")))
        return values[0] if len(values) == 1 else values


class Token:
    """An ERC-721 collection that `owner` may mint and burn in."""

    def __init__(self, chain: Chain, owner: Wallet, address: str):
        self.chain, self.owner, self.address = chain, owner, to_checksum_address(address)

    @classmethod
    def deploy(cls, chain: Chain, owner: Wallet, name: str = "StreamGate Pass", symbol: str = "PASS") -> Token:
        bytecode = json.loads(ARTIFACT.read_text())["bytecode"]
        receipt = chain.send(owner, bytecode + encode(["string", "string"], [name, symbol]).hex())
        return cls(chain, owner, receipt["contractAddress"])

    def is_there(self) -> bool:
        """Whether this chain has this contract: an anvil that was started anew has forgotten it."""
        return self.chain.has_code(self.address)

    def mint(self, to: str, token_id: int) -> dict:
        return self.chain.send(self.owner, encode_call("mint(address,uint256)", [to, token_id]), self.address)

    def burn(self, token_id: int) -> dict:
        return self.chain.send(self.owner, encode_call("burn(uint256)", [token_id]), self.address)

    def transfer(self, sender: Wallet, to: str, token_id: int) -> dict:
        """The holder's own transfer, which is how a right to watch is sold."""
        data = encode_call("transferFrom(address,address,uint256)", [sender.address, to, token_id])
        return self.chain.send(sender, data, self.address)

    def balance(self, holder: str) -> int:
        return self.chain.read(self.address, "balanceOf(address)", [holder], ["uint256"])

    def owner_of(self, token_id: int) -> str | None:
        """None when the token does not exist: ownerOf reverts then."""
        try:
            return to_checksum_address(self.chain.read(self.address, "ownerOf(uint256)", [token_id], ["address"]))
        except RpcError:
            return None

    def condition(self, min_balance: int | None = None, token_id: int | None = None) -> dict:
        """The policy condition for holders of this collection, or of one token of it."""
        condition = {"kind": "erc721", "chain": self.chain.caip2(), "contract": self.address}
        if token_id is not None:
            return condition | {"token_id": str(token_id)}
        return condition if min_balance is None else condition | {"min_balance": str(min_balance)}

    def policy(self, **which) -> dict:
        return {"version": 1, "rule": self.condition(**which)}


def encode_call(signature: str, arguments: list) -> str:
    """Call data for a function without tuples, e.g. encode_call("burn(uint256)", [1])."""
    types = signature[signature.index("(") + 1 : -1]
    packed = encode(types.split(","), arguments) if types else b""
    return "0x" + (keccak(text=signature)[:4] + packed).hex()
