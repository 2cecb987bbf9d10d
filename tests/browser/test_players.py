"""The players that people use play our films from the edge: finished ones, and ones that are still being transcoded.

hls.js, Shaka Player and dash.js, in pages side by side. A film is cut into chunks of four seconds here, so that 20 s have
four joins. A screenshot of each is in target/test-output.
"""

from __future__ import annotations

import pytest

from tests.browser.players import until
from tests.kit import inside

# Four players at once in real time: they take minutes, and a machine with something else to do makes them stall.
pytestmark = pytest.mark.proof

SECONDS = 20
JOINS = (4, 8, 12, 16)
# How far from the end of a film a player may call it the end: less than a frame of sound.
NEAR = 0.1


@pytest.fixture(scope="module")
def long_film(films):
    return films("players.mp4", seconds=SECONDS, size="1280x720", rate=25)


def to_the_end(playing: list[Playing], seconds: float) -> dict[str, dict]:
    seen = until(playing, lambda each: each["ended"], seconds, "not every player came to the end")
    for name, each in seen.items():
        assert each["time"] == pytest.approx(SECONDS, abs=NEAR), (name, each)
        assert each["length"] == pytest.approx(SECONDS, abs=NEAR), (name, each)
    return seen


def test_every_player_plays_a_finished_film(players, as_creator, as_holder, long_film, policy):
    """To the end without a stall at a join; then back, across joins, and with another rendition."""
    video = as_creator.upload(long_film, "Players", policy)["id"]
    as_creator.wait_for_stage(video, timeout=120)
    playing = players(as_holder.playback(video))
    until(playing, lambda each: each["time"] > 5, 30, "not every player got past the first join")
    for player in playing:
        player.picture("playing")
    seen = to_the_end(playing, 60)
    for name, each in seen.items():
        assert each["waits"] == [], f"{name} stalled"
        # Four pages decode at once here: some frames may come too late to be shown, none may be missing.
        assert each["frames"] == pytest.approx(SECONDS * 25, abs=2), (name, each)
    for player in playing:
        player.page.evaluate("() => { window.notes.ended = false; video.currentTime = 3.2; video.play(); }")
    until(playing, lambda each: 4.2 < each["time"] < 15, 20, "not every player went on after seeking back")
    for height in (360, 720):
        for player in playing:
            player.page.evaluate("height => window.choose(height)", height)
        until(playing, lambda each, height=height: each["height"] == height, 25, f"not every player changed to {height}p")
    for player in playing:
        player.page.evaluate("() => { video.currentTime = 15.5; }")
    to_the_end(playing, 30)
    as_creator.delete(video)


@pytest.mark.timeout(240)
def test_every_player_plays_a_film_that_is_still_transcoded(stack, players, as_creator, as_holder, long_film, policy):
    """It starts at the beginning, waits where the film is not there yet, and goes on to the end when it is."""
    with inside.paused(stack, "TranscodeWork"):
        video = as_creator.upload(long_film, "Still transcoded", policy)["id"]
        inside.wait_until(lambda: as_creator.video(video).get("tasks_total", 0) == len(JOINS) + 2, 30, "it was never planned")
        inside.wait_until(lambda: inside.queue_sizes(stack)["TaskQueue"] == len(JOINS) + 2, 20, "its tasks were not sent")
        stack.client("sqs").purge_queue(QueueUrl=stack.output("TaskQueueUrl"))

    def work(*tasks: str) -> None:
        for task in tasks:
            inside.send(stack, "Task", {"video": video, "task": task})

    def shown(seconds: int) -> None:
        seen = inside.wait_until(
            lambda: (as_creator.video(video).get("progress") or {}).get("watchable_seconds") == seconds, 60, f"{seconds} s never shown"
        )
        assert seen

    chunk = "360p+720p-{:05}".format
    # A chunk from further on is not shown before those that come first.
    work("audio", chunk(1), chunk(4))
    shown(4)
    assert as_creator.video(video)["stage"] == "transcoding"
    work(chunk(2))
    shown(8)
    playing = players(as_holder.playback(video))
    seen = until(playing, lambda each: each["time"] > 6, 40, "not every player began")
    for player in playing:
        player.picture("growing")
    assert all(each["time"] <= 8 for each in seen.values())
    work(chunk(3))
    until(playing, lambda each: each["time"] > 12, 40, "not every player went on to what came later")
    work(chunk(5))
    as_creator.wait_for_stage(video, timeout=60)
    seen = to_the_end(playing, 60)
    for name, each in seen.items():
        # They may wait for what is not there yet, at the end of what is; and nowhere else.
        late = [at for at in each["waits"] if min(abs(at - edge) for edge in (8, 16)) > 1]
        assert not late, f"{name} stalled at {late}"
        assert each["frames"] == pytest.approx(SECONDS * 25, abs=2), (name, each)
    as_creator.delete(video)


def test_players_that_prefer_av1_and_opus_get_them(stack, players, as_creator, as_holder, films, policy):
    """Chromium here knows no HEVC: that one is proven by ffmpeg's decoder."""
    film = films("codecs.mp4", seconds=8, size="320x180", rate=25)
    with inside.environment(stack, "TranscodePlan", EXTRA_CODECS="hevc,av1,opus"):
        video = as_creator.upload(film, "In all codecs", policy)["id"]
        as_creator.wait_for_stage(video, timeout=120)
    # Shaka's and hls.js's own words for it; each passes over the other's.
    settings = """window.settings = {
        preferredVideoCodecs: ["av01"], preferredAudioCodecs: ["opus"],
        videoPreference: { videoCodec: "av01" }, audioPreference: { audioCodec: "opus" },
    };"""
    playing = players(as_holder.playback(video), settings)
    seen = until(playing, lambda each: each["ended"], 60, "not every player came to the end")
    assert all(each["time"] == pytest.approx(8, abs=NEAR) for each in seen.values())
    for player in playing:
        player.picture("codecs")
        if player.name.startswith("shaka"):
            asked = [path.partition("/v/")[2].split("/")[1] for path in player.requested if path.endswith(".m4s")]
            # In HLS it begins with what comes first in the list, and changes over.
            sounds, pictures = ([each for each in asked if each.startswith(kind)] for kind in ("audio", "180p"))
            assert set(sounds) == {"audio-opus"} and pictures[-1] == "180p-av1", (player.name, asked)
    as_creator.delete(video)
