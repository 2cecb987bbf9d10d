"""A hundred viewers sell their tokens within seconds: all of their streams stop, and nobody else's does."""

from __future__ import annotations

from functools import partial

import pytest

from tests.kit import inside, webhooks
from tests.kit.chain import Token
from tests.kit.crowd import Crowd
from tests.kit.gate import eventually
from tests.kit.viewer import CARRIERS
from tests.kit.wallet import Wallet
from tests.kit.watching import follows, unwatched, watching

pytestmark = pytest.mark.proof

VIEWERS, KEEPERS = 100, 10
# The shortest that there are are 10 s; a fifteenth of these is a second to renew in.
COOKIE_SECONDS = "15"
PATIENCE = 90


@pytest.fixture(scope="module")
def seats(chain, creator) -> Token:
    """A collection of its own: other tests count what the shared holder has."""
    return Token.deploy(chain, creator, "Seats", "SEAT")


@pytest.fixture(scope="module")
def hall(publish, film, seats) -> str:
    return publish(film, seats.policy(), "A full house")["id"]


@pytest.fixture(scope="module")
def short_cookies(stack):
    with (
        inside.environment(stack, "PlaybackGrant", COOKIE_SECONDS=COOKIE_SECONDS),
        inside.environment(stack, "GrantRenew", COOKIE_SECONDS=COOKIE_SECONDS),
    ):
        yield


def sold_out(stack, seats, hall, carrier, tell=None) -> None:
    """All sell, and they alone are stopped, without a fault of ours."""
    buyer = Wallet.fresh(seats.owner.chain, "buyer").address
    with Crowd(stack, seats, hall, carrier, VIEWERS, KEEPERS) as crowd:
        crowd.watch()
        crowd.sell(buyer, seconds=5, tell=tell)
        left = crowd.wait(PATIENCE)
        assert not left, f"{len(left)} of {VIEWERS} are still served {PATIENCE} s after the last sale"
        before = [stream.statuses.total() for stream in crowd.keepers]
        now = lambda: [stream.statuses.total() for stream in crowd.keepers]  # noqa: E731
        eventually(now, lambda seen: all(map(int.__gt__, seen, before)), what="more answers for who kept theirs")
    assert crowd.failures() == []
    for stream in crowd.keepers:
        assert set(stream.statuses) == {206}, stream.statuses
        assert set(stream.renewals) <= {200}, stream.renewals
    for stream in crowd.sellers:
        # Their last renewal may be refused; nothing fails.
        assert set(stream.statuses) == {206, 403}, stream.statuses
        assert set(stream.renewals) <= {200, 403}, stream.renewals


@pytest.mark.timeout(300)
@pytest.mark.parametrize("carrier", CARRIERS)
def test_who_sells_is_stopped_and_who_keeps_is_not(stack, proxy, chain, caip2, short_cookies, seats, hall, carrier):
    with watching(stack):
        follows(stack, caip2, chain.block_number())
        sold_out(stack, seats, hall, carrier)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("carrier", CARRIERS)
def test_webhooks_alone_stop_who_sells(stack, proxy, caip2, as_nobody, short_cookies, seats, hall, carrier):
    with webhooks.configured(stack, caip2), unwatched(stack):
        sold_out(stack, seats, hall, carrier, partial(webhooks.deliver, as_nobody))


def test_a_webhook_that_is_quicker_than_the_head_waits_for_no_retry(stack, proxy, caip2, as_nobody, seats, hall):
    reviews = lambda: sum('"a message failed"' in line for line in stack.log_lines("GrantReview"))  # noqa: E731
    before = reviews()
    with webhooks.configured(stack, caip2), unwatched(stack), Crowd(stack, seats, hall, "path", 10, 1) as crowd:
        crowd.watch()
        crowd.sell(Wallet.fresh(caip2, "buyer").address, seconds=1, tell=partial(webhooks.deliver, as_nobody))
        assert not crowd.wait(PATIENCE)
    assert reviews() == before
