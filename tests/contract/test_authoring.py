"""What Apple's "HLS authoring specification for Apple devices" (as of 2025-05-08) asks of media, measured on what the deployed
stack serves: a film in two languages, in 5.1 too, with subtitles, of 29.97 frames a second.

What can be decided on text alone is a property of random films: shared/domain/tests/authoring.rs, which also lists what is
known and meant. Here too: 10.1 wants playlists compressed by gzip, and what comes from the API is not.
"""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from tests.kit import inside, media
from tests.kit.film import tool
from tests.kit.player import Player

SECONDS = 14
FRAME = 1001 / 30_000
AUDIO_FRAME = 1024 / 48_000
CHUNKS = [f"360p+720p-{number:05}" for number in (1, 2, 3, 4)]
SOUNDS = ["audio", "audio-2", "audio-surround"]
TEXTS = ["text-1", "text-2"]
PICTURES = ["360p", "720p"]
VTT = "WEBVTT\n\n00:00:01.000 --> 00:00:03.000\n{0} one\n\n00:00:07.000 --> 00:00:09.500\n{0} two\n"


@dataclass
class Playlist:
    """A media playlist and its files, fetched through the edge."""

    name: str
    kind: str
    text: str
    # Of its EXT-X-STREAM-INF or EXT-X-MEDIA; a picture is in as many as there are groups of sound.
    said: list[dict[str, str]]
    track: media.Track
    ranges: list[tuple[int, int]] = field(default_factory=list)
    init: bytes = b""
    files: list[bytes] = field(default_factory=list)

    def seconds(self) -> list[float]:
        return self.track.durations


@dataclass
class Served:
    master: str
    playlists: dict[str, Playlist]
    answers: list[httpx.Response]

    def of(self, *kinds: str) -> list[Playlist]:
        found = [playlist for playlist in self.playlists.values() if playlist.kind in kinds]
        assert found, kinds
        return found


def fetch(player: Player, address: str, files: bool) -> Served:
    """Everything that a multivariant playlist names."""
    first = player.get(address)
    lines = first.raise_for_status().text.splitlines()
    named: dict[str, tuple[str, list[dict[str, str]]]] = {}
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        said = media.attributes(line)
        if line.startswith("#EXT-X-MEDIA:"):
            named.setdefault(said["URI"], (said["TYPE"].lower(), []))[1].append(said)
        elif line.startswith("#EXT-X-STREAM-INF:"):
            named.setdefault(following, ("video", []))[1].append(said)
        elif line.startswith("#EXT-X-I-FRAME-STREAM-INF:"):
            named.setdefault(said["URI"], ("key frames", []))[1].append(said)
    answers, playlists = [first], {}
    for where, (kind, said) in named.items():
        where = str(httpx.URL(address).join(where))
        answer = player.get(where)
        answers.append(answer)
        text = answer.raise_for_status().text
        name = media.track_name(where)
        playlist = Playlist(name, kind, text, said, media.media_playlist(text, media.Track(name, where, kind)))
        found = re.findall(r"#EXT-X-BYTERANGE:(\d+)@(\d+)", text)
        playlist.ranges = [(int(start), int(length)) for length, start in found]
        if files:
            whole = player.fetch(playlist.track.addresses)
            answers += whole
            contents = [each.content for each in whole]
            if playlist.track.init:
                playlist.init = contents.pop(0)
            playlist.files = contents
        playlists[name] = playlist
    return Served(first.text, playlists, answers)


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    """Its own key frames are ten seconds apart: what is served can't have kept them."""
    folder = tmp_path_factory.mktemp("source")
    for language in ("eng", "ger"):
        (folder / f"{language}.vtt").write_text(VTT.format(language))
    command = [tool("ffmpeg"), "-v", "error", "-nostdin", "-y"]
    command += ["-f", "lavfi", "-i", f"testsrc2=size=1280x720:rate=30000/1001:duration={SECONDS}"]
    command += ["-f", "lavfi", "-i", f"sine=frequency=330:sample_rate=48000:duration={SECONDS}"]
    command += ["-f", "lavfi", "-i", f"sine=frequency=440:sample_rate=48000:duration={SECONDS}"]
    command += ["-i", str(folder / "eng.vtt"), "-i", str(folder / "ger.vtt")]
    command += [word for stream in range(5) for word in ("-map", str(stream))]
    command += ["-c:v", "libx264", "-preset", "ultrafast", "-crf", "24", "-pix_fmt", "yuv420p", "-g", "300"]
    command += ["-c:a", "aac", "-ac:a:0", "6", "-ac:a:1", "2", "-c:s", "subrip"]
    for stream, language in (("a:0", "eng"), ("a:1", "ger"), ("s:0", "eng"), ("s:1", "ger")):
        command += [f"-metadata:s:{stream}", f"language={language}"]
    command += ["-disposition:a:0", "default", str(folder / "film.mkv")]
    subprocess.run(command, check=True)
    return folder / "film.mkv"


@pytest.fixture(scope="module")
def both(stack, player, as_creator, as_holder, source, policy) -> tuple[Served, Served]:
    """The film when two of its four chunks were done, and when it was whole."""
    tasks = [*SOUNDS, *TEXTS, *CHUNKS]
    with inside.paused(stack, "TranscodeWork"):
        video = as_creator.upload(source, "Authoring", policy, "video/x-matroska")["id"]
        inside.wait_until(lambda: as_creator.video(video).get("tasks_total", 0) == len(tasks), 30, "it was never planned")
        inside.wait_until(lambda: inside.queue_sizes(stack)["TaskQueue"] == len(tasks), 20, "its tasks were not sent")
        stack.client("sqs").purge_queue(QueueUrl=stack.output("TaskQueueUrl"))

    def work(names: list[str]) -> None:
        for name in names:
            inside.send(stack, "Task", {"video": video, "task": name})

    def watchable() -> bool:
        return (as_creator.video(video).get("progress") or {}).get("watchable_seconds", 0) >= 8

    work([*SOUNDS, *TEXTS, *CHUNKS[:2]])
    inside.wait_until(watchable, 90, "its beginning was never shown")
    growing = fetch(player, as_holder.playback(video)["hls"], files=False)
    work(CHUNKS[2:])
    as_creator.wait_for_stage(video, timeout=90)
    whole = fetch(player, as_holder.playback(video)["hls"], files=True)
    yield growing, whole
    as_creator.delete(video)


@pytest.fixture(scope="module")
def growing(both) -> Served:
    return both[0]


@pytest.fixture(scope="module")
def whole(both) -> Served:
    return both[1]


def ffprobe(content: bytes, show: str, path: Path) -> list[dict]:
    path.write_bytes(content)
    command = [tool("ffprobe"), "-v", "error", f"-show_{show}", "-of", "json", str(path)]
    done = subprocess.run(command, check=True, capture_output=True)
    assert not done.stderr, done.stderr
    return json.loads(done.stdout)[show]


def packets(content: bytes, path: Path) -> list[dict]:
    """With what each begins, lasts and is, in seconds."""
    return ffprobe(content, "packets", path)


def spans(playlist: Playlist, path: Path) -> list[tuple[float, float]]:
    """When the packets of each segment begin and end."""
    found = []
    for content in playlist.files:
        read = packets(playlist.init + content, path)
        times = [(float(one["pts_time"]), float(one["pts_time"]) + float(one["duration_time"])) for one in read]
        found.append((min(start for start, _ in times), max(end for _, end in times)))
    return found


def nal_types(content: bytes, path: Path) -> list[int]:
    """Of H.264, in the order of decoding."""
    path.write_bytes(content)
    command = [tool("ffmpeg"), "-v", "error", "-i", str(path), "-c", "copy", "-bsf:v", "h264_mp4toannexb", "-f", "h264", "-"]
    stream = subprocess.run(command, check=True, capture_output=True).stdout
    return [stream[match.end()] & 0x1F for match in re.finditer(b"\x00\x00\x01", stream)]


def test_the_film_has_all_that_is_looked_at(whole):
    assert set(whole.playlists) == {*PICTURES, *SOUNDS, *TEXTS, "360p-iframes", "720p-iframes"}
    for playlist in whole.of("video", "audio", "subtitles", "key frames"):
        assert len(playlist.track.segments) == 4, playlist.name


def test_video_segments_start_with_an_idr_frame(whole, tmp_path):
    """7.4; 9.11: so they are independent, and the playlists say so."""
    for playlist in whole.of("video"):
        for number, content in enumerate(playlist.files):
            slices = [kind for kind in nal_types(playlist.init + content, tmp_path / "segment.mp4") if kind in (1, 5)]
            # Coded slices of an IDR picture are 5, of any other 1 (H.264, table 7-1).
            assert slices[0] == 5, f"{playlist.name}, segment {number + 1}"
            assert 1 in slices, "a segment of key frames alone would show nothing of what starts it"
        assert "#EXT-X-INDEPENDENT-SEGMENTS" in playlist.text
    assert "#EXT-X-INDEPENDENT-SEGMENTS" in whole.master


def test_the_codec_is_what_apple_plays(whole, tmp_path):
    """1.1, 1.2, 1.3, 1.4, 1.10, 1.14, 1.19, 2.3, 2.17; 9.1, 9.2, 9.15: and what the playlist says of it is so."""
    for playlist in whole.of("video"):
        (stream,) = ffprobe(playlist.init + playlist.files[0], "streams", tmp_path / "a.mp4")
        assert (stream["codec_name"], stream["codec_tag_string"], stream["profile"]) == ("h264", "avc1", "High")
        assert stream["level"] <= 52 and stream["field_order"] == "progressive"
        numerator, denominator = map(int, stream["r_frame_rate"].split("/"))
        assert (numerator, denominator) == (30_000, 1001)
        # The profile, its constraints and the level, as the decoder's own settings have them.
        settings = playlist.init[playlist.init.index(b"avcC") + 5 :][:3].hex()
        for said in playlist.said:
            assert said["CODECS"] == f"avc1.{settings},mp4a.40.2"
            assert said["RESOLUTION"] == f"{stream['width']}x{stream['height']}"
            assert re.fullmatch(r"\d+\.\d{1,3}", said["FRAME-RATE"])
            assert float(said["FRAME-RATE"]) == pytest.approx(numerator / denominator, abs=0.0005)
    for playlist in whole.of("audio"):
        (stream,) = ffprobe(playlist.init + playlist.files[0], "streams", tmp_path / "a.mp4")
        assert (stream["codec_name"], stream["profile"]) == ("aac", "LC")
        assert {said["CHANNELS"] for said in playlist.said} == {str(stream["channels"])}


def test_segments_last_as_long_as_the_playlist_says(whole, tmp_path):
    """7.1, 7.3: without a gap. 8.1: sums of EXTINF are right within a frame. 7.7: none is longer than the target duration."""
    for playlist in whole.of("video", "audio"):
        frame = FRAME if playlist.kind == "video" else AUDIO_FRAME
        end = said = 0.0
        measured = spans(playlist, tmp_path / "segment.mp4")
        for (start, stop), seconds in zip(measured, playlist.seconds(), strict=True):
            assert start == pytest.approx(end, abs=0.001), playlist.name
            end, said = stop, said + seconds
            assert said == pytest.approx(end, abs=frame), playlist.name
            assert stop - start <= playlist.track.target_duration + 0.5
        # Ours are exact.
        assert said == pytest.approx(end, abs=0.001)


def test_one_cut_for_all(whole):
    """8.2: one target duration. 8.3, 8.7, 5.5: the same length. 8.22: the same borders. 7.5, 7.6: the test stack's are of 4 s."""
    cuts = {}
    for playlist in whole.of("video", "audio", "subtitles", "key frames"):
        assert playlist.track.target_duration == 4
        assert playlist.seconds()[0] == pytest.approx(4.004, abs=AUDIO_FRAME)
        cuts[playlist.name] = [sum(playlist.seconds()[: number + 1]) for number in range(4)]
    for name, cut in cuts.items():
        assert cut == pytest.approx(cuts["720p"], abs=FRAME), name
    assert cuts["720p"][-1] == pytest.approx(SECONDS, abs=FRAME)


def rates(sizes: list[int], seconds: list[float], target: float) -> tuple[float, float]:
    """The peak and the average as RFC 8216 4.1 has them, in bits per second."""
    runs = [slice(first, last) for first in range(len(sizes)) for last in range(first + 1, len(sizes) + 1)]
    measured = [(sum(seconds[run]), 8 * sum(sizes[run]) / sum(seconds[run])) for run in runs]
    return max(rate for lasts, rate in measured if 0.5 * target <= lasts <= 1.5 * target), 8 * sum(sizes) / sum(seconds)


def test_bandwidths_are_within_a_tenth_of_what_is_measured(whole):
    """1.26: AVERAGE-BANDWIDTH. 1.27: BANDWIDTH. 9.13: of the most expensive combination. 6.9: of key frames as well."""
    measured = {}
    for playlist in whole.of("video", "audio", "subtitles", "key frames"):
        sizes = [length for _, length in playlist.ranges] or [len(content) for content in playlist.files]
        measured[playlist.name] = rates(sizes, playlist.seconds(), playlist.track.target_duration)
    groups: dict[str, list[str]] = {}
    for playlist in whole.of("audio", "subtitles"):
        for said in playlist.said:
            groups.setdefault(said["GROUP-ID"], []).append(playlist.name)
    looked_at = 0
    for playlist in whole.of("video", "key frames"):
        for said in playlist.said:
            parts = [measured[playlist.name]]
            parts += [max(measured[name] for name in groups[said[kind]]) for kind in ("AUDIO", "SUBTITLES") if kind in said]
            peak, average = (sum(part[which] for part in parts) for which in (0, 1))
            assert int(said["BANDWIDTH"]) == pytest.approx(peak, rel=0.1), playlist.name
            assert int(said["AVERAGE-BANDWIDTH"]) == pytest.approx(average, rel=0.1), playlist.name
            looked_at += 1
    # Two pictures, each in stereo and in 5.1, and the key frames of both.
    assert looked_at == 6


def test_key_frames_can_be_fetched_alone(whole, player, tmp_path):
    """6.1, 6.8: a playlist of them for every picture. 6.10: a range has the moof, and exactly one frame that needs no other."""
    for playlist in whole.of("key frames"):
        assert "#EXT-X-I-FRAMES-ONLY" in playlist.text
        (said,) = playlist.said
        picture = whole.playlists[playlist.name.removesuffix("-iframes")]
        assert said["RESOLUTION"] == picture.said[0]["RESOLUTION"]
        assert said["CODECS"] == picture.said[0]["CODECS"].split(",")[0]
        assert len(playlist.ranges) == 4
        for address, (start, length) in zip(playlist.track.segments, playlist.ranges, strict=True):
            answer = player.get(address, headers={"Range": f"bytes={start}-{start + length - 1}"})
            assert answer.status_code == 206 and len(answer.content) == length
            assert b"moof" in answer.content
            path = tmp_path / "frame.mp4"
            path.write_bytes(playlist.init + answer.content)
            command = [tool("ffmpeg"), "-v", "error", "-i", str(path), "-f", "framemd5", "-frames:v", "2", "-"]
            shown = subprocess.run(command, capture_output=True, text=True, check=False).stdout
            assert len([line for line in shown.splitlines() if not line.startswith("#")]) == 1
            slices = {kind for kind in nal_types(playlist.init + answer.content, path) if kind in (1, 5)}
            assert slices == {5}


def test_renditions_have_names_and_languages(whole):
    """8.9, 8.10, 4.7, 9.6, 9.7; RFC 8216 4.3.4.1: names differ in a group, one at most is the default, groups are alike."""
    groups: dict[str, dict[str, tuple[str, ...]]] = {}
    for playlist in whole.of("audio", "subtitles"):
        for said in playlist.said:
            group = groups.setdefault(said["GROUP-ID"], {})
            assert said["NAME"] not in group
            group[said["NAME"]] = tuple(said[name] for name in ("LANGUAGE", "DEFAULT", "AUTOSELECT"))
    sounds = {"English": ("en", "YES", "YES"), "German": ("de", "NO", "YES")}
    texts = {"English": ("en", "NO", "YES"), "German": ("de", "NO", "YES")}
    assert groups == {"audio": sounds, "surround": sounds, "subtitles": texts}
    for playlist in whole.of("video"):
        assert {said["AUDIO"] for said in playlist.said} == {"audio", "surround"}
        assert {said["SUBTITLES"] for said in playlist.said} == {"subtitles"}


def test_subtitles_are_webvtt_in_the_films_time(whole):
    """5.2, 5.3, 5.5: for the whole of the film, also where nobody speaks."""
    for playlist in whole.of("subtitles"):
        texts = [content.decode() for content in playlist.files]
        for text in texts:
            assert text.startswith("WEBVTT\n") and "X-TIMESTAMP-MAP=MPEGTS:0,LOCAL:00:00:00.000\n" in text
        assert ["00:00:01.000 --> 00:00:03.000" in text for text in texts] == [True, False, False, False]
        assert ["00:00:07.000 --> 00:00:09.500" in text for text in texts] == [False, True, True, False]
        assert "#EXT-X-MAP" not in playlist.text


def test_nothing_needs_a_discontinuity(whole):
    """8.13 to 8.15: no tag, and one set of settings for all segments. 8.20: which EXT-X-MAP names."""
    for playlist in whole.of("video", "audio", "key frames"):
        assert "DISCONTINUITY" not in playlist.text and playlist.text.count("#EXT-X-MAP:") == 1
        assert b"moov" in playlist.init and all(b"moov" not in content for content in playlist.files)


def test_a_growing_film_is_an_event_and_its_beginning_stays(growing, whole):
    """8.6, 8.8; RFC 8216 6.2.1: lines are added, and none changes. 5.6, 6.11: one target duration."""
    assert set(growing.playlists) == set(whole.playlists)
    for name, playlist in growing.playlists.items():
        later = whole.playlists[name]
        assert "#EXT-X-PLAYLIST-TYPE:EVENT\n" in playlist.text and "#EXT-X-ENDLIST" not in playlist.text
        assert "#EXT-X-PLAYLIST-TYPE:VOD\n" in later.text and later.text.endswith("#EXT-X-ENDLIST\n")
        assert 2 <= len(playlist.track.segments) < 4
        # But for the type, the grant's name and signatures, which are a grant's own.
        before, after = (re.sub(r"\?\S*?(\"?)(?=\n)|(?<=/q/)[0-9a-f]{40}", r"\1", text) for text in (playlist.text, later.text))
        assert after.startswith(before.replace(":EVENT\n", ":VOD\n")), name


def test_everything_is_where_the_playlist_says(whole):
    """8.18: no redirect. 10.4: types."""
    for answer in whole.answers:
        assert answer.status_code == 200 and not answer.history, answer.url.path
        kind = answer.headers["Content-Type"]
        ending = answer.url.path.rpartition(".")[2]
        types = {"m3u8": ["application/vnd.apple.mpegurl"], "vtt": ["text/vtt"]}
        assert kind.split(";")[0] in types.get(ending, ["video/mp4", "audio/mp4"]), (answer.url.path, kind)
