"""A film becomes renditions that every player can decode."""

from __future__ import annotations

import pytest

from tests.kit import inside, media
from tests.kit.gate import eventually
from tests.kit.player import addresses, decode, probe
from tests.kit.viewer import Viewer


@pytest.fixture(scope="module")
def granted(as_holder, video):
    return as_holder.playback(video["id"])


@pytest.fixture(scope="module")
def tracks(player, granted):
    return {track.name: track for track in player.hls(granted["hls"])}


def test_720p_becomes_360p_and_720p_and_sound(player, tracks, tmp_path):
    assert set(tracks) == {"360p", "720p", "audio"}
    seen = {name: probe(player.save(track, tmp_path / f"{name}.mp4")) for name, track in tracks.items()}
    for name, (width, height) in {"360p": (640, 360), "720p": (1280, 720)}.items():
        assert (seen[name]["codec_name"], seen[name]["width"], seen[name]["height"]) == ("h264", width, height)
        assert seen[name]["pix_fmt"] == "yuv420p"
        # Six seconds at 25: no frame doubled, none lost.
        assert int(seen[name]["nb_read_packets"]) == 150
    assert seen["audio"]["codec_name"] == "aac"
    for track in tracks.values():
        assert track.ended and track.init
        assert sum(track.durations) == pytest.approx(6, abs=0.1)
        assert max(round(length) for length in track.durations) <= track.target_duration


def test_every_track_decodes_without_a_warning(player, granted, tracks, tmp_path):
    # Through the edge, with the addresses as they are: what a player does.
    assert decode(granted["hls"]) == ""
    for name, track in tracks.items():
        assert decode(player.save(track, tmp_path / f"{name}.mp4")) == "", name
    for track in player.dash(granted["dash"]):
        assert decode(player.save(track, tmp_path / f"dash-{track.name}.mp4")) == "", track.name


def test_every_segment_of_a_picture_starts_with_a_keyframe_and_all_cut_alike(player, tracks, tmp_path):
    pictures = [tracks["360p"], tracks["720p"]]
    assert pictures[0].durations == pictures[1].durations
    for track in pictures:
        answers = player.fetch(track.addresses)
        for number, segment in enumerate(answers[1:]):
            path = tmp_path / "segment.mp4"
            # A segment and the init alone: it needs nothing that came before it.
            path.write_bytes(answers[0].content + segment.content)
            assert decode(path) == "", f"{track.name}, segment {number}"


def test_hls_and_dash_name_the_same_segments(player, granted, tracks):
    hls = {media.unsigned(address) for address in addresses(list(tracks.values()))}
    dash = {media.unsigned(address) for address in addresses(player.dash(granted["dash"]))}
    assert hls == dash and len(hls) >= 9


def test_nothing_is_made_larger_than_the_source(player, as_holder, small_video):
    tracks = player.hls(as_holder.playback(small_video["id"])["hls"])
    sizes = [track.attributes["RESOLUTION"] for track in tracks if track.kind == "video"]
    assert sizes == ["320x180"]
    # And no sound track is made up for a silent film.
    assert len(tracks) == 1


def test_progress_counts_finished_tasks_and_ends_complete(stack, as_creator, as_stranger, as_holder, player, film, policy):
    seen = []
    identifier = as_creator.upload(film, "Progress", policy)["id"]
    assert as_stranger.ask("GET", f"/v1/videos/{identifier}").status_code == 404
    ready = as_creator.wait_for_stage(identifier, timeout=90, progress=seen.append, interval=0.1)
    done = [video["tasks_done"] for video in seen]
    assert done == sorted(done) and {video["tasks_total"] for video in seen} <= {0, 3}
    assert len(set(done)) > 1, "progress was never seen on its way"
    progress = [video["progress"] for video in seen if "progress" in video]
    assert progress and all([track["name"] for track in each["tracks"]] == ["360p", "720p", "audio"] for each in progress)
    for track in range(3):
        parts = [each["tracks"][track]["done"] for each in progress]
        assert parts == sorted(parts) and parts[-1] <= 1
    watchable = [each["watchable_seconds"] for each in progress]
    assert watchable == sorted(watchable) and set(watchable) <= {0, 4, 6}
    assert "progress" not in ready
    assert (ready["tasks_done"], ready["tasks_total"]) == (3, 3)
    assert ready["duration_seconds"] == pytest.approx(6, abs=0.1)
    assert set(inside.tasks(stack, identifier)) == {"360p+720p-00001", "360p+720p-00002", "audio"}
    # What others see of it is what they need, and no more.
    public = as_stranger.video(identifier)
    assert set(public) == {"id", "title", "stage", "duration_seconds", "policy"}
    # Cookies are not looked up at the edge: once it is deleted, only the caches could have it still.
    viewer = Viewer(player, as_holder, identifier, "cookie")
    segment = viewer.segments()[0]
    assert viewer.get(segment).status_code == 200
    as_creator.delete(identifier)
    eventually(lambda: viewer.get(segment).status_code, lambda status: status in (403, 404), 20, "the caches' forgetting")
    cloudfront, distribution = stack.client("cloudfront"), stack.resource("Distribution")
    named = cloudfront.list_invalidations(DistributionId=distribution)["InvalidationList"]["Items"]
    details = [cloudfront.get_invalidation(DistributionId=distribution, Id=each["Id"])["Invalidation"] for each in named]
    assert [f"/v/{identifier}/*"] in [each["InvalidationBatch"]["Paths"]["Items"] for each in details]
