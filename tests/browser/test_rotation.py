"""Keys are replaced while every player plays by every carrier, and none of them notices."""

from __future__ import annotations

import time
from contextlib import contextmanager
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.browser.players import PLAYERS, SHORT_BUFFERS, until
from tests.kit import inside, media
from tests.kit.gate import renew
from tests.kit.viewer import CARRIERS, Viewer

# A dozen players at once, for as long as the film is.
pytestmark = [pytest.mark.proof, pytest.mark.timeout(400)]

# Longer than it takes to open their pages and to replace the keys.
SECONDS = 100
SECRETS = {"signing": "SigningSecret", "token": "TokenSecret"}
# For so long a new key waits here: the local edge reads the distribution every three seconds.
PROPAGATION = {"PROPAGATION_SECONDS": "6"}


# hls.js begins with the lowest rendition and stays there until it is told, so that the other's playlist comes later.
STAYING = SHORT_BUFFERS + """
Object.assign(window.settings, { startLevel: 0, abrBandWidthFactor: 0.001, abrBandWidthUpFactor: 0.001 });
"""


def minting(stack) -> dict[str, str]:
    return {kind: inside.minting(stack, secret)["id"] for kind, secret in SECRETS.items()}


def rotate(stack, **request) -> None:
    assert stack.invoke("KeyRotate", request)["error"] is None


def end_old_keys(stack) -> None:
    """As it is when nothing that they signed is alive any more, which takes hours."""
    for secret in SECRETS.values():
        keys = inside.keyring(stack, secret)
        for key in keys[:-1]:
            key["retire_at"] = int(time.time()) - 1
        inside.put_keyring(stack, secret, keys)
    rotate(stack)
    assert all(len(inside.keyring(stack, secret)) == 1 for secret in SECRETS.values())


@contextmanager
def with_new_keys(stack):
    """From one key of each kind to the next, in seconds; the functions that sign know of it at once."""
    signers = ("PlaybackGrant", "GrantRenew", "PlaylistSign")
    end_old_keys(stack)
    renew(stack, *signers)
    before = minting(stack)

    def go_on() -> None:
        with inside.environment(stack, "KeyRotate", **PROPAGATION):
            rotate(stack, rotate=list(SECRETS))
        changed = lambda: not set(minting(stack).items()) & set(before.items())  # noqa: E731
        inside.wait_until(changed, 30, "no new key signs")
        renew(stack, *signers)

    yield go_on
    # The next run may rotate again.
    end_old_keys(stack)


def signers(player) -> set[str]:
    """The ids of the keys that signed what the player asked for by query."""
    return {key for address in player.addresses for key in parse_qs(urlsplit(address).query).get("Key-Pair-Id", [])}


def test_every_player_goes_on_by_every_carrier(stack, players, player, as_holder, publish, films, policy):
    film = films("rotation.mp4", seconds=SECONDS, size="1280x720", rate=10)
    video = publish(film, policy, "Rotation")["id"]
    with with_new_keys(stack) as go_on:
        playing = {}
        for carrier in CARRIERS:
            for name in PLAYERS:
                page = players.open(name)
                playing[name, carrier] = players.play(page, page.grant(video, as_holder.token, carrier), STAYING)
        everybody = list(playing.values())
        old = {carrier: Viewer(player, as_holder, video, carrier) for carrier in CARRIERS}
        opened = {carrier: viewer.segments()[0] for carrier, viewer in old.items()}
        until(everybody, lambda each: each["time"] > 2, 60, "not every player began")
        ids = {key["id"]: key["name"] for key in inside.keyring(stack, SECRETS["signing"])}
        go_on()
        ids |= {key["id"]: key["name"] for key in inside.keyring(stack, SECRETS["signing"])}
        first, second = ids.values()
        asked = {each: len(each.requested) for each in everybody}
        for (name, carrier), each in playing.items():
            if carrier == "cookie":
                assert cookie_signer(each) == first, name
                each.page.evaluate("window.renew()")
                assert cookie_signer(each) == second, name
        # Other renditions: by query their playlists are signed anew, beside the others that are not.
        for height in (720, 360):
            for each in everybody:
                each.page.evaluate("height => window.choose(height)", height)
            shown = lambda each, height=height: each["height"] == height  # noqa: E731
            seen = until(everybody, shown, 40, f"not every player showed {height}p")
        assert not any(each["ended"] for each in seen.values()), "the film was too short"
        for each in everybody:
            each.page.evaluate("length => { video.currentTime = length - 5; }", SECONDS)
        seen = until(everybody, lambda each: each["ended"], 90, "not every player came to the end")
        assert len(seen) == len(playing)
        assert all(each["time"] == pytest.approx(SECONDS, abs=0.2) for each in seen.values()), seen
        for (name, carrier), each in playing.items():
            assert each.refused == [], (name, carrier)
            later = each.requested[asked[each] :]
            assert any(path.endswith(".m4s") for path in later), (name, carrier, "had it all before")
        assert signers(playing["hls.js", "query"]) == {first, second}
        # What the old keys signed is good for as long as it would have been, and so is what the new ones sign.
        new = {carrier: Viewer(player, as_holder, video, carrier) for carrier in CARRIERS}
        opens = {carrier: viewer.segments()[0] for carrier, viewer in new.items()}
        by = [media.signature_of(each["query"])["Key-Pair-Id"] for each in (opened, opens)]
        assert by == [first, second]
        for carrier in CARRIERS:
            assert old[carrier].get(opened[carrier]).status_code == new[carrier].get(opens[carrier]).status_code == 200
    # Their time is over: now nothing that they signed opens, and all that the new ones did.
    for carrier in CARRIERS:
        old[carrier].stops(opened[carrier])
        assert new[carrier].get(opens[carrier]).status_code == 200, carrier


def cookie_signer(each) -> str:
    jar = {cookie["name"]: cookie["value"] for cookie in each.page.context.cookies()}
    return jar["CloudFront-Key-Pair-Id"]
