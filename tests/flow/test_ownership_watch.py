"""The chains are watched: whoever sells the token while the film plays sees no more of it."""

from __future__ import annotations

import time

import pytest

from tests.kit.chain import Token, funded
from tests.kit.client import Client
from tests.kit.gate import Gate, eventually
from tests.kit.viewer import Viewer, ask, slug
from tests.kit.wallet import Wallet
from tests.kit.watching import cursor, follows, watching


@pytest.fixture(scope="module")
def tickets(chain, creator) -> Token:
    """A collection of its own: other tests count what the shared holder has."""
    return Token.deploy(chain, creator, "Seats", "SEAT")


@pytest.fixture(scope="module")
def watched(stack, proxy):
    with watching(stack):
        yield


def test_a_sale_in_mid_play_ends_the_grant(stack, secrets, watched, chain, caip2, tickets, video, own_policy, player):
    seller, buyer = Wallet.numbered(7, caip2, "seller"), Wallet.numbered(8, caip2, "buyer")
    tickets.mint(seller.address, 1)
    own_policy(tickets.policy(ids=[1]))
    with Client(seller, stack.edge_origin).sign_in() as as_seller:
        path = f"/v1/videos/{video['id']}/playback"
        granted = eventually(lambda: as_seller.ask("POST", path, {"carrier": "query"}), lambda answer: answer.status_code == 200, what="200").json()
        assert player.get(granted["hls"]).status_code == 200
        # Nothing happens to who keeps the token, though it has been decided again meanwhile.
        follows(stack, caip2, chain.block_number())
        time.sleep(3)
        assert player.get(granted["hls"]).status_code == 200
        tickets.transfer(seller, buyer.address, 1)
        follows(stack, caip2, chain.block_number())
        stopped = eventually(
            lambda: player.get(granted["hls"]), lambda answer: answer.status_code != 200, seconds=20, what="the end"
        )
        assert stopped.status_code in (403, 404)


def test_a_chain_is_followed_to_its_head_and_once(stack, watched, chain, caip2, tickets, video, own_policy):
    own_policy(tickets.policy(ids=[1]))
    before = follows(stack, caip2, chain.block_number())
    tickets.mint(Wallet.numbered(9, caip2, "somebody").address, 99)
    after = follows(stack, caip2, chain.block_number())
    assert int(after["revision"]) > int(before["revision"])
    mark = after["marks"][-1]
    assert mark["hash"] == chain.block(int(mark["number"]))["hash"]
    time.sleep(3)
    # Where nothing happens nothing is written.
    assert int(cursor(stack, caip2)["revision"]) <= int(after["revision"]) + 1


def test_a_reorganisation_is_noticed(stack, watched, chain, caip2, tickets, video, own_policy):
    own_policy(tickets.policy(ids=[1]))
    follows(stack, caip2, chain.block_number())
    minted_in = int(tickets.mint(Wallet.numbered(9, caip2, "somebody").address, 100)["blockNumber"], 16)
    chain.call("evm_mine")
    old = follows(stack, caip2, chain.block_number())["marks"][-1]
    # Down to the mint, however many blocks the chain has made by itself: else the same blocks come again.
    chain.reorg(chain.block_number() - minted_in + 1)
    chain.call("evm_mine")
    follows(stack, caip2, chain.block_number())

    def replaced():
        marks = {int(mark["number"]): mark["hash"] for mark in cursor(stack, caip2)["marks"]}
        return all(hash == chain.block(number)["hash"] for number, hash in list(marks.items())[-3:])

    eventually(replaced, bool, seconds=15, what="the new blocks")
    assert chain.block(int(old["number"]))["hash"] != old["hash"]
    # The engine hands over a function's lines when the invocation is over.
    lines = lambda: stack.log_lines("OwnershipWatch")  # noqa: E731
    eventually(lines, lambda lines: any("the chain was reorganised" in line for line in lines), 15, "a line in the log")


def test_a_reorganisation_gives_the_stream_back(stack, watched, chain, caip2, tickets, video, own_policy, player):
    """A sale in a block that is dropped has never been: its buyer's stream ends, and the seller gets a new one."""
    seller, buyer = funded(chain, caip2, "seller"), funded(chain, caip2, "buyer")
    tickets.mint(seller.address, 2)
    # Or a review that comes of the new policy reads the chain as it was before.
    Gate.settle()
    own_policy(tickets.policy(ids=[2]))
    with (
        Client(seller, stack.edge_origin).sign_in() as as_seller,
        Client(buyer, stack.edge_origin).sign_in() as as_buyer,
    ):
        session = as_seller.token
        first = Viewer(player, as_seller, video["id"], "path")
        segment = first.segments()[0]
        follows(stack, caip2, chain.block_number())
        sold_in = int(tickets.transfer(seller, buyer.address, 2)["blockNumber"], 16)
        first.stops(segment)
        bought = Viewer(player, as_buyer, video["id"], "query", seconds=10)
        bought_segment = bought.segments()[0]
        assert bought.get(bought_segment).status_code == 200
        follows(stack, caip2, chain.block_number())
        chain.reorg(chain.block_number() - sold_in + 1)
        chain.mine()
        assert tickets.owner_of(2) == seller.address
        bought.stops(bought_segment)
        back = Viewer(player, as_seller, video["id"], "path", seconds=10)
        assert as_seller.token == session, "it asked with the session that it had"
        assert back.get(back.segments()[0]).status_code == 200
        # What ended stays ended, and the buyer, who never was one, gets nothing more.
        assert first.get(segment).status_code == first.renew().status_code == 403
        assert slug(ask(as_buyer, video["id"], "path")) == "policy-refused"


def test_two_at_once_do_not_overlap(stack, watched):
    # The fixture's is at work most of the time; one of these few meets it.
    for _ in range(5):
        assert stack.invoke("OwnershipWatch", {})["error"] is None
        if any('"held"' in line for line in stack.log_lines("OwnershipWatch")):
            return
    pytest.fail("no invocation found the watch held")
