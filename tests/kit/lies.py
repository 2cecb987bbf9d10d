"""What a lying EVM provider makes of a true answer: always in form, so that only another provider's word tells it."""

from __future__ import annotations

import time

from eth_abi import decode, encode
from eth_abi.exceptions import DecodingError
from eth_utils import keccak

# More than any policy asks for, whatever a coin's decimals.
MUCH = 10**30
HEADS = ("latest", "safe", "finalized", "pending")
# How far ahead a made-up head is.
AHEAD = 1_000_000
MADE_UP_HASH = "0x" + "ab" * 32
STALE = 3600
WRONG_CHAIN_ID = 31338


def _selector(signature: str) -> bytes:
    return keccak(text=signature)[:4]


AGGREGATE = _selector("aggregate3((address,bool,bytes)[])")
OWNER_OF = _selector("ownerOf(uint256)")
DECIMALS = _selector("decimals()")
AMOUNTS = {
    _selector(signature)
    for signature in (
        "balanceOf(address)", "balanceOf(address,uint256)", "getEthBalance(address)", "levelOf(address,uint256)",
    )
}  # fmt: skip
TRUTHS = {
    _selector(signature)
    for signature in (
        "getHasValidKey(address)", "isValidKey(uint256)", "isMember(address)", "supportsInterface(bytes4)",
    )
}  # fmt: skip
BATCH = _selector("balanceOfBatch(address[],uint256[])")


# ---- Calls of contracts


def lie(call: dict, answer: dict, account: str | None) -> dict:
    """Balances grow, a no becomes a yes and a yes a no, and `account` owns every token."""
    method, result = call.get("method"), answer.get("result")
    if method == "eth_getBalance" and isinstance(result, str):
        return answer | {"result": hex(int(result, 16) + MUCH)}
    if method != "eth_call" or not isinstance(result, str):
        return answer
    asked = (call.get("params") or [{}])[0]
    data = asked.get("data") or asked.get("input") or "0x"
    try:
        question, told = _bytes(data), _bytes(result)
        if not asked.get("to"):
            # A deployless call: the signature validator answers one byte.
            return answer | {"result": "0x00" if result == "0x01" else "0x01"}
        return answer | {"result": "0x" + _altered(question, told, account).hex()}
    except (ValueError, DecodingError):
        # Nothing that this liar understands: it lets the truth pass.
        return answer


def _altered(question: bytes, told: bytes, account: str | None) -> bytes:
    selector = question[:4]
    if selector == AGGREGATE:
        (inner,) = decode(["(address,bool,bytes)[]"], question[4:])
        (results,) = decode(["(bool,bytes)[]"], told)
        changed = []
        for (_, _, part), (done, data) in zip(inner, results, strict=True):
            if not done and account and part[:4] == OWNER_OF:
                # A token that does not exist has an owner now.
                done, data = True, b"\0" * 32
            changed.append((done, _altered(part, data, account) if done else data))
        return encode(["(bool,bytes)[]"], [changed])
    if selector == BATCH:
        (amounts,) = decode(["uint256[]"], told)
        return encode(["uint256[]"], [[amount + MUCH for amount in amounts]])
    if len(told) != 32:
        return told
    value = int.from_bytes(told)
    if selector == OWNER_OF and account:
        value = int(account, 16)
    elif selector == DECIMALS:
        value = 0
    elif selector in TRUTHS:
        value = 1 - min(value, 1)
    elif selector in AMOUNTS:
        value = (value + MUCH) % 2**256
    else:
        value = (value & ~0xFF) | ((value + 1) & 0xFF)
    return value.to_bytes(32)


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


# ---- Heads and names


def lie_head(call: dict, answer: dict, account: str | None = None) -> dict:
    """A head far ahead with a hash that no block has. Calls at that block are answered, as a careful liar would."""
    method, result = call.get("method"), answer.get("result")
    if method == "eth_blockNumber" and isinstance(result, str):
        return answer | {"result": hex(int(result, 16) + AHEAD)}
    by_name = method == "eth_getBlockByNumber" and (call.get("params") or [""])[0] in HEADS
    if isinstance(result, dict) and (by_name or _at_made_up_block(call)):
        number, now = hex(int(result["number"], 16) + AHEAD), hex(int(time.time()))
        return answer | {"result": result | {"number": number, "hash": MADE_UP_HASH, "timestamp": now}}
    return answer


def redirected(call: dict) -> dict:
    """What the real chain is asked in place of a call at the made-up block."""
    if not _at_made_up_block(call):
        return call
    if call.get("method") == "eth_getBlockByHash":
        return call | {"method": "eth_getBlockByNumber", "params": ["latest", *call["params"][1:]]}
    return call | {"params": ["latest" if _names_made_up_block(part) else part for part in call["params"]]}


def _at_made_up_block(call: dict) -> bool:
    parameters = call.get("params")
    return isinstance(parameters, list) and any(_names_made_up_block(part) for part in parameters)


def _names_made_up_block(part) -> bool:
    return part == MADE_UP_HASH or (isinstance(part, dict) and part.get("blockHash") == MADE_UP_HASH)


def stale_head(call: dict, answer: dict, account: str | None = None) -> dict:
    """A block of an hour before. Its other fields are true, so nothing but its age is wrong."""
    block = answer.get("result")
    if call.get("method") in ("eth_getBlockByNumber", "eth_getBlockByHash") and isinstance(block, dict):
        return answer | {"result": block | {"timestamp": hex(int(block["timestamp"], 16) - STALE)}}
    return answer


def wrong_chain(call: dict, answer: dict, account: str | None = None) -> dict:
    """The answers are true, of a chain that nobody asked for."""
    names = {"eth_chainId": hex(WRONG_CHAIN_ID), "net_version": str(WRONG_CHAIN_ID)}
    return answer | {"result": names[call["method"]]} if call.get("method") in names else answer


#: By the fault's name: `told(call, true answer, account) -> answer`.
TOLD = {"lie": lie, "lie_head": lie_head, "stale_head": stale_head, "wrong_chain": wrong_chain}
