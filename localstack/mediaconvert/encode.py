"""Does what an order says: ffmpeg encodes and cuts, and the manifests are written from what came out."""

from __future__ import annotations

import json
import os
import struct
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from xml.sax.saxutils import quoteattr

from .settings import Audio, Order, Video


class Failed(Exception):
    """A job's end, by the service's error codes: docs.aws.amazon.com/mediaconvert/latest/ug/mediaconvert_error_codes.html"""

    def __init__(self, code: int, message: str):
        super().__init__(message)
        self.code = code


@dataclass
class Track:
    """What came out of one output."""

    output: Video | Audio
    files: list[Path]
    codecs: str
    timescale: int
    durations: list[int] = field(default_factory=list)

    @property
    def is_video(self) -> bool:
        return isinstance(self.output, Video)

    @property
    def seconds(self) -> float:
        return sum(self.durations) / self.timescale


def tool(name: str) -> str:
    return str(Path(os.environ["FFMPEG_DIRECTORY"]) / name)


def probe(path: Path) -> list[dict]:
    """The streams of a file."""
    command = [tool("ffprobe"), "-v", "error", "-show_streams", "-show_format", "-of", "json", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failed(1010, f"Unable to open input file [{path.name}]: [{done.stderr.strip()[-200:]}]")
    seen = json.loads(done.stdout)
    for stream in seen["streams"]:
        stream.setdefault("duration", seen.get("format", {}).get("duration", "0"))
    return seen["streams"]


def encode(order: Order, source: Path, folder: Path, seen: list[dict], start: Callable, progress: Callable) -> list[Track]:
    """Encodes all outputs in one run. `start` is told of the process; `progress` of how many of the frames are done."""
    pictures = [stream for stream in seen if stream["codec_type"] == "video" and not stream["disposition"]["attached_pic"]]
    sounds = [stream for stream in seen if stream["codec_type"] == "audio"]
    if not pictures:
        raise Failed(1020, "No video stream was found in the input")
    for audio in order.audios:
        if audio.stream >= len(sounds):
            raise Failed(1021, f"The input has no audio track {audio.stream + 1}")
    numerator, denominator = order.videos[0].rate
    frames = max(1, round(float(pictures[0]["duration"]) * numerator / denominator))
    command = [tool("ffmpeg"), "-hide_banner", "-nostdin", "-v", "error", "-progress", "pipe:1", "-i", str(source),
               "-filter_complex", _graph(order, frames)]  # fmt: skip
    for index, video in enumerate(order.videos):
        command += ["-map", f"[v{index}]", *_picture(video), *_muxer(order, video, folder)]
    for index, audio in enumerate(order.audios):
        command += ["-map", f"[a{index}]", *_sound(audio), *_muxer(order, audio, folder)]
    with open(folder / "ffmpeg.log", "w+b") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        start(process)
        for line in process.stdout:
            if line.startswith("frame="):
                progress(min(1.0, int(line[6:]) / frames), int(line[6:]))
        if process.wait():
            log.seek(0)
            raise Failed(1999, f"Unexpected transcoding error: {log.read().decode(errors='replace').strip()[-300:]}")
    tracks = [_track(order, output, folder) for output in [*order.videos, *order.audios]]
    write_manifests(order, tracks, folder)
    return tracks


def _graph(order: Order, frames: int) -> str:
    numerator, denominator = order.videos[0].rate
    # A picture stands until the next one, at the constant rate; the film's last one may have to stand a little longer.
    graph = "[0:V:0]" + ("bwdif=send_frame:auto:interlaced," if order.deinterlace else "")
    graph += f"fps={numerator}/{denominator}:start_time=0,tpad=stop_mode=clone:stop=2,trim=end_frame={frames},"
    matrix, sample_range = order.matrix, order.sample_range
    if order.tone_map:
        # Like the service's, a curve of its own: 203 cd/m² is white, and what is brighter is bent under it.
        graph += f"zscale=t=linear:npl=203{f':rin={sample_range}' if sample_range else ''},format=gbrpf32le,tonemap=mobius,"
        graph += "zscale=p=bt709:t=bt709:m=bt709:r=limited,format=yuv420p,sidedata=delete,"
        matrix, sample_range = "bt709", "limited"
    graph += f"split={len(order.videos)}" + "".join(f"[s{index}]" for index in range(len(order.videos)))
    meant = "".join(f":{name}={value}" for name, value in (("in_color_matrix", matrix), ("in_range", sample_range)) if value)
    for index, video in enumerate(order.videos):
        graph += (
            f";[s{index}]scale={video.width}:{video.height}:flags=bicubic{meant}:out_color_matrix=bt709:out_range=limited,setsar=1,"
            f"format=yuv420p,setparams=range=limited:color_primaries=bt709:color_trc=bt709:colorspace=bt709[v{index}]"
        )
    seconds = frames * denominator / numerator
    for index, audio in enumerate(order.audios):
        layout = "5.1" if audio.channels == 6 else "stereo"
        # Match video duration: filled with silence, or cut.
        graph += (
            f";[0:a:{audio.stream}]aresample={audio.sample_rate}:async=1000:first_pts=0,"
            f"aformat=sample_fmts=fltp:channel_layouts={layout},apad,atrim=end_sample={round(seconds * audio.sample_rate)}[a{index}]"
        )
    return graph


def _picture(video: Video) -> list[str]:
    gop = str(video.gop)
    # Quality-defined: level 7 near each encoder's default, and the ceiling holds.
    rate = ["-maxrate", str(video.max_bitrate), "-bufsize", str(2 * video.max_bitrate), "-g", gop, "-fps_mode", "passthrough"]
    if video.codec == "H_265":
        cut = f"log-level=error:keyint={gop}:min-keyint={gop}:scenecut=0:open-gop=0"
        return ["-c:v", "libx265", "-tag:v", "hvc1", "-profile:v", "main", "-preset", video.preset, *rate,
                "-crf", str(42 - 2 * video.quality), "-x265-params", cut, "-flags", "+cgop"]  # fmt: skip
    if video.codec == "AV1":
        return ["-c:v", "libsvtav1", "-preset", "10", *rate, "-crf", str(49 - 2 * video.quality), "-svtav1-params",
                "scd=0:irefresh-type=2"]  # fmt: skip
    return ["-c:v", "libx264", "-profile:v", "high", "-preset", video.preset, *rate, "-crf", str(37 - 2 * video.quality),
            "-keyint_min", gop, "-sc_threshold", "0", "-flags", "+cgop", "-forced-idr", "1"]  # fmt: skip


def _sound(audio: Audio) -> list[str]:
    # The encoder's priming frame at a negative time would need an edit list: dropped.
    return ["-c:a", "aac", "-b:a", str(audio.bitrate), "-bsf:a", "noise=drop=lt(pts\\,0)"]


def _muxer(order: Order, output: Video | Audio, folder: Path) -> list[str]:
    video = order.videos[0]
    gop = video.gop * video.rate[1] / video.rate[0]
    # Multiple of GOP: rounded up to the next border.
    multiple = -(-order.segment_seconds // gop) if gop < order.segment_seconds else 1
    stem = f"{order.name}{output.modifier}"
    kind = "cmfv" if isinstance(output, Video) else "cmfa"
    return ["-map_metadata", "-1", "-map_chapters", "-1", "-f", "hls", "-hls_playlist_type", "vod", "-start_number", "1",
            "-hls_time", f"{multiple * gop - 0.001:.6f}", "-hls_segment_type", "fmp4",
            "-hls_fmp4_init_filename", f"{stem}init.{kind}", "-hls_segment_filename", str(folder / f"{stem}_%09d.{kind}"),
            "-avoid_negative_ts", "disabled", "-hls_segment_options", "use_editlist=0",
            str(folder / f"{stem}.m3u8")]  # fmt: skip


def avc_codecs(init: bytes) -> str:
    """RFC 6381: the three bytes after the version of the configuration (ISO/IEC 14496-15 5.3.3)."""
    at = init.index(b"avcC") + 4
    return f"avc1.{init[at + 1 : at + 4].hex()}"


def hevc_codecs(init: bytes) -> str:
    """ISO/IEC 14496-15 annex E: profile, compatibility with its bits in reverse, tier and level, constraints."""
    at = init.index(b"hvcC") + 4
    space, tier, profile = init[at + 1] >> 6, init[at + 1] >> 5 & 1, init[at + 1] & 31
    (compatibility,) = struct.unpack_from(">I", init, at + 2)
    constraints = init[at + 6 : at + 12].rstrip(b"\0")
    parts = [f"{' ABC'[space].strip()}{profile}", f"{int(f'{compatibility:032b}'[::-1], 2):x}", f"{'LH'[tier]}{init[at + 12]}"]
    return ".".join(["hvc1", *parts, *(f"{byte:x}" for byte in constraints)])


def av1_codecs(init: bytes) -> str:
    """The AV1 ISO media file format's binding, section 5: profile, level and tier, bits."""
    at = init.index(b"av1C") + 4
    profile, level, tier, deep = init[at + 1] >> 5, init[at + 1] & 31, init[at + 2] >> 7, init[at + 2] >> 6 & 1
    return f"av01.{profile}.{level:02d}{'MH'[tier]}.{10 if deep else 8:02d}"


CODECS = {"H_264": avc_codecs, "H_265": hevc_codecs, "AV1": av1_codecs}


def _track(order: Order, output: Video | Audio, folder: Path) -> Track:
    stem = f"{order.name}{output.modifier}"
    kind = "cmfv" if isinstance(output, Video) else "cmfa"
    init = folder / f"{stem}init.{kind}"
    head = init.read_bytes()
    codecs = CODECS[output.codec](head) if isinstance(output, Video) else "mp4a.40.2"
    (timescale,) = struct.unpack_from(">I", head, head.index(b"mdhd") + 4 + 4 + 8)
    track = Track(output, [init], codecs, timescale)
    shift = None
    while (segment := folder / f"{stem}_{len(track.files):09d}.{kind}").exists():
        if isinstance(output, Video):
            data = bytearray(segment.read_bytes())
            shift = sign_offsets(data, shift)
            segment.write_bytes(data)
        track.durations.append(duration(segment.read_bytes(), head))
        track.files.append(segment)
    return track


def boxes(data: bytes, start: int = 0, end: int | None = None):
    """Kind, beginning and end of the contents of every box (ISO/IEC 14496-12)."""
    end = len(data) if end is None else end
    while start + 8 <= end:
        size, kind = struct.unpack_from(">I4s", data, start)
        head = 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", data, start + 8)
            head = 16
        yield kind.decode("latin-1"), start + head, start + size
        start += size


def track_runs(segment: bytes):
    """Every track run of a segment, by its fragment: kind (tfhd, trun), beginning of the contents, flags."""
    for kind, start, end in boxes(segment):
        for _, inner, stop in (box for box in boxes(segment, start, end) if box[0] == "traf") if kind == "moof" else ():
            for name, at, _ in boxes(segment, inner, stop):
                if name in ("tfhd", "trun"):
                    (flags,) = struct.unpack_from(">I", segment, at)
                    yield name, at, flags & 0xFFFFFF


def sample_fields(segment: bytes, at: int, flags: int, field: int) -> list[int]:
    """Where a run keeps one field of each of its samples, named by its flag."""
    (count,) = struct.unpack_from(">I", segment, at + 4)
    first = at + 8 + (4 if flags & 0x1 else 0) + (4 if flags & 0x4 else 0)
    width = 4 * sum(bool(flags & bit) for bit in (0x100, 0x200, 0x400, 0x800))
    inside = 4 * sum(bool(flags & bit) for bit in (0x100, 0x200, 0x400) if bit < field)
    return [first + inside + index * width for index in range(count)]


def sign_offsets(segment: bytearray, shift: int | None) -> int:
    """Signed composition offsets: the film's first picture is at zero, and what decodes before it is shown has less than
    none. ffmpeg's muxer writes all of them late by the first one's offset, which is the `shift` of all segments."""
    for name, at, flags in track_runs(segment):
        if name == "trun" and flags & 0x800:
            segment[at] = 1
            for place in sample_fields(segment, at, flags, 0x800):
                (offset,) = struct.unpack_from(">i", segment, place)
                shift = offset if shift is None else shift
                struct.pack_into(">i", segment, place, offset - shift)
    return shift or 0


def duration(segment: bytes, init: bytes) -> int:
    """The ticks that a segment's samples last, by its track runs."""
    (default,) = struct.unpack_from(">I", init, init.index(b"trex") + 4 + 4 + 8)
    ticks = 0
    for name, at, flags in track_runs(segment):
        if name == "tfhd" and flags & 0x8:
            offset = at + 8 + (8 if flags & 0x1 else 0) + (4 if flags & 0x2 else 0)
            (default,) = struct.unpack_from(">I", segment, offset)
        if name == "trun":
            places = sample_fields(segment, at, flags, 0x100)
            ticks += sum(struct.unpack_from(">I", segment, place)[0] for place in places) if flags & 0x100 else len(places) * default
    return ticks


def write_manifests(order: Order, tracks: list[Track], folder: Path) -> None:
    """The two that name all outputs. Media playlists are there already: the muxer wrote them."""
    videos = [track for track in tracks if track.is_video]
    audios = [track for track in tracks if not track.is_video]
    lines = ["#EXTM3U", "#EXT-X-VERSION:6", "#EXT-X-INDEPENDENT-SEGMENTS"]
    for track in audios:
        name = f"{order.name}{track.output.modifier}"
        lines.append(f'#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="program_audio_0",NAME="{name}",AUTOSELECT=YES,URI="{name}.m3u8"')
    for track in videos:
        video, codecs = track.output, ",".join([track.codecs, *{audio.codecs for audio in audios}])
        group = ',AUDIO="program_audio_0"' if audios else ""
        rate = video.rate[0] / video.rate[1]
        lines += [
            f'#EXT-X-STREAM-INF:BANDWIDTH={bandwidth(track)},CODECS="{codecs}",RESOLUTION={video.width}x{video.height},'
            f"FRAME-RATE={rate:.3f}{group}",
            f"{order.name}{video.modifier}.m3u8",
        ]
    (folder / f"{order.name}.m3u8").write_text("\n".join(lines) + "\n")
    seconds = max(track.seconds for track in videos)
    text = (
        '<?xml version="1.0" encoding="UTF-8"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" minBufferTime="PT30S" '
        f'mediaPresentationDuration="PT{seconds:.3f}S" profiles="urn:mpeg:dash:profile:isoff-main:2011">\n'
        f'  <Period start="PT0S" duration="PT{seconds:.3f}S" id="1">\n'
    )
    numerator, denominator = order.videos[0].rate
    text += _adaptation_set(order, videos, f'mimeType="video/mp4" frameRate="{numerator}/{denominator}"', 1)
    for track in audios:
        text += _adaptation_set(order, [track], 'mimeType="audio/mp4" lang="und"', len(videos) + 1 + audios.index(track))
    (folder / f"{order.name}.mpd").write_text(text + "  </Period>\n</MPD>\n")


def _adaptation_set(order: Order, tracks: list[Track], attributes: str, number: int) -> str:
    text = (
        f'    <AdaptationSet {attributes} segmentAlignment="true" subsegmentAlignment="true" startWithSAP="1" '
        'subsegmentStartsWithSAP="1" bitstreamSwitching="false">\n'
    )
    for offset, track in enumerate(tracks):
        output, kind = track.output, "cmfv" if track.is_video else "cmfa"
        stem = f"{order.name}{output.modifier}"
        size = f'width="{output.width}" height="{output.height}"' if track.is_video else f'audioSamplingRate="{output.sample_rate}"'
        channels = "" if track.is_video else (
            '        <AudioChannelConfiguration schemeIdUri="urn:mpeg:dash:23003:3:audio_channel_configuration:2011" '
            f'value="{output.channels}"/>\n'
        )  # fmt: skip
        text += (
            f'      <Representation id="{number + offset}" {size} bandwidth="{bandwidth(track)}" codecs="{track.codecs}">\n{channels}'
            f"        <SegmentTemplate timescale=\"{track.timescale}\" media={quoteattr(f'{stem}_$Number%09d$.{kind}')} "
            f"initialization={quoteattr(f'{stem}init.{kind}')} startNumber=\"1\" presentationTimeOffset=\"0\">\n          <SegmentTimeline>\n"
        )
        time = 0
        for length, count in runs(track.durations):
            repeat = f' r="{count - 1}"' if count > 1 else ""
            text += f'            <S t="{time}" d="{length}"{repeat}/>\n'
            time += length * count
        text += "          </SegmentTimeline>\n        </SegmentTemplate>\n      </Representation>\n"
    return text + "    </AdaptationSet>\n"


def runs(lengths: list[int]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for length in lengths:
        if found and found[-1][0] == length:
            found[-1] = (length, found[-1][1] + 1)
        else:
            found.append((length, 1))
    return found


def bandwidth(track: Track) -> int:
    if not track.durations:
        raise Failed(1999, f"Nothing came out of {track.output.modifier}")
    return max(
        int(file.stat().st_size * 8 * track.timescale / ticks) for file, ticks in zip(track.files[1:], track.durations, strict=True) if ticks
    )
