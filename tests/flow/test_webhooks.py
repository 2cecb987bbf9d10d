"""Webhooks of chain watchers: who is not the provider changes nothing, and a delivery counts once."""

from __future__ import annotations

import hashlib
import time

import httpx
import pytest

from tests.kit import inside, webhooks
from tests.kit.chain import Token, funded
from tests.kit.client import Client
from tests.kit.gate import FACT_SECONDS, eventually, renew
from tests.kit.viewer import CARRIERS, Viewer, ask, slug
from tests.kit.watching import unwatched
from tests.kit.webhooks import ALCHEMY, HELIUS, QUICKNODE, alchemy, quicknode, signature


@pytest.fixture(scope="module")
def post(stack, proxy, secrets, caip2):
    """`post(provider, body, headers)`, where the stack has a webhook of each."""
    for name, value in (("Alchemy's signing key", ALCHEMY), ("QuickNode's token", QUICKNODE), ("Helius' header", HELIUS)):
        secrets.add(name, value)
    with webhooks.configured(stack, caip2), Client(None, stack.edge_origin) as client:

        def post(provider: str, body: bytes, headers: dict[str, str] | None = None) -> httpx.Response:
            headers = webhooks.JSON | (headers or {})
            return client.ask("POST", f"/v1/webhooks/chain/{provider}", content=body, headers=headers)

        yield post


def body(token) -> bytes:
    return webhooks.transfer(token.address, 7, "0x" + "11" * 20, "0x" + "22" * 20, 1)


def remembered(stack, sent: bytes) -> bool:
    digest = hashlib.sha256(sent).hexdigest()
    items = stack.client("dynamodb").scan(TableName=stack.output("NoncesTableName"), ConsistentRead=True)["Items"]
    return any(item["nonce"]["S"].endswith(digest) for item in items)


def test_each_provider_is_taken_as_it_signs(stack, post, token, video):
    for provider, headers in (
        ("alchemy", alchemy),
        ("quicknode", lambda sent: quicknode(sent, time.time())),
        ("helius", lambda sent: {"Authorization": HELIUS}),
    ):
        sent = body(token)
        for _ in range(2):
            answer = post(provider, sent, headers(sent))
            assert (answer.status_code, answer.json()) == (200, {}), provider
        assert remembered(stack, sent)


def test_who_is_not_the_provider_is_refused(stack, post, token):
    sent = body(token)
    good = signature(ALCHEMY, sent)
    now = time.time()
    for provider, headers in (
        ("alchemy", {}),
        ("alchemy", {"X-Alchemy-Signature": signature("whsec_another_key_00", sent)}),
        ("alchemy", {"X-Alchemy-Signature": good[:-2] + ("00" if good[-2:] != "00" else "11")}),
        ("alchemy", {"X-Alchemy-Signature": f"{good},{good}"}),
        ("quicknode", {"X-Alchemy-Signature": good}),
        ("quicknode", quicknode(sent, now - 301)),
        ("quicknode", quicknode(sent, now + 400)),
        ("quicknode", quicknode(sent, now) | {"x-qn-nonce": "abd"}),
        ("helius", {"Authorization": HELIUS[:-1]}),
        ("helius", {"Authorization": HELIUS.lower()}),
    ):
        answer = post(provider, sent, headers)
        assert (answer.status_code, slug(answer)) == (401, "signature-invalid"), (provider, headers)
    assert post("alchemy", sent + b" ", {"X-Alchemy-Signature": good}).status_code == 401
    assert post("infura", sent).status_code == 404
    assert not remembered(stack, sent)


def test_a_body_has_a_limit(post):
    sent = b" " * (256 * 1024 + 1)
    answer = post("alchemy", sent, alchemy(sent))
    assert (answer.status_code, slug(answer)) == (413, "body-too-large")


def ends(stack, video: str, wallet) -> list[str | None]:
    """Why the wallet's grants ended, or that they have not."""
    grants = [grant for grant in inside.grants(stack, video) if grant["account"].lower() == wallet.account.lower()]
    return [grant.get("ended", {}).get("why") for grant in grants]


def test_a_sale_that_only_a_webhook_tells_of_ends_the_stream(
    stack, post, chain, caip2, creator, player, video, own_policy
):
    """From the transfer to the last segment that is served, while nobody polls the chain."""
    seller, buyer = funded(chain, caip2, "seller"), funded(chain, caip2, "buyer")
    seats = Token.deploy(chain, creator, "Seats", "SEAT")
    seats.mint(seller.address, 7)
    with unwatched(stack), Client(seller, stack.edge_origin).sign_in() as as_seller:
        own_policy(seats.policy(ids=[7]))
        # What it takes for the function to know of that policy.
        renew(stack, "WebhookChain")
        viewers = [Viewer(player, as_seller, video["id"], carrier, seconds=10) for carrier in CARRIERS]
        films = [viewer.segments() for viewer in viewers]
        # Or the review reads what was remembered from before the sale, and is put off.
        time.sleep(FACT_SECONDS)
        sale = seats.transfer(seller, buyer.address, 7)
        told = webhooks.transfer(seats.address, 7, seller.address, buyer.address, int(sale["blockNumber"], 16))
        # Who is not the provider ends nothing, and nor does the sale itself: nobody has told of it.
        for headers in ({}, {"X-Alchemy-Signature": signature("whsec_another_key_00", told)}):
            assert post("alchemy", told, headers).status_code == 401
        for viewer, film in zip(viewers, films, strict=True):
            assert {viewer.get(segment).status_code for segment in film} == {200}, viewer.carrier
        assert ends(stack, video["id"], seller) == [None] * 3
        assert post("alchemy", told, alchemy(told)).status_code == 200
        by_cookie, *others = viewers
        for viewer, film in zip(others, films[1:], strict=True):
            viewer.stops(film[0], seconds=40)
            assert {viewer.get(segment).status_code for segment in film} == {403}, "one was served after the last"
        assert ends(stack, video["id"], seller) == ["refused"] * 3
        assert [slug(viewer.renew()) for viewer in viewers] == ["grant-invalid"] * 3
        # Cookies open until their own end, and soon there are no new ones.
        assert by_cookie.get(films[0][0]).status_code == 200
        again = lambda: slug(ask(as_seller, video["id"], "cookie"))  # noqa: E731
        eventually(again, lambda said: said == "policy-refused", what="the rule of now")


def test_nothing_of_it_is_logged(stack, post, token):
    sent = body(token)
    post("alchemy", sent, alchemy(sent))
    lines = inside.wait_until(lambda: stack.log_lines("WebhookChain"), 10, "no line")
    text = "\n".join(lines)
    assert ALCHEMY not in text and signature(ALCHEMY, sent) not in text and "1111111111" not in text
