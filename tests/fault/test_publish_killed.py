"""The process dies between the last task and publishing; the film is published all the same.

Guard: a task that is delivered again and finds itself done asks for publishing again (app::run_task, the last line). SQS delivers it again because the dead process never said it was done.
"""

from __future__ import annotations

import pytest

from tests.kit import inside


@pytest.mark.timeout(120)
def test_a_lost_publish_message_is_sent_again(stack, as_creator, as_holder, player, film, policy):
    with inside.paused(stack, "TranscodePublish"):
        video = as_creator.upload(film, "Never published", policy)["id"]
        inside.wait_until(lambda: as_creator.video(video)["tasks_done"] == 3, 60, "its tasks never ended")
        inside.wait_until(lambda: inside.queue_sizes(stack)["PublishQueue"] == 3, 20, "not every task asked for publishing")
        inside.wait_until(lambda: inside.queue_sizes(stack)["TaskQueue"] == 0, 20, "tasks are left")
        # As if the last worker had died before it sent it.
        stack.client("sqs").purge_queue(QueueUrl=stack.output("PublishQueueUrl"))
        assert inside.queue_sizes(stack)["PublishQueue"] == 0
    seen = as_creator.video(video)
    assert (seen["stage"], seen["tasks_done"]) == ("transcoding", 3)
    # SQS delivers the dead worker's message again.
    inside.send(stack, "Task", {"video": video, "task": "audio"})
    ready = as_creator.wait_for_stage(video, timeout=30)
    assert (ready["tasks_done"], ready["tasks_total"]) == (3, 3)
    tracks = player.hls(as_holder.playback(video)["hls"])
    assert player.statuses([address for track in tracks for address in track.addresses]) == {200}
    as_creator.delete(video)


@pytest.mark.timeout(120)
def test_publishing_that_stopped_halfway_is_done_again(stack, as_creator, as_holder, player, small_film, policy):
    """The publisher wrote some of its files and died. Guard: it writes the same again, and the stage moves last."""
    with inside.paused(stack, "TranscodePublish"):
        video = as_creator.upload(small_film, "Half published", policy)["id"]
        inside.wait_until(lambda: inside.queue_sizes(stack)["PublishQueue"] >= 1, 60, "nobody asked for publishing")
        bucket = stack.output("MediaBucketName")
        stack.client("s3").put_object(Bucket=bucket, Key=f"v/{video}/master.m3u8", Body=b"#EXTM3U\n# cut off")
        # Not open before it is whole.
        answer = as_creator.ask("POST", f"/v1/videos/{video}/playback")
        assert answer.status_code == 409 and answer.json()["type"].endswith("/video-not-ready")
        assert as_holder.ask("POST", f"/v1/videos/{video}/playback").status_code == 404
    as_creator.wait_for_stage(video, timeout=30)
    assert b"cut off" not in stack.client("s3").get_object(Bucket=bucket, Key=f"v/{video}/master.m3u8")["Body"].read()
    assert player.hls(as_holder.playback(video)["hls"])
    as_creator.delete(video)
