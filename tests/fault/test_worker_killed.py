"""The worker is killed in mid-task; another is at work on it within the lease, and the film is whole.

Guard: the lease (runtime/queue.rs). Whoever works on a message renews a short visibility timeout; when its renewals
stop, the message is back at once and not after the queue's own hour and a half.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal

import pytest

from tests.kit import inside

# What the README states, and no variable says otherwise.
STATED = 60
# To look for messages and to start, on a busy machine.
PATIENCE = 10


def chunks(workers: dict[int, list[int]]) -> set[str]:
    """Which segments they begin with."""
    commands = [inside.command(pid) for encoders in workers.values() for pid in encoders]
    return {number for command in commands for number in re.findall(r"-start_number (\d+)", command)}


@pytest.mark.timeout(240)
@pytest.mark.parametrize("lease", [4, pytest.param(STATED, marks=pytest.mark.proof)])
def test_a_killed_workers_task_is_done_by_another(stack, as_creator, as_holder, player, films, policy, lease):
    film = films("longer.mp4", seconds=20, size="1280x720", rate=25)
    shorter = {} if lease == STATED else {"LEASE_SECONDS": str(lease)}
    with inside.environment(stack, "TranscodeWork", **shorter):
        video = as_creator.upload(film, "A killed worker", policy)["id"]
        victims = inside.wait_until(lambda: inside.encoding(stack), 30, "no worker ever encoded", interval=0.05)
        lost = chunks(victims)
        assert lost
        for worker, encoders in victims.items():
            # The whole environment goes, as on AWS; without a last word.
            for pid in (worker, *encoders):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        assert as_creator.video(video)["stage"] == "transcoding"
        seen: set[str] = set()

        def all_at_work_again() -> bool:
            seen.update(chunks(inside.encoding(stack)))
            return lost <= seen

        inside.wait_until(all_at_work_again, lease + PATIENCE, lambda: f"nobody took over {lost - seen}", interval=0.05)
        ready = as_creator.wait_for_stage(video, timeout=90)
    assert (ready["tasks_done"], ready["tasks_total"]) == (6, 6)

    tracks = player.hls(as_holder.playback(video)["hls"])
    pictures = [track for track in tracks if track.kind == "video"]
    assert len(pictures) == 2 and pictures[0].durations == pictures[1].durations
    for track in tracks:
        # Five segments of four seconds: none missing, none twice.
        assert sum(track.durations) == pytest.approx(20, abs=0.1) and len(set(track.segments)) == len(track.segments)
        assert player.statuses(track.addresses) == {200}
    named = {f"v/{address.partition('?')[0].partition('/v/')[2]}" for track in tracks for address in track.addresses}
    assert inside.objects(stack, "Media", f"v/{video}/") == named | inside.playlist_objects(stack, video)
    inside.wait_for_empty_queues(stack, 30)
    as_creator.delete(video)
