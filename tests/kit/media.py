"""Reads HLS playlists and DASH manifests as a player does, to find every address a film names."""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field
from urllib.parse import parse_qs, parse_qsl, urlencode, urljoin, urlsplit, urlunsplit

ATTRIBUTE = re.compile(r'([A-Z0-9-]+)=("[^"]*"|[^,]*)')
MPD = "{urn:mpeg:dash:schema:mpd:2011}"


def attributes(line: str) -> dict[str, str]:
    """The attribute list of an HLS tag (RFC 8216 4.2)."""
    return {name: value.strip('"') for name, value in ATTRIBUTE.findall(line.partition(":")[2])}


@dataclass
class Track:
    """One media playlist or one DASH representation."""

    name: str
    address: str
    # video or audio; for HLS a variant is called video although it may be muxed.
    kind: str
    init: str | None = None
    segments: list[str] = field(default_factory=list)
    durations: list[float] = field(default_factory=list)
    target_duration: float | None = None
    ended: bool = False
    attributes: dict[str, str] = field(default_factory=dict)

    @property
    def addresses(self) -> list[str]:
        """Everything to fetch: the initialisation segment, then the segments."""
        return ([self.init] if self.init else []) + self.segments


def master_playlist(text: str, address: str) -> list[Track]:
    """The variants and the renditions of a master playlist, each address once."""
    lines = [line.strip() for line in text.splitlines()]
    if not lines or lines[0] != "#EXTM3U":
        raise ValueError("a playlist must begin with #EXTM3U")
    tracks: dict[str, Track] = {}
    for number, line in enumerate(lines):
        if line.startswith("#EXT-X-MEDIA:"):
            found = attributes(line)
            if "URI" in found:
                where = urljoin(address, found["URI"])
                tracks.setdefault(where, Track(track_name(where), where, found["TYPE"].lower(), attributes=found))
        elif line.startswith("#EXT-X-STREAM-INF:"):
            following = next(item for item in lines[number + 1 :] if item and not item.startswith("#"))
            where = urljoin(address, following)
            tracks.setdefault(where, Track(track_name(where), where, "video", attributes=attributes(line)))
    return list(tracks.values())


def media_playlist(text: str, track: Track) -> Track:
    """Fills in a track's segments."""
    lines = [line.strip() for line in text.splitlines()]
    if not lines or lines[0] != "#EXTM3U":
        raise ValueError("a playlist must begin with #EXTM3U")
    for line in lines:
        if line.startswith("#EXT-X-MAP:"):
            track.init = urljoin(track.address, attributes(line)["URI"])
        elif line.startswith("#EXTINF:"):
            track.durations.append(float(line.partition(":")[2].split(",")[0]))
        elif line.startswith("#EXT-X-TARGETDURATION:"):
            track.target_duration = float(line.partition(":")[2])
        elif line == "#EXT-X-ENDLIST":
            track.ended = True
        elif line and not line.startswith("#"):
            track.segments.append(urljoin(track.address, line))
    return track


def manifest(text: str, address: str) -> list[Track]:
    """The representations of a static DASH manifest, with SegmentTemplate, SegmentList or BaseURL addressing."""
    root = ElementTree.fromstring(text)
    if root.tag != f"{MPD}MPD":
        raise ValueError(f"not a DASH manifest: {root.tag}")
    tracks = []
    base = resolve_base(address, root)
    for period in root.findall(f"{MPD}Period"):
        seconds = duration(period.get("duration") or root.get("mediaPresentationDuration"))
        period_base = resolve_base(base, period)
        for adaptation in period.findall(f"{MPD}AdaptationSet"):
            adaptation_base = resolve_base(period_base, adaptation)
            for representation in adaptation.findall(f"{MPD}Representation"):
                kind = adaptation.get("contentType") or (
                    representation.get("mimeType") or adaptation.get("mimeType") or ""
                ).partition("/")[0]
                where = resolve_base(adaptation_base, representation)
                track = Track(representation.get("id", ""), where, kind, ended=root.get("type", "static") == "static")
                track.attributes = dict(representation.attrib)
                fill_representation(track, [period, adaptation, representation], seconds)
                tracks.append(track)
    return tracks


def fill_representation(track: Track, levels: list[ElementTree.Element], seconds: float | None) -> None:
    for level in reversed(levels):
        listed = level.find(f"{MPD}SegmentList")
        if listed is not None:
            init = listed.find(f"{MPD}Initialization")
            if init is not None:
                track.init = urljoin(track.address, init.get("sourceURL", ""))
            track.segments = [urljoin(track.address, item.get("media", "")) for item in listed.findall(f"{MPD}SegmentURL")]
            return
    # A SegmentTemplate's attributes and timeline are inherited from the levels above.
    template: dict[str, str] = {}
    timeline = None
    for level in levels:
        found = level.find(f"{MPD}SegmentTemplate")
        if found is not None:
            template |= dict(found.attrib)
            line = found.find(f"{MPD}SegmentTimeline")
            timeline = timeline if line is None else line
    if not template:
        track.segments = [track.address]
        return
    values = {"RepresentationID": track.name, "Bandwidth": track.attributes.get("bandwidth", "")}
    scale = int(template.get("timescale", "1"))
    first = int(template.get("startNumber", "1"))
    if "initialization" in template:
        track.init = urljoin(track.address, fill(template["initialization"], values))
    times: list[int] = []
    if timeline is not None:
        now = 0
        for entry in timeline.findall(f"{MPD}S"):
            now = int(entry.get("t", now))
            length, repeat = int(entry.get("d", "0")), int(entry.get("r", "0"))
            if repeat < 0:
                repeat = math.ceil(((seconds or 0) * scale - now) / length) - 1
            for _ in range(repeat + 1):
                times.append(now)
                track.durations.append(length / scale)
                now += length
    else:
        length = int(template["duration"])
        times = [number * length for number in range(math.ceil((seconds or 0) * scale / length - 1e-6))]
    for offset, time in enumerate(times):
        numbered = values | {"Number": first + offset, "Time": time}
        track.segments.append(urljoin(track.address, fill(template["media"], numbered)))


def fill(template: str, values: dict) -> str:
    """$Number%05d$ and its like (ISO/IEC 23009-1 5.3.9.4.4)."""

    def replace(match: re.Match) -> str:
        name, form = match.group(1), match.group(2)
        if name == "":
            return "$"
        return (form % int(values[name])) if form else str(values[name])

    return re.sub(r"\$([A-Za-z]*)(%0\d+d)?\$", replace, template)


def resolve_base(base: str, element: ElementTree.Element) -> str:
    found = element.find(f"{MPD}BaseURL")
    return urljoin(base, (found.text or "").strip()) if found is not None else base


def duration(text: str | None) -> float | None:
    """Seconds of an xs:duration such as PT1M30.5S."""
    match = re.fullmatch(r"P(?:(\d+)D)?T?(?:(\d+)H)?(?:(\d+)M)?(?:([\d.]+)S)?", text or "")
    if not match or not text:
        return None
    days, hours, minutes, seconds = (float(part or 0) for part in match.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def track_name(address: str) -> str:
    return urlsplit(address).path.rpartition("/")[2].rpartition(".")[0]


# Signatures

SIGNATURE_PARAMETERS = ("Policy", "Signature", "Key-Pair-Id", "Hash-Algorithm", "Expires")


def unsigned(address: str) -> str:
    """The address without CloudFront's parameters."""
    parts = urlsplit(address)
    kept = [pair for pair in parse_qsl(parts.query, keep_blank_values=True) if pair[0] not in SIGNATURE_PARAMETERS]
    return urlunsplit(parts._replace(query=urlencode(kept)))


def signature_of(address: str) -> dict[str, str]:
    """CloudFront's parameters of an address."""
    query = parse_qs(urlsplit(address).query, keep_blank_values=True)
    return {name: query[name][0] for name in SIGNATURE_PARAMETERS if name in query}


def signed_with(address: str, signature: dict[str, str]) -> str:
    """The address with another signature."""
    parts = urlsplit(unsigned(address))
    # CloudFront's own base64 needs no escaping: "-", "_" and "~" are unreserved.
    added = "&".join(f"{name}={value}" for name, value in signature.items())
    return urlunsplit(parts._replace(query="&".join(item for item in (parts.query, added) if item)))


def tampered(address: str) -> str:
    """The address with one character of its signature changed, to another that base64 allows."""
    signature = signature_of(address)
    value = signature["Signature"]
    # Not among the last: there a character may hold bits that no byte needs.
    place = len(value) // 2
    other = "A" if value[place] != "A" else "B"
    return signed_with(address, signature | {"Signature": value[:place] + other + value[place + 1 :]})
