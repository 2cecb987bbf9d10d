"""Reads CMAF segments (ISO/IEC 14496-12): when a segment begins, what is in it, and how its pictures hang together."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

# Of a sample's flags: it is no sync sample.
NON_SYNC = 0x10000
# NAL unit types of H.264 (table 7-1): a slice, and one of an IDR picture, before which no later one looks back.
SLICE, IDR = 1, 5


@dataclass
class Fragment:
    """One `moof` with its `mdat`. Times are in the track's ticks."""

    begins: int
    durations: list[int]
    # Which samples are sync samples, by their place.
    sync: list[int]
    first_sample: bytes

    @property
    def ends(self) -> int:
        return self.begins + sum(self.durations)

    def first_picture(self) -> set[int]:
        """The kinds of the first picture's slices: {IDR} of a closed group."""
        kinds, at = set(), 0
        while at < len(self.first_sample):
            (length,) = struct.unpack_from(">I", self.first_sample, at)
            kinds.add(self.first_sample[at + 4] & 31)
            at += 4 + length
        return kinds & {SLICE, IDR}


def boxes(data: bytes, start: int, end: int) -> Iterator[tuple[str, int, int]]:
    """Kind, begin of the box, and its end."""
    while start < end:
        size, kind = struct.unpack_from(">I4s", data, start)
        assert size >= 8, "a box of 64 bits, or without an end"
        yield kind.decode("latin-1"), start, start + size
        start += size


def find(data: bytes, path: str, start: int = 0, end: int | None = None) -> tuple[int, int]:
    """The first box of a path such as moof/traf/tfdt."""
    head, _, rest = path.partition("/")
    for kind, first, last in boxes(data, start, len(data) if end is None else end):
        if kind == head:
            return find(data, rest, first + 8, last) if rest else (first, last)
    raise AssertionError(f"there is no {head}")


def fragment(segment: bytes) -> Fragment:
    """A segment of a single fragment with a single run, as ours are."""
    assert [kind for kind, *_ in boxes(segment, 0, len(segment))].count("moof") == 1
    moof, _ = find(segment, "moof")
    at, _ = find(segment, "moof/traf/tfdt")
    (begins,) = struct.unpack_from(">Q" if segment[at + 8] == 1 else ">I", segment, at + 12)

    at, _ = find(segment, "moof/traf/tfhd")
    flags = int.from_bytes(segment[at + 9 : at + 12])
    at += 16 + (8 if flags & 1 else 0) + (4 if flags & 2 else 0)
    usual = {}
    for bit in (0x08, 0x10, 0x20):
        if flags & bit:
            (usual[bit],) = struct.unpack_from(">I", segment, at)
            at += 4

    at, _ = find(segment, "moof/traf/trun")
    flags = int.from_bytes(segment[at + 9 : at + 12])
    count, offset = struct.unpack_from(">Ii", segment, at + 12)
    assert flags & 1, "a run without a place"
    at += 20
    first_flags = None
    if flags & 4:
        (first_flags,) = struct.unpack_from(">I", segment, at)
        at += 4
    samples = []
    for number in range(count):
        sample = dict(usual)
        for bit, name in ((0x100, 0x08), (0x200, 0x10), (0x400, 0x20), (0x800, None)):
            if flags & bit:
                (sample[name],) = struct.unpack_from(">I", segment, at)
                at += 4
        if number == 0 and first_flags is not None:
            sample[0x20] = first_flags
        samples.append(sample)
    return Fragment(
        begins,
        [sample[0x08] for sample in samples],
        [number for number, sample in enumerate(samples) if not sample[0x20] & NON_SYNC],
        segment[moof + offset : moof + offset + samples[0][0x10]],
    )
