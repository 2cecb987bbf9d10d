"""A fault test that fails must not fail the next one too."""

from __future__ import annotations

import itertools

import pytest

from tests.kit import inside
from tests.kit.gate import GROUNDS, Ground, renew
from tests.kit.scripted import Scripted
from tests.kit.solana import Mint, SolanaWallet
from tests.kit.wallet import Wallet


@pytest.fixture(autouse=True)
def empty_queues(stack):
    yield
    inside.purge(stack)


@pytest.fixture(scope="session")
def grounds(gate, chain, second_chain, solana, creator) -> dict[str, Ground]:
    holder, stranger = Wallet.fresh(creator.chain, "provider's holder"), Wallet.fresh(creator.chain, "stranger")
    found = {}
    for one in (chain, second_chain):
        # Whatever the id, the holder has one of it: there are as many questions as ids.
        editions = Scripted.make(one, creator, {"balanceOf(address,uint256)": ("holder", holder.address)})
        ids = itertools.count(1)

        def fresh(editions=editions, ids=ids) -> dict:
            return editions.condition("erc1155", ids=[str(next(ids))])

        found[one.caip2()] = Ground(one.caip2(), holder, stranger, stranger.address, fresh)
    issuer, owner, other = (SolanaWallet.fresh(name=name) for name in ("issuer", "holder", "stranger"))

    def fresh_mint() -> dict:
        mint = Mint.create(solana, issuer)
        mint.mint_to(owner, 1)
        return mint.condition()

    found[solana.caip2()] = Ground(solana.caip2(), owner, other, other.account, fresh_mint)
    assert set(found) == set(GROUNDS)
    gate.settle()
    return found


@pytest.fixture
def fresh_functions(stack):
    """Functions that know of no provider yet: none is out, all were as quick, and the first two are asked first."""
    functions = ("PlaybackGrant", "ChainVerify", "Health")
    renew(stack, *functions)
    yield
    renew(stack, *functions)
