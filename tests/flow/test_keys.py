"""Keys rotate while somebody is watching, and nobody is signed out, refused or interrupted."""

from __future__ import annotations

import json
import time

import httpx
import pytest

from tests.kit import inside
from tests.kit.gate import renew
from tests.kit.player import addresses

KINDS = {"signing": "SigningSecret", "token": "TokenSecret", "session": "SessionSecret", "content": "ContentSecret", "receipt": "ReceiptSecret"}


def group(stack) -> list[str]:
    """What is in the key group that the distribution trusts."""
    cloudfront = stack.client("cloudfront")
    groups = cloudfront.list_key_groups()["KeyGroupList"]["Items"]
    ours = [entry["KeyGroup"] for entry in groups if entry["KeyGroup"]["KeyGroupConfig"]["Name"].endswith("-keys")]
    assert len(ours) == 1
    return ours[0]["KeyGroupConfig"]["Items"]


@pytest.fixture(scope="module")
def rotated(stack, as_creator, player, video):
    """A playback and all keys from before a rotation of every kind, which has just begun.

    The owner's: other tests end so many grants of the holder's that the edge, whose value has room for some twenty, may
    refuse all that were given before one of them, and those that are live ask again.
    """
    before = {kind: inside.keyring(stack, secret) for kind, secret in KINDS.items()}
    tracks = player.hls(as_creator.playback(video["id"])["hls"])
    # Asked twice, one new key comes: there are never three.
    for _ in range(2):
        assert stack.invoke("KeyRotate", {"rotate": list(KINDS)})["error"] is None
    return before, tracks


def test_a_second_key_comes_and_the_first_stays(stack, rotated):
    before, _ = rotated
    for kind, secret in KINDS.items():
        keys = inside.keyring(stack, secret)
        known = {key["id"] for key in before[kind]}
        assert known <= {key["id"] for key in keys}, kind
        newest = keys[-1]
        # Nobody uses it yet: it waits until everybody must know it.
        assert newest["usable_at"] > time.time() and "retire_at" not in newest, kind
        assert inside.minting(stack, secret)["id"] in known, kind
        live = [key for key in keys if key.get("retire_at", float("inf")) > time.time()]
        assert len(live) == 2, kind


def test_the_edge_knows_the_new_key_before_anything_is_signed_with_it(stack, rotated):
    names = [key["name"] for key in inside.keyring(stack, "SigningSecret")]
    assert sorted(group(stack)) == sorted(names) and len(names) == 2


def test_nobody_is_interrupted(stack, rotated, as_creator, player, video):
    _, tracks = rotated
    assert player.statuses(addresses(tracks)) == {200}, "what was signed before still opens"
    # The session from before is good, and what is granted now plays.
    assert player.statuses(addresses(player.hls(as_creator.playback(video["id"])["hls"]))) == {200}


def test_receipts_can_be_verified_with_every_key_there_was(stack, rotated):
    # A function that was asked before goes on with what it read for some minutes; nothing is signed so soon.
    renew(stack, "ReceiptKeys")
    answer = httpx.get(f"{stack.edge_origin}/v1/receipts/keys", trust_env=False)
    assert answer.status_code == 200
    assert [key["kid"] for key in answer.json()["keys"]] == [key["id"] for key in inside.keyring(stack, "ReceiptSecret")]
    assert '"d"' not in json.dumps(answer.json())


def test_an_encrypted_film_says_so(as_creator):
    wanted = {"title": "Encrypted", "size": 1000, "content_type": "video/mp4", "encryption": "aes-128"}
    made = as_creator.get("POST", "/v1/videos", wanted)
    assert made["video"]["encryption"] == "aes-128"
    as_creator.get("DELETE", f"/v1/videos/{made['video']['id']}")
