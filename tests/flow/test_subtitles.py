"""Subtitles beside the film: put there before it is transcoded, and changed while it can be watched."""

from __future__ import annotations

import time

import pytest

from tests.kit import media
from tests.kit.client import Refused

SUBRIP = """1
00:00:01,000 --> 00:00:02,500
Guten Abend, <script>alert(1)</script> & willkommen.

2
00:00:04,500 --> 00:00:05,500
Auf Wiedersehen.
"""
WEBVTT = "WEBVTT\n\n00:05.000 --> 00:05.900 line:10%\n[door closes]\n"


@pytest.fixture(scope="module")
def film_with_subtitles(as_creator, film, policy):
    """German subtitles were there before the file was."""
    made = as_creator.create_video("With subtitles", film.stat().st_size, policy=policy)
    video = made["video"]["id"]
    shown = as_creator.set_subtitle(video, "de", SUBRIP)
    assert shown["subtitles"] == {"de": {"language": "de"}}
    as_creator.put_parts(film, made["upload"])
    as_creator.complete(video)
    return as_creator.wait_for_stage(video, timeout=120, interval=0.2)


def texts(player, client, video: str) -> dict:
    """The subtitle tracks by name, as a player finds them."""
    tracks = player.hls(client.playback(video)["hls"])
    return {track.name: track for track in tracks if track.kind == "subtitles"}


def offered(player, client, video: str) -> set:
    """Their names alone: what follows the list may have changed since."""
    address = client.playback(video)["hls"]
    tracks = media.master_playlist(player.get(address).raise_for_status().text, address)
    return {track.name for track in tracks if track.kind == "subtitles"}


def until(seen, patience: float = 30):
    """What is published comes by a queue."""
    end = time.monotonic() + patience
    while not (found := seen()):
        assert time.monotonic() < end, "it was not published"
        time.sleep(0.2)
    return found


def test_they_are_in_the_playlists_and_cut_like_the_picture(player, as_holder, film_with_subtitles):
    (track,) = texts(player, as_holder, film_with_subtitles["id"]).values()
    assert track.name == "subtitles-de" and track.ended
    assert (track.attributes["LANGUAGE"], track.attributes["NAME"]) == ("de", "German")
    assert track.durations == [4.0, 2.0]
    first, second = (answer.text for answer in player.fetch(track.segments))
    assert first.startswith("WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:0,LOCAL:00:00:00.000\n")
    assert "00:00:01.000 --> 00:00:02.500\nGuten Abend, alert(1) &amp; willkommen." in first
    assert "Wiedersehen" not in first and "00:00:04.500 --> 00:00:05.500\nAuf Wiedersehen." in second
    assert {answer.headers["Content-Type"] for answer in player.fetch(track.segments)} == {"text/vtt"}
    dash = player.get(as_holder.playback(film_with_subtitles["id"])["dash"]).text
    assert 'mimeType="text/vtt"' in dash and 'lang="de"' in dash


def test_they_open_by_the_grant_alone(player, as_holder, film_with_subtitles):
    (track,) = texts(player, as_holder, film_with_subtitles["id"]).values()
    assert player.statuses(track.segments) == {200}
    assert player.statuses([segment.partition("?")[0] for segment in track.segments]) == {403}


def test_they_come_to_a_film_that_can_be_watched_are_replaced_and_go(player, as_creator, as_holder, film_with_subtitles):
    video = film_with_subtitles["id"]
    as_creator.set_subtitle(video, "en-sdh", WEBVTT, language="en", purpose="hearing_impaired", title='English "SDH"')
    until(lambda: len(offered(player, as_holder, video)) == 2)
    both = texts(player, as_holder, video)
    assert both["subtitles-en-sdh"].attributes["NAME"] == "English 'SDH'"
    assert "transcribes-spoken-dialog" in both["subtitles-en-sdh"].attributes["CHARACTERISTICS"]
    old = both["subtitles-de"].segments[0].partition("?")[0]
    as_creator.set_subtitle(video, "de", SUBRIP.replace("Abend", "Morgen"))
    new = until(
        lambda: (now := texts(player, as_holder, video)["subtitles-de"]).segments[0].partition("?")[0] != old and now
    )
    assert "Guten Morgen" in player.get(new.segments[0]).text
    as_creator.delete_subtitle(video, "en-sdh")
    until(lambda: offered(player, as_holder, video) == {"subtitles-de"})
    assert set(as_creator.video(video)["subtitles"]) == {"de"}


def test_what_is_no_subtitle_is_refused_with_its_reason(as_creator, as_stranger, film_with_subtitles):
    video = film_with_subtitles["id"]
    for body, field in (
        ({"text": "Nobody says when."}, "text"),
        ({"text": SUBRIP, "language": "Deutsch, bitte"}, "language"),
        ({"text": SUBRIP, "purpose": "decoration"}, "purpose"),
        ({"language": "de"}, "body"),
    ):
        answer = as_creator.ask("PUT", f"/v1/videos/{video}/subtitles/xx", body)
        assert answer.status_code == 422 and answer.json()["detail"].startswith(f"{field}: "), answer.text
    long = as_creator.ask("PUT", f"/v1/videos/{video}/subtitles/xx", {"text": SUBRIP * 20_000})
    assert long.status_code == 413
    for refused in (
        lambda: as_stranger.set_subtitle(video, "de", SUBRIP),
        lambda: as_stranger.delete_subtitle(video, "de"),
        lambda: as_creator.delete_subtitle(video, "fr"),
    ):
        with pytest.raises(Refused) as outcome:
            refused()
        assert outcome.value.status == 404
    assert set(as_creator.video(video)["subtitles"]) == {"de"}
