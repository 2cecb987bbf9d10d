"""Who may watch: the stored policy and the chain decide, and nothing in the request does."""

from __future__ import annotations

import pytest

from tests.kit.chain import Token
from tests.kit.client import Client, Refused
from tests.kit.fault_proxy import MISLED_CHAIN
from tests.kit.gate import eventually
from tests.kit.policies import BAD, GOOD
from tests.kit.wallet import Wallet


def refusal(client: Client, video: dict) -> Refused:
    with pytest.raises(Refused) as caught:
        client.playback(video["id"])
    return caught.value


def comes_to(client: Client, video: dict, status: int):
    """Waits until the gate answers with that: what was true is remembered for seconds."""
    path = f"/v1/videos/{video['id']}/playback"
    return eventually(lambda: client.ask("POST", path), lambda answer: answer.status_code == status, what=str(status))


def outcomes(refused: Refused) -> list[tuple[str, str]]:
    return [(condition["path"], condition["outcome"]) for condition in refused.body["conditions"]]


def test_a_holder_may_watch(as_holder, video, stack):
    # The token was minted just now, perhaps.
    comes_to(as_holder, video, 200)
    granted = as_holder.playback(video["id"])
    assert granted["carrier"] == "query"
    assert granted["grant"]["video"] == video["id"]
    assert granted["grant"]["account"] == as_holder.wallet.account
    for kind in ("hls", "dash"):
        assert granted[kind].startswith(f"{stack.edge_origin}/v1/videos/{video['id']}/playlists/")


def test_a_non_holder_may_not_and_reads_which_condition_failed(as_stranger, video, token, caip2):
    refused = refusal(as_stranger, video)
    assert (refused.status, refused.slug) == (403, "policy-refused")
    (condition,) = refused.body["conditions"]
    assert (condition["path"], condition["kind"], condition["chain"]) == ("rule", "erc721", caip2)
    assert condition["subject"].lower() == token.address.lower()
    assert (condition["outcome"], condition["value"]) == ("no", "0")
    assert condition["reason"] == "holds 0, needs 1"
    assert condition["block"]["number"] > 0 and len(condition["block"]["hash"]) == 66


def test_without_a_session_nobody_may(as_nobody, video):
    refused = refusal(as_nobody, video)
    assert (refused.status, refused.slug) == (401, "session-required")


def test_the_owner_may_always(as_creator, video, own_policy, token):
    own_policy(token.policy(min=1000))
    assert as_creator.playback(video["id"])["hls"]
    own_policy(None)
    assert as_creator.playback(video["id"])["hls"]


def test_without_a_policy_nobody_else_may(as_holder, as_stranger, video, own_policy):
    own_policy(None)
    for client in (as_holder, as_stranger):
        refused = refusal(client, video)
        assert (refused.status, refused.slug, refused.body["conditions"]) == (403, "policy-refused", [])


def test_a_policy_change_holds_at_the_next_decision(as_holder, video, own_policy, token, policy):
    assert as_holder.playback(video["id"])
    own_policy(token.policy(min=2))
    refused = refusal(as_holder, video)
    assert refused.body["conditions"][0]["value"] == "1"
    seen = own_policy(policy)
    rule = seen["policy"]["rule"]
    assert rule == {**policy["rule"], "contract": rule["contract"]} and seen["policy"]["version"] == 1
    assert rule["contract"].lower() == policy["rule"]["contract"].lower()
    assert as_holder.playback(video["id"])


def test_all_and_any(as_holder, video, own_policy, token):
    have, have_not = token.condition(min=1), token.condition(min=5)
    own_policy({"version": 1, "rule": {"all": [have, have_not]}})
    refused = refusal(as_holder, video)
    assert outcomes(refused) == [("rule.all[0]", "yes"), ("rule.all[1]", "no")]
    own_policy({"version": 1, "rule": {"any": [have_not, have]}})
    assert as_holder.playback(video["id"])
    own_policy({"version": 1, "rule": {"any": [have_not, {"all": [have, {"any": [have_not, have_not]}]}]}})
    refused = refusal(as_holder, video)
    assert [path for path, _ in outcomes(refused)] == [
        "rule.any[0]",
        "rule.any[1].all[0]",
        "rule.any[1].all[1].any[0]",
        "rule.any[1].all[1].any[1]",
    ]
    own_policy({"version": 1, "rule": {"all": [{"any": [have_not, have]}, have]}})
    assert as_holder.playback(video["id"])


def test_a_token_id_is_that_token_alone(as_holder, as_stranger, video, own_policy, token):
    token.mint(as_stranger.wallet.address, 77)
    try:
        own_policy(token.policy(ids=[77]))
        comes_to(as_stranger, video, 200)
        refused = refusal(as_holder, video)
        assert refused.body["conditions"][0]["value"] == "0"
        # No such token: the contract reverts, and that is a plain no.
        own_policy(token.policy(ids=[999]))
        assert refusal(as_holder, video).slug == "policy-refused"
        own_policy(token.policy(ids=[2**256 - 1]))
        assert refusal(as_holder, video).slug == "policy-refused"
    finally:
        token.burn(77)
        own_policy(token.policy(ids=[77]))
        comes_to(as_stranger, video, 403)


def test_a_sold_token_takes_the_right_with_it(stack, secrets, chain, creator, caip2, video, own_policy):
    # A collection and wallets of its own: other tests count what the shared holder has.
    tickets = Token.deploy(chain, creator, "Tickets", "TIX")
    seller, buyer = Wallet.numbered(5, caip2, "seller"), Wallet.numbered(6, caip2, "buyer")
    tickets.mint(seller.address, 1)
    own_policy(tickets.policy(ids=[1]))
    with (
        Client(seller, stack.edge_origin).sign_in() as as_seller,
        Client(buyer, stack.edge_origin).sign_in() as as_buyer,
    ):
        comes_to(as_seller, video, 200)
        assert refusal(as_buyer, video).status == 403
        tickets.transfer(seller, buyer.address, 1)
        comes_to(as_seller, video, 403)
        comes_to(as_buyer, video, 200)
        # Once it is seen to be gone it stays gone.
        assert refusal(as_seller, video).status == 403
        tickets.burn(1)
        comes_to(as_buyer, video, 403)


def test_an_address_that_is_no_erc721_admits_nobody(as_holder, video, own_policy, caip2):
    rule = {"kind": "erc721", "chain": caip2, "contract": "0x" + "12" * 20}
    own_policy({"version": 1, "rule": rule})
    assert refusal(as_holder, video).slug == "policy-refused"


@pytest.mark.parametrize("body", [{"policy": None}, {"version": 1, "rule": {"any": []}}, "an open policy"])
def test_a_policy_in_the_request_is_never_used(as_stranger, as_holder, video, token, caip2, body):
    assert as_holder.playback(video["id"])
    if isinstance(body, str):
        # What the stranger would like the policy to be: satisfied by anybody.
        everybody = {"none": [token.condition(min=1000)]}
        body = {"policy": {"version": 1, "rule": {"any": [token.condition(min=1), everybody]}}}
    path = f"/v1/videos/{video['id']}/playback"
    # A body may name assets to look at, and nothing else.
    answer = as_stranger.ask("POST", path, body)
    assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (422, "body-invalid")
    assert as_stranger.ask("POST", path, {}).status_code == 403
    assert as_stranger.ask("POST", path).status_code == 403
    query = {"policy": "null", "contract": "0x" + "12" * 20, "chain": caip2, "account": as_holder.wallet.account}
    assert as_stranger.ask("POST", path, params=query).status_code == 403
    # Nor does it take anything away.
    assert as_holder.ask("POST", path, params=query).status_code == 200


def test_one_unreadable_chain_matters_only_where_it_could_change_the_answer(
    as_holder, as_stranger, video, own_policy, token
):
    readable = token.condition(min=1)
    unreadable = {**readable, "chain": MISLED_CHAIN}
    own_policy({"version": 1, "rule": {"any": [unreadable, readable]}})
    assert as_holder.playback(video["id"])
    refused = refusal(as_stranger, video)
    assert (refused.status, refused.slug) == (503, "unavailable")
    own_policy({"version": 1, "rule": {"all": [unreadable, readable]}})
    assert refusal(as_holder, video).status == 503
    refused = refusal(as_stranger, video)
    assert refused.status == 403 and outcomes(refused) == [("rule.all[0]", "unknown"), ("rule.all[1]", "no")]


# ---- Trying a policy


def test_verify_tells_each_outcome_and_grants_nothing(stack, as_stranger, holder, stranger, token):
    from tests.kit import inside

    unreadable = {**token.condition(), "chain": MISLED_CHAIN}
    rule = {"any": [token.condition(min=1), token.condition(ids=[1]), unreadable]}
    before = len(inside.grants(stack, "0" * 32))
    # Anybody may ask about anybody: a chain is public.
    answer = as_stranger.verify({"version": 1, "rule": rule}, holder.account)
    assert answer["verdict"] == "yes"
    assert [condition["outcome"] for condition in answer["conditions"]] == ["yes", "yes", "unknown"]
    assert [condition.get("value") for condition in answer["conditions"][:2]] == ["1", "1"]
    assert set(answer) == {"verdict", "conditions"}
    # One decision is read at one block.
    assert answer["conditions"][0]["block"] == answer["conditions"][1]["block"]
    answer = as_stranger.verify({"version": 1, "rule": rule}, stranger.account)
    assert answer["verdict"] == "unknown"
    answer = as_stranger.verify(token.policy(min=1), stranger.account)
    assert answer["verdict"] == "no"
    assert len(inside.grants(stack, "0" * 32)) == before


def test_verify_needs_a_session(as_nobody, holder, token):
    with pytest.raises(Refused) as caught:
        as_nobody.verify(token.policy(), holder.account)
    assert (caught.value.status, caught.value.slug) == (401, "session-required")


# ---- Policies that can't be


@pytest.mark.parametrize("number", range(len(BAD)))
def test_a_policy_that_cannot_be_is_refused_by_its_path_and_changes_nothing(as_creator, video, holder, number):
    """The table is tests/kit/policies.py, which infra/policy.schema.json is held to as well."""
    bad, path = BAD[number].policy, BAD[number].path
    before = as_creator.video(video["id"])
    for method, where, body in (
        ("PUT", f"/v1/videos/{video['id']}/policy", {"policy": bad}),
        ("POST", "/v1/videos", {"title": "A film", "size": 10, "content_type": "video/mp4", "policy": bad}),
        ("POST", "/v1/verify", {"policy": bad, "account": holder.account}),
    ):
        response = as_creator.ask(method, where, body)
        problem = response.json()
        seen = (response.status_code, problem["type"].rpartition("/")[2], problem.get("path"))
        assert seen == (422, "policy-invalid", path), (where, bad)
    assert as_creator.video(video["id"]) == before


@pytest.mark.parametrize("number", range(len(GOOD)))
def test_a_policy_that_can_be_is_taken_as_it_is(as_creator, small_video, policy, stranger, number):
    """It is kept as it says, whatever its spelling, and can be asked. To read it again changes nothing."""
    good = GOOD[number]
    try:
        kept = as_creator.set_policy(small_video["id"], good)["policy"]
        assert as_creator.set_policy(small_video["id"], kept)["policy"] == kept
    finally:
        as_creator.set_policy(small_video["id"], policy)
    answer = as_creator.verify(good, stranger.account)
    assert answer["verdict"] in ("yes", "no", "unknown") and answer["conditions"]
    made = as_creator.create_video("A film", 10, policy=good)
    assert made["video"]["policy"] == kept
    as_creator.delete(made["video"]["id"])


def test_a_policy_must_be_said(as_creator, video):
    for body in ({}, {"policies": None}):
        response = as_creator.ask("PUT", f"/v1/videos/{video['id']}/policy", body)
        assert response.status_code == 422 and response.json()["type"].endswith("/body-invalid")
