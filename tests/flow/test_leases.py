"""One token, one stream: places that a policy counts by token, whoever holds it and however often it is passed on."""

from __future__ import annotations

import datetime
import time

import pytest

from tests.kit import inside
from tests.kit.chain import Editions, Token, funded
from tests.kit.client import Client, Refused
from tests.kit.gate import Gate, eventually
from tests.kit.solana import Collection, SolanaWallet
from tests.kit.viewer import Viewer, ask, slug
from tests.kit.watching import watching

# LeaseSeconds, which the tests' stack leaves as it is.
LEASE = 120
# A watch of its own knows the policies of now; the one that is at work reads them again every 20 s.
QUICK = {"RUN_SECONDS": "3"}


@pytest.fixture(scope="module")
def two(stack, proxy, chain, caip2):
    """The lender, who holds all there is at first, and the borrower."""
    with (
        Client(funded(chain, caip2, "lender"), stack.edge_origin, renew=True).sign_in() as lender,
        Client(funded(chain, caip2, "borrower"), stack.edge_origin, renew=True).sign_in() as borrower,
    ):
        yield lender, borrower


@pytest.fixture(scope="module")
def passes(chain, creator, two) -> Token:
    """Four of them."""
    passes = Token.deploy(chain, creator, "Passes", "ONE")
    for token_id in (1, 2, 3, 4):
        passes.mint(two[0].wallet.address, token_id)
    Gate.settle()
    return passes


@pytest.fixture(scope="module")
def editions(chain, creator, two) -> Editions:
    """Each has a copy of the fifth."""
    editions = Editions.deploy(chain, creator)
    for client in two:
        editions.mint(client.wallet.address, 5)
    Gate.settle()
    return editions


def refused(client: Client, video: str, holders: list[Client]) -> None:
    """No place is free, and the answer says who sits there and until when."""
    by_now = lambda answer: slug(answer) != "policy-refused"  # noqa: E731
    answer = eventually(lambda: ask(client, video, "path"), by_now, what="an answer by the chain as it is")
    assert (answer.status_code, slug(answer)) == (403, "streams-full"), answer.text
    said = answer.json()["holders"]
    assert [each["account"] for each in said] == [holder.wallet.account for holder in holders]
    for each in said:
        left = datetime.datetime.fromisoformat(each["until"]).timestamp() - time.time()
        assert 0 < left <= LEASE


def lent(stack, player, video: dict, two: tuple[Client, Client], hand_over) -> None:
    """`hand_over()` gives the only token from the first to the second; a place for each token is all there is."""
    lender, borrower = two
    first = Viewer(player, lender, video["id"], "path")
    segment = first.segments()[0]
    refused(lender, video["id"], [lender])
    assert first.renew().status_code == 200
    # Nobody's grants are decided again yet: the token is another's, and its place still the lender's.
    with inside.paused(stack, "GrantReview"):
        hand_over()
        refused(borrower, video["id"], [lender])
        lost = eventually(first.renew, lambda answer: answer.status_code == 403, what="the rule of now")
        assert slug(lost) == "policy-refused"
        # By that it is over, and the place is free.
        second = Viewer(player, borrower, video["id"], "query")
        first.stops(segment)
    assert second.get(second.segments()[0]).status_code == 200
    assert slug(ask(lender, video["id"], "path")) == "policy-refused"
    refused(borrower, video["id"], [borrower])


def test_a_token_that_is_lent_is_one_stream(stack, player, passes, video, own_policy, two):
    own_policy(passes.policy(ids=[1]) | {"streams": {"per_token": 1}})
    lent(stack, player, video, two, lambda: passes.transfer(two[0].wallet, two[1].wallet.address, 1))


def test_an_nft_of_solana_that_is_lent_is_one_stream(stack, player, solana, video, own_policy):
    issuer, lender, borrower = (SolanaWallet.fresh(name=name) for name in ("issuer", "lender", "borrower"))
    for wallet in (issuer, lender, borrower):
        solana.airdrop(wallet.address)
    collection = Collection.create(solana, issuer)
    nft = collection.mint_nft(lender)
    own_policy({"version": 1, "rule": collection.condition(), "streams": {"per_token": 1}})
    clients = [Client(wallet, stack.edge_origin, renew=True) for wallet in (lender, borrower)]
    with clients[0].sign_in() as one, clients[1].sign_in() as other:
        lent(stack, player, video, (one, other), lambda: nft.transfer(lender, borrower))


def test_who_holds_the_token_takes_its_place_over(stack, player, passes, video, own_policy, two):
    lender, borrower = two
    own_policy(passes.policy(ids=[2]) | {"streams": {"per_token": 1, "when_full": "take_over"}})
    first = Viewer(player, lender, video["id"], "path")
    segment = first.segments()[0]
    with inside.paused(stack, "GrantReview"):
        passes.transfer(lender.wallet, borrower.wallet.address, 2)
        second = Viewer(player, borrower, video["id"], "query", seconds=10)
        first.stops(segment)
        assert slug(first.renew()) == "grant-invalid"
        # Who holds it no more takes nothing back.
        assert slug(ask(lender, video["id"], "path")) == "policy-refused"
        seen = second.segments()[0]
        assert second.get(seen).status_code == second.renew().status_code == 200
        third = Viewer(player, borrower, video["id"], "path")
        second.stops(seen)
        assert third.get(third.segments()[0]).status_code == 200


def test_who_share_an_edition_have_a_place_each(stack, player, passes, editions, video, own_policy, two):
    """Copies of an ERC-1155 can't be told apart, so no policy counts by them; it counts by wallet."""
    one, other = two
    by_token = {"streams": {"per_token": 1}}
    with pytest.raises(Refused) as invalid:
        own_policy(editions.policy(ids=[5]) | by_token)
    assert (invalid.value.slug, invalid.value.body["path"]) == ("policy-invalid", "streams.per_token")
    # Beside tokens that it can count, what lets in without one has no place.
    own_policy({"version": 1, "rule": {"any": [passes.condition(ids=[9]), editions.condition(ids=[5])]}} | by_token)
    for client in two:
        refused(client, video["id"], [])
    own_policy(editions.policy(ids=[5]) | {"streams": {"per_wallet": 1}})
    mine, theirs = Viewer(player, one, video["id"], "path"), Viewer(player, other, video["id"], "query")
    here, there = mine.segments()[0], theirs.segments()[0]
    for client in two:
        refused(client, video["id"], [client])
    # Two copies are no second place, and who has none any more loses the place.
    editions.transfer(one.wallet, other.wallet.address, 5)
    with watching(stack, **QUICK):
        mine.stops(here, seconds=40)
    refused(other, video["id"], [other])
    assert theirs.get(there).status_code == theirs.renew().status_code == 200


def test_a_stream_that_sits_on_another_token_by_now_goes_on(stack, player, passes, video, own_policy, two):
    """Who sold one of two tokens keeps one stream, on the token that is left, as long as it is renewed."""
    lender, borrower = two
    own_policy(passes.policy(ids=[3, 4]) | {"streams": {"per_token": 1}})
    short = {"LEASE_SECONDS": "4"}
    with inside.environment(stack, "PlaybackGrant", **short), inside.environment(stack, "GrantRenew", **short):
        stream = Viewer(player, lender, video["id"], "path")
        (seat,) = leases(stack, stream)
        passes.transfer(lender.wallet, borrower.wallet.address, int(seat.rpartition("/")[2]))

        def renewed(true):
            assert stream.renew().status_code == 200, "the place was renewed each second, and lost"
            return true()

        moved = lambda: leases(stack, stream) != [seat]  # noqa: E731
        inside.wait_until(lambda: renewed(moved), 10, "the stream never moved to the other token", interval=1)
        # The buyer waits until nobody sits on the token that was sold.
        bought = lambda: ask(borrower, video["id"], "path").status_code == 200  # noqa: E731
        inside.wait_until(lambda: renewed(bought), 30, "the buyer never got in", interval=1)
        renewed(bool)


def leases(stack, viewer: Viewer) -> list[str]:
    """Where a stream has its places."""
    return next(grant["leases"] for grant in inside.grants(stack, viewer.video) if grant["grant"] == viewer.grant["id"])
