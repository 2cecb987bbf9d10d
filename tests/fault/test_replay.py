"""A thousand parallel replays of one signed message make one session.

Guard: `attribute_not_exists(nonce)` on the write that uses the nonce up (adapters/dynamodb, nonces.rs).
"""

from __future__ import annotations

import collections
import concurrent.futures

import httpx
import pytest

from tests.kit.client import Client

REPLAYS = 1000
PARALLEL = 40


@pytest.mark.timeout(120)
def test_of_a_thousand_parallel_replays_one_signs_in(stack, secrets, stranger):
    with Client(stranger, stack.edge_origin) as client:
        message = client.nonce()["message"]
    body = {"message": message, "signature": stranger.sign(message)}
    secrets.add("signature", body["signature"])
    limits = httpx.Limits(max_connections=PARALLEL, max_keepalive_connections=PARALLEL)
    with httpx.Client(base_url=stack.edge_origin, trust_env=False, timeout=60, limits=limits) as http:

        def replay(_) -> tuple[int, str]:
            answer = http.post("/v1/auth/session", json=body)
            if answer.is_success:
                secrets.add("session token", answer.json()["token"])
            return answer.status_code, "" if answer.is_success else answer.json()["type"].rpartition("/")[2]

        with concurrent.futures.ThreadPoolExecutor(PARALLEL) as pool:
            outcomes = collections.Counter(pool.map(replay, range(REPLAYS)))
    assert outcomes == {(200, ""): 1, (401, "nonce-used"): REPLAYS - 1}
