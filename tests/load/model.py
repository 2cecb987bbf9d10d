"""How long a transcode takes, and what it costs, with more workers than the bench has: from the times that it measured.

    python tests/load/model.py MEDIA.JSON     what media_rows.py --keep left, or one `load-media encode`

It plays the queue: tasks leave it in their order, sound first; a worker that is there takes the next one. What it takes for
granted, all of it stated here and none of it measured:

- A worker has 3008 MB, and so 1.7 processors (Lambda gives one for 1769 MB), each as fast as one of the bench machine. A task
  of the picture keeps all of them busy: it lasts its CPU seconds / 1.7. Sound is encoded by one.
- A film as costly per second as the one that was measured; a task of the sound grows with the film.
- The source is read while it is encoded, at 80 MB a second and at the measured rate of the film: where reading takes longer,
  the task lasts as long as reading. Of an MP4, sound can't be had without reading all of it.
- A function starts within a second from its message, its first time included. Storing takes 50 ms for 16 files side by side,
  and so does writing a playlist.
- The film is whole when the last task was published, which may have to wait for one publishing that is under way.

How workers come, https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html:

- standard: 5 at once and up to 300 more a minute, at most 1,250. Here they come at the end of each minute, all together.
- provisioned mode: 10 for each of the pollers that always stand by (2 unless more are paid for) and up to 1,000 more a minute,
  at most 20,000. It can't be had together with MaximumConcurrency, which guards the rest of an account: to bound the workers
  takes the function's reserved concurrency, or MaximumPollers. The hourly price of pollers is not in here.

A single worker is for comparison: an SQS queue gives a function two at least.
"""

from __future__ import annotations

import heapq
import json
import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

WORKER_GB = 3008 / 1024
WORKER_PROCESSORS = 3008 / 1769
WORKER_DISK_GB = (10240 - 512) / 1024
PLANNER_GB, PUBLISHER_GB = 1769 / 1024, 0.25
SOURCE_BYTES_PER_SECOND = 80e6
START_SECONDS = 1.0
STORE_SECONDS, STORED_AT_ONCE = 0.05, 16
# A segment in the record of a task.
RECORD_KB_PER_SEGMENT = 0.05

LENGTHS = {"10 min": 600, "1 h": 3600, "2 h": 7200}
WORKERS = (1, 10, 100, 1000)


@dataclass(frozen=True)
class Ramp:
    """How fast a queue's workers come: `first` at once, `per_minute` more at the end of each minute."""

    name: str
    first: int
    per_minute: int
    most: int

    def arrivals(self, workers: int) -> Iterator[float]:
        """The second at which each of so many workers is there."""
        for number in range(min(workers, self.most)):
            yield 60.0 * max(0, math.ceil((number + 1 - self.first) / self.per_minute))


STANDARD = Ramp("standard", 5, 300, 1250)
PROVISIONED = Ramp("provisioned", 20, 1000, 20_000)


@dataclass(frozen=True)
class Task:
    """One message: how long a worker has it, and how many files and records come of it."""

    seconds: float
    files: int
    segments: int


@dataclass(frozen=True)
class Film:
    """What a film of some length asks for."""

    seconds: float
    tasks: tuple[Task, ...]
    plan_seconds: float
    publish_seconds: float
    playlists: int
    heights: tuple[int, ...]
    frame_rate: float

    @classmethod
    def of(cls, measured: dict, seconds: float) -> Film:
        """A film like the measured one (what `load-media encode` printed), but of that length."""
        stream = measured["source"]["probe"]["video"]["frame_rate"]
        shown = max(task["film_seconds"] for task in measured["tasks"])
        source_rate = measured["source"]["bytes"] / measured["source"]["probe"]["duration_seconds"]
        chunk = min(measured["chunk_seconds"], shown)
        segment = shown / measured["segments"]

        def task(film_seconds: float, processors: float, like: dict) -> Task:
            share = film_seconds / like["film_seconds"]
            files = max(1, round(like["files"] * share))
            busy = (like["user"] + like["system"]) * share / processors
            reading = film_seconds * source_rate / SOURCE_BYTES_PER_SECOND
            return Task(START_SECONDS + max(busy, reading) + stored(files), files, files)

        tasks = [task(seconds, 1.0, like) for like in measured["tasks"] if like["kind"] == "audio"]
        # Full chunks, by what they make: all renditions, or one.
        kinds: dict[str, list[dict]] = {}
        for like in measured["tasks"]:
            if like["kind"] == "video" and like["film_seconds"] > chunk - segment / 2:
                kinds.setdefault(like["name"].rpartition("-")[0], []).append(like)
        at = 0.0
        while at < seconds:
            film_seconds = min(chunk, seconds - at)
            for likes in kinds.values():
                tasks.append(task(film_seconds, WORKER_PROCESSORS, mean(likes)))
            at += chunk
        return cls(
            seconds=seconds,
            tasks=tuple(tasks),
            plan_seconds=START_SECONDS + measured["probe"]["wall"],
            publish_seconds=measured["publish"]["wall"] * seconds / shown + measured["playlists"] * STORE_SECONDS,
            playlists=measured["playlists"],
            heights=tuple(min(one["width"], one["height"]) for one in measured["renditions"]),
            frame_rate=stream["numerator"] / max(1, stream["denominator"]),
        )


def stored(files: int) -> float:
    return math.ceil(files / STORED_AT_ONCE) * STORE_SECONDS


def mean(tasks: list[dict]) -> dict:
    return {key: sum(task[key] for task in tasks) / len(tasks) for key in ("film_seconds", "files", "user", "system")}


# ---- Time


def tasks_end(tasks: tuple[Task, ...], workers: int, ramp: Ramp) -> float:
    """The second at which the last task ends, counted from when all of them are in the queue."""
    free = list(ramp.arrivals(workers))
    heapq.heapify(free)
    last = 0.0
    for task in tasks:
        end = heapq.heappop(free) + task.seconds
        last = max(last, end)
        heapq.heappush(free, end)
    return last


def wall_seconds(film: Film, workers: int, ramp: Ramp) -> float:
    """From the end of the upload to the whole film."""
    return film.plan_seconds + tasks_end(film.tasks, workers, ramp) + 2 * film.publish_seconds + START_SECONDS


# ---- Cost


def prices() -> dict[str, float]:
    stored = json.loads((Path(__file__).resolve().parent / "prices.json").read_text())
    return {name: price["dollars"] for name, price in stored.items() if isinstance(price, dict)}


def cost(film: Film) -> dict[str, float]:
    """Dollars by service. How many workers there are changes nothing: they are paid by the time they work."""
    price = prices()
    count = len(film.tasks)
    busy = sum(task.seconds for task in film.tasks)
    segments = sum(task.segments for task in film.tasks)
    # Every finished task publishes what there is, and reads the records of all tasks for it.
    publishing = count * film.publish_seconds
    all_kb = segments * RECORD_KB_PER_SEGMENT + count
    writes = sum(2 * math.ceil(1 + task.segments * RECORD_KB_PER_SEGMENT) + 2 + 1 for task in film.tasks) + 2 * count
    reads = count * (4 + math.ceil(all_kb / 4))
    gb_seconds = busy * WORKER_GB + film.plan_seconds * PLANNER_GB + publishing * PUBLISHER_GB
    return {
        "Lambda": gb_seconds * price["lambda_gb_second"]
        + busy * WORKER_DISK_GB * price["lambda_disk_gb_second"]
        + (2 * count + 1) * price["lambda_request"],
        "S3": (sum(task.files for task in film.tasks) + count * (film.playlists + 1)) * price["s3_put"]
        + (4 * count + 2) * price["s3_get"],
        "SQS": 3 * (count * price["sqs_request"] + count * price["sqs_fifo_request"] + price["sqs_request"]),
        "DynamoDB": writes * price["dynamodb_write"] + reads * price["dynamodb_read"],
    }


def mediaconvert(film: Film) -> float:
    """Dollars for the same renditions in the Basic tier; sound is taken as free."""
    if film.frame_rate > 30:
        raise ValueError("prices.json has no price for more than 30 frames a second")
    price = prices()
    per_minute = sum(price[f"mediaconvert_{'sd' if height < 720 else 'hd'}_minute"] for height in film.heights)
    return per_minute * film.seconds / 60


# ---- The table


def report(measured: dict) -> str:
    """For each length: wall time by workers and ramp, and the cost."""
    names = ", ".join(one["name"] for one in measured["renditions"])
    chunk = f"chunks of {measured['chunk_seconds']:g} s"
    lines = [f"model: {names} and sound, {chunk}; wall time in seconds from the end of the upload"]
    lines.append(f"{'film':8} {'tasks':>5}  {'workers':12}" + "".join(f"{workers:>10,}" for workers in WORKERS))
    for name, seconds in LENGTHS.items():
        film = Film.of(measured, seconds)
        for ramp in (STANDARD, PROVISIONED):
            walls = "".join(f"{wall_seconds(film, workers, ramp):>10,.0f}" for workers in WORKERS)
            lines.append(f"{name:8} {len(film.tasks):>5}  {ramp.name:12}{walls}")
    for name, seconds in LENGTHS.items():
        film = Film.of(measured, seconds)
        parts = cost(film)
        services = ", ".join(f"{service} {dollars:.4f}" for service, dollars in parts.items())
        total, theirs = sum(parts.values()), mediaconvert(film)
        lines.append(f"{name:8} ${total:.4f} ({services}); MediaConvert ${theirs:.3f}, {theirs / total:.1f} times as much")
    return "\n".join(lines)


def main() -> int:
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    measured = json.loads(Path(sys.argv[1]).read_text())
    # A stored bench holds several runs; the default's is the longest chunk.
    if "chunks" in measured:
        measured = max(measured["chunks"].values(), key=lambda each: each["chunk_seconds"])
    print(report(measured))
    return 0


if __name__ == "__main__":
    sys.exit(main())
