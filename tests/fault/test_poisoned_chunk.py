"""One chunk of a film kills the encoder at every attempt: the film fails and says so, and one command finishes it later.

Guards: the last attempt fails the film (functions/transcode-work), the queue gives the message up after maxReceiveCount
(template.yaml), and a film that failed so is open still: its other chunks go on, and what is sent back finishes it.
"""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kit import inside
from tests.kit.film import tool
from tests.kit.player import decode, probe

# Five attempts take their time.
pytestmark = pytest.mark.proof

REPOSITORY = Path(__file__).resolve().parents[2]
# Five attempts at 1, 2, 4 and 8 s instead of 15, 30, 60 and 120.
RETRY = "1"
POISONED = "360p+720p-00003"


@pytest.fixture
def broken_tools(tmp_path) -> Path:
    """An ffmpeg that dies by a signal, as one with a fault does, when it begins with the third segment."""
    ffmpeg = tmp_path / "ffmpeg"
    ffmpeg.write_text(
        f"""#!/bin/sh
case " $* " in *" -start_number 3 "*) kill -SEGV $$ ;; esac
exec {tool("ffmpeg")} "$@"
"""
    )
    ffmpeg.chmod(ffmpeg.stat().st_mode | stat.S_IXUSR)
    (tmp_path / "ffprobe").symlink_to(tool("ffprobe"))
    return tmp_path


def crashes(stack) -> int:
    return sum("SIGSEGV" in line for line in stack.log_lines("TranscodeWork"))


def redrive(stack) -> str:
    """As the operator does it; see the README."""
    # The pinned command line, and not this machine's.
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    command = ["make", "--silent", "redrive", f"STACK={stack.name}"]
    environment = os.environ | stack.aws_environment | {"PATH": path}
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.timeout(180)
def test_a_poisoned_chunk_fails_its_film_and_one_command_finishes_it(
    stack, as_creator, as_holder, player, films, policy, broken_tools, tmp_path
):
    film = films("longer.mp4", seconds=20, size="1280x720", rate=25)
    before = crashes(stack)
    with inside.environment(stack, "TranscodeWork", FFMPEG_DIRECTORY=str(broken_tools), RETRY_SECONDS=RETRY):
        video = as_creator.upload(film, "A poisoned chunk", policy)["id"]
        inside.wait_until(lambda: as_creator.video(video)["stage"] == "failed", 120, lambda: as_creator.video(video))
        inside.wait_until(lambda: inside.queue_sizes(stack)["TaskDeadLetters"] == 1, 20, lambda: inside.queue_sizes(stack))
    failed = as_creator.video(video)
    assert failed["reason"] == f"the part {POISONED} could not be encoded"
    assert failed["redrivable"] is True
    assert crashes(stack) == before + 5
    # Nobody but its owner sees it, and nobody watches it.
    assert as_holder.ask("POST", f"/v1/videos/{video}/playback").status_code == 404
    # The others are done: one chunk is missing, and nothing else.
    inside.wait_until(lambda: inside.queue_sizes(stack)["TaskQueue"] == 0, 60, lambda: inside.queue_sizes(stack))
    assert {name for name, task in inside.tasks(stack, video).items() if not task.get("output")} == {POISONED}
    assert inside.queue_sizes(stack)["TaskDeadLetters"] == 1

    assert "{}: 1 sent back".format(stack.output("TaskDeadLettersUrl").rpartition("/")[2]) in redrive(stack)
    inside.wait_until(lambda: as_creator.video(video)["stage"] == "ready", 60, lambda: as_creator.video(video))
    ready = as_creator.video(video)
    assert (ready["tasks_done"], ready["tasks_total"]) == (6, 6) and "reason" not in ready
    for track in player.hls(as_holder.playback(video)["hls"]):
        whole = player.save(track, tmp_path / f"{track.name}.mp4")
        assert decode(whole) == "", track.name
        if track.kind == "video":
            assert int(probe(whole)["nb_read_packets"]) == 20 * 25, track.name
    inside.wait_for_empty_queues(stack, 30)
    as_creator.delete(video)
