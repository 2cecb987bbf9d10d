"""An EVM chain by plain JSON-RPC, and the contracts of localstack/contracts on it."""

from __future__ import annotations

import functools
import json
import os
import time
from pathlib import Path

import httpx
from eth_abi import decode, encode
from eth_utils import keccak, to_checksum_address

from .wallet import ContractWallet, Wallet

CONTRACTS = Path(__file__).resolve().parents[2] / "localstack" / "contracts"
ARTIFACT = CONTRACTS / "Token.json"
# The same on every chain that has them; the local stack places both (stack.py).
MULTICALL3 = "0xcA11bde05977b3631167028862bE2a173976CA11"
DELEGATE_REGISTRY = "0x00000000000000447e69651d841bD8D104Bed493"
NO_ADDRESS = "0x" + "00" * 20
CREATE = "create(address,bytes32)"


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

    def block(self, which: str | int = "latest") -> dict:
        return self.call("eth_getBlockByNumber", hex(which) if isinstance(which, int) else which, False)

    def has_code(self, address: str) -> bool:
        return self.call("eth_getCode", address, "latest") not in ("0x", None)

    def send(self, wallet: Wallet, data: str, to: str | None = None, timeout: float = 20.0, value: int = 0) -> dict:
        """Signs and sends a transaction and waits for its receipt. A reverted one raises."""
        price = int(self.call("eth_gasPrice"), 16)
        draft = {"from": wallet.address, "data": data, "value": hex(value)} | ({"to": to} if to else {})
        gas = int(self.call("eth_estimateGas", draft), 16)
        transaction = {
            "chainId": self.id(),
            "nonce": int(self.call("eth_getTransactionCount", wallet.address, "pending"), 16),
            # A quarter more: what the estimate saw may have changed by the time it is mined.
            "gas": gas + gas // 4,
            "maxFeePerGas": price * 2,
            "maxPriorityFeePerGas": min(price, 1_000_000_000),
            "value": value,
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

    # ---- What only a test's chain does

    def fund(self, address: str, wei: int = 10**18) -> None:
        """Sets an address's native balance to that."""
        self.call("anvil_setBalance", address, hex(wei))

    def balance(self, address: str) -> int:
        return int(self.call("eth_getBalance", address, "latest"), 16)

    def mine(self, blocks: int = 1) -> None:
        self.call("anvil_mine", hex(blocks))

    def reorg(self, depth: int) -> None:
        """Replaces the last blocks with empty ones of other hashes: their transactions have never been."""
        self.call("anvil_reorg", depth, [])

    def snapshot(self) -> str:
        return self.call("evm_snapshot")

    def revert(self, snapshot: str) -> None:
        """Goes back to a snapshot, once: it is used up then, and so is every later one."""
        if self.call("evm_revert", snapshot) is not True:
            raise RpcError(f"there is no snapshot {snapshot}")

    def validate(self, signer: str, digest: bytes, signature: str, gas: int = 10_000_000) -> bool:
        """Asks the deployless validator whether a contract wallet signed this hash (EIP-1271, EIP-6492)."""
        arguments = [signer, digest, bytes.fromhex(signature.removeprefix("0x"))]
        data = artifact("SignatureValidator")["bytecode"] + encode(["address", "bytes32", "bytes"], arguments).hex()
        answer = self.call("eth_call", {"data": data, "gas": hex(gas)}, "latest")
        if answer not in ("0x00", "0x01"):
            raise RpcError(f"the validator answered {answer[:80]}")
        return answer == "0x01"

    def native_condition(self, min: str) -> dict:
        """Who has that much of the chain's own coin, e.g. "0.1"."""
        return {"kind": "native", "chain": self.caip2(), "min": str(min)}


def funded(chain: Chain, caip2: str, name: str) -> Wallet:
    """A new wallet that can pay for transactions."""
    wallet = Wallet.fresh(caip2, name)
    chain.fund(wallet.address)
    return wallet


class Contract:
    """A contract of localstack/contracts that `owner` deployed. `condition` gives the policy leaf that asks it."""

    NAME = ""

    def __init__(self, chain: Chain, owner: Wallet, address: str):
        self.chain, self.owner, self.address = chain, owner, to_checksum_address(address)

    @classmethod
    def create(cls, chain: Chain, owner: Wallet, *arguments):
        """Deploys it with the constructor's arguments."""
        compiled = artifact(cls.NAME)
        constructor = next((entry for entry in compiled["abi"] if entry["type"] == "constructor"), {"inputs": []})
        types = [given["type"] for given in constructor["inputs"]]
        receipt = chain.send(owner, compiled["bytecode"] + encode(types, arguments).hex())
        return cls(chain, owner, receipt["contractAddress"])

    def is_there(self) -> bool:
        """Whether this chain has this contract: an anvil that was started anew has forgotten it."""
        return self.chain.has_code(self.address)

    def act(self, signature: str, *arguments, by: Wallet | None = None) -> dict:
        """A transaction by the owner, or by another wallet."""
        return self.chain.send(by or self.owner, encode_call(signature, list(arguments)), self.address)

    def read(self, signature: str, *arguments):
        """Calls a view function; what it returns stands behind: "balanceOf(address)(uint256)"."""
        end = signature.index(")") + 1
        return self.chain.read(self.address, signature[:end], list(arguments), signature[end + 1 : -1].split(","))

    def condition(self, **which) -> dict:
        raise NotImplementedError

    def policy(self, **which) -> dict:
        """A policy of this one condition."""
        return {"version": 1, "rule": self.condition(**which)}

    def _leaf(self, kind: str, **fields) -> dict:
        """The leaf with those fields that were given."""
        leaf = {"kind": kind, "chain": self.chain.caip2(), "contract": self.address}
        return leaf | {name: value for name, value in fields.items() if value is not None}


class Token(Contract):
    """An ERC-721 collection that `owner` may mint and burn in."""

    NAME = "Token"

    @classmethod
    def deploy(cls, chain: Chain, owner: Wallet, name: str = "StreamGate Pass", symbol: str = "PASS"):
        return cls.create(chain, owner, name, symbol)

    def mint(self, to: str, token_id: int) -> dict:
        return self.act("mint(address,uint256)", to, token_id)

    def burn(self, token_id: int) -> dict:
        return self.act("burn(uint256)", token_id)

    def transfer(self, sender: Wallet, to: str, token_id: int) -> dict:
        """The holder's own transfer, which is how a right to watch is sold."""
        return self.act("transferFrom(address,address,uint256)", sender.address, to, token_id, by=sender)

    def balance(self, holder: str) -> int:
        return self.read("balanceOf(address)(uint256)", holder)

    def owner_of(self, token_id: int) -> str | None:
        """None when the token does not exist: ownerOf reverts then."""
        try:
            return to_checksum_address(self.read("ownerOf(uint256)(address)", token_id))
        except RpcError:
            return None

    def condition(
        self,
        min: int | None = None,
        max: int | None = None,
        ids: list | None = None,
        traits: dict[str, str] | None = None,
        via: str | None = None,
        min_balance: int | None = None,
        token_id: int | None = None,
    ) -> dict:
        """Holders of the collection, or of some ids of it (7 or "10-20"), or of tokens with these traits.

        `min_balance` and `token_id` are older names for `min` and for one of `ids`.
        """
        return self._leaf(
            "erc721",
            min=_decimal(min if min_balance is None else min_balance),
            max=_decimal(max),
            ids=_ids(ids if token_id is None else [token_id]),
            traits=[{"trait": trait, "value": value} for trait, value in traits.items()] if traits else None,
            via=via,
        )


class Traits(Token):
    """An ERC-721 that can be enumerated, with its metadata on the chain."""

    NAME = "Traits"

    def set_trait(self, token_id: int, trait: str, value: str) -> dict:
        return self.act("setTrait(uint256,string,string)", token_id, trait, value)

    def set_uri(self, uri: str) -> dict:
        """Every token answers this, e.g. "https://…" or malformed JSON; empty: its own metadata again."""
        return self.act("setUri(string)", uri)

    def set_padding(self, size: int) -> dict:
        """So many bytes more in each token's metadata. Some 200 kB is what a call's gas is enough for."""
        return self.act("setPadding(uint256)", size)

    def uri(self, token_id: int) -> str:
        return self.read("tokenURI(uint256)(string)", token_id)


class Editions(Contract):
    """An ERC-1155: ids with many copies each."""

    NAME = "Editions"

    @classmethod
    def deploy(cls, chain: Chain, owner: Wallet):
        return cls.create(chain, owner)

    def mint(self, to: str, token_id: int, amount: int = 1) -> dict:
        return self.act("mint(address,uint256,uint256)", to, token_id, amount)

    def burn(self, holder: str, token_id: int, amount: int = 1) -> dict:
        return self.act("burn(address,uint256,uint256)", holder, token_id, amount)

    def transfer(self, sender: Wallet, to: str, token_id: int, amount: int = 1) -> dict:
        signature = "safeTransferFrom(address,address,uint256,uint256,bytes)"
        return self.act(signature, sender.address, to, token_id, amount, b"", by=sender)

    def balance(self, holder: str, token_id: int) -> int:
        return self.read("balanceOf(address,uint256)(uint256)", holder, token_id)

    def condition(self, ids: list, min: int | None = None, via: str | None = None) -> dict:
        return self._leaf("erc1155", ids=_ids(ids), min=_decimal(min), via=via)


class Coin(Contract):
    """An ERC-20 with any number of decimals from 0 to 255."""

    NAME = "Coin"

    @classmethod
    def deploy(cls, chain: Chain, owner: Wallet, decimals: int = 18, name: str = "StreamGate Coin", symbol="COIN"):
        return cls.create(chain, owner, name, symbol, decimals)

    def mint(self, to: str, units: int) -> dict:
        """In the smallest units, whatever the decimals."""
        return self.act("mint(address,uint256)", to, units)

    def burn(self, holder: str, units: int) -> dict:
        return self.act("burn(address,uint256)", holder, units)

    def transfer(self, sender: Wallet, to: str, units: int) -> dict:
        return self.act("transfer(address,uint256)", to, units, by=sender)

    def balance(self, holder: str) -> int:
        return self.read("balanceOf(address)(uint256)", holder)

    def decimals(self) -> int:
        return self.read("decimals()(uint8)")

    def condition(self, min: str, via: str | None = None) -> dict:
        """`min` in whole coins: "10.5"."""
        return self._leaf("erc20", min=_decimal(min), via=via)


class Lock(Contract):
    """Unlock Protocol's own lock. `owner` is its manager; this machine's clock says when its keys run out."""

    NAME = "PublicLock"

    @classmethod
    def deploy(cls, chain: Chain, owner: Wallet, name: str = "StreamGate Lock", keys_each: int = 10):
        lock = cls.create(chain, owner)
        month, price, keys = 30 * 24 * 3600, 10**16, 1000
        # On a real chain Unlock's factory does this, behind a proxy.
        initialize = "initialize(address,uint256,address,uint256,uint256,string)"
        lock.act(initialize, owner.address, month, NO_ADDRESS, price, keys, name)
        lock.act("updateLockConfig(uint256,uint256,uint256)", month, keys, keys_each)
        return lock

    def grant(self, to: str, seconds: float = 3600) -> int:
        """Gives a key that runs out in so many seconds, and answers with its id."""
        expires = int(time.time() + seconds)
        receipt = self.act("grantKeys(address[],uint256[],address[])", [to], [expires], [NO_ADDRESS])
        transfer = "0x" + keccak(text="Transfer(address,address,uint256)").hex()
        return next(int(log["topics"][3], 16) for log in receipt["logs"] if log["topics"][0] == transfer)

    def expire(self, key: int) -> dict:
        """The key ran out a minute ago."""
        return self.act("setKeyExpiration(uint256,uint256)", key, int(time.time()) - 60)

    def cancel(self, key: int) -> dict:
        """The manager takes the key back; nothing is refunded."""
        return self.act("expireAndRefundFor(uint256,uint256)", key, 0)

    def transfer(self, sender: Wallet, to: str, key: int) -> dict:
        return self.act("transferFrom(address,address,uint256)", sender.address, to, key, by=sender)

    def has_valid_key(self, holder: str) -> bool:
        return self.read("getHasValidKey(address)(bool)", holder)

    def valid_keys(self, holder: str) -> int:
        return self.read("balanceOf(address)(uint256)", holder)

    def keys(self, holder: str) -> list[int]:
        """Those that ran out too."""
        count = self.read("totalKeys(address)(uint256)", holder)
        return [self.read("tokenOfOwnerByIndex(address,uint256)(uint256)", holder, index) for index in range(count)]

    def expires(self, key: int) -> int:
        return self.read("keyExpirationTimestampFor(uint256)(uint256)", key)

    def is_valid(self, key: int) -> bool:
        return self.read("isValidKey(uint256)(bool)", key)

    def condition(self, via: str | None = None) -> dict:
        return self._leaf("unlock", via=via)


class Delegations(Contract):
    """The registry of delegate.xyz, where every chain has it. The vault itself delegates, so each act is by a vault."""

    NAME = "Delegations"
    VIA = "delegate.xyz"
    KINDS = ("none", "all", "contract", "erc721", "erc20", "erc1155")

    def __init__(self, chain: Chain, address: str = DELEGATE_REGISTRY):
        # Nobody owns it.
        super().__init__(chain, None, address)

    def all(self, vault: Wallet, to: str, rights: bytes = b"", enable: bool = True) -> dict:
        return self.act("delegateAll(address,bytes32,bool)", to, _word(rights), enable, by=vault)

    def contract(self, vault: Wallet, to: str, contract: str, rights: bytes = b"", enable: bool = True) -> dict:
        return self.act("delegateContract(address,address,bytes32,bool)", to, contract, _word(rights), enable, by=vault)

    def erc721(
        self, vault: Wallet, to: str, contract: str, token_id: int, rights: bytes = b"", enable: bool = True
    ) -> dict:
        signature = "delegateERC721(address,address,uint256,bytes32,bool)"
        return self.act(signature, to, contract, token_id, _word(rights), enable, by=vault)

    def erc20(self, vault: Wallet, to: str, contract: str, amount: int, rights: bytes = b"") -> dict:
        """An amount of 0 takes it back."""
        return self.act("delegateERC20(address,address,bytes32,uint256)", to, contract, _word(rights), amount, by=vault)

    def erc1155(self, vault: Wallet, to: str, contract: str, token_id: int, amount: int, rights: bytes = b"") -> dict:
        """An amount of 0 takes it back."""
        signature = "delegateERC1155(address,address,uint256,bytes32,uint256)"
        return self.act(signature, to, contract, token_id, _word(rights), amount, by=vault)

    def incoming(self, to: str) -> list[dict]:
        """What is delegated to a wallet now."""
        shape = "(uint8,address,address,bytes32,address,uint256,uint256)[]"
        found = self.chain.read(self.address, "getIncomingDelegations(address)", [to], [shape])
        names = ("kind", "to", "from", "rights", "contract", "token_id", "amount")
        return [dict(zip(names, (self.KINDS[kind], *rest), strict=True)) for kind, *rest in found]


class Oracle(Contract):
    """A contract of no standard, which says of a wallet what its owner set."""

    NAME = "Oracle"

    @classmethod
    def deploy(cls, chain: Chain, owner: Wallet):
        return cls.create(chain, owner)

    def set_level(self, account: str, season: int, level: int) -> dict:
        return self.act("setLevel(address,uint256,uint256)", account, season, level)

    def set_member(self, account: str, member: bool = True) -> dict:
        return self.act("setMember(address,bool)", account, member)

    def set_badge(self, account: str, badge: bytes) -> dict:
        return self.act("setBadge(address,bytes32)", account, _word(badge))

    def set_name(self, account: str, name: str) -> dict:
        return self.act("setName(address,string)", account, name)

    def set_score(self, account: str, score: int) -> dict:
        return self.act("setScore(address,int256)", account, score)

    def condition(self, function: str, arguments: list[str] | None = None, **result: str) -> dict:
        """condition("levelOf(address,uint256)(uint256)", [":account", "7"], at_least="3")"""
        return self._leaf("contract", function=function, arguments=arguments or [":account"], result=result)


class Hostile(Contract):
    """Whatever it is asked, it does the one bad thing it was made for."""

    NAME = "Hostile"
    MODES = (
        "always_true", "burn", "loop", "flood", "short", "empty", "revert",
        "magic_long", "magic_short", "magic_dirty", "magic_revert", "magic_writing",
    )  # fmt: skip

    @classmethod
    def deploy(cls, chain: Chain, owner: Wallet, mode: str, size: int = 100_000):
        """`size` is of what "flood" answers and "revert" gives as its reason, in bytes."""
        return cls.create(chain, owner, cls.MODES.index(mode), size)

    def condition(self, kind: str = "erc721", **fields) -> dict:
        """The leaf of any kind that asks this contract."""
        return self._leaf(kind, **fields)


class SmartWallet(Contract):
    """A wallet that is a contract (EIP-1271). Its owner may refuse every signature, and make it call others."""

    NAME = "SmartWallet"

    @classmethod
    def deploy(cls, chain: Chain, owner: Wallet):
        return cls.create(chain, owner, owner.address)

    @property
    def wallet(self) -> ContractWallet:
        """To sign in with."""
        return ContractWallet(self.owner, self.address)

    def refuse(self, refusing: bool = True) -> dict:
        return self.act("setRefusing(bool)", refusing)

    def execute(self, to: str, signature: str, *arguments) -> dict:
        """Calls another contract as the wallet: sells or delegates what it holds."""
        data = bytes.fromhex(encode_call(signature, list(arguments)).removeprefix("0x"))
        return self.act("execute(address,bytes)", to, data)


class WalletFactory(Contract):
    """Makes smart wallets at addresses that are known before (EIP-6492)."""

    NAME = "WalletFactory"

    @classmethod
    def deploy(cls, chain: Chain, owner: Wallet):
        return cls.create(chain, owner)

    def wallet(self, owner: Wallet, salt: int = 0) -> ContractWallet:
        """The wallet at that salt, there or not. It signs by EIP-6492."""
        address = self.read("addressOf(address,bytes32)(address)", owner.address, _salt(salt))
        return ContractWallet(owner, address, (self.address, encode_call(CREATE, [owner.address, _salt(salt)])))

    def make(self, owner: Wallet, salt: int = 0) -> SmartWallet:
        """Puts it on the chain; the factory's owner pays."""
        self.act(CREATE, owner.address, _salt(salt))
        return SmartWallet(self.chain, owner, self.wallet(owner, salt).address)


@functools.cache
def artifact(name: str) -> dict:
    """What localstack/contracts/build.mjs made: abi, bytecode."""
    return json.loads((CONTRACTS / f"{name}.json").read_text())


def encode_call(signature: str, arguments: list) -> str:
    """Call data for a function without tuples, e.g. encode_call("burn(uint256)", [1])."""
    types = signature[signature.index("(") + 1 : -1]
    packed = encode(types.split(","), arguments) if types else b""
    return "0x" + (keccak(text=signature)[:4] + packed).hex()


def _decimal(number: int | str | None) -> str | None:
    return None if number is None else str(number)


def _ids(ids: list | None) -> list[str] | None:
    return None if ids is None else [str(one) for one in ids]


def _word(data: bytes) -> bytes:
    return data.ljust(32, b"\0")


def _salt(number: int) -> bytes:
    return number.to_bytes(32, "big")
