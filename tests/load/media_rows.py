"""The media rows of the bench: what a transcode by chunks costs beside one in a single pass, and how good it looks.

    python tests/load/media_rows.py [--seconds 90] [--binaries FOLDER] [--keep FOLDER]    these rows alone

The default's 90 seconds of film take five minutes on two idle processors; `make proof` takes ten minutes of film, and an hour.

The film is real footage, looped until it is long enough: see tests/kit/footage.py.

The single pass is one ffmpeg that reads and decodes the film once and makes all renditions and the sound, with the settings of
our tasks. CPU is user and system time of every process: ours besides counts probe, audio, a process per task, what is read
twice, the measuring of segments, and the playlists.

    media.grid_cpu_ratio        CPU seconds of all tasks with chunks of 60 s, the default; baseline: the single pass
    media.grid_cpu_ratio.8s     the same with other chunks: the curve
    media.xpsnr.720p            weighted XPSNR, (4 Y + U + V) / 6, in dB against the source; baseline: the single pass
    media.xpsnr_delta_db        dB that chunks lose against the single pass, in the rendition that loses most
    media.first_playable        seconds of probe, sound and the first two tasks of the picture, one after the other;
                                baseline: the whole transcode, one after the other
    media.playlist_write        ms of writing the media playlists of a film of 2 hours in five renditions with sound;
                                baseline: m3u8-rs writing the same from its own structs, in turns
    delivery.playlist_sign      playlists a second that are written for a grant, one rendition of such a film each, read from what is stored
                                of the film; baseline: m3u8-rs reads the stored playlist, changes its addresses and writes it
    media.playlist_write_all    the same with key frame playlists, multivariant playlist and MPD, of which m3u8-rs writes none
    media.model_1h_1000         seconds from upload to a whole film of one hour with 1,000 workers, by model.py from the times
                                measured here; baseline: with one worker
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import model

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY))
from tests.kit import footage  # noqa: E402
from tests.kit.film import tool  # noqa: E402

CACHE = Path(os.environ.get("STREAMGATE_CACHE", REPOSITORY / ".cache")).resolve()
DEFAULT_CHUNK = 60
CURVE = (32, 16, 8)
# What `make bench` takes, and `make proof`.
SECONDS, LONG_SECONDS = 90, 600


def run(*command: str | Path, **how) -> subprocess.CompletedProcess:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False, **how)
    if done.returncode:
        raise RuntimeError(f"{Path(command[0]).name} failed: {done.stderr.strip()[-800:]}")
    return done


def program(binaries: Path, *arguments: str | Path) -> dict:
    environment = os.environ | {"FFMPEG_DIRECTORY": str(Path(tool("ffmpeg")).parent)}
    return json.loads(run(binaries / "load-media", *arguments, env=environment).stdout)


# ---- How good it looks


def xpsnr(track: Path, source: Path, width: int, height: int) -> float:
    """Of one rendition against the source at the rendition's size, frame by frame; (4 Y + U + V) / 6, in dB."""
    graph = (
        f"[1:v:0]scale={width}:{height}:flags=bicubic+accurate_rnd+bitexact,format=yuv420p,settb=1/25,setpts=N[source];"
        "[0:v:0]settb=1/25,setpts=N[track];[track][source]xpsnr=shortest=1"
    )
    command = [tool("ffmpeg"), "-hide_banner", "-nostdin", "-i", track, "-i", source, "-lavfi", graph, "-f", "null", "-"]
    said = run(*command).stderr
    found = re.search(r"XPSNR\s+y: *([\d.]+|inf)\s+u: *([\d.]+|inf)\s+v: *([\d.]+|inf)", said)
    if not found:
        raise RuntimeError(f"xpsnr said nothing: {said[-500:]}")
    luma, blue, red = (float(value) for value in found.groups())
    return (4 * luma + blue + red) / 6


# ---- The rows


def cpu(cost: dict) -> float:
    return cost["user"] + cost["system"]


def rows(binaries: Path, row, say, seconds: int = SECONDS, keep: Path | None = None) -> list[dict]:
    """All of them; `row` makes one, and `say` tells how far it is. What was measured is left in `keep`."""
    made = []
    say("media: writing playlists")
    written = program(binaries, "playlists")
    made.append(row("media.playlist_write", round(written["media_ms"], 3), "ms", round(written["baseline_ms"], 3)))
    made.append(row("media.playlist_write_all", round(written["all_ms"], 3), "ms"))
    made.append(
        row("delivery.playlist_sign", round(1000 / written["signed_ms"], 1), "per s", round(1000 / written["rewritten_ms"], 1))
    )
    say(f"media: the film of {seconds} s (made once)")
    source = footage.looped(seconds)
    folder = Path(tempfile.mkdtemp(prefix="streamgate-media-"))
    try:
        say("media: in one pass")
        single = program(binaries, "single", source, folder / "single")
        by_chunks = {}
        for chunk in (DEFAULT_CHUNK, *CURVE):
            say(f"media: in chunks of {chunk} s")
            by_chunks[chunk] = program(binaries, "encode", source, str(chunk), folder / f"{chunk}")
        baseline = cpu(single["total"])
        for chunk, measured in by_chunks.items():
            name = "media.grid_cpu_ratio" + ("" if chunk == DEFAULT_CHUNK else f".{chunk}s")
            made.append(row(name, round(cpu(measured["total"]), 2), "s", round(baseline, 2)))
        measured = by_chunks[DEFAULT_CHUNK]
        lost = []
        for rendition in measured["renditions"]:
            name = rendition["name"]
            say(f"media: XPSNR of {name}")
            ours, whole = (
                round(xpsnr(folder / run / f"{name}.mp4", source, rendition["width"], rendition["height"]), 4)
                for run in (str(DEFAULT_CHUNK), "single")
            )
            made.append(row(f"media.xpsnr.{name}", ours, "dB", whole))
            lost.append(whole - ours)
        made.append(row("media.xpsnr_delta_db", round(max(lost), 4), "dB"))
        made.append(row("media.first_playable", round(first_playable(measured), 2), "s", round(measured["total"]["wall"], 2)))
        measurement = {"single": single, "chunks": {str(chunk): each for chunk, each in by_chunks.items()}}
        if keep:
            keep.mkdir(parents=True, exist_ok=True)
            (keep / "media.json").write_text(json.dumps(measurement, indent=1) + "\n")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    film = model.Film.of(measured, 3600)
    alone, crowd = (model.wall_seconds(film, workers, model.STANDARD) for workers in (1, 1000))
    made.append(row("media.model_1h_1000", round(crowd, 1), "s", round(alone, 1)))
    print(model.report(measured))
    return made


def first_playable(measured: dict) -> float:
    """The beginning of the film stands in every rendition: with tasks of all renditions these are the first two chunks."""
    renditions = len(measured["renditions"]) if measured["split"] else 1
    pictures = [task for task in measured["tasks"] if task["kind"] == "video"][: 2 * renditions]
    sound = [task for task in measured["tasks"] if task["kind"] == "audio"]
    return measured["probe"]["wall"] + sum(task["wall"] for task in pictures + sound)


def main() -> int:
    import bench

    parser = argparse.ArgumentParser(description="the media rows of the bench")
    parser.add_argument("--binaries", type=Path, default=bench.release_binaries(), help="the folder of load-media")
    parser.add_argument("--seconds", type=int, default=SECONDS, help=f"of film; {LONG_SECONDS} for `make proof`")
    parser.add_argument("--keep", type=Path, help="leaves what was measured there, as media.json")
    arguments = parser.parse_args()
    say = lambda line: print(f"bench    {line}", file=sys.stderr, flush=True)  # noqa: E731
    bench.show(rows(arguments.binaries.resolve(), bench.row, say, arguments.seconds, arguments.keep))
    return 0


if __name__ == "__main__":
    sys.exit(main())
