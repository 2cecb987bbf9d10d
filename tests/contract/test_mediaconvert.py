"""The stand-in for MediaConvert: what it takes, refuses, makes and tells. botocore is its client, as it is on AWS."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from xml.etree import ElementTree

import botocore.exceptions
import pytest

from tests.kit.ports import free_port
from tests.kit.film import make_film
from tests.kit.inside import wait_until
from tests.kit.player import decode, probe, segment_start

ROLE = "arn:aws:iam::000000000000:role/convert"
MPD = "{urn:mpeg:dash:schema:mpd:2011}"
TRUST = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "mediaconvert.amazonaws.com"},
                                                 "Action": "sts:AssumeRole"}]}  # fmt: skip
MAY = {"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::films/uploads/*"},
    {"Effect": "Allow", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::media/v/*"},
]}  # fmt: skip


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    """An engine and a stand-in of these tests' own, with a role, buckets, a film, and a queue that hears the events."""
    from stack import Stack

    state = tmp_path_factory.mktemp("state")
    engine_port, port = free_port(), free_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STREAMGATE_STATE", str(state))
        patch.setenv("STREAMGATE_ENGINE_PORT", str(engine_port))
        patch.setenv("STREAMGATE_MEDIACONVERT_PORT", str(port))
        # Status updates come every tenth of a second.
        patch.setenv("MEDIACONVERT_HURRY", "100")
        stack = Stack("scratch")
        try:
            stack.start_engine()
            stack.start_mediaconvert()
            prepare(stack, tmp_path_factory.mktemp("film"))
            yield stack
        finally:
            stack.mediaconvert.stop()
            stack.engine.stop()


def prepare(stack, folder: Path) -> None:
    roles = stack.client("iam")
    for name, trust in (("convert", TRUST), ("untrusting", json.loads(json.dumps(TRUST).replace("mediaconvert", "ec2")))):
        roles.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))
        roles.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=json.dumps(MAY))
    storage = stack.client("s3")
    for bucket in ("films", "media"):
        storage.create_bucket(Bucket=bucket)
    film = make_film(folder / "film.mp4", seconds=5, size="640x360", rate=25)
    storage.upload_file(str(film), "films", "uploads/one/source")
    storage.put_object(Bucket="films", Key="uploads/two/source", Body=b"no film at all")
    queue = stack.client("sqs").create_queue(QueueName="heard")["QueueUrl"]
    arn = "arn:aws:sqs:us-east-1:000000000000:heard"
    events = stack.client("events")
    pattern = {"source": ["aws.mediaconvert"], "detail-type": ["MediaConvert Job State Change"]}
    events.put_rule(Name="heard", EventPattern=json.dumps(pattern))
    events.put_targets(Rule="heard", Targets=[{"Id": "queue", "Arn": arn}])
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "events.amazonaws.com"},
                                                      "Action": "sqs:SendMessage", "Resource": arn}]}  # fmt: skip
    stack.client("sqs").set_queue_attributes(QueueUrl=queue, Attributes={"Policy": json.dumps(policy)})
    stack.heard = queue


@pytest.fixture(scope="module")
def convert(scratch):
    return scratch.client("mediaconvert")


@pytest.fixture
def events(scratch):
    """`events(job)`: all that was told of a job until it was over."""
    seen: list[dict] = []

    def of(job: str, last: tuple = ("COMPLETE", "CANCELED", "ERROR")) -> list[dict]:
        def over():
            answer = scratch.client("sqs").receive_message(QueueUrl=scratch.heard, MaxNumberOfMessages=10, WaitTimeSeconds=1)
            for message in answer.get("Messages", []):
                seen.append(json.loads(message["Body"]))
                scratch.client("sqs").delete_message(QueueUrl=scratch.heard, ReceiptHandle=message["ReceiptHandle"])
            mine = [event for event in seen if event["detail"]["jobId"] == job]
            return mine if any(event["detail"]["status"] in last for event in mine) else None

        return wait_until(over, 60, lambda: f"job {job} never ended: {seen}")

    return of


def video(name: str, width: int, height: int) -> dict:
    h264 = {"RateControlMode": "QVBR", "QvbrSettings": {"QvbrQualityLevel": 7}, "MaxBitrate": 900_000, "GopSize": 50.0,
            "GopSizeUnits": "FRAMES", "GopClosedCadence": 1, "FramerateControl": "SPECIFIED", "FramerateNumerator": 25,
            "FramerateDenominator": 1, "QualityTuningLevel": "SINGLE_PASS", "SceneChangeDetect": "DISABLED"}  # fmt: skip
    return {
        "NameModifier": f"-{name}",
        "ContainerSettings": {"Container": "CMFC"},
        "VideoDescription": {"Width": width, "Height": height, "ScalingBehavior": "STRETCH_TO_OUTPUT",
                             "CodecSettings": {"Codec": "H_264", "H264Settings": h264}},
    }  # fmt: skip


def sound() -> dict:
    aac = {"Bitrate": 128_000, "CodingMode": "CODING_MODE_2_0", "SampleRate": 48_000}
    return {
        "NameModifier": "-audio",
        "ContainerSettings": {"Container": "CMFC", "CmfcSettings": {"AudioDuration": "MATCH_VIDEO_DURATION"}},
        "AudioDescriptions": [{"AudioSourceName": "first", "CodecSettings": {"Codec": "AAC", "AacSettings": aac}}],
    }


def order(folder: str, source: str = "one", role: str = ROLE, **more) -> dict:
    """A request as our adapter makes them, in small."""
    cmaf = {"Destination": f"s3://media/v/{folder}/film", "SegmentControl": "SEGMENTED_FILES", "SegmentLength": 2,
            "SegmentLengthControl": "GOP_MULTIPLE", "WriteSegmentTimelineInRepresentation": "ENABLED",
            "VideoCompositionOffsets": "SIGNED"}  # fmt: skip
    return {
        "Role": role,
        "StatusUpdateInterval": "SECONDS_10",
        "Settings": {
            "TimecodeConfig": {"Source": "ZEROBASED"},
            "Inputs": [{
                "FileInput": f"s3://films/uploads/{source}/source",
                "TimecodeSource": "ZEROBASED",
                "AudioSelectors": {"first": {"SelectorType": "TRACK", "Tracks": [1], "DefaultSelection": "DEFAULT"}},
                "VideoSelector": {"Rotate": "AUTO"},
            }],
            "OutputGroups": [{
                "OutputGroupSettings": {"Type": "CMAF_GROUP_SETTINGS", "CmafGroupSettings": cmaf},
                "Outputs": [video("180p", 320, 180), video("360p", 640, 360), sound()],
            }],
        },
        "UserMetadata": {"video": folder, "attempt": "1"},
        **more,
    }  # fmt: skip


def submit(convert, request: dict) -> str:
    return convert.create_job(**request)["Job"]["Id"]


def refused(call) -> tuple[str, int, str]:
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        call()
    answer = caught.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Message"]


@pytest.fixture
def paused(convert):
    """Jobs wait as long as the test runs, as in a queue that an operator has paused."""
    convert.update_queue(Name="Default", Status="PAUSED")
    yield
    convert.update_queue(Name="Default", Status="ACTIVE")


@pytest.fixture(scope="module")
def done(scratch, convert, tmp_path_factory):
    """A job that is complete, and its files."""
    job = submit(convert, order("done"))
    wait_until(lambda: convert.get_job(Id=job)["Job"]["Status"] in ("COMPLETE", "ERROR"), 60, "the job never ended")
    folder = tmp_path_factory.mktemp("done")
    for entry in scratch.client("s3").list_objects_v2(Bucket="media", Prefix="v/done/")["Contents"]:
        scratch.client("s3").download_file("media", entry["Key"], str(folder / entry["Key"].rpartition("/")[2]))
    return job, folder


def test_files_have_the_names_that_the_service_gives(done):
    names = {path.name for path in done[1].iterdir()}
    segments = {f"film-{name}_{number:09d}.cmfv" for name in ("180p", "360p") for number in (1, 2, 3)}
    sounds = {f"film-audio_{number:09d}.cmfa" for number in (1, 2, 3)}
    inits = {"film-180pinit.cmfv", "film-360pinit.cmfv", "film-audioinit.cmfa"}
    playlists = {"film.mpd", "film.m3u8", "film-180p.m3u8", "film-360p.m3u8", "film-audio.m3u8"}
    assert names == segments | sounds | inits | playlists


def test_the_output_decodes_and_has_every_frame(done, tmp_path):
    for name, size in {"180p": (320, 180), "360p": (640, 360)}.items():
        parts = [done[1] / f"film-{name}init.cmfv", *sorted(done[1].glob(f"film-{name}_*.cmfv"))]
        whole = tmp_path / f"{name}.mp4"
        whole.write_bytes(b"".join(part.read_bytes() for part in parts))
        seen = probe(whole)
        assert (seen["width"], seen["height"], seen["nb_read_packets"]) == (*size, "125")
        assert decode(whole) == ""
        for part in parts[1:]:
            alone = tmp_path / "segment.mp4"
            alone.write_bytes(parts[0].read_bytes() + part.read_bytes())
            assert decode(alone) == "", part.name
        # Signed offsets: the first picture is at zero, and every segment begins where the last one ended.
        assert starts(parts) == [0, 2, 4], name
    sounds = [done[1] / "film-audioinit.cmfa", *sorted(done[1].glob("film-audio_*.cmfa"))]
    assert starts(sounds) == pytest.approx([0, 2, 4], abs=0.03)
    assert decode(done[1] / "film.m3u8") == ""


def starts(parts: list[Path]) -> list[float]:
    """When each segment is first seen, or heard."""
    init, *segments = [part.read_bytes() for part in parts]
    return [segment_start(init, segment) for segment in segments]


def test_the_manifest_says_how_long_each_segment_is(done):
    manifest = ElementTree.parse(done[1] / "film.mpd").getroot()
    found = {}
    for representation in manifest.iter(f"{MPD}Representation"):
        template = representation.find(f"{MPD}SegmentTemplate")
        lengths = []
        for entry in template.iter(f"{MPD}S"):
            lengths += [int(entry.get("d"))] * (int(entry.get("r", "0")) + 1)
        seconds = [length / int(template.get("timescale")) for length in lengths]
        found[template.get("initialization")] = (template.get("media"), seconds, representation.get("codecs"))
    media, seconds, codecs = found["film-360pinit.cmfv"]
    assert (media, seconds) == ("film-360p_$Number%09d$.cmfv", [2, 2, 1]) and codecs.startswith("avc1.6400")
    media, seconds, codecs = found["film-audioinit.cmfa"]
    assert codecs == "mp4a.40.2" and sum(seconds) == pytest.approx(5, abs=0.03) and len(seconds) == 3


def test_events_have_the_documented_shapes(convert, events):
    job = submit(convert, order("told"))
    told = events(job)
    statuses = [event["detail"]["status"] for event in told]
    assert statuses[0] == "PROGRESSING" and statuses[-1] == "COMPLETE"
    assert set(statuses) == {"PROGRESSING", "INPUT_INFORMATION", "STATUS_UPDATE", "COMPLETE"}
    for event in told:
        assert (event["source"], event["detail-type"]) == ("aws.mediaconvert", "MediaConvert Job State Change")
        assert event["resources"] == [f"arn:aws:mediaconvert:us-east-1:000000000000:jobs/{job}"]
        detail = event["detail"]
        assert detail["userMetadata"] == {"video": "told", "attempt": "1"}
        assert detail["queue"] == "arn:aws:mediaconvert:us-east-1:000000000000:queues/Default"
        assert isinstance(detail["timestamp"], int) and detail["accountId"] == "000000000000"
    by = {event["detail"]["status"]: event["detail"] for event in told}
    seen = by["INPUT_INFORMATION"]["inputDetails"][0]
    assert (seen["video"][0]["width"], seen["audio"][0]["channels"]) == (640, 2)
    progress = by["STATUS_UPDATE"]["jobProgress"]
    assert 0 < progress["jobPercentComplete"] < 100 and progress["currentPhase"] == "TRANSCODING"
    (group,) = by["COMPLETE"]["outputGroupDetails"]
    assert group["type"] == "CMAF_GROUP"
    assert group["playlistFilePaths"] == ["s3://media/v/told/film.mpd", "s3://media/v/told/film.m3u8"]
    assert [output["durationInMs"] for output in group["outputDetails"][:2]] == [5000, 5000]
    assert group["outputDetails"][1]["videoDetails"] == {"widthInPx": 640, "heightInPx": 360}
    found = convert.get_job(Id=job)["Job"]
    assert (found["Status"], found["JobPercentComplete"]) == ("COMPLETE", 100)
    assert found["Timing"]["FinishTime"] >= found["Timing"]["SubmitTime"]


def test_what_the_model_does_not_allow_is_refused(scratch):
    """Sent without botocore's own checks, which would not let most of it out."""
    import botocore.session

    session = botocore.session.get_session()
    session.set_credentials("test", "test")
    plain = session.create_client("mediaconvert", region_name="us-east-1", endpoint_url=scratch.mediaconvert_url,
                                  config=botocore.config.Config(parameter_validation=False))  # fmt: skip
    good = order("model")
    # What botocore leaves out of a request is put in as it goes out.
    raw: dict = {}

    def replace(request, **_):
        if raw:
            body = json.loads(request.data)
            place = body
            for step in raw["path"][:-1]:
                place = place[step]
            place[raw["path"][-1]] = raw["value"]
            request.data = json.dumps(body).encode()
            request.headers["Content-Length"] = str(len(request.data))

    plain.meta.events.register("before-sign.mediaconvert.CreateJob", replace)
    group = ("settings", "outputGroups", 0)
    h264 = (*group, "outputs", 0, "videoDescription", "codecSettings", "h264Settings")
    for path, value, words in (
        (("settings", "colour"), 1, "settings.colour: there is no such setting"),
        ((*h264, "rateControlMode"), "ABR", "none of VBR, CBR, QVBR"),
        ((*h264, "maxBitrate"), 10, "must be from 1000"),
        ((*h264, "maxBitrate"), "many", "must be a whole number"),
        ((*h264, "maxBitrate"), True, "must be a number"),
        ((*group, "outputs"), {}, "must be a list"),
        ((*group, "outputGroupSettings", "cmafGroupSettings", "destination"), "http://media/", "does not match"),
        ((*group, "outputs", 0, "nameModifier"), "", "its length must be from 1"),
        (("role",), 7, "role must be a string"),
        (("priority",), 51, "must be from -50 to 50"),
    ):
        raw.update(path=path, value=value)
        code, status, message = refused(lambda: plain.create_job(**good))
        assert (code, status) == ("BadRequestException", 400) and words in message, message
        assert ".".join(str(step) for step in path if isinstance(step, str))[-8:] in message.replace("[0]", "")
    raw.clear()
    code, status, message = refused(lambda: plain.create_job(Settings=good["Settings"]))
    assert (code, status, message) == ("BadRequestException", 400, "role is required")


# What a job carries where the stack has a DRM vendor's key server: botocore's model takes it, the stand-in has no keys.
SPEKE = {
    "EncryptionMethod": "SAMPLE_AES",
    "InitializationVectorInManifest": "INCLUDE",
    "Type": "SPEKE",
    "SpekeKeyProvider": {
        "Url": "https://keys.example/v1/speke",
        "ResourceId": "00112233445566778899aabbccddeeff",
        "HlsSignaledSystemIds": ["94ce86fb-07ff-4f43-adb8-93d2fa968ca2"],
        "DashSignaledSystemIds": ["edef8ba9-79d6-4ace-a3c8-27dcd51d21ed"],
    },
}

UNHONOURED = [
    (("Settings", "OutputGroups", 0, "Outputs", 0, "VideoDescription", "CodecSettings", "H264Settings", "RateControlMode"), "VBR"),
    (("Settings", "OutputGroups", 0, "Outputs", 0, "VideoDescription", "CodecSettings", "H264Settings", "GopBReference"), "ENABLED"),
    (("Settings", "OutputGroups", 0, "Outputs", 0, "VideoDescription", "CodecSettings", "H264Settings", "GopSizeUnits"), "SECONDS"),
    (("Settings", "OutputGroups", 0, "Outputs", 0, "VideoDescription", "CodecSettings", "Codec"), "VP9"),
    (("Settings", "OutputGroups", 0, "Outputs", 0, "VideoDescription", "ScalingBehavior"), "FIT"),
    (("Settings", "OutputGroups", 0, "OutputGroupSettings", "CmafGroupSettings", "SegmentControl"), "SINGLE_FILE"),
    (("Settings", "OutputGroups", 0, "OutputGroupSettings", "CmafGroupSettings", "MinFinalSegmentLength"), 1.0),
    (("Settings", "OutputGroups", 0, "OutputGroupSettings", "CmafGroupSettings", "Encryption"), SPEKE),
    (("Settings", "Inputs", 0, "VideoSelector", "Rotate"), "DEGREES_90"),
    (("Settings", "Inputs", 0, "VideoSelector", "ColorSpace"), "HDR10"),
    (("Settings", "OutputGroups", 0, "Outputs", 0, "VideoDescription", "VideoPreprocessors"),
     {"ColorCorrector": {"HdrToSdrToneMapper": "VIBRANT"}}),
    (("Settings", "Inputs", 0, "InputClippings"), [{"StartTimecode": "00:00:01:00"}]),
    (("AccelerationSettings",), {"Mode": "ENABLED"}),
    (("HopDestinations",), [{"Queue": "Default", "WaitMinutes": 10}]),
]


@pytest.mark.parametrize("path, value", UNHONOURED, ids=lambda value: value[-1] if isinstance(value, tuple) else "")
def test_what_the_stand_in_does_not_do_is_refused_by_name(convert, path, value):
    request = copy.deepcopy(order("unhonoured"))
    place = request
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    code, status, message = refused(lambda: convert.create_job(**request))
    assert (code, status) == ("BadRequestException", 400)
    assert path[-1][:1].lower() + path[-1][1:] in message and "does not honour" in message


def test_a_token_makes_one_job(convert, paused):
    request = order("token", ClientRequestToken="t" * 64)
    first, second = submit(convert, request), submit(convert, request)
    assert first == second
    assert submit(convert, order("token", ClientRequestToken="other")) != first
    code, status, _ = refused(lambda: convert.create_job(**order("elsewhere", ClientRequestToken="t" * 64)))
    assert (code, status) == ("ConflictException", 409)
    assert refused(lambda: convert.create_job(**order("token", ClientRequestToken="t" * 65)))[0] == "BadRequestException"
    for job in convert.list_jobs(Status="SUBMITTED")["Jobs"]:
        convert.cancel_job(Id=job["Id"])


def test_a_job_that_waits_can_be_canceled(convert, events, paused):
    job = submit(convert, order("waits"))
    assert convert.get_job(Id=job)["Job"]["Status"] == "SUBMITTED"
    convert.cancel_job(Id=job)
    assert [event["detail"]["status"] for event in events(job)] == ["CANCELED"]
    assert convert.get_job(Id=job)["Job"]["Status"] == "CANCELED"
    assert refused(lambda: convert.cancel_job(Id=job))[:2] == ("ConflictException", 409)
    assert refused(lambda: convert.cancel_job(Id="1-nobody"))[:2] == ("NotFoundException", 404)


def test_a_job_that_runs_can_be_canceled_and_writes_no_manifest(scratch, convert, events):
    job = submit(convert, order("runs"))
    wait_until(lambda: convert.get_job(Id=job)["Job"]["Status"] != "SUBMITTED", 20, "it never ran", 0.01)
    convert.cancel_job(Id=job)
    statuses = [event["detail"]["status"] for event in events(job)]
    assert statuses[0] == "PROGRESSING" and statuses[-1] == "CANCELED" and "COMPLETE" not in statuses
    left = scratch.client("s3").list_objects_v2(Bucket="media", Prefix="v/runs/").get("Contents", [])
    assert not [entry for entry in left if entry["Key"].endswith(".mpd")]


@pytest.mark.parametrize(
    "how, code",
    [
        ({"source": "none"}, 1404),
        ({"source": "two"}, 1010),
        ({"role": ROLE.replace("convert", "untrusting")}, 1432),
        ({"destination": "s3://films/v/x/film"}, 1401),
        ({"tracks": [2]}, 1021),
    ],
    ids=["no file", "no film", "no trust", "no right", "no such track"],
)
def test_a_job_that_fails_says_why(convert, events, how, code):
    request = order("fails", source=how.get("source", "one"), role=how.get("role", ROLE))
    settings = request["Settings"]
    if "destination" in how:
        settings["OutputGroups"][0]["OutputGroupSettings"]["CmafGroupSettings"]["Destination"] = how["destination"]
    if "tracks" in how:
        settings["Inputs"][0]["AudioSelectors"]["first"]["Tracks"] = how["tracks"]
    job = submit(convert, request)
    detail = events(job)[-1]["detail"]
    assert (detail["status"], detail["errorCode"]) == ("ERROR", code), detail
    assert detail["errorMessage"]
    assert convert.get_job(Id=job)["Job"]["ErrorCode"] == code


def test_nobody_else_speaks_as_the_service(scratch):
    """The engine lets root's stand-in say it, and no role."""
    iam, events = scratch.client("iam"), {"Source": "aws.mediaconvert", "DetailType": "x", "Detail": "{}"}
    trust = json.dumps(TRUST).replace('"Service": "mediaconvert.amazonaws.com"', '"AWS": "arn:aws:iam::000000000000:root"')
    may = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "events:PutEvents", "Resource": "*"}]})
    role = iam.create_role(RoleName="somebody", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    iam.put_role_policy(RoleName="somebody", PolicyName="own", PolicyDocument=may)
    keys = scratch.client("sts").assume_role(RoleArn=role, RoleSessionName="test")["Credentials"]
    theirs = scratch.client("events", keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])
    answer = theirs.put_events(Entries=[events])
    assert answer["Entries"][0]["ErrorCode"] == "NotAuthorizedForSourceException"
    assert scratch.client("events").put_events(Entries=[events | {"Source": "aws.s3"}])["FailedEntryCount"] == 1


def test_what_waited_when_it_stopped_goes_on(scratch, convert, events):
    convert.update_queue(Name="Default", Status="PAUSED")
    job = submit(convert, order("restart"))
    scratch.mediaconvert.stop()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDIACONVERT_HURRY", "100")
        scratch.start_mediaconvert()
    assert convert.get_job(Id=job)["Job"]["Status"] == "SUBMITTED"
    convert.update_queue(Name="Default", Status="ACTIVE")
    assert events(job)[-1]["detail"]["status"] == "COMPLETE"
