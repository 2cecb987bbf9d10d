"""Wallets that sign in a test's process, in place of a person's browser extension."""

from __future__ import annotations

from eth_abi import encode
from eth_account import Account
from eth_account.messages import encode_defunct
from eth_utils import keccak, to_checksum_address

# The mnemonic of anvil and hardhat: known to everybody, so its keys may stand in a repository and may never hold value.
MNEMONIC = "test test test test test test test test test test test junk"
# What a signature of a wallet that isn't there yet ends in (EIP-6492).
MAGIC_SUFFIX = bytes.fromhex("6492" * 16)

Account.enable_unaudited_hdwallet_features()


class Wallet:
    """One key. `chain` is the CAIP-2 id the wallet says it is on when it signs in."""

    def __init__(self, key: str, chain: str = "eip155:1", name: str = "wallet"):
        self.key = Account.from_key(key)
        self.chain = chain
        self.name = name

    @classmethod
    def numbered(cls, number: int, chain: str = "eip155:1", name: str | None = None) -> Wallet:
        """The chain's pre-funded account of that number (0 to 9)."""
        account = Account.from_mnemonic(MNEMONIC, account_path=f"m/44'/60'/0'/0/{number}")
        return cls(account.key.hex(), chain, name or f"wallet {number}")

    @classmethod
    def fresh(cls, chain: str = "eip155:1", name: str = "fresh") -> Wallet:
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
        return "0x" + self.key.sign_message(_personal(message)).signature.hex().removeprefix("0x")

    def __repr__(self) -> str:
        return f"Wallet({self.name}, {self.address})"


class ContractWallet:
    """A wallet that is a contract: `owner` signs for it (EIP-1271). It has no key, but signs in as any wallet does.

    `creation` is the factory and the call data that bring the wallet about. With it signatures are wrapped by EIP-6492,
    which is how a wallet signs that isn't there yet, and may sign when it is.
    """

    def __init__(self, owner: Wallet, address: str, creation: tuple[str, str] | None = None, name: str = "contract"):
        self.owner, self.creation, self.name = owner, creation, name
        self.address = to_checksum_address(address)
        self.chain = owner.chain

    @property
    def account(self) -> str:
        """The CAIP-10 account."""
        return f"{self.chain}:{self.address}"

    def sign(self, message: str | bytes) -> str:
        """What `personal_sign` answers for such a wallet."""
        signature = self.owner.sign(message)
        return wrap_signature(*self.creation, signature) if self.creation else signature

    def __repr__(self) -> str:
        return f"ContractWallet({self.name}, {self.address})"


def wrap_signature(factory: str, order: str, signature: str) -> str:
    """EIP-6492: a signature with the factory call (`order`) that creates its wallet."""
    parts = [factory, _bytes(order), _bytes(signature)]
    return "0x" + (encode(["address", "bytes", "bytes"], parts) + MAGIC_SUFFIX).hex()


def personal_hash(message: str | bytes) -> bytes:
    """The 32 bytes that `personal_sign` signs (EIP-191), and that a contract wallet is asked about."""
    signable = _personal(message)
    return keccak(b"\x19" + signable.version + signable.header + signable.body)


def _personal(message: str | bytes):
    return encode_defunct(message) if isinstance(message, bytes) else encode_defunct(text=message)


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))
