"""Ten minutes of real footage in twelve chunks, by two workers at once: what joins in the end is one film."""

from __future__ import annotations

import array
import hashlib
import subprocess
from pathlib import Path

import pytest

from tests.kit import footage, inside
from tests.kit.film import tool
from tests.kit.fragments import IDR, fragment

# Ten minutes of film take as long on two idle processors.
pytestmark = [pytest.mark.proof, pytest.mark.timeout(3600)]

SECONDS, RATE, CHUNK_SECONDS, SEGMENT_SECONDS = 600, 25, 50, 4
# Where the film is white and sounds.
MARK = 598
SKEW = 0.020
# Two renditions, 360p and its own size, for half the work of 720p.
SIZE = "800x450"


@pytest.fixture(scope="module")
def source() -> Path:
    return footage.looped(SECONDS, SIZE, MARK)


def frames_in_one_pass(source: Path) -> int:
    """How many frames an encode has that never heard of chunks."""
    command = [tool("ffmpeg"), "-v", "error", "-nostdin", "-i", source, "-map", "0:v", "-vf", "scale=160:-2"]
    command += ["-c:v", "libx264", "-preset", "ultrafast", "-f", "framehash", "-"]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    return sum(not line.startswith("#") for line in lines)


def decoded(track: Path, *how: str) -> bytes:
    """All of it, without a word from the decoder."""
    command = [tool("ffmpeg"), "-v", "warning", "-nostdin", "-xerror", "-i", track, *how, "-"]
    done = subprocess.run(command, capture_output=True, check=True)
    assert done.stderr == b"", (track.name, done.stderr[-2000:])
    return done.stdout


@pytest.fixture(scope="module")
def made(stack, as_creator, source, policy):
    """The film, and the worker processes that were seen at work: all of them, and how many at once."""
    workers, at_once = set(), 0
    # The tests' own stack cuts shorter chunks, and takes nothing that is a little longer than this.
    settings = {"CHUNK_SECONDS": str(CHUNK_SECONDS), "MAX_DURATION_SECONDS": str(SECONDS + 60)}
    with inside.environment(stack, "TranscodePlan", **settings):
        video = as_creator.upload(source, "Ten minutes", policy)["id"]

        def look(_: dict) -> None:
            nonlocal at_once
            busy = inside.encoding(stack)
            workers.update(busy)
            at_once = max(at_once, len(busy))

        as_creator.wait_for_stage(video, timeout=3000, progress=look, interval=1)
    yield video, workers, at_once
    as_creator.delete(video)


@pytest.fixture(scope="module")
def tracks(made, player, as_holder):
    video, *_ = made
    return {track.name: track for track in player.hls(as_holder.playback(video)["hls"])}


def test_ten_minutes_in_chunks_are_one_film(stack, made, tracks, source, player, tmp_path):
    video, workers, at_once = made
    assert len(workers) >= 2 and at_once >= 2, f"{len(workers)} workers, {at_once} at once"
    pieces: dict[str, list[dict]] = {}
    tasks = inside.tasks(stack, video)
    for task in tasks.values():
        for piece in task["output"]:
            pieces.setdefault(piece["track"], []).append(piece)
    assert len([name for name in tasks if not name.startswith("audio")]) == SECONDS / CHUNK_SECONDS
    assert set(pieces) == set(tracks) == {"360p", "450p", "audio", "audio-surround"}
    frames = frames_in_one_pass(source)
    assert frames == SECONDS * RATE

    key_frames, ends, marks = {}, {}, {}
    for name, track in tracks.items():
        files = [answer.content for answer in player.fetch(track.addresses)]
        # One init segment: every task made the same.
        assert {piece["init"] for piece in pieces[name]} == {hashlib.sha256(files[0]).hexdigest()}, name
        scales = {int(piece["encoded"]["timescale"]) for piece in pieces[name]}
        assert len(scales) == 1, name
        (scale,) = scales
        fragments = [fragment(segment) for segment in files[1:]]
        # Each begins on the tick on which the one before it ends.
        assert [each.begins for each in fragments] == [0, *(each.ends for each in fragments[:-1])], name
        ends[name] = fragments[-1].ends / scale
        whole = tmp_path / f"{name}.mp4"
        whole.write_bytes(b"".join(files))
        if name.startswith("audio"):
            samples = array.array("h", decoded(whole, "-ac", "1", "-ar", "48000", "-f", "s16le"))
            assert len(samples) / 48_000 == pytest.approx(SECONDS, abs=SKEW)
            quiet = (MARK - 1) * 48_000
            marks[name] = next(at for at in range(quiet, len(samples)) if abs(samples[at]) > 3000) / 48_000
            continue
        assert {length for each in fragments for length in each.durations} == {scale // RATE}, name
        for each in fragments:
            assert each.sync == [0] and each.first_picture() == {IDR}, (name, each.begins)
        key_frames[name] = [each.begins * RATE // scale for each in fragments]
        small = "scale=16:16:flags=area,setsar=1,format=gray"
        shown = decoded(whole, "-fps_mode", "passthrough", "-vf", small, "-f", "rawvideo")[:: 16 * 16]
        assert len(shown) == sum(len(each.durations) for each in fragments) == frames, name
        dark = (MARK - 1) * RATE
        marks[name] = next(at for at in range(dark, frames) if shown[at] > 180) / RATE
    # The same boundaries in all renditions, which are those of the segments.
    assert key_frames["360p"] == key_frames["450p"] == list(range(0, frames, SEGMENT_SECONDS * RATE))
    for what in (ends, marks):
        assert max(what.values()) - min(what.values()) <= SKEW, what
    assert marks["360p"] == MARK
