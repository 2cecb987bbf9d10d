"""Which of MediaConvert's settings the stand-in honours, and what they mean. Any other is refused by its name: a job that is
taken is done as it says."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from . import Refused

# Any value that the model allows.
ANY = None
OUTPUT = "settings.outputGroups[].outputs[]"
GROUP = "settings.outputGroups[].outputGroupSettings"
# What each of a picture's codecs calls its settings.
VIDEO_CODECS = {"H_264": "h264Settings", "H_265": "h265Settings", "AV1": "av1Settings"}
CODEC = f"{OUTPUT}.videoDescription.codecSettings"
H264, H265, AV1 = (f"{CODEC}.{name}" for name in VIDEO_CODECS.values())
AAC = f"{OUTPUT}.audioDescriptions[].codecSettings.aacSettings"
SELECTOR = "settings.inputs[].videoSelector"
PREPROCESSORS = f"{OUTPUT}.videoDescription.videoPreprocessors"

# Every setting that is honoured, with the values that are. What stands for a name of the job's own choice is `*`.
HONOURED: dict[str, set | None] = {
    "clientRequestToken": ANY,
    "queue": ANY,
    "role": ANY,
    "statusUpdateInterval": ANY,
    "userMetadata.*": ANY,
    "settings.timecodeConfig.source": {"ZEROBASED"},
    "settings.inputs[].fileInput": ANY,
    "settings.inputs[].timecodeSource": {"ZEROBASED"},
    # One of the file's sound streams, counted from 1.
    "settings.inputs[].audioSelectors.*.selectorType": {"TRACK"},
    "settings.inputs[].audioSelectors.*.tracks[]": ANY,
    "settings.inputs[].audioSelectors.*.defaultSelection": ANY,
    f"{SELECTOR}.rotate": {"AUTO"},
    f"{SELECTOR}.colorSpace": {"FOLLOW", "REC_601", "REC_709"},
    f"{SELECTOR}.colorSpaceUsage": {"FORCE"},
    f"{SELECTOR}.sampleRange": {"FOLLOW", "FULL_RANGE", "LIMITED_RANGE"},
    "settings.outputGroups[].name": ANY,
    f"{GROUP}.type": {"CMAF_GROUP_SETTINGS"},
    f"{GROUP}.cmafGroupSettings.destination": ANY,
    f"{GROUP}.cmafGroupSettings.segmentControl": {"SEGMENTED_FILES"},
    f"{GROUP}.cmafGroupSettings.segmentLength": ANY,
    f"{GROUP}.cmafGroupSettings.segmentLengthControl": {"GOP_MULTIPLE"},
    f"{GROUP}.cmafGroupSettings.fragmentLength": ANY,
    f"{GROUP}.cmafGroupSettings.writeHlsManifest": {"ENABLED"},
    f"{GROUP}.cmafGroupSettings.writeDashManifest": {"ENABLED"},
    f"{GROUP}.cmafGroupSettings.writeSegmentTimelineInRepresentation": {"ENABLED"},
    f"{GROUP}.cmafGroupSettings.dashManifestStyle": {"BASIC"},
    f"{GROUP}.cmafGroupSettings.mpdProfile": {"MAIN_PROFILE"},
    f"{GROUP}.cmafGroupSettings.manifestCompression": {"NONE"},
    f"{GROUP}.cmafGroupSettings.manifestDurationFormat": {"FLOATING_POINT"},
    f"{GROUP}.cmafGroupSettings.codecSpecification": {"RFC_6381"},
    f"{GROUP}.cmafGroupSettings.ptsOffsetHandlingForBFrames": {"ZERO_BASED"},
    f"{GROUP}.cmafGroupSettings.videoCompositionOffsets": {"SIGNED"},
    f"{OUTPUT}.nameModifier": ANY,
    f"{OUTPUT}.containerSettings.container": {"CMFC"},
    f"{OUTPUT}.containerSettings.cmfcSettings.audioDuration": {"MATCH_VIDEO_DURATION"},
    f"{OUTPUT}.containerSettings.cmfcSettings.audioGroupId": ANY,
    f"{OUTPUT}.containerSettings.cmfcSettings.audioRenditionSets": ANY,
    f"{OUTPUT}.containerSettings.cmfcSettings.audioTrackType": ANY,
    f"{OUTPUT}.containerSettings.cmfcSettings.iFrameOnlyManifest": {"EXCLUDE"},
    f"{OUTPUT}.videoDescription.width": ANY,
    f"{OUTPUT}.videoDescription.height": ANY,
    f"{OUTPUT}.videoDescription.scalingBehavior": {"STRETCH_TO_OUTPUT"},
    f"{OUTPUT}.videoDescription.colorMetadata": {"INSERT"},
    f"{OUTPUT}.videoDescription.timecodeInsertion": {"DISABLED"},
    f"{CODEC}.codec": set(VIDEO_CODECS),
    f"{PREPROCESSORS}.deinterlacer.algorithm": {"INTERPOLATE"},
    f"{PREPROCESSORS}.deinterlacer.control": {"NORMAL"},
    f"{PREPROCESSORS}.deinterlacer.mode": {"DEINTERLACE"},
    f"{PREPROCESSORS}.colorCorrector.colorSpaceConversion": {"FORCE_709"},
    f"{PREPROCESSORS}.colorCorrector.hdrToSdrToneMapper": {"PRESERVE_DETAILS"},
    f"{PREPROCESSORS}.colorCorrector.sampleRangeConversion": {"LIMITED_RANGE_SQUEEZE"},
    **{
        f"{codec}.{name}": allowed
        for codec in (H264, H265, AV1)
        for name, allowed in {
            "rateControlMode": {"QVBR"},
            "qvbrSettings.qvbrQualityLevel": ANY,
            "maxBitrate": ANY,
            "gopSize": ANY,
            "framerateControl": {"SPECIFIED"},
            "framerateNumerator": ANY,
            "framerateDenominator": ANY,
            "framerateConversionAlgorithm": {"DUPLICATE_DROP"},
        }.items()
    },
    **{
        f"{codec}.{name}": allowed
        for codec in (H264, H265)
        for name, allowed in {
            "gopSizeUnits": {"FRAMES"},
            "gopClosedCadence": {1},
            "minIInterval": {0},
            "sceneChangeDetect": {"DISABLED"},
            "parControl": {"SPECIFIED"},
            "parNumerator": {1},
            "parDenominator": {1},
            "interlaceMode": {"PROGRESSIVE"},
            "codecLevel": {"AUTO"},
            "qualityTuningLevel": {"SINGLE_PASS", "SINGLE_PASS_HQ"},
        }.items()
    },
    f"{H264}.codecProfile": {"HIGH"},
    f"{H264}.writeMp4PackagingType": {"AVC1"},
    f"{H265}.codecProfile": {"MAIN_MAIN"},
    f"{H265}.writeMp4PackagingType": {"HVC1"},
    f"{AV1}.bitDepth": {"BIT_8"},
    f"{OUTPUT}.audioDescriptions[].audioSourceName": ANY,
    f"{OUTPUT}.audioDescriptions[].codecSettings.codec": {"AAC"},
    f"{AAC}.bitrate": ANY,
    f"{AAC}.codingMode": {"CODING_MODE_2_0", "CODING_MODE_5_1"},
    f"{AAC}.codecProfile": {"LC"},
    f"{AAC}.rateControlMode": {"CBR"},
    f"{AAC}.sampleRate": ANY,
    f"{AAC}.specification": {"MPEG4"},
}

# Of these MediaConvert has a default, or a choice of its own, that the stand-in does not follow.
NEEDED = {
    "video": ("rateControlMode", "qvbrSettings", "maxBitrate", "gopSize", "framerateNumerator", "framerateDenominator",
              "framerateControl"),
    "H_264": ("gopSizeUnits", "sceneChangeDetect"),
    "H_265": ("gopSizeUnits", "sceneChangeDetect", "writeMp4PackagingType"),
    "AV1": ("bitDepth",),
    "audio": ("bitrate", "codingMode", "sampleRate"),
}  # fmt: skip


@dataclass
class Video:
    """One size of the picture."""

    modifier: str
    codec: str
    width: int
    height: int
    rate: tuple[int, int]
    gop: int
    quality: int
    max_bitrate: int
    preset: str


@dataclass
class Audio:
    """One sound track. `stream` is which of the file's sound streams, from 0."""

    modifier: str
    stream: int
    channels: int
    bitrate: int
    sample_rate: int


@dataclass
class Order:
    """What a job is to do."""

    bucket: str
    key: str
    out_bucket: str
    # The destination up to and with the files' common beginning.
    out_base: str
    segment_seconds: int
    deinterlace: bool
    # From high brightness to ordinary.
    tone_map: bool
    # As `in_color_matrix` and `in_range` of ffmpeg's scaler; empty: as the frames say.
    matrix: str
    sample_range: str
    videos: list[Video] = field(default_factory=list)
    audios: list[Audio] = field(default_factory=list)

    @property
    def name(self) -> str:
        """What all files' names begin with."""
        return self.out_base.rpartition("/")[2]


def leaves(value: Any, path: str = ""):
    """Every setting of a request with its path: indices and names of the job's own choice are left out."""
    if isinstance(value, dict) and value:
        named = path in ("userMetadata", "settings.inputs[].audioSelectors")
        for name, inner in value.items():
            yield from leaves(inner, f"{path}.{'*' if named else name}" if path else name)
    elif isinstance(value, list) and value:
        for inner in value:
            yield from leaves(inner, f"{path}[]")
    else:
        yield path, value


def read(request: dict) -> Order:
    """The order of a request that the model allows, or why it is refused."""
    for path, value in leaves(request):
        if value in ({}, []) and any(known.startswith(path) for known in HONOURED):
            continue
        if path not in HONOURED:
            raise Refused("BadRequestException", f"{path}: the stand-in does not honour this setting")
        allowed = HONOURED[path]
        if allowed is not ANY and value not in allowed:
            raise Refused("BadRequestException", f"{path}: the stand-in does not honour {value!r}, only {sorted(allowed)}")
    settings = request["settings"]
    entry = _only(settings.get("inputs"), "settings.inputs")
    group = _only(settings.get("outputGroups"), "settings.outputGroups")
    cmaf = group.get("outputGroupSettings", {}).get("cmafGroupSettings")
    _need("settings.outputGroups[].outputGroupSettings", {"cmafGroupSettings": cmaf}, ("cmafGroupSettings",))
    # Their defaults are other ways to write the output.
    _need(GROUP, cmaf, ("destination", "segmentControl", "segmentLength", "writeSegmentTimelineInRepresentation",
                        "videoCompositionOffsets"))  # fmt: skip
    selector = entry.get("videoSelector", {})
    _need(SELECTOR, selector, ("rotate",))
    source, destination = urlsplit(entry["fileInput"]), urlsplit(cmaf["destination"])
    if source.scheme != "s3":
        raise Refused("BadRequestException", "settings.inputs[].fileInput: the stand-in reads s3:// only")
    out_base = destination.path.removeprefix("/")
    if not out_base or out_base.endswith("/"):
        # The service then takes the input's name.
        out_base += re.sub(r"\.[^.]*$", "", source.path.rpartition("/")[2])
    order = Order(
        bucket=source.netloc,
        key=source.path.removeprefix("/"),
        out_bucket=destination.netloc,
        out_base=out_base,
        segment_seconds=cmaf["segmentLength"],
        deinterlace=False,
        tone_map=False,
        matrix={"REC_601": "bt601", "REC_709": "bt709"}.get(selector.get("colorSpace", "FOLLOW"), ""),
        sample_range={"FULL_RANGE": "full", "LIMITED_RANGE": "limited"}.get(selector.get("sampleRange", "FOLLOW"), ""),
    )
    selectors = entry.get("audioSelectors", {})
    modifiers = set()
    for output in group.get("outputs", []):
        _need(OUTPUT, output, ("nameModifier", "containerSettings"))
        modifier = output["nameModifier"]
        if modifier in modifiers:
            raise Refused("BadRequestException", f"{OUTPUT}.nameModifier: {modifier!r} is there twice")
        modifiers.add(modifier)
        sounds, picture = output.get("audioDescriptions", []), output.get("videoDescription")
        if (picture is None) == (not sounds) or len(sounds) > 1:
            raise Refused("BadRequestException", f"{OUTPUT}: a CMAF output holds one picture or one sound")
        if picture is not None:
            order.videos.append(_video(modifier, picture))
            preprocessors = picture.get("videoPreprocessors", {})
            order.deinterlace |= "deinterlacer" in preprocessors
            order.tone_map |= "hdrToSdrToneMapper" in preprocessors.get("colorCorrector", {})
        else:
            order.audios.append(_audio(modifier, sounds[0], selectors))
    if not order.videos:
        raise Refused("BadRequestException", f"{OUTPUT}: the stand-in makes no sound without a picture")
    if len({(video.rate, video.gop) for video in order.videos}) > 1:
        raise Refused("BadRequestException", f"{CODEC}: the stand-in wants one frame rate and one gopSize in all outputs")
    return order


def _video(modifier: str, picture: dict) -> Video:
    _need(f"{OUTPUT}.videoDescription", picture, ("width", "height", "scalingBehavior"))
    given = picture.get("codecSettings", {})
    _need(CODEC, given, ("codec",))
    codec = given["codec"]
    path, settings = f"{CODEC}.{VIDEO_CODECS[codec]}", given.get(VIDEO_CODECS[codec], {})
    _need(path, settings, NEEDED["video"] + NEEDED[codec])
    if set(given) - {"codec", VIDEO_CODECS[codec]}:
        raise Refused("BadRequestException", f"{CODEC}: settings of another codec than {codec}")
    if settings["gopSize"] != int(settings["gopSize"]) or settings["gopSize"] < 1:
        raise Refused("BadRequestException", f"{path}.gopSize: must be a whole number of frames")
    return Video(
        modifier=modifier,
        codec=codec,
        width=picture["width"],
        height=picture["height"],
        rate=(settings["framerateNumerator"], settings["framerateDenominator"]),
        gop=int(settings["gopSize"]),
        quality=settings["qvbrSettings"].get("qvbrQualityLevel", 7),
        max_bitrate=settings["maxBitrate"],
        preset="superfast" if settings.get("qualityTuningLevel") == "SINGLE_PASS" else "veryfast",
    )


def _audio(modifier: str, sound: dict, selectors: dict) -> Audio:
    source = sound.get("audioSourceName")
    if source not in selectors:
        raise Refused("BadRequestException", f"{OUTPUT}.audioDescriptions[].audioSourceName: no selector is called {source!r}")
    tracks = selectors[source].get("tracks", [])
    if len(tracks) != 1 or selectors[source].get("selectorType") != "TRACK":
        raise Refused("BadRequestException", f"settings.inputs[].audioSelectors.{source}: the stand-in wants one track")
    aac = sound.get("codecSettings", {}).get("aacSettings", {})
    _need(AAC, aac, NEEDED["audio"])
    return Audio(
        modifier=modifier,
        stream=tracks[0] - 1,
        channels=6 if aac["codingMode"] == "CODING_MODE_5_1" else 2,
        bitrate=aac["bitrate"],
        sample_rate=aac["sampleRate"],
    )


def _only(values: list | None, path: str) -> dict:
    if not values or len(values) != 1:
        raise Refused("BadRequestException", f"{path}: the stand-in wants exactly one")
    return values[0]


def _need(path: str, settings: dict, names: tuple[str, ...]) -> None:
    for name in names:
        if settings.get(name) is None:
            raise Refused("BadRequestException", f"{path}.{name} is needed")
