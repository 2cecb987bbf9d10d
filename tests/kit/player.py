"""Fetches what a playlist names, as a player does, and looks at it with ffmpeg and ffprobe."""

from __future__ import annotations

import json
import struct
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from . import media
from .contract import ContractTransport
from .film import tool


class Player:
    """Plain requests through the edge: no session, no cookie, nothing but the addresses.

    `check` holds what is the API's, such as playlists, to its contract; a load test may want it off.
    """

    def __init__(self, parallel: int = 8, check: bool = True):
        self.parallel = parallel
        # Never behind a proxy: this is all on one machine.
        transport: httpx.BaseTransport = httpx.HTTPTransport(limits=httpx.Limits(max_connections=parallel))
        if check:
            transport = ContractTransport(transport)
        self.http = httpx.Client(timeout=35.0, trust_env=False, transport=transport)

    def close(self) -> None:
        self.http.close()

    def get(self, address: str, **more) -> httpx.Response:
        return self.http.get(address, **more)

    def hls(self, address: str) -> list[media.Track]:
        """The tracks of a master playlist, each with its segments."""
        tracks = media.master_playlist(self.get(address).raise_for_status().text, address)
        for track in tracks:
            media.media_playlist(self.get(track.address).raise_for_status().text, track)
        return tracks

    def dash(self, address: str) -> list[media.Track]:
        return media.manifest(self.get(address).raise_for_status().text, address)

    def fetch(self, addresses: list[str]) -> list[httpx.Response]:
        with ThreadPoolExecutor(self.parallel) as pool:
            return list(pool.map(self.get, addresses))

    def statuses(self, addresses: list[str]) -> set[int]:
        assert addresses, "nothing was asked for"
        return {response.status_code for response in self.fetch(addresses)}

    def save(self, track: media.Track, path: Path) -> Path:
        """The track as one file: a CMAF track is its init segment and then its segments."""
        answers = self.fetch(track.addresses)
        assert {answer.status_code for answer in answers} == {200}
        path.write_bytes(b"".join(answer.content for answer in answers))
        return path


def addresses(tracks: list[media.Track]) -> list[str]:
    return [address for track in tracks for address in track.addresses]


def probe(path: Path) -> dict:
    """The first stream as ffprobe sees it."""
    command = [tool("ffprobe"), "-v", "error", "-show_streams", "-count_packets", "-of", "json", str(path)]
    return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)["streams"][0]


def segment_start(init: bytes, segment: bytes) -> float:
    """When the first picture, or sound, of a segment is due, in seconds: of all samples the earliest, with its offset.

    By the bytes, as browsers do it: ffmpeg moves all of a track that has negative offsets."""
    (timescale,) = struct.unpack_from(">I", init, init.index(b"mdhd") + 16)
    at = segment.index(b"tfdt") + 4
    (now,) = struct.unpack_from(">Q" if segment[at] else ">I", segment, at + 4)
    at = segment.index(b"trun") + 4
    version_and_flags, count = struct.unpack_from(">II", segment, at)
    flags = version_and_flags & 0xFFFFFF
    if not flags & 0x800:
        return now / timescale
    at += 8 + 4 * bool(flags & 0x1) + 4 * bool(flags & 0x4)
    (default,) = struct.unpack_from(">I", segment, segment.index(b"tfhd") + 12) if not flags & 0x100 else (0,)
    fields = [bit for bit in (0x100, 0x200, 0x400, 0x800) if flags & bit]
    shown = []
    for _ in range(count):
        sample = dict(zip(fields, struct.unpack_from(f">{len(fields) - 1}Ii", segment, at), strict=True))
        shown.append(now + sample[0x800])
        now += sample.get(0x100, default)
        at += 4 * len(fields)
    return min(shown) / timescale


def decode(source: str | Path) -> str:
    """Decodes everything and answers with what ffmpeg complained about."""
    command = [tool("ffmpeg"), "-hide_banner", "-nostdin", "-v", "warning", "-xerror", "-i", str(source)]
    done = subprocess.run([*command, "-map", "0", "-f", "null", "-"], capture_output=True, text=True, check=False)
    return done.stderr.strip() if done.returncode == 0 else f"exit {done.returncode}: {done.stderr}"
