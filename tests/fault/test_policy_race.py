"""A policy changes while a grant is being made: no grant is given by a policy that had already been replaced.

Guard: once it is written, and before its token is handed out, the video's stage and policy revision are looked at again
(app, grant_playback.rs).
"""

from __future__ import annotations

import concurrent.futures
import threading
import time

import pytest

from tests.kit import inside
from tests.kit.client import Client, Refused
from tests.kit.gate import FACT_SECONDS

ROUNDS = 20


def revision(stack, video: dict) -> int:
    return int(inside.record(stack, video["id"])["policy_revision"])


def written(stack, video: dict) -> dict[str, int]:
    """The revision that each grant was decided by, also those that were taken back before anybody had them."""
    return {grant["grant"]: int(grant["policy_revision"]) for grant in inside.grants(stack, video["id"])}


def live(stack, video: dict) -> list[int]:
    return [int(grant["policy_revision"]) for grant in inside.grants(stack, video["id"]) if "ended" not in grant]


@pytest.fixture
def race_video(publish, as_creator, small_film, policy):
    """A film of its own: every grant ever given for it is looked at."""
    video = publish(small_film, policy, "A race")
    yield video
    as_creator.delete(video["id"])


@pytest.mark.parametrize("change", ["closed", "tightened", "replaced", "deleted"])
def test_a_change_between_the_decision_and_the_grant_counts(stack, proxy, as_creator, as_holder, publish, small_film, policy, token, change):
    video = publish(small_film, policy, f"A race that is {change}")
    before = revision(stack, video)
    # What is remembered of the holder asks no chain.
    time.sleep(FACT_SECONDS)
    with proxy.hold("eth_call") as held, concurrent.futures.ThreadPoolExecutor(1) as pool:
        asked = pool.submit(as_holder.ask, "POST", f"/v1/videos/{video['id']}/playback")
        # The policy has been read, and the chain is being asked about it.
        held.wait_for_one()
        if change == "closed":
            as_creator.set_policy(video["id"], None)
        elif change == "tightened":
            as_creator.set_policy(video["id"], token.policy(min_balance=100))
        elif change == "replaced":
            as_creator.set_policy(video["id"], token.policy(token_id=1))
        else:
            as_creator.delete(video["id"])
        held.release()
        answer = asked.result(30)
    expected = {"closed": 403, "tightened": 403, "replaced": 200, "deleted": 404}[change]
    assert answer.status_code == expected, answer.text
    # By the new policy, or not at all.
    assert live(stack, video) == ([before + 1] if expected == 200 else [])
    if change != "deleted":
        as_creator.delete(video["id"])


@pytest.mark.timeout(120)
def test_no_grant_is_given_by_a_policy_that_was_replaced(stack, proxy, as_holder, creator, race_video, policy):
    """Grants are asked for all the time while the policy goes closed, open, closed, open."""
    video = race_video["id"]
    stop = threading.Event()
    given: list[str] = []
    faults: list[Exception] = []

    def ask() -> None:
        with Client(as_holder.wallet, stack.edge_origin) as client:
            client.token = as_holder.token
            while not stop.is_set():
                try:
                    given.append(inside.grant_key(client.playback(video)["hls"]))
                except Refused as refused:
                    # A policy that changes three times during one decision is a conflict.
                    if refused.slug not in ("policy-refused", "conflict"):
                        faults.append(refused)
                        return

    askers = [threading.Thread(target=ask) for _ in range(4)]
    # revision -> what was written by it when its successor was certainly in force.
    final: dict[int, set[str]] = {}
    first = number = revision(stack, race_video)
    # A review would write down by which revision it has decided again.
    unreviewed = inside.paused(stack, "GrantReview")
    with Client(creator, stack.edge_origin).sign_in() as owner, proxy.delay(0.02), unreviewed:
        for asker in askers:
            asker.start()
        try:
            for round in range(ROUNDS):
                # Open for long enough to be watched, closed for long enough to be refused.
                time.sleep(0.25 if round % 2 == 0 else 0.05)
                owner.set_policy(video, None if round % 2 == 0 else policy)
                final[number] = {grant for grant, by in written(stack, race_video).items() if by == number}
                number += 1
        finally:
            stop.set()
            for asker in askers:
                asker.join()
    assert not faults, faults[0]
    assert revision(stack, race_video) == number == first + ROUNDS
    by = written(stack, race_video)
    assert len(given) > ROUNDS and set(given) <= set(by), "too few grants for a race"
    for grant in given:
        old = by[grant]
        assert (old - first) % 2 == 0, f"revision {old} was closed and gave a grant"
        assert old not in final or grant in final[old], f"revision {old} gave a grant after it had been replaced"
