"""SQS delivers every message three times and in any order; the film is made once.

Guards: a task's output is recorded by a conditional write, in one transaction with the count of finished tasks
(adapters/dynamodb, tasks.rs: `attribute_not_exists(#output)`); an object that is there stays (adapters/s3, keep_file); a
stage moves only from the stage before it (videos.rs: `advance`); one video's publish messages are worked on one by one.
"""

from __future__ import annotations

import random

import pytest

from tests.kit import inside

COPIES = 3
# Of six seconds of 720p with sound: two chunks, each in both renditions.
TASKS = ["360p+720p-00001", "360p+720p-00002", "audio"]


@pytest.mark.timeout(150)
@pytest.mark.parametrize("order", ["shuffled", "side by side"])
def test_every_message_three_times_in_any_order_changes_nothing(stack, as_creator, as_holder, player, film, policy, order):
    # Side by side, so that the copies of one task are certainly at work at the same time.
    shuffle = random.Random(1).shuffle if order == "shuffled" else lambda messages: messages.sort(key=str)
    with inside.paused(stack, "TranscodeWork", "TranscodePublish"):
        video = as_creator.upload(film, f"Delivered three times, {order}", policy)["id"]
        # The planner's own message came too; these are the duplicates, early and late.
        for _ in range(COPIES - 1):
            inside.send(stack, "Plan", inside.arrived(stack, video))
        tasks = [{"video": video, "task": name} for name in TASKS]
        publish = [{"video": video, "task": name} for name in TASKS]
        messages = [("Task", body) for body in tasks * COPIES] + [("Publish", body) for body in publish * COPIES]
        messages += [("Task", {"video": video, "task": "4320p-00001"}), ("Task", {"video": "0" * 32, "task": TASKS[0]})]
        shuffle(messages)
        for queue, body in messages:
            inside.send(stack, queue, body)
        inside.wait_until(lambda: as_creator.video(video)["tasks_total"] == 3, 30, "it was never planned")
    as_creator.wait_for_stage(video, timeout=100)
    # And once more for everything when it is long done.
    late = [("Plan", inside.arrived(stack, video))] + [("Task", body) for body in tasks] + [("Publish", body) for body in publish]
    shuffle(late)
    for queue, body in late:
        inside.send(stack, queue, body)
    inside.wait_for_empty_queues(stack, 90)

    seen = as_creator.video(video)
    assert (seen["stage"], seen["tasks_done"], seen["tasks_total"]) == ("ready", 3, 3)
    once(stack, as_holder, player, video)
    as_creator.delete(video)


def once(stack, as_holder, player, video: str) -> None:
    """Each task has one output, the media folder has that and nothing else, and it plays."""
    outputs = {name: task["output"] for name, task in inside.tasks(stack, video).items()}
    assert set(outputs) == set(TASKS) and all(outputs.values())
    tracks = player.hls(as_holder.playback(video)["hls"])
    named = {f"v/{address.partition('?')[0].partition('/v/')[2]}" for track in tracks for address in track.addresses}
    assert len(named) == sum(len(track.addresses) for track in tracks), "a segment is named twice"
    stored = inside.objects(stack, "Media", f"v/{video}/")
    assert stored == named | inside.playlist_objects(stack, video)
    assert all(track.durations and sum(track.durations) == pytest.approx(6, abs=0.1) for track in tracks)
    assert player.statuses([address for track in tracks for address in track.addresses]) == {200}
