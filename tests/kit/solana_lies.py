"""What a lying Solana provider makes of a true answer: always in form, so only another provider's word tells it."""

from __future__ import annotations

import base64
import struct

from .solana import CORE, METADATA, TOKEN, TOKEN_2022, Mint, key_of

# More than any policy asks for, and small enough that a few of these fit 64 bits.
MUCH = 2**60
# How far ahead a made-up slot is; and an hour's slots.
AHEAD = 1_000_000
STALE = 9_000
WRONG_GENESIS = "1" * 31 + "2"

TOKEN_PROGRAMS = (str(TOKEN), str(TOKEN_2022))
KIND_ACCOUNT = 2
# Where a metadata account's strings start: behind a key byte and two addresses.
STRINGS = 65


# ---- Accounts


def lie(call: dict, answer: dict, account: str | None) -> dict:
    """Token accounts hold much, everything is verified, and all of it is `account`'s (CAIP-10 or base58)."""
    result, owner = answer.get("result"), account and bytes(key_of(account.rpartition(":")[2]))
    if call.get("method") == "getTokenAccountsByOwner" and isinstance(result, dict):
        entries = [entry | {"account": _altered(entry["account"], owner)} for entry in result["value"]]
        return answer | {"result": result | {"value": entries or _made_up(call)}}
    if call.get("method") == "getProgramAccounts" and result is not None:
        entries = result["value"] if isinstance(result, dict) else result
        told = [entry | {"account": _altered(entry["account"], owner)} for entry in entries]
        return answer | {"result": result | {"value": told} if isinstance(result, dict) else told}
    if call.get("method") == "getMultipleAccounts" and isinstance(result, dict):
        return answer | {"result": result | {"value": [_altered(entry, owner) for entry in result["value"]]}}
    if call.get("method") == "getAccountInfo" and isinstance(result, dict):
        return answer | {"result": result | {"value": _altered(result["value"], owner)}}
    return answer


def _altered(entry: dict | None, owner: bytes | None) -> dict | None:
    """An account as the liar has it. Only whole ones: a slice of one is left alone."""
    data = _content(entry)
    if data is None or len(data) != entry.get("space"):
        return entry
    if entry["owner"] in TOKEN_PROGRAMS and (len(data) == 165 or (len(data) > 165 and data[165] == KIND_ACCOUNT)):
        data[64:72] = struct.pack("<Q", MUCH)
        data[32:64] = owner or data[32:64]
    elif entry["owner"] == str(METADATA) and data[:1] == b"\4":
        _verify_everything(data)
    elif entry["owner"] == str(CORE) and data[:1] == b"\1":
        data[1:33] = owner or data[1:33]
    return entry | {"data": [base64.b64encode(data).decode(), "base64"]}


def _content(entry: dict | None) -> bytearray | None:
    """The bytes of an account, if they came in base64."""
    if not entry or not isinstance(entry["data"], list) or entry["data"][1] != "base64":
        return None
    return bytearray(base64.b64decode(entry["data"][0]))


def _verify_everything(data: bytearray) -> None:
    """Sets the flags of creators and collection in a metadata account."""
    place = STRINGS
    for _ in range(3):
        place += 4 + struct.unpack_from("<I", data, place)[0]
    place += 2  # The seller's fee.
    has_creators = data[place]
    place += 1
    if has_creators:
        (count,) = struct.unpack_from("<I", data, place)
        place += 4
        for _ in range(count):
            data[place + 32] = 1
            place += 34
    place += 2  # Sold, mutable.
    place += 1 + data[place]  # The edition's bump.
    place += 1 + data[place]  # The token standard.
    if data[place]:
        data[place + 1] = 1


def _made_up(call: dict) -> list[dict]:
    """A token account for an owner who has none of a mint."""
    owner, which = call["params"][0], call["params"][1]
    if "mint" not in which:
        return []
    mint = Mint(None, None, key_of(which["mint"]), 0, TOKEN)
    data = bytes(mint.key) + bytes(key_of(owner)) + struct.pack("<Q", MUCH) + bytes(36) + b"\1" + bytes(56)
    entry = {
        "executable": False,
        "lamports": 2_039_280,
        "owner": str(TOKEN),
        "rentEpoch": 2**64 - 1,
        "space": len(data),
    }
    return [
        {
            "pubkey": str(mint.account_of(owner)),
            "account": entry | {"data": [base64.b64encode(data).decode(), "base64"]},
        }
    ]


# ---- Slots and names


def redirected(call: dict) -> dict:
    """The real node would refuse a slot that only the liar has."""
    parameters = call.get("params")
    if not isinstance(parameters, list):
        return call
    return call | {"params": [_without_minimum(part) for part in parameters]}


def _without_minimum(part):
    return {name: value for name, value in part.items() if name != "minContextSlot"} if isinstance(part, dict) else part


def lie_head(call: dict, answer: dict, account: str | None = None) -> dict:
    """Accounts are true, and of a slot that is long to come."""
    return _moved(call, answer, AHEAD)


def stale_head(call: dict, answer: dict, account: str | None = None) -> dict:
    """A node an hour behind, which says so when it is asked for a later slot."""
    told = _moved(call, answer, -STALE)
    slot = _slot(call, told)
    wanted = [
        part["minContextSlot"]
        for part in call.get("params") or []
        if isinstance(part, dict) and "minContextSlot" in part
    ]
    if slot is None or not wanted or wanted[0] is None or wanted[0] <= slot:
        return told
    problem = {"code": -32016, "message": "Minimum context slot has not been reached", "data": {"contextSlot": slot}}
    return {name: value for name, value in answer.items() if name != "result"} | {"error": problem}


def _slot(call: dict, answer: dict) -> int | None:
    result = answer.get("result")
    if call.get("method") in ("getSlot", "getBlockHeight"):
        return result
    return result["context"]["slot"] if isinstance(result, dict) and "context" in result else None


def _moved(call: dict, answer: dict, by: int) -> dict:
    """The same answer at another slot."""
    slot, result = _slot(call, answer), answer.get("result")
    if slot is None:
        return answer
    if not isinstance(result, dict):
        return answer | {"result": slot + by}
    return answer | {"result": result | {"context": result["context"] | {"slot": slot + by}}}


def wrong_chain(call: dict, answer: dict, account: str | None = None) -> dict:
    """The answers are true, of a chain that nobody asked for."""
    return answer | {"result": WRONG_GENESIS} if call.get("method") == "getGenesisHash" else answer


#: By the fault's name: `told(call, true answer, account) -> answer`.
TOLD = {"lie": lie, "lie_head": lie_head, "stale_head": stale_head, "wrong_chain": wrong_chain}
