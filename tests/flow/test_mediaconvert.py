"""The other transcoder: the same template with Transcoder=mediaconvert, on the stand-in for MediaConvert."""

from __future__ import annotations

import subprocess
from urllib.parse import urljoin

import botocore.exceptions
import pytest

from tests.flow.test_iam import credentials, refusal
from tests.flow.test_images import CUE, tile
from tests.kit import inside, media
from tests.kit.film import make_film, tool
from tests.kit.player import addresses, decode, probe, segment_start

# The stack is deployed anew for these, and once more after them.
pytestmark = pytest.mark.proof

# Of the film below: twelve seconds at 25, in segments of four.
FRAMES, SEGMENTS = 300, 3


@pytest.fixture(scope="module", autouse=True)
def converting(stack, redeploy):
    """The deployed stack, until these tests end, and then as it was."""
    redeploy(Transcoder="mediaconvert")
    try:
        yield
        inside.wait_for_empty_queues(stack, 60)
    finally:
        redeploy()
    assert not [output for output in inside.queues(stack) if output.startswith("Convert")]


@pytest.fixture(scope="module")
def service(stack):
    return stack.client("mediaconvert")


@pytest.fixture
def paused(service, stack):
    """Jobs wait until the test says otherwise, as in a queue that an operator has paused."""
    service.update_queue(Name=stack.name, Status="PAUSED")
    yield lambda: service.update_queue(Name=stack.name, Status="ACTIVE")
    service.update_queue(Name=stack.name, Status="ACTIVE")


def jobs(service, video: str) -> list[dict]:
    """A video's jobs, the oldest first."""
    return [job for job in service.list_jobs()["Jobs"] if job["UserMetadata"]["video"] == video][::-1]


def wait_for_job(service, video: str, *states: str) -> dict:
    def found():
        return [job for job in jobs(service, video) if job["Status"] in states]

    return inside.wait_until(found, 60, lambda: f"no job of {video} is {states}: {jobs(service, video)}", 0.05)[-1]


def wait_until_nothing_is_left(stack, video: str) -> None:
    def left():
        return inside.objects(stack, "Media", f"v/{video}/") | inside.objects(stack, "Uploads", f"uploads/{video}/")

    inside.wait_until(lambda: not left() and not inside.tasks(stack, video), 60, left)
    inside.wait_for_empty_queues(stack, 60)
    assert not left()


@pytest.fixture(scope="module")
def converted(stack, as_creator, films, policy):
    """A film that a job has made, and what its progress was."""
    film = films("converted.mp4", seconds=12, size="1280x720", rate=25, keyframe_seconds=10)
    seen: list[dict] = []
    identifier = as_creator.upload(film, "Converted", policy)["id"]
    as_creator.wait_for_stage(identifier, timeout=120, progress=seen.append, interval=0.1)
    inside.wait_for_empty_queues(stack, 60)
    yield identifier, seen
    as_creator.delete(identifier)


@pytest.fixture(scope="module")
def tracks(converted, as_holder, player):
    return {track.name: track for track in player.hls(as_holder.playback(converted[0])["hls"])}


def test_one_job_makes_all_renditions_and_its_progress_is_shown(stack, service, converted):
    identifier, seen = converted
    (job,) = jobs(service, identifier)
    assert (job["Status"], job["UserMetadata"]["attempt"]) == ("COMPLETE", "1")
    assert job["Queue"].endswith(f"queues/{stack.name}")
    progress = [video["progress"] for video in seen if "progress" in video]
    done = [each["tracks"][0]["done"] for each in progress]
    assert done == sorted(done) and any(0 < part < 1 for part in done), done
    assert all(len({track["done"] for track in each["tracks"]}) <= 2 for each in progress)
    assert any(each.get("seconds_left", -1) >= 0 for each in progress)
    record = inside.record(stack, identifier)
    assert (record["tasks_done"], record["tasks_total"], record["conversion"]["attempt"]) == (6, 6, 1)
    assert record["conversion"]["job"] == job["Id"]
    images = {f"images-{number:05}" for number in (1, 2, 3)}
    assert set(inside.tasks(stack, identifier)) == {"360p-00001", "720p-00001", "audio"} | images


def test_every_track_has_every_frame_and_decodes_without_a_warning(converted, as_holder, tracks, player, tmp_path):
    granted = as_holder.playback(converted[0])
    assert decode(granted["hls"]) == ""
    assert set(tracks) == {"360p", "720p", "audio"}
    for name, track in tracks.items():
        whole = player.save(track, tmp_path / f"{name}.mp4")
        assert decode(whole) == "", name
        assert track.ended and sum(track.durations) == pytest.approx(FRAMES / 25, abs=0.03)
        assert len(track.segments) == SEGMENTS
    for name, size in {"360p": (640, 360), "720p": (1280, 720)}.items():
        seen = probe(tmp_path / f"{name}.mp4")
        assert (seen["codec_name"], seen["width"], seen["height"]) == ("h264", *size)
        assert int(seen["nb_read_packets"]) == FRAMES
        assert tracks[name].durations == [4, 4, 4]
    for track in player.dash(granted["dash"]):
        assert decode(player.save(track, tmp_path / f"dash-{track.name}.mp4")) == "", track.name


def test_further_codecs_are_made_by_the_same_job(stack, service, as_creator, as_holder, player, films, policy, tmp_path):
    film = films("codecs.mp4", seconds=8, size="320x180", rate=25)
    with inside.environment(stack, "TranscodePlan", EXTRA_CODECS="hevc,av1,opus"):
        video = as_creator.upload(film, "In more codecs", policy)["id"]
        as_creator.wait_for_stage(video, timeout=120, interval=0.2)
    assert len(jobs(service, video)) == 1
    granted = as_holder.playback(video)
    made = {track.name: track for track in player.hls(granted["hls"])}
    # MediaConvert writes no Opus in CMAF.
    assert set(made) == {"180p", "180p-hevc", "180p-av1", "audio"}
    for name, codec in {"180p": "h264", "180p-hevc": "hevc", "180p-av1": "av1"}.items():
        whole = player.save(made[name], tmp_path / f"{name}.mp4")
        seen = probe(whole)
        assert (seen["codec_name"], int(seen["nb_read_packets"]), decode(whole)) == (codec, 200, "")
        init, *segments = [answer.content for answer in player.fetch(made[name].addresses)]
        assert [segment_start(init, segment) for segment in segments] == [0, 4], name
        alone = tmp_path / "segment.mp4"
        alone.write_bytes(init + segments[1])
        assert decode(alone) == "", name
    codecs = [line.partition('CODECS="')[2].partition('"')[0] for line in player.get(granted["hls"]).text.splitlines() if "STREAM-INF:" in line]
    assert {each.partition(".")[0] for each in codecs} == {"avc1", "hvc1", "av01"}
    # Main profile at some level, and of 8 bits.
    assert any(each.startswith("hvc1.1.6.L") for each in codecs) and any(each.startswith("av01.0.0") and ".08" in each for each in codecs)
    as_creator.delete(video)


def test_every_segment_of_a_picture_stands_alone(tracks, player, tmp_path):
    for name in ("360p", "720p"):
        answers = player.fetch(tracks[name].addresses)
        begins = [segment_start(answers[0].content, segment.content) for segment in answers[1:]]
        assert begins == [0, 4, 8], "sound and picture begin together"
        for number, segment in enumerate(answers[1:], 1):
            alone = tmp_path / "segment.mp4"
            alone.write_bytes(answers[0].content + segment.content)
            assert decode(alone) == "", f"{name}, segment {number}"
            assert int(probe(alone)["nb_read_packets"]) == 100


def test_hls_and_dash_name_the_services_own_files_and_only_who_is_granted_gets_them(converted, as_holder, player):
    identifier = converted[0]
    granted = as_holder.playback(identifier)
    hls = {media.unsigned(address) for address in addresses(player.hls(granted["hls"]))}
    assert hls == {media.unsigned(address) for address in addresses(player.dash(granted["dash"]))}
    assert len(hls) == 3 * (SEGMENTS + 1)
    assert all(f"/v/{identifier}/job/" in address for address in hls)
    assert {address.rpartition("_")[2] for address in hls if "720p_" in address} == {f"{n:09d}.cmfv" for n in (1, 2, 3)}
    assert player.statuses(sorted(hls)) == {403}
    frames = player.get(granted["hls"].replace("master.m3u8", "720p-iframes.m3u8"))
    assert frames.status_code == 200 and "#EXT-X-BYTERANGE:" in frames.text


def test_our_workers_make_its_poster_and_its_storyboard(converted, as_holder, player, tmp_path):
    granted = as_holder.playback(converted[0])
    cues = CUE.findall(player.get(granted["storyboard"]).text)
    # Chunks are of one segment in tests, with a sheet each.
    assert [cue[0] for cue in cues] == ["00:00:00.000", "00:00:04.000", "00:00:08.000"]
    pictures = []
    for sheet in player.fetch([urljoin(granted["storyboard"], cue[2]) for cue in cues]):
        path = tmp_path / "sheet.jpg"
        path.write_bytes(sheet.raise_for_status().content)
        pictures.append(tile(path))
    assert len(set(pictures)) == 3
    poster = tmp_path / "poster.jpg"
    address = urljoin(granted["poster"], player.get(granted["poster"]).headers["Location"])
    poster.write_bytes(player.get(address).raise_for_status().content)
    assert (probe(poster)["width"], probe(poster)["height"]) == (1280, 720)


# Greys of 0, 10, 100, 203, 1000 and 4000 cd/m² by SMPTE ST 2084, of ten bits.
GREYS = (64, 327, 509, 573, 723, 855)


def test_a_film_of_high_brightness_is_brought_to_ordinary(as_creator, as_holder, player, policy, tmp_path):
    tags = "limited:color_primaries=bt2020:color_trc=smpte2084:colorspace=bt2020nc"
    luma = "+".join(f"{grey}*eq(floor(X/64),{index})" for index, grey in enumerate(GREYS))
    picture = f"color=gray:size=384x216:rate=25:duration=4,format=yuv420p10le,geq=lum='{luma}':cb=512:cr=512,setparams=range={tags}"
    command = [tool("ffmpeg"), "-v", "error", "-f", "lavfi", "-i", picture, "-c:v", "libx265", "-x265-params", "log-level=error"]
    film = tmp_path / "bright.mp4"
    subprocess.run([*command, "-preset", "ultrafast", "-tag:v", "hvc1", str(film)], check=True)
    assert probe(film)["color_transfer"] == "smpte2084"
    video = as_creator.upload(film, "Bright", policy)["id"]
    as_creator.wait_for_stage(video, timeout=120)
    (track,) = player.hls(as_holder.playback(video)["hls"])
    whole = player.save(track, tmp_path / "whole.mp4")
    assert decode(whole) == "" and probe(whole)["color_transfer"] == "bt709"
    show = [tool("ffmpeg"), "-v", "error", "-i", str(whole), "-frames:v", "1", "-f", "rawvideo", "-"]
    row = subprocess.run(show, check=True, capture_output=True).stdout[384 * 108 : 384 * 109]
    shown = [row[32 + 64 * index] for index in range(len(GREYS))]
    # White in print is nearly white, what is brighter still stands out, and nothing is cut off before.
    assert shown == sorted(shown) and shown[0] <= 18 and 195 < shown[3] < shown[4] - 5 <= 235, shown
    as_creator.delete(video)


def test_messages_again_and_out_of_order_change_nothing(stack, service, converted):
    identifier = converted[0]
    (job,) = jobs(service, identifier)
    before, objects = inside.record(stack, identifier), inside.objects(stack, "Media", f"v/{identifier}/")

    def event(status: str, **more) -> dict:
        detail = {"jobId": job["Id"], "status": status, "queue": job["Queue"], "userMetadata": job["UserMetadata"], **more}
        return {"source": "aws.mediaconvert", "detail-type": "MediaConvert Job State Change", "detail": detail}

    late = event("STATUS_UPDATE", jobProgress={"jobPercentComplete": 50})
    for message in (event("COMPLETE"), {"convert": identifier}, late, event("COMPLETE"), event("PROGRESSING"), late):
        inside.send(stack, "Convert", message)
    inside.send(stack, "Plan", inside.arrived(stack, identifier))
    inside.wait_for_empty_queues(stack, 60)
    assert inside.record(stack, identifier) == before
    assert inside.objects(stack, "Media", f"v/{identifier}/") == objects
    assert [again["Status"] for again in jobs(service, identifier)] == ["COMPLETE"]


def test_two_sounds_and_a_turned_picture_come_out_as_planned(as_creator, as_holder, player, policy, tmp_path):
    """A portrait film in a landscape file, with a commentary and 5.1."""
    plain, turned = make_film(tmp_path / "plain.mp4", seconds=4, size="640x360", rate=25), tmp_path / "turned.mp4"
    six = "sine=frequency=440:sample_rate=48000:duration=4,aformat=channel_layouts=5.1"
    command = [tool("ffmpeg"), "-v", "error", "-y", "-display_rotation", "90", "-i", str(plain), "-f", "lavfi", "-i", six]
    command += ["-map", "0:v", "-map", "0:a", "-map", "1:a", "-c:v", "copy", "-c:a", "aac", str(turned)]
    subprocess.run(command, check=True)
    identifier = as_creator.upload(turned, "Turned", policy)["id"]
    as_creator.wait_for_stage(identifier, timeout=120)
    tracks = {track.name: track for track in player.hls(as_holder.playback(identifier)["hls"])}
    assert set(tracks) == {"360p", "audio", "audio-2", "audio-2-surround"}
    seen = {name: probe(player.save(track, tmp_path / f"{name}.mp4")) for name, track in tracks.items()}
    assert (seen["360p"]["width"], seen["360p"]["height"]) == (360, 640)
    assert [seen[name]["channels"] for name in ("audio", "audio-2", "audio-2-surround")] == [2, 2, 6]
    as_creator.delete(identifier)


def test_a_job_that_fails_is_tried_again_and_then_the_film_fails_with_a_reason(stack, service, as_creator, small_film, paused):
    identifier = as_creator.upload(small_film, "Lost")["id"]
    wait_for_job(service, identifier, "SUBMITTED")
    stack.client("s3").delete_object(Bucket=stack.output("UploadsBucketName"), Key=f"uploads/{identifier}/source")
    paused()
    failed = as_creator.wait_for_stage(identifier, "failed", timeout=60)
    assert "error 1404" in failed["reason"] and "s3:" not in failed["reason"]
    tried = jobs(service, identifier)
    assert [job["Status"] for job in tried] == ["ERROR"] * 3
    assert [job["UserMetadata"]["attempt"] for job in tried] == ["1", "2", "3"]
    inside.wait_for_empty_queues(stack, 60)
    as_creator.delete(identifier)
    wait_until_nothing_is_left(stack, identifier)


def test_a_delete_ends_a_job_that_waits(stack, service, as_creator, small_film, paused):
    identifier = as_creator.upload(small_film, "Waits")["id"]
    wait_for_job(service, identifier, "SUBMITTED")
    inside.wait_until(lambda: inside.record(stack, identifier).get("conversion", {}).get("job"), 20, "the job was not recorded")
    as_creator.delete(identifier)
    wait_for_job(service, identifier, "CANCELED")
    assert as_creator.ask("GET", f"/v1/videos/{identifier}").status_code == 404
    wait_until_nothing_is_left(stack, identifier)


def test_a_delete_ends_a_job_that_runs_and_leaves_nothing(stack, service, as_creator, films):
    long = films("long.mp4", seconds=60, size="1280x720", rate=25)
    identifier = as_creator.upload(long, "Runs")["id"]

    def progressing():
        video = as_creator.video(identifier)
        return video.get("progress") and video["progress"]["tracks"][0]["done"] > 0

    inside.wait_until(progressing, 60, "no progress was seen", 0.1)
    as_creator.delete(identifier)
    wait_for_job(service, identifier, "CANCELED")
    wait_until_nothing_is_left(stack, identifier)


def test_what_a_job_wrote_after_the_delete_goes_when_it_is_over(stack, service, as_creator, small_film, paused):
    """The word to end it comes too late: nobody takes messages until it is complete."""
    identifier = as_creator.upload(small_film, "Late")["id"]
    wait_for_job(service, identifier, "SUBMITTED")
    inside.wait_for_empty_queues(stack, 30)
    with inside.paused(stack, "TranscodeConvert"):
        paused()
        wait_for_job(service, identifier, "COMPLETE")
        as_creator.delete(identifier)
        # As if it had written this one a moment later.
        late = f"v/{identifier}/job/x/1/film-180p_000000001.cmfv"
        stack.client("s3").put_object(Bucket=stack.output("MediaBucketName"), Key=late, Body=b"late")
    wait_until_nothing_is_left(stack, identifier)


def test_the_function_may_do_no_more_than_it_does(stack, secrets):
    keys = credentials(stack, "TranscodeConvert")
    secrets.add("a function's secret key", keys[1])
    secrets.add("a function's session token", keys[2])
    storage = stack.client("s3", *keys)
    bucket = stack.output("MediaBucketName")
    for call in (
        lambda: storage.put_object(Bucket=bucket, Key="v/x", Body=b""),
        lambda: storage.get_object(Bucket=stack.output("UploadsBucketName"), Key="uploads/x/source"),
        lambda: storage.delete_object(Bucket=bucket, Key="page/index.html"),
        lambda: stack.client("dynamodb", *keys).delete_item(TableName=stack.output("VideosTableName"), Key={"id": {"S": "x"}}),
        lambda: stack.client("iam", *keys).list_roles(),
    ):
        assert refusal(call) in ("AccessDenied", "AccessDeniedException")
    # The one whom jobs are done as is the service's, not the function's.
    with pytest.raises(botocore.exceptions.ClientError):
        stack.client("sts", *keys).assume_role(RoleArn=role(stack), RoleSessionName="mediaconvert")


def role(stack) -> str:
    return stack.client("iam").get_role(RoleName=stack.resource("ConversionRole"))["Role"]["Arn"]
