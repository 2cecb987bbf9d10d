"""The arithmetic of the transcode model in tests/load, on figures that can be checked by hand."""

from __future__ import annotations

import pytest

from tests.load.model import PROVISIONED, STANDARD, Film, Ramp, Task, cost, mediaconvert, prices, tasks_end, wall_seconds


def tasks(count: int, seconds: float) -> tuple[Task, ...]:
    return tuple(Task(seconds, 30, 30) for _ in range(count))


def film(count: int = 4, seconds: float = 10.0, heights: tuple[int, ...] = (360, 720)) -> Film:
    return Film(600, tasks(count, seconds), 2.0, 0.5, 7, heights, 25.0)


@pytest.mark.parametrize(
    ("ramp", "second", "there"),
    [
        (STANDARD, 0, 5),
        (STANDARD, 60, 305),
        (STANDARD, 120, 605),
        (STANDARD, 600, 1250),
        (PROVISIONED, 0, 20),
        (PROVISIONED, 60, 1020),
        (PROVISIONED, 3600, 20_000),
    ],
)
def test_workers_come_as_sqs_brings_them(ramp: Ramp, second: float, there: int) -> None:
    assert sum(arrival <= second for arrival in ramp.arrivals(100_000)) == there


def test_no_more_workers_come_than_are_allowed() -> None:
    assert list(STANDARD.arrivals(3)) == [0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("count", "seconds", "workers", "ends"),
    [
        # One after the other.
        (7, 10, 1, 70),
        # Two rounds of the first five, since nobody else comes in time.
        (10, 30, 1000, 60),
        # The second five wait for the next minute's workers, not for the first five.
        (10, 100, 1000, 160),
        # The limit holds though more would come.
        (10, 100, 5, 200),
        # 5 at once, 300 after a minute and the rest after two.
        (605, 200, 1000, 320),
    ],
)
def test_the_queue_is_emptied(count: int, seconds: float, workers: int, ends: float) -> None:
    assert tasks_end(tasks(count, seconds), workers, STANDARD) == pytest.approx(ends)


def test_provisioned_workers_are_sooner_there() -> None:
    many = tasks(100, 100)
    assert tasks_end(many, 1000, STANDARD) == pytest.approx(160)
    assert tasks_end(many[:20], 1000, PROVISIONED) == pytest.approx(100)


def test_a_long_task_holds_up_the_end_alone() -> None:
    assert tasks_end((Task(500, 1, 1), *tasks(8, 10)), 5, STANDARD) == pytest.approx(500)


def test_planning_and_publishing_count() -> None:
    # 2 to plan, 40 to encode, twice half a second to publish, and a second for that to start.
    assert wall_seconds(film(), 1, STANDARD) == pytest.approx(2 + 40 + 1 + 1)


def test_cost_follows_the_work() -> None:
    small, large = cost(film(count=4)), cost(film(count=8))
    price = prices()
    assert small["Lambda"] > 40 * 3008 / 1024 * price["lambda_gb_second"]
    assert small["S3"] == pytest.approx(4 * (30 + 8) * price["s3_put"] + 18 * price["s3_get"])
    assert large["Lambda"] == pytest.approx(2 * small["Lambda"], rel=0.05)


def test_mediaconvert_is_paid_by_size_and_minute() -> None:
    assert mediaconvert(film()) == pytest.approx(10 * (0.0075 + 0.015))
    assert mediaconvert(film(heights=(360, 480, 720, 1080))) == pytest.approx(10 * (2 * 0.0075 + 2 * 0.015))


def measured(split: bool) -> dict:
    """Two minutes in chunks of 60 s: 85 CPU seconds a chunk, and 3 of the sound."""
    names = ["360p", "720p"] if split else ["360p+720p"]
    video = [
        {"name": f"{name}-{first:05}", "kind": "video", "film_seconds": 60.0, "files": 30, "user": 80.0, "system": 5.0}
        for first in (1, 16)
        for name in names
    ]
    audio = {"name": "audio", "kind": "audio", "film_seconds": 120.0, "files": 31, "user": 2.9, "system": 0.1}
    return {
        "source": {
            "bytes": 40_000_000,
            "probe": {"duration_seconds": 120.0, "video": {"frame_rate": {"numerator": 25, "denominator": 1}}},
        },
        "renditions": [{"name": "360p", "width": 640, "height": 360}, {"name": "720p", "width": 1280, "height": 720}],
        "segments": 30,
        "chunk_seconds": 60.0,
        "probe": {"wall": 0.2},
        "tasks": [audio, *video],
        "publish": {"wall": 0.01},
        "playlists": 7,
    }


@pytest.mark.parametrize(("split", "pictures"), [(False, 60), (True, 120)])
def test_an_hour_has_the_tasks_of_an_hour(split: bool, pictures: int) -> None:
    hour = Film.of(measured(split), 3600)
    sound, *video = hour.tasks
    assert len(video) == pictures
    # A second to start, 85 CPU seconds by 1.7 processors, and 30 files in two goes.
    assert video[0].seconds == pytest.approx(1 + 85 * 1769 / 3008 + 0.1)
    # Thirty times the sound that was measured, by one processor.
    assert sound.seconds == pytest.approx(1 + 90 + 59 * 0.05)
    assert hour.heights == (360, 720)


def test_the_last_chunk_is_as_long_as_the_film() -> None:
    assert Film.of(measured(False), 90).tasks[-1].seconds == pytest.approx(1 + 42.5 * 1769 / 3008 + 0.05)


def test_sound_waits_for_its_source() -> None:
    heavy = measured(False)
    heavy["source"]["bytes"] = 120 * 16_000_000
    assert Film.of(heavy, 3600).tasks[0].seconds > 3600 * 16 / 80


def test_every_price_says_where_it_is_from() -> None:
    import json
    from pathlib import Path

    stored = json.loads((Path(__file__).parents[1] / "load" / "prices.json").read_text())
    for name, price in stored.items():
        if name != "about":
            assert price["dollars"] > 0 and price["source"].startswith("https://aws.amazon.com/") and price["date"], name
