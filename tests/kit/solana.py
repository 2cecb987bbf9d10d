"""A Solana chain by plain JSON-RPC, wallets for it, and tokens and NFTs on it.

SPL Token, Token-2022 and Metaplex Token Metadata are the real programs, and all that is theirs is made by transactions.
Metaplex Core is not there as a program: its accounts are placed by the local node in the documented layout.
"""

from __future__ import annotations

import base64
import hashlib
import os
import struct
import time
from dataclasses import dataclass

import httpx
from solders.hash import Hash
from solders.instruction import AccountMeta, Instruction
from solders.keypair import Keypair
from solders.message import Message
from solders.pubkey import Pubkey
from solders.system_program import CreateAccountParams, create_account
from solders.system_program import ID as SYSTEM
from solders.transaction import Transaction

# The local node's CAIP-2 id (SOLANA in localstack/stack.py).
LOCAL_CHAIN = "solana:5WueacX9EoKpnyA1W2GCEkjN7U4Paaue"

TOKEN = Pubkey.from_string("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA")
TOKEN_2022 = Pubkey.from_string("TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb")
ASSOCIATED = Pubkey.from_string("ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL")
METADATA = Pubkey.from_string("metaqbxxUerdq28cj1RbAWkYQm3ybzjb6a8bt518x1s")
CORE = Pubkey.from_string("CoREENxT6tW1HoK8ypY1SxRMZTcVPm7R94rH4PZNhX7d")
INSTRUCTIONS = Pubkey.from_string("Sysvar1nstructions1111111111111111111111111")

MINT_SIZE = 82
ACCOUNT_SIZE = 165
#: Token standards of Token Metadata.
NON_FUNGIBLE, FUNGIBLE, PROGRAMMABLE = 0, 2, 4
#: `min` of every condition builder: a decimal string.
ONE = "1"


class SolanaError(Exception):
    """The node answered with an error."""

    def __init__(self, method: str, error: dict):
        super().__init__(f"{method}: {error.get('message')} ({error.get('code')})")
        self.code = error.get("code")
        self.data = error.get("data") or {}


class SolanaWallet:
    """One ed25519 key. `chain` is the CAIP-2 id the wallet says it is on when it signs in."""

    def __init__(self, seed: bytes, chain: str = LOCAL_CHAIN, name: str = "wallet"):
        self.pair = Keypair.from_seed(seed)
        self.chain = chain
        self.name = name

    @classmethod
    def numbered(cls, number: int, chain: str = LOCAL_CHAIN, name: str | None = None) -> SolanaWallet:
        """The same key in every run: known to whoever reads this, so it may never hold value."""
        seed = hashlib.sha256(f"StreamGate's Solana test wallet {number}".encode()).digest()
        return cls(seed, chain, name or f"Solana wallet {number}")

    @classmethod
    def fresh(cls, chain: str = LOCAL_CHAIN, name: str = "fresh") -> SolanaWallet:
        """A key nobody has used before: it holds nothing and cannot pay for a transaction."""
        return cls(os.urandom(32), chain, name)

    @property
    def key(self) -> Pubkey:
        return self.pair.pubkey()

    @property
    def address(self) -> str:
        return str(self.key)

    @property
    def account(self) -> str:
        """The CAIP-10 account."""
        return f"{self.chain}:{self.address}"

    def sign(self, message: str | bytes) -> str:
        """The signature that a wallet's signMessage or signIn answers, in base58."""
        return str(self.pair.sign_message(message.encode() if isinstance(message, str) else message))

    def __repr__(self) -> str:
        return f"SolanaWallet({self.name}, {self.address})"


@dataclass(frozen=True)
class Account:
    """What the chain has at an address."""

    lamports: int
    owner: str
    data: bytes


class SolanaChain:
    """A JSON-RPC node. Transactions are signed here; their fees are paid by `payer`, so that holders need no SOL."""

    def __init__(self, url: str | None = None, timeout: float = 10.0):
        port = os.environ.get("STREAMGATE_SOLANA_PORT", "8899")
        self.url = url or os.environ.get("STREAMGATE_SOLANA", f"http://127.0.0.1:{port}")
        # A chain on this machine must not be looked for behind a proxy.
        self.http = httpx.Client(timeout=timeout, trust_env=False)
        self.number = 0
        self.payer = SolanaWallet.fresh(name="payer")

    def call(self, method: str, *parameters):
        """One JSON-RPC call. Also reaches the local node's test methods, such as streamgate_setAccount."""
        self.number += 1
        body = {"jsonrpc": "2.0", "id": self.number, "method": method, "params": list(parameters)}
        answer = self.http.post(self.url, json=body).raise_for_status().json()
        if "error" in answer:
            raise SolanaError(method, answer["error"])
        return answer["result"]

    def caip2(self) -> str:
        return f"solana:{self.call('getGenesisHash')[:32]}"

    def slot(self) -> int:
        return self.call("getSlot")

    def advance(self, slots: int = 1) -> int:
        return self.call("streamgate_advanceSlots", slots)

    def snapshot(self) -> int:
        return self.call("streamgate_snapshot")

    def revert(self, number: int) -> int:
        """Accounts as they were at that snapshot. Slots go on, as on the fork that won."""
        return self.call("streamgate_revert", number)

    def account(self, address) -> Account | None:
        found = self.call("getAccountInfo", str(address), {"encoding": "base64", "commitment": "confirmed"})["value"]
        return found and Account(found["lamports"], found["owner"], base64.b64decode(found["data"][0]))

    def place(self, address, data: bytes, owner, lamports: int | None = None) -> int:
        """Writes an account as no transaction could. Without `lamports`: what the rent asks for. Answers the slot."""
        content = {"data": base64.b64encode(data).decode(), "owner": str(owner)}
        return self.call(
            "streamgate_setAccount", str(address), content | ({} if lamports is None else {"lamports": lamports})
        )

    def remove(self, address) -> int:
        """The account is gone, as when its owner program closed it."""
        return self.place(address, b"", SYSTEM, lamports=0)

    def balance(self, address) -> int:
        return self.call("getBalance", str(address), {"commitment": "confirmed"})["value"]

    def airdrop(self, address, lamports: int = 1_000_000_000) -> str:
        return self.call("requestAirdrop", str(address), lamports)

    def rent(self, size: int) -> int:
        return self.call("getMinimumBalanceForRentExemption", size)

    def send(self, instructions: list[Instruction], *signers: SolanaWallet | Keypair, preflight: bool = True) -> str:
        """Signs, sends and waits; answers the signature. A transaction that failed raises."""
        signature = self.call(
            "sendTransaction",
            self.signed(instructions, *signers),
            {"encoding": "base64", "skipPreflight": not preflight},
        )
        until = time.monotonic() + 10
        while time.monotonic() < until:
            (status,) = self.call("getSignatureStatuses", [signature])["value"]
            if status and status["err"]:
                raise SolanaError(
                    "sendTransaction",
                    {"message": f"{signature} failed: {status['err']}", "data": {"err": status["err"]}},
                )
            if status:
                return signature
            time.sleep(0.02)
        raise SolanaError("sendTransaction", {"message": f"{signature} was not processed within 10 s"})

    def signed(self, instructions: list[Instruction], *signers: SolanaWallet | Keypair) -> str:
        """A transaction as sendTransaction takes it."""
        if self.balance(self.payer.address) < 1_000_000_000:
            self.airdrop(self.payer.address, 100_000_000_000)
        blockhash = Hash.from_string(self.call("getLatestBlockhash", {"commitment": "confirmed"})["value"]["blockhash"])
        pairs = {signer.pubkey(): signer for signer in map(pair_of, (self.payer, *signers))}
        message = Message.new_with_blockhash(instructions, self.payer.key, blockhash)
        # Whoever must not sign (a delegate's owner, say) is left out.
        wanted = message.account_keys[: message.header.num_required_signatures]
        return base64.b64encode(bytes(Transaction([pairs[key] for key in wanted], message, blockhash))).decode()

    # ---- Conditions of a policy

    def spl_condition(self, mint, min: str = ONE) -> dict:
        return {"kind": "spl", "chain": self.caip2(), "mint": str(mint), "min": min}

    def collection_condition(self, collection, min: str = ONE) -> dict:
        return {"kind": "metaplex_collection", "chain": self.caip2(), "collection": str(collection), "min": min}

    def creator_condition(self, creator, min: str = ONE) -> dict:
        return {"kind": "metaplex_creator", "chain": self.caip2(), "creator": str(creator), "min": min}

    def core_condition(self, collection, min: str = ONE) -> dict:
        return {"kind": "core_collection", "chain": self.caip2(), "collection": str(collection), "min": min}

    def group_condition(self, group, min: str = ONE) -> dict:
        return {"kind": "token2022_group", "chain": self.caip2(), "group": str(group), "min": min}


# ---- SPL tokens


class Mint:
    """A token of SPL Token or Token-2022. `authority` may mint and freeze. Amounts are in the smallest unit."""

    def __init__(self, chain: SolanaChain, authority: SolanaWallet, key: Pubkey, decimals: int, program: Pubkey):
        self.chain, self.authority, self.key, self.decimals, self.program = chain, authority, key, decimals, program

    @property
    def address(self) -> str:
        return str(self.key)

    @classmethod
    def create(cls, chain: SolanaChain, authority: SolanaWallet, decimals: int = 0, program: Pubkey = TOKEN) -> Mint:
        pair = Keypair()
        mint = cls(chain, authority, pair.pubkey(), decimals, program)
        chain.send([mint._allocate(MINT_SIZE), mint._initialize()], pair)
        return mint

    def _allocate(self, size: int, extra: int = 0) -> Instruction:
        """`extra` bytes are paid for, and are added by the program itself."""
        return allocate(self.chain, self.key, size, self.program, extra)

    def _initialize(self) -> Instruction:
        """InitializeMint2."""
        data = bytes([20, self.decimals]) + bytes(self.authority.key) + b"\1" + bytes(self.authority.key)
        return Instruction(self.program, data, [writable(self.key)])

    def account_of(self, owner) -> Pubkey:
        """The owner's associated token account, whether it is there or not."""
        return Pubkey.find_program_address([bytes(key_of(owner)), bytes(self.program), bytes(self.key)], ASSOCIATED)[0]

    def open(self, owner) -> Instruction:
        """Creates the associated account unless it is there."""
        parts = [
            signing(self.chain.payer.key),
            writable(self.account_of(owner)),
            reading(key_of(owner)),
            reading(self.key),
        ]
        return Instruction(ASSOCIATED, b"\1", [*parts, reading(SYSTEM), reading(self.program)])

    def open_another(self, owner) -> Pubkey:
        """A token account of the owner's beside the associated one."""
        pair = Keypair()
        # Some mints of Token-2022 ask for more room than this: none of those that are made here.
        make = allocate(self.chain, pair.pubkey(), ACCOUNT_SIZE, self.program)
        start = Instruction(self.program, b"\x12" + bytes(key_of(owner)), [writable(pair.pubkey()), reading(self.key)])
        self.chain.send([make, start], pair)
        return pair.pubkey()

    def mint_to(self, owner, amount: int = 1, account: Pubkey | None = None) -> str:
        """To the associated account, which is created, or to another one of the owner's."""
        target = account or self.account_of(owner)
        parts = [writable(self.key), writable(target), signer(self.authority.key)]
        mint = Instruction(self.program, struct.pack("<BQ", 7, amount), parts)
        return self.chain.send([mint] if account else [self.open(owner), mint], self.authority)

    def transfer(self, sender: SolanaWallet, to, amount: int = 1, source: Pubkey | None = None, owner=None) -> str:
        """TransferChecked to the receiver's associated account. A delegate sends as `sender`, for `owner`."""
        source = source or self.account_of(owner or sender)
        parts = [writable(source), reading(self.key), writable(self.account_of(to)), signer(sender.key)]
        move = Instruction(self.program, struct.pack("<BQB", 12, amount, self.decimals), parts)
        return self.chain.send([self.open(to), move], sender)

    def burn(self, owner: SolanaWallet, amount: int = 1) -> str:
        parts = [writable(self.account_of(owner)), writable(self.key), signer(owner.key)]
        return self.chain.send([Instruction(self.program, struct.pack("<BQ", 8, amount), parts)], owner)

    def freeze(self, owner) -> str:
        return self._by_authority(10, owner)

    def thaw(self, owner) -> str:
        return self._by_authority(11, owner)

    def _by_authority(self, code: int, owner) -> str:
        parts = [writable(self.account_of(owner)), reading(self.key), signer(self.authority.key)]
        return self.chain.send([Instruction(self.program, bytes([code]), parts)], self.authority)

    def approve(self, owner: SolanaWallet, delegate, amount: int) -> str:
        """The delegate may move that much; the tokens stay the owner's."""
        parts = [writable(self.account_of(owner)), reading(key_of(delegate)), signer(owner.key)]
        return self.chain.send([Instruction(self.program, struct.pack("<BQ", 4, amount), parts)], owner)

    def give_away(self, owner: SolanaWallet, to) -> str:
        """The owner's associated account, with all that is in it, is another's from now on (SetAuthority)."""
        parts = [writable(self.account_of(owner)), signer(owner.key)]
        return self.chain.send([Instruction(self.program, b"\x06\x02\x01" + bytes(key_of(to)), parts)], owner)

    def close(self, owner: SolanaWallet) -> str:
        """Closes the owner's associated account, which must be empty."""
        parts = [writable(self.account_of(owner)), writable(self.chain.payer.key), signer(owner.key)]
        return self.chain.send([Instruction(self.program, b"\x09", parts)], owner)

    def balance(self, owner) -> int:
        """Over all the owner's accounts of this token, frozen ones too."""
        how = {"encoding": "base64", "commitment": "confirmed"}
        found = self.chain.call("getTokenAccountsByOwner", str(key_of(owner)), {"mint": self.address}, how)["value"]
        contents = [base64.b64decode(entry["account"]["data"][0]) for entry in found]
        return sum(struct.unpack_from("<Q", content, 64)[0] for content in contents)

    def condition(self, min: str = ONE) -> dict:
        """For holders of at least `min`, in whole tokens: a decimal string."""
        return self.chain.spl_condition(self.address, min)


class Group:
    """A Token-2022 mint that is a token group, and its members, by the program's own instructions."""

    POINTER_SIZE = ACCOUNT_SIZE + 1 + 4 + 64
    GROUP_SIZE = 4 + 80
    MEMBER_SIZE = 4 + 72

    def __init__(self, chain: SolanaChain, authority: SolanaWallet, mint: Mint):
        self.chain, self.authority, self.mint = chain, authority, mint

    @property
    def address(self) -> str:
        return self.mint.address

    @classmethod
    def create(cls, chain: SolanaChain, authority: SolanaWallet, most_members: int = 1000) -> Group:
        mint, pair = cls._pointing_mint(chain, authority, 40, cls.GROUP_SIZE)
        data = (
            interface("spl_token_group_interface:initialize_token_group")
            + bytes(authority.key)
            + struct.pack("<Q", most_members)
        )
        parts = [writable(mint.key), reading(mint.key), signer(authority.key)]
        chain.send([Instruction(TOKEN_2022, data, parts)], authority)
        return cls(chain, authority, mint)

    def member(self, owner=None) -> Mint:
        """A new mint that is a member, with its one token minted to `owner`."""
        mint, _ = self._pointing_mint(self.chain, self.authority, 41, self.MEMBER_SIZE)
        parts = [
            writable(mint.key),
            reading(mint.key),
            signer(self.authority.key),
            writable(self.mint.key),
            signer(self.authority.key),
        ]
        self.chain.send(
            [Instruction(TOKEN_2022, interface("spl_token_group_interface:initialize_member"), parts)], self.authority
        )
        if owner is not None:
            mint.mint_to(owner)
        return mint

    @classmethod
    def pretender(cls, chain: SolanaChain, authority: SolanaWallet, group, owner) -> Mint:
        """A mint whose member pointer names the group's own address, without being a member of it."""
        mint, _ = cls._pointing_mint(chain, authority, 41, 0, target=key_of(group))
        mint.mint_to(owner)
        return mint

    @classmethod
    def _pointing_mint(
        cls, chain, authority, code: int, extra: int, target: Pubkey | None = None
    ) -> tuple[Mint, Keypair]:
        """A mint with a group pointer (40) or a member pointer (41), to itself unless told otherwise."""
        pair = Keypair()
        mint = Mint(chain, authority, pair.pubkey(), 0, TOKEN_2022)
        pointer = bytes([code, 0]) + bytes(authority.key) + bytes(target or mint.key)
        make = mint._allocate(cls.POINTER_SIZE, extra)
        chain.send([make, Instruction(TOKEN_2022, pointer, [writable(mint.key)]), mint._initialize()], pair)
        return mint, pair

    def condition(self, min: str = ONE) -> dict:
        return self.chain.group_condition(self.address, min)


# ---- Metaplex Token Metadata


def metadata_address(mint) -> Pubkey:
    return Pubkey.find_program_address([b"metadata", bytes(METADATA), bytes(key_of(mint))], METADATA)[0]


def edition_address(mint) -> Pubkey:
    return Pubkey.find_program_address([b"metadata", bytes(METADATA), bytes(key_of(mint)), b"edition"], METADATA)[0]


def record_address(mint, token_account: Pubkey) -> Pubkey:
    """Where a programmable NFT's state is kept for one token account."""
    seeds = [b"metadata", bytes(METADATA), bytes(key_of(mint)), b"token_record", bytes(token_account)]
    return Pubkey.find_program_address(seeds, METADATA)[0]


class Nft:
    """An NFT with metadata, minted by Token Metadata. `authority` is its update authority."""

    def __init__(
        self,
        chain: SolanaChain,
        authority: SolanaWallet,
        key: Pubkey,
        standard: int,
        program: Pubkey,
        collection: Nft | None,
    ):
        self.chain, self.authority, self.standard, self.collection = chain, authority, standard, collection
        # The program takes the mint's authorities over, to nobody's use.
        self.mint = Mint(chain, authority, key, 0, program)

    @property
    def key(self) -> Pubkey:
        return self.mint.key

    @property
    def address(self) -> str:
        return self.mint.address

    @property
    def metadata(self) -> Pubkey:
        return metadata_address(self.key)

    @classmethod
    def create(
        cls,
        chain: SolanaChain,
        authority: SolanaWallet,
        owner,
        *,
        collection: Nft | None = None,
        verified: bool = True,
        creators: list[SolanaWallet] = (),
        programmable: bool = False,
        is_collection: bool = False,
        program: Pubkey = TOKEN,
        name: str = "StreamGate Pass",
    ) -> Nft:
        """Minted to `owner`, and verified in the collection unless told otherwise. Creators are not verified yet."""
        pair = Keypair()
        nft = cls(chain, authority, pair.pubkey(), PROGRAMMABLE if programmable else NON_FUNGIBLE, program, collection)
        data = b"".join(
            [
                bytes([42, 0]),  # Create, version 1
                string(name), string("PASS"), string("https://films.example/pass.json"), struct.pack("<H", 0),
                option(creator_list(creators) if creators else None),
                bytes([0, 1, nft.standard]),  # not sold yet, mutable
                option(b"\0" + bytes(collection.key) if collection else None),
                option(None),  # uses
                option(b"\0" + struct.pack("<Q", 0) if is_collection else None),
                option(None),  # rule set
                option(b"\0"),  # decimals
                option(b"\0"),  # no prints
            ]
        )  # fmt: skip
        parts = [
            writable(nft.metadata), writable(edition_address(nft.key)), signing(nft.key), signer(authority.key),
            signing(chain.payer.key), signer(authority.key), reading(SYSTEM), reading(INSTRUCTIONS), reading(program),
        ]  # fmt: skip
        chain.send([Instruction(METADATA, data, parts)], authority, pair)
        nft._mint(owner)
        if collection and verified:
            nft.verify()
        return nft

    @property
    def _programmable(self) -> bool:
        return self.standard == PROGRAMMABLE

    def _record(self, owner) -> AccountMeta:
        return writable(record_address(self.key, self.mint.account_of(owner))) if self._programmable else absent()

    def _mint(self, owner) -> None:
        parts = [
            writable(self.mint.account_of(owner)), reading(key_of(owner)), reading(self.metadata),
            writable(edition_address(self.key)), self._record(owner), writable(self.key), signer(self.authority.key),
            absent(), signing(self.chain.payer.key), reading(SYSTEM), reading(INSTRUCTIONS), reading(self.mint.program),
            reading(ASSOCIATED), absent(), absent(),
        ]  # fmt: skip
        self.chain.send(
            [Instruction(METADATA, bytes([43, 0]) + struct.pack("<Q", 1) + option(None), parts)], self.authority
        )

    def verify(self) -> str:
        """The collection's authority says that this belongs to it."""
        of = self.collection
        parts = [
            signer(of.authority.key), absent(), writable(self.metadata), reading(of.key), writable(of.metadata),
            reading(edition_address(of.key)), reading(SYSTEM), reading(INSTRUCTIONS),
        ]  # fmt: skip
        return self.chain.send([Instruction(METADATA, bytes([52, 1]), parts)], of.authority)

    def unverify(self) -> str:
        of = self.collection
        parts = [
            signer(of.authority.key), absent(), writable(self.metadata), reading(of.key), writable(of.metadata),
            reading(SYSTEM), reading(INSTRUCTIONS),
        ]  # fmt: skip
        return self.chain.send([Instruction(METADATA, bytes([53, 1]), parts)], of.authority)

    def verify_creator(self, creator: SolanaWallet) -> str:
        """The creator says that this is his: only he can."""
        parts = [
            signer(creator.key), absent(), writable(self.metadata), absent(), absent(), absent(), reading(SYSTEM),
            reading(INSTRUCTIONS),
        ]  # fmt: skip
        return self.chain.send([Instruction(METADATA, bytes([52, 0]), parts)], creator)

    def transfer(self, sender: SolanaWallet, to) -> str:
        """By Token Metadata's Transfer, which a programmable NFT cannot do without."""
        parts = [
            writable(self.mint.account_of(sender)), reading(sender.key), writable(self.mint.account_of(to)),
            reading(key_of(to)), reading(self.key), writable(self.metadata), reading(edition_address(self.key)),
            self._record(sender), self._record(to), signer(sender.key), signing(self.chain.payer.key), reading(SYSTEM),
            reading(INSTRUCTIONS), reading(self.mint.program), reading(ASSOCIATED), absent(), absent(),
        ]  # fmt: skip
        data = bytes([49, 0]) + struct.pack("<Q", 1) + option(None)
        return self.chain.send([Instruction(METADATA, data, parts)], sender)

    def burn(self, owner: SolanaWallet) -> str:
        """Token, edition and metadata are gone; of the metadata account a byte and its fee stay behind."""
        parts = [
            signing(owner.key), writable(self.collection.metadata) if self.collection else absent(),
            writable(self.metadata), writable(edition_address(self.key)), writable(self.key),
            writable(self.mint.account_of(owner)), absent(), absent(), absent(), absent(), self._record(owner),
            reading(SYSTEM), reading(INSTRUCTIONS), reading(self.mint.program),
        ]  # fmt: skip
        return self.chain.send([Instruction(METADATA, bytes([41, 0]) + struct.pack("<Q", 1), parts)], owner)


class Collection(Nft):
    """A collection NFT, held by its authority."""

    @classmethod
    def create(cls, chain: SolanaChain, authority: SolanaWallet, name: str = "StreamGate Films") -> Collection:
        return super().create(chain, authority, authority, is_collection=True, name=name)

    def mint_nft(self, owner, **how) -> Nft:
        """An NFT of this collection; `how` as for Nft.create."""
        return Nft.create(self.chain, self.authority, owner, collection=self, **how)

    def condition(self, min: str = ONE) -> dict:
        return self.chain.collection_condition(self.address, min)


def metadata_bytes(
    mint,
    authority,
    *,
    collection=None,
    verified: bool = True,
    creators: list[tuple] = (),
    standard: int | None = NON_FUNGIBLE,
    name: str = "StreamGate Pass",
) -> bytes:
    """A metadata account's content, for forgeries. `creators` are (address, verified) pairs."""
    shares = [
        bytes(key_of(creator)) + bytes([checked, part])
        for (creator, checked), part in zip(creators, shares_of(len(creators)), strict=True)
    ]
    edition_bump = Pubkey.find_program_address(
        [b"metadata", bytes(METADATA), bytes(key_of(mint)), b"edition"], METADATA
    )[1]
    content = b"".join(
        [
            b"\4", bytes(key_of(authority)), bytes(key_of(mint)),
            padded(name, 32), padded("PASS", 10), padded("https://films.example/pass.json", 200), struct.pack("<H", 0),
            option(struct.pack("<I", len(shares)) + b"".join(shares) if shares else None),
            bytes([0, 1]), option(bytes([edition_bump])), option(None if standard is None else bytes([standard])),
            option(bytes([verified]) + bytes(key_of(collection)) if collection else None),
            option(None), option(None), option(None),
        ]
    )  # fmt: skip
    # A created account's size; its last byte says that the program's fee was paid.
    return content.ljust(606, b"\0") + b"\1"


def forged_elsewhere(chain: SolanaChain, mint, authority, owner=METADATA, **content) -> Pubkey:
    """Right bytes under the right program, at an address that is not derived from the mint. Answers the address."""
    address = Keypair().pubkey()
    chain.place(address, metadata_bytes(mint, authority, **content), owner)
    return address


def forged_in_place(chain: SolanaChain, mint, authority, owner, **content) -> Pubkey:
    """Right bytes at the derived address, owned by another program. Answers the address."""
    address = metadata_address(mint)
    chain.place(address, metadata_bytes(mint, authority, **content), owner)
    return address


# ---- Metaplex Core: placed


class CoreCollection:
    """A collection account of Metaplex Core, and assets of it."""

    def __init__(self, chain: SolanaChain, authority: SolanaWallet, key: Pubkey):
        self.chain, self.authority, self.key, self.size = chain, authority, key, 0

    @property
    def address(self) -> str:
        return str(self.key)

    @classmethod
    def create(cls, chain: SolanaChain, authority: SolanaWallet) -> CoreCollection:
        collection = cls(chain, authority, Keypair().pubkey())
        collection._place()
        return collection

    def _place(self) -> None:
        content = (
            b"\5"
            + bytes(self.authority.key)
            + string("StreamGate Films")
            + string("https://films.example/collection.json")
        )
        self.chain.place(self.key, content + struct.pack("<II", self.size, self.size), CORE)

    def asset(self, owner, *, frozen: bool = False, program: Pubkey = CORE) -> CoreAsset:
        """`program` is the account's owner: another one than Core makes it a forgery."""
        asset = CoreAsset(self.chain, Keypair().pubkey(), key_of(owner), (2, self.key), frozen, program)
        asset.place()
        self.size += 1
        self._place()
        return asset

    def condition(self, min: str = ONE) -> dict:
        return self.chain.core_condition(self.address, min)


class CoreAsset:
    """An asset account of Metaplex Core. `authority` is (0, None), (1, an address) or (2, a collection)."""

    def __init__(
        self,
        chain: SolanaChain,
        key: Pubkey,
        owner: Pubkey,
        authority: tuple,
        frozen: bool = False,
        program: Pubkey = CORE,
    ):
        self.chain, self.key, self.owner, self.authority = chain, key, owner, authority
        self.frozen, self.program = frozen, program

    @classmethod
    def create(cls, chain: SolanaChain, owner, authority=None) -> CoreAsset:
        """One of no collection: its update authority is an address, which may be a collection's without its leave."""
        asset = cls(chain, Keypair().pubkey(), key_of(owner), (1, key_of(authority)) if authority else (0, None))
        asset.place()
        return asset

    @property
    def address(self) -> str:
        return str(self.key)

    def content(self) -> bytes:
        tag, key = self.authority
        base = b"\1" + bytes(self.owner) + bytes([tag]) + (bytes(key) if key else b"")
        base += string("StreamGate Pass") + string("https://films.example/pass.json") + option(None)
        if not self.frozen:
            return base
        # A header that says where the registry is, the plugin itself (FreezeDelegate, frozen), and the registry with
        # its one entry (kind, the owner as the plugin's authority, where) and no external plugins.
        header_size, plugin = 9, b"\1\1"
        header = b"\3" + struct.pack("<Q", len(base) + header_size + len(plugin))
        registry = b"\4" + struct.pack("<IBBQI", 1, 1, 1, len(base) + header_size, 0)
        return base + header + plugin + registry

    def place(self) -> int:
        return self.chain.place(self.key, self.content(), self.program)

    def transfer(self, to) -> int:
        self.owner = key_of(to)
        return self.place()

    def burn(self) -> int:
        """As Core does it: one zero byte stays, so that the address is never used again."""
        return self.chain.place(self.key, b"\0", self.program)

    def close(self) -> int:
        return self.chain.remove(self.key)


# ---- Bytes and keys


def key_of(value) -> Pubkey:
    """The address of a wallet, a mint or an NFT, or an address as it is."""
    if isinstance(value, str):
        return Pubkey.from_string(value)
    return value if isinstance(value, Pubkey) else value.key


def pair_of(value: SolanaWallet | Keypair) -> Keypair:
    return value if isinstance(value, Keypair) else value.pair


def reading(key: Pubkey) -> AccountMeta:
    return AccountMeta(key, is_signer=False, is_writable=False)


def writable(key: Pubkey) -> AccountMeta:
    return AccountMeta(key, is_signer=False, is_writable=True)


def signer(key: Pubkey) -> AccountMeta:
    return AccountMeta(key, is_signer=True, is_writable=False)


def signing(key: Pubkey) -> AccountMeta:
    """Signs and is written to, as who pays is."""
    return AccountMeta(key, is_signer=True, is_writable=True)


def absent() -> AccountMeta:
    """Token Metadata's sign for an optional account that is not given."""
    return reading(METADATA)


def allocate(chain: SolanaChain, key: Pubkey, size: int, owner: Pubkey, extra: int = 0) -> Instruction:
    lamports = chain.rent(size + extra)
    return create_account(
        CreateAccountParams(from_pubkey=chain.payer.key, to_pubkey=key, lamports=lamports, space=size, owner=owner)
    )


def interface(name: str) -> bytes:
    """The eight bytes that an instruction of a program interface starts with."""
    return hashlib.sha256(name.encode()).digest()[:8]


def option(content: bytes | None) -> bytes:
    return b"\0" if content is None else b"\1" + content


def string(text: str) -> bytes:
    return struct.pack("<I", len(text.encode())) + text.encode()


def padded(text: str, size: int) -> bytes:
    """A string that Token Metadata filled up with zeros."""
    return struct.pack("<I", size) + text.encode().ljust(size, b"\0")


def creator_list(creators: list[SolanaWallet]) -> bytes:
    """Unverified, with equal shares of a hundred."""
    entries = [
        bytes(key_of(creator)) + bytes([0, part])
        for creator, part in zip(creators, shares_of(len(creators)), strict=True)
    ]
    return struct.pack("<I", len(entries)) + b"".join(entries)


def shares_of(count: int) -> list[int]:
    """A hundred in so many parts, which Token Metadata insists on."""
    return [100 // count + (place < 100 % count) for place in range(count)]
