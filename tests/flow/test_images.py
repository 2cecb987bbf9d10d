"""Pictures to look at: the poster, and the storyboard that one finds a place by."""

from __future__ import annotations

import re
import subprocess
from urllib.parse import urljoin

from tests.kit import media
from tests.kit.film import tool
from tests.kit.player import probe

CUE = re.compile(r"^(\S+) --> (\S+)\n(\S+)#xywh=(\d+),(\d+),(\d+),(\d+)$", re.MULTILINE)


def test_the_storyboard_has_a_picture_of_every_segment(player, as_holder, video, tmp_path):
    address = as_holder.playback(video["id"])["storyboard"]
    answer = player.get(address)
    assert answer.status_code == 200 and answer.headers["Content-Type"] == "text/vtt"
    cues = CUE.findall(answer.text)
    # Tests cut films into chunks of one segment: each has a sheet of its own.
    assert [cue[:2] for cue in cues] == [("00:00:00.000", "00:00:04.000"), ("00:00:04.000", "00:00:06.000")]
    assert {cue[3:] for cue in cues} == {("0", "0", "160", "90")}
    sheets = [urljoin(address, cue[2]) for cue in cues]
    assert player.statuses([sheet.partition("?")[0] for sheet in sheets]) == {403}
    pictures = []
    for number, sheet in enumerate(player.fetch(sheets)):
        assert sheet.status_code == 200 and sheet.headers["Content-Type"] == "image/jpeg"
        path = tmp_path / f"{number}.jpg"
        path.write_bytes(sheet.content)
        seen = probe(path)
        assert (seen["codec_name"], seen["width"], seen["height"]) == ("mjpeg", 800, 90)
        pictures.append(tile(path))
    # The test picture carries its time: no two are alike, and none is a blank.
    assert pictures[0] != pictures[1] and all(len(set(picture)) > 32 for picture in pictures)


def tile(path) -> bytes:
    command = [tool("ffmpeg"), "-v", "error", "-i", str(path), "-vf", "crop=160:90:0:0,format=gray", "-f", "rawvideo", "-"]
    return subprocess.run(command, check=True, capture_output=True).stdout


def test_the_poster_opens_by_the_grant(player, as_holder, video, tmp_path):
    address = as_holder.playback(video["id"])["poster"]
    answer = player.get(address)
    assert answer.status_code == 302 and answer.headers["Cache-Control"] == "no-store"
    picture = urljoin(address, answer.headers["Location"])
    assert player.get(media.unsigned(picture)).status_code == 403
    path = tmp_path / "poster.jpg"
    path.write_bytes(player.get(picture).raise_for_status().content)
    seen = probe(path)
    assert (seen["codec_name"], seen["width"], seen["height"]) == ("mjpeg", 1280, 720)
    refused = player.get(address.replace("grant=", "grant=0"))
    assert refused.status_code == 403 and refused.json()["type"].endswith("/grant-invalid")
