"""A policy changes while a grant is being made: no grant is given by a policy that had already been replaced.

Guard: the grant is written in one transaction with a condition check of the video's stage and policy revision
(adapters/dynamodb, grants.rs).
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


def revisions_granted(stack, video: dict) -> list[int]:
    return sorted(int(grant["policy_revision"]) for grant in inside.grants(stack, video["id"]))


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
    assert revisions_granted(stack, video) == ([before + 1] if expected == 200 else [])
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
    # revision -> how many grants it had given when its successor was certainly in force.
    final: dict[int, int] = {}
    first = number = revision(stack, race_video)
    with Client(creator, stack.edge_origin).sign_in() as owner, proxy.delay(0.02):
        for asker in askers:
            asker.start()
        try:
            for round in range(ROUNDS):
                # Open for long enough to be watched, closed for long enough to be refused.
                time.sleep(0.25 if round % 2 == 0 else 0.05)
                owner.set_policy(video, None if round % 2 == 0 else policy)
                final[number] = revisions_granted(stack, race_video).count(number)
                number += 1
        finally:
            stop.set()
            for asker in askers:
                asker.join()
    assert not faults, faults[0]
    assert revision(stack, race_video) == number == first + ROUNDS
    granted = revisions_granted(stack, race_video)
    assert len(granted) == len(given) > ROUNDS, "too few grants for a race"
    for old, count in final.items():
        assert granted.count(old) == count, f"revision {old} gave a grant after it had been replaced"
        if (old - first) % 2 == 1:
            assert count == 0, f"revision {old} was closed and gave a grant"
