"""A creator uploads a film: in parts, straight to S3, and it can be interrupted."""

from __future__ import annotations

import os

import pytest

from tests.kit import inside
from tests.kit.client import Failed, Refused

MIB = 1024 * 1024


def refused(call, *arguments, **named) -> Refused:
    with pytest.raises(Refused) as caught:
        call(*arguments, **named)
    return caught.value


def test_an_interrupted_upload_resumes_and_its_owner_alone_completes_it(stack, as_creator, as_stranger, as_nobody):
    size = 17 * MIB
    content = os.urandom(size)
    made = as_creator.create_video("  Three parts  ", size)
    video, plan = made["video"], made["upload"]
    identifier = video["id"]
    assert video["stage"] == "uploading" and video["title"] == "Three parts"
    assert [part["number"] for part in plan["parts"]] == [1, 2, 3]
    assert sum(part["size"] for part in plan["parts"]) == size and plan["received"] == []

    def piece(part: dict) -> bytes:
        start = (part["number"] - 1) * plan["part_size"]
        return content[start : start + part["size"]]

    first, second, third = plan["parts"]
    # The size is in the signature: S3 itself refuses another one, more or less.
    for wrong in (piece(second)[:-1], piece(second) + b"x", b""):
        assert as_creator.put_part(second, wrong).status_code == 403
    for part in (third, first):
        assert as_creator.put_part(part, piece(part)).status_code == 200

    problem = refused(as_creator.complete, identifier)
    assert (problem.status, problem.slug, problem.body["missing"]) == (409, "upload-incomplete", [2])
    left = as_creator.missing_parts(identifier)
    assert [part["number"] for part in left["parts"]] == [2] and left["received"] == [1, 3]

    # Nobody else sees that it exists.
    for other, status in ((as_stranger, 404), (as_nobody, 401)):
        for method, path in (("GET", "/upload"), ("POST", "/upload/complete"), ("PUT", "/policy"), ("DELETE", "")):
            body = {"policy": None} if method == "PUT" else None
            assert other.ask(method, f"/v1/videos/{identifier}{path}", body).status_code == status, (method, path)
        assert other.ask("GET", f"/v1/videos/{identifier}").status_code == 404
    assert identifier not in [seen["id"] for seen in as_stranger.videos()]
    assert identifier in [seen["id"] for seen in as_creator.videos()]

    # An address may be used again: the part is replaced.
    assert as_creator.put_part(left["parts"][0], os.urandom(second["size"])).status_code == 200
    assert as_creator.put_part(left["parts"][0], piece(second)).status_code == 200
    assert as_creator.complete(identifier)["stage"] != "uploading"
    again = as_creator.complete(identifier)
    assert again["id"] == identifier
    problem = refused(as_creator.missing_parts, identifier)
    assert (problem.status, problem.slug) == (409, "conflict")
    stored = stack.client("s3").get_object(Bucket=stack.output("UploadsBucketName"), Key=f"uploads/{identifier}/source")
    assert stored["Body"].read() == content
    # Not a film, so the creator reads why; see below.
    with pytest.raises(Failed):
        as_creator.wait_for_stage(identifier, timeout=30)
    as_creator.delete(identifier)


def test_an_unfinished_upload_can_be_deleted(stack, as_creator):
    made = as_creator.create_video("Changed my mind", 9 * MIB)
    identifier = made["video"]["id"]
    assert as_creator.put_part(made["upload"]["parts"][1], b"x" * MIB).status_code == 200
    as_creator.delete(identifier)
    assert inside.record(stack, identifier) is None
    uploads = stack.client("s3").list_multipart_uploads(Bucket=stack.output("UploadsBucketName"))
    assert not [upload for upload in uploads.get("Uploads", []) if identifier in upload["Key"]]
    # The addresses that were handed out lead nowhere.
    assert as_creator.put_part(made["upload"]["parts"][0], b"x" * 8 * MIB).status_code in (403, 404)


def test_only_listed_creators_upload(stack, as_stranger, as_nobody):
    problem = refused(as_stranger.create_video, "Mine", 1000)
    assert (problem.status, problem.slug) == (403, "not-a-creator")
    problem = refused(as_nobody.create_video, "Nobody's", 1000)
    assert (problem.status, problem.slug) == (401, "session-required")


GOOD = {"title": "A film", "size": 1000, "content_type": "video/mp4"}


@pytest.mark.parametrize(
    ("change", "status", "slug", "field"),
    [
        ({"size": 20 * 1024**3 + 1}, 413, "body-too-large", None),
        ({"size": 0}, 422, "body-invalid", "size"),
        ({"size": -1}, 422, "body-invalid", "size"),
        ({"size": "1000"}, 422, "body-invalid", "size"),
        ({"size": 2**70}, 422, "body-invalid", "size"),
        ({"title": "   "}, 422, "body-invalid", "title"),
        ({"title": "x" * 201}, 422, "body-invalid", "title"),
        ({"title": "a\u0000b"}, 422, "body-invalid", "title"),
        ({"title": None}, 422, "body-invalid", "title"),
        ({"content_type": "text/html"}, 422, "body-invalid", "content_type"),
        ({"content_type": "video/mp4\r\nx-amz-acl: public-read"}, 422, "body-invalid", "content_type"),
        ({"owner": "0x" + "ab" * 20}, 422, "body-invalid", "owner"),
        ({"title": "x" * 70_000}, 413, "body-too-large", None),
        ({"policy": {"version": 1, "rule": {}}}, 422, "policy-invalid", None),
    ],
)
def test_what_is_no_upload_is_refused(stack, as_creator, change, status, slug, field):
    before = len(as_creator.videos())
    response = as_creator.ask("POST", "/v1/videos", GOOD | change)
    assert response.status_code == status
    problem = response.json()
    assert problem["type"].endswith(f"/{slug}")
    assert problem.get("field") == field
    assert len(as_creator.videos()) == before


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b'{"title":"a","title":"b","size":1,"content_type":"video/mp4"}'])
def test_a_body_that_is_no_json_is_refused(as_creator, content):
    response = as_creator.ask("POST", "/v1/videos", content=content, headers={"Content-Type": "application/json"})
    assert response.status_code == 422 and response.json()["field"] == "body"


@pytest.mark.parametrize("kind", ["noise", "text", "cut", "sound", "too long"])
def test_what_is_no_film_fails_with_a_reason_and_is_not_tried_for_ever(stack, as_creator, films, tmp_path, kind):
    path = tmp_path / "source.mp4"
    expected = "video"
    if kind == "noise":
        path.write_bytes(os.urandom(300_000))
    elif kind == "text":
        path.write_text("#EXTM3U\n#EXTINF:1,\nhttp://169.254.169.254/latest/meta-data/\n" * 10)
    elif kind == "cut":
        whole = films("small.mp4", seconds=3, size="320x180", rate=10, audio=False).read_bytes()
        # The index is in front, so a player would start; most of the film is missing.
        path.write_bytes(whole[: len(whole) // 3])
        expected = ""
    elif kind == "sound":
        import subprocess

        from tests.kit.film import tool

        subprocess.run([tool("ffmpeg"), "-v", "error", "-f", "lavfi", "-i", "sine=duration=2", str(path)], check=True)
    else:
        path = films("long.mp4", seconds=601, size="64x64", rate=1, audio=False)
        expected = "at most 600"
    identifier = as_creator.upload(path, f"Not a film: {kind}")["id"]
    if kind == "cut":
        # Whatever comes of it, it comes soon, and it is said.
        inside.wait_until(lambda: as_creator.video(identifier)["stage"] in ("failed", "ready"), 60, "it is neither failed nor ready")
    else:
        with pytest.raises(Failed):
            as_creator.wait_for_stage(identifier, timeout=60)
    seen = as_creator.video(identifier)
    if seen["stage"] == "failed":
        reason = seen["reason"]
        assert expected in reason and 10 < len(reason) < 300 and seen["redrivable"] is False
        for inner in ("http", "127.0.0.1", "X-Amz", "uploads/", "ffprobe", "ffmpeg", "/tmp"):
            assert inner not in reason, reason
    if kind != "cut":
        # Said at the first look: neither in a queue for another try, nor in a dead-letter queue.
        inside.wait_for_empty_queues(stack, 20)
        problem = refused(as_creator.playback, identifier)
        assert (problem.status, problem.slug) == (409, "video-not-ready")
    as_creator.delete(identifier)


def test_delete_removes_every_object_and_record(stack, as_creator, as_holder, player, publish, small_film, policy):
    video = publish(small_film, policy)
    identifier = video["id"]
    granted = as_holder.playback(identifier)
    assert player.hls(granted["hls"])
    assert inside.objects(stack, "Media", f"v/{identifier}/") and inside.objects(stack, "Uploads", f"uploads/{identifier}/")
    assert inside.tasks(stack, identifier)

    as_creator.delete(identifier)
    assert inside.objects(stack, "Media", f"v/{identifier}/") == set()
    assert inside.objects(stack, "Uploads", f"uploads/{identifier}/") == set()
    assert inside.tasks(stack, identifier) == {} and inside.record(stack, identifier) is None
    for client in (as_creator, as_holder):
        assert refused(client.video, identifier).status == 404
        assert refused(client.playback, identifier).status == 404
    assert refused(as_creator.delete, identifier).status == 404
    # A grant that was given before opens nothing any more.
    assert player.get(granted["hls"]).status_code == 403
    assert inside.queue_sizes(stack)["TaskDeadLetters"] == 0


def test_ids_that_are_none_are_not_found(as_creator):
    for identifier in ("0" * 32, "0" * 31, "G" * 32, "A" * 32):
        for method, path in (("GET", ""), ("GET", "/upload"), ("POST", "/playback"), ("DELETE", "")):
            assert as_creator.ask(method, f"/v1/videos/{identifier}{path}").status_code == 404, (identifier, path)
