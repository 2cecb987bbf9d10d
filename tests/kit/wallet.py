"""Wallets that sign in a test's process, in place of a person's browser extension."""

from __future__ import annotations

from eth_account import Account
from eth_account.messages import encode_defunct

# The mnemonic of anvil and hardhat: known to everybody, so its keys may stand in a repository and may never hold value.
MNEMONIC = "test test test test test test test test test test test junk"

Account.enable_unaudited_hdwallet_features()


class Wallet:
    """One key. `chain` is the CAIP-2 id the wallet says it is on when it signs in."""

    def __init__(self, key: str, chain: str = "eip155:31337", name: str = "wallet"):
        self.key = Account.from_key(key)
        self.chain = chain
        self.name = name

    @classmethod
    def numbered(cls, number: int, chain: str = "eip155:31337", name: str | None = None) -> Wallet:
        """The chain's pre-funded account of that number (0 to 9)."""
        account = Account.from_mnemonic(MNEMONIC, account_path=f"m/44'/60'/0'/0/{number}")
        return cls(account.key.hex(), chain, name or f"wallet {number}")

    @classmethod
    def fresh(cls, chain: str = "eip155:31337", name: str = "fresh") -> Wallet:
        """A key nobody has used before: it holds nothing and cannot pay for a transaction."""
        return cls(Account.create().key.hex(), chain, name)

    @property
    def address(self) -> str:
        return self.key.address

    @property
    def account(self) -> str:
        """The CAIP-10 account."""
        return f"{self.chain}:{self.address}"

    def sign(self, message: str | bytes) -> str:
        """What `personal_sign` answers."""
        encoded = encode_defunct(message) if isinstance(message, bytes) else encode_defunct(text=message)
        return "0x" + self.key.sign_message(encoded).signature.hex().removeprefix("0x")

    def __repr__(self) -> str:
        return f"Wallet({self.name}, {self.address})"
