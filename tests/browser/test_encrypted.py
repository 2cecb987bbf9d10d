"""Films whose segments are encrypted, in the players that know AES-128 in HLS; dash.js knows none of it."""

from __future__ import annotations

import pytest

from tests.browser.players import SHORT_BUFFERS, until
from tests.kit import inside
from tests.kit.gate import renew

PLAYERS = ("hls.js", "shaka-hls")
CARRIERS = ("cookie", "query")
# KeyMinutes at its least: from here on another key is needed.
PERIOD = 60
# Five keys. At its start Shaka samples the first segment, the middle one and the last, and has their keys from then on.
SECONDS = 244


def start(players, client, video: str, before: str = "") -> dict:
    """Each player by each carrier: `(player, carrier) -> what plays`."""
    playing = {}
    for name in PLAYERS:
        for carrier in CARRIERS:
            player = players.open(name)
            playing[name, carrier] = players.play(player, player.grant(video, client.token, carrier), before)
    return playing


def keys(player) -> list[str]:
    return [path for path in player.requested if "/keys/" in path]


def test_an_encrypted_film_plays_by_cookies_and_by_query(players, as_holder, encrypted_video):
    playing = start(players, as_holder, encrypted_video["id"])
    seen = until(list(playing.values()), lambda each: each["ended"], 40, "not every player came to the end")
    assert all(each["frames"] == 30 for each in seen.values()), seen
    for player in playing.values():
        assert set(keys(player)) == {f"/v1/videos/{encrypted_video['id']}/keys/0"} and player.refused == []


@pytest.mark.proof
def test_without_a_grant_a_player_stops_where_its_key_does(
    stack, players, as_creator, as_holder, publish, films, policy
):
    """Its cookies go on opening the segments for a while. They are of no use without the next key."""
    film = films("keys.mp4", seconds=SECONDS, size="320x180", rate=10)
    with inside.environment(stack, "TranscodePlan", KEY_MINUTES="1"):
        video = publish(film, policy, "Five keys", encryption="aes-128")["id"]
    playing = start(players, as_holder, video, SHORT_BUFFERS)
    # The owner's stream ends with nobody else's.
    owner = players.open("hls.js")
    players.play(owner, owner.grant(video, as_creator.token), SHORT_BUFFERS)
    everybody = [*playing.values(), owner]
    until(everybody, lambda each: each["time"] > 0.5, 40, "not every player began")
    # There they wait for the slowest.
    for player in everybody:
        player.page.evaluate("""() => {
            video.ontimeupdate = () => { if (video.currentTime > 50) { video.ontimeupdate = null; video.pause(); } };
            video.currentTime = 49;
        }""")
    until(everybody, lambda each: each["time"] > 50 and each["paused"], 40, "not every player went on there")
    first, second = (f"/v1/videos/{video}/keys/{period}" for period in (0, 1))
    for player in everybody:
        assert first in keys(player) and second not in keys(player), player.name
    assert as_creator.revoke(video, as_holder.wallet.account) == len(playing)
    for player in everybody:
        player.page.evaluate("() => void video.play()")
    until([owner], lambda each: each["time"] > PERIOD + 5, 60, "whose grant is good did not go on")
    assert second in keys(owner) and owner.refused == []
    for (name, carrier), player in playing.items():
        stopped = player.seen()
        assert 50 < stopped["time"] <= PERIOD + 0.1, (name, carrier, stopped)
        if carrier == "cookie":
            assert second in player.refused, name
            # The segment that it would have needed next is there for it, and is noise.
            ahead = next(path for path in owner.requested if path.endswith("/00016.m4s"))
            assert (player.status(ahead), player.status(second)) == (200, 403)
    # They stay where they are.
    owner.page.wait_for_timeout(2000)
    for player in playing.values():
        assert player.seen()["time"] <= PERIOD + 0.1
    as_creator.delete(video)


@pytest.mark.proof
def test_a_player_goes_on_when_the_content_key_is_replaced(
    stack, players, as_holder, publish, films, small_film, policy
):
    """A film's keys come from the key that there was when it was made, and that one is kept."""
    film = films("replaced.mp4", seconds=PERIOD + 10, size="320x180", rate=10)
    with inside.environment(stack, "TranscodePlan", KEY_MINUTES="1"):
        video = publish(film, policy, "Replaced", encryption="aes-128")["id"]
    playing = start(players, as_holder, video, SHORT_BUFFERS)
    everybody = list(playing.values())
    until(everybody, lambda each: each["time"] > 0.5, 40, "not every player began")
    before = inside.keyring(stack, "ContentSecret")
    assert stack.invoke("KeyRotate", {"rotate": ["content"]})["error"] is None
    assert [key["id"] for key in inside.keyring(stack, "ContentSecret")[:-1]] == [key["id"] for key in before]
    # Functions know of it at once, not after some minutes.
    renew(stack, "TranscodePlan", "ContentKey")
    second = f"/v1/videos/{video}/keys/1"
    # Shaka has had it from the start.
    waiting = [player for player in everybody if second not in keys(player)]
    assert waiting, "every player had all keys before"
    for player in everybody:
        player.page.evaluate("length => { video.currentTime = length - 14; }", PERIOD + 10)
    seen = until(everybody, lambda each: each["ended"], 60, "not every player came to the end")
    assert all(each["time"] == pytest.approx(PERIOD + 10, abs=0.2) for each in seen.values()), seen
    assert all(second in keys(player) and player.refused == [] for player in everybody)
    # What is made from now on has the new one.
    other = publish(small_film, policy, "After", encryption="aes-128")["id"]
    until(list(start(players, as_holder, other).values()), lambda each: each["ended"], 40, "a film of the new key stood still")
