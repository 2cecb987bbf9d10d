"""Contracts in a few bytes of machine code, each function of which does one thing. All others revert.

`Hostile` misbehaves whatever it is asked, and is seen through for that. These know their manners, and misbehave in the
one function that counts.
"""

from __future__ import annotations

from eth_utils import keccak

from .chain import Chain, Contract
from .wallet import Wallet

START = bytes.fromhex("5f3560e01c")  # The selector, on the stack.
REVERT = bytes.fromhex("5f5ffd")
TEST_SIZE = 11

#: An answer of these bytes, or one of the words below.
Action = bytes | str | tuple[str, object]


class Scripted(Contract):
    """Made of {function: action}. Actions: bytes to answer, "burn" (all gas, at once), "loop" (all gas, by work),
    "revert", ("flood", so many zero bytes), ("holder", an address: 1 if that is the first argument, else 0)."""

    @classmethod
    def make(cls, chain: Chain, owner: Wallet, functions: dict[str, Action]) -> Scripted:
        code = assemble(functions)
        # Copies what is behind it, and returns that as the contract's code.
        creation = b"\x61" + len(code).to_bytes(2) + bytes.fromhex("80600a5f395ff3") + code
        return cls(chain, owner, chain.send(owner, "0x" + creation.hex())["contractAddress"])

    def condition(self, kind: str, **fields) -> dict:
        """The leaf of any kind that asks this contract."""
        return self._leaf(kind, **fields)


def assemble(functions: dict[str, Action]) -> bytes:
    place = len(START) + TEST_SIZE * len(functions) + len(REVERT)
    sizes = [len(_body(action, 0, 0)) for action in functions.values()]
    data_place = place + sum(sizes)
    tests, bodies, data = b"", b"", b""
    for (signature, action), size in zip(functions.items(), sizes, strict=True):
        # dup, push4 selector, eq, push2 place, jumpi
        tests += b"\x80\x63" + keccak(text=signature)[:4] + b"\x14\x61" + (place + len(bodies)).to_bytes(2) + b"\x57"
        body = _body(action, place + len(bodies), data_place + len(data))
        assert len(body) == size
        bodies += body
        data += action if isinstance(action, bytes) else b""
    return START + tests + REVERT + bodies + data


def _body(action: Action, here: int, data: int) -> bytes:
    jump_destination = b"\x5b"
    if isinstance(action, bytes):
        size = len(action).to_bytes(2)
        return jump_destination + b"\x61" + size + b"\x61" + data.to_bytes(2) + b"\x5f\x39\x61" + size + b"\x5f\xf3"
    if isinstance(action, tuple):
        name, what = action
        if name == "flood":
            return jump_destination + b"\x62" + what.to_bytes(3) + b"\x5f\xf3"
        assert name == "holder", name
        wallet = bytes.fromhex(what.removeprefix("0x"))
        return jump_destination + b"\x60\x04\x35\x73" + wallet + bytes.fromhex("145f5260205ff3")
    return jump_destination + {"burn": b"\xfe", "loop": b"\x61" + here.to_bytes(2) + b"\x56", "revert": REVERT}[action]


def word(number: int) -> bytes:
    """A number as a contract answers it."""
    return (number % 2**256).to_bytes(32)
