"""HEVC, AV1 and Opus besides what everybody can play, and ceilings by title: what the planner's settings make of a film."""

from __future__ import annotations

import subprocess

import pytest

from tests.kit import inside
from tests.kit.film import tool
from tests.kit.player import decode, probe

SECONDS, RATE = 8, 25
CODECS = {"180p": "h264", "180p-hevc": "hevc", "180p-av1": "av1", "audio": "aac", "audio-opus": "opus"}


@pytest.fixture(scope="module")
def film_in_all_codecs(stack, as_creator, films, policy):
    film = films("codecs.mp4", seconds=SECONDS, size="320x180", rate=RATE)
    with inside.environment(stack, "TranscodePlan", EXTRA_CODECS="hevc,av1,opus"):
        video = as_creator.upload(film, "In all codecs", policy)["id"]
        as_creator.wait_for_stage(video, timeout=120, interval=0.2)
    yield video
    as_creator.delete(video)


def test_every_codec_plays_every_frame(player, as_holder, film_in_all_codecs, tmp_path):
    tracks = {track.name: track for track in player.hls(as_holder.playback(film_in_all_codecs)["hls"])}
    assert set(tracks) == set(CODECS)
    for name, codec in CODECS.items():
        path = player.save(tracks[name], tmp_path / f"{name}.mp4")
        seen = probe(path)
        assert seen["codec_name"] == codec
        assert decode(path) == "", name
        if codec in ("h264", "hevc", "av1"):
            assert int(seen["nb_read_packets"]) == SECONDS * RATE, name
        else:
            assert float(seen["duration"]) == pytest.approx(SECONDS, abs=0.022), name


def test_players_choose_by_codec(player, as_holder, film_in_all_codecs):
    granted = as_holder.playback(film_in_all_codecs)
    master = player.get(granted["hls"]).text
    variants = [line.partition('CODECS="')[2].partition('"')[0] for line in master.splitlines() if "STREAM-INF:" in line]
    families = [tuple(codec.split(".")[0] for codec in variant.split(",")) for variant in variants]
    pictures = ("avc1", "hvc1", "av01")
    # What everybody can play comes first.
    assert families == [(p, s) for s in ("mp4a", "opus") for p in pictures] + [(p,) for p in pictures]
    dash = player.dash(granted["dash"])
    assert [track.name for track in dash] == ["180p", "180p-hevc", "180p-av1", "audio", "audio-opus"]
    assert player.get(granted["dash"]).text.count("<AdaptationSet") == 5


def test_a_quiet_film_has_lower_ceilings(stack, as_creator, tmp_path):
    film = tmp_path / "quiet.mp4"
    picture = ["-f", "lavfi", "-i", f"color=gray:size=640x360:rate=10:duration={SECONDS}", "-c:v", "libx264"]
    subprocess.run([tool("ffmpeg"), "-v", "error", *picture, "-pix_fmt", "yuv420p", str(film)], check=True)
    ceilings = {}
    for ladder in ("fixed", "per-title"):
        with inside.environment(stack, "TranscodePlan", LADDER=ladder):
            video = as_creator.upload(film, ladder)["id"]
            as_creator.wait_for_stage(video, timeout=60, interval=0.2)
        works = [task["work"] for task in inside.tasks(stack, video).values()]
        (ceilings[ladder],) = {int(rendition["max_kbps"]) for work in works for rendition in work["renditions"]}
        as_creator.delete(video)
    assert ceilings == {"fixed": 900, "per-title": 360}
