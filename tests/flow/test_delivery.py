"""One grant, three carriers: what each opens, and how each ends."""

from __future__ import annotations

import base64
import re
import subprocess
import sys
import time

import httpx
import pytest

from tests.kit import inside, media
from tests.kit.contract import REPOSITORY
from tests.kit.film import tool
from tests.kit.gate import eventually
from tests.kit.player import addresses
from tests.kit.viewer import CARRIERS, Viewer, cookies_of


@pytest.fixture(params=CARRIERS)
def viewer(request, player, as_holder, video) -> Viewer:
    return Viewer(player, as_holder, video["id"], request.param)


def test_every_carrier_plays_the_whole_film(viewer):
    segments = viewer.segments()
    assert {viewer.get(address).status_code for address in segments} == {200}
    dash = media.manifest(viewer.get(viewer.playback["dash"]).raise_for_status().text, viewer.playback["dash"])
    assert {viewer.get(address).status_code for address in addresses(dash)} == {200}
    poster = viewer.get(viewer.playback["poster"])
    assert poster.status_code in (200, 302)


def test_cookies_are_host_only_and_of_one_folder(player, as_holder, video):
    viewer = Viewer(player, as_holder, video["id"], "cookie")
    assert set(viewer.cookies) == {f"CloudFront-{name}" for name in ("Policy", "Signature", "Key-Pair-Id", "Hash-Algorithm")}
    for cookie in viewer.cookies.values():
        assert cookie["path"] == f"/v/{video['id']}/" and not cookie["domain"]
        assert cookie["secure"] and cookie["httponly"] and cookie["samesite"] == "Strict"
        assert 0 < int(cookie["max-age"]) <= 300
    # Nothing of it is in an address.
    assert viewer.grant["token"] not in viewer.playback["hls"] + viewer.playback["dash"]
    assert "?" not in viewer.playback["hls"]


def test_what_is_carried_opens_no_other_film(player, as_holder, video, small_video):
    for carrier in CARRIERS:
        here, there = (Viewer(player, as_holder, one["id"], carrier) for one in (video, small_video))
        mine, other = here.segments()[0], there.segments()[0]
        assert here.get(mine).status_code == there.get(other).status_code == 200
        if carrier == "cookie":
            assert here.get(other).status_code == there.get(mine).status_code == 403
            continue
        swapped = mine.replace(video["id"], small_video["id"])
        assert player.get(swapped).status_code == 403
        # By a way around the folder.
        path = httpx.URL(mine).path
        stem = path[: path.index("/v/")]
        for way in (f"{stem}/v/{video['id']}/../{small_video['id']}/master.m3u8", f"{stem}/v/{video['id']}/%2e%2e/{small_video['id']}/master.m3u8", f"{stem}/v//{small_video['id']}/master.m3u8", f"{stem}//v/{small_video['id']}/master.m3u8"):
            address = str(httpx.URL(mine).copy_with(raw_path=way.encode() + (b"?" + httpx.URL(mine).query if carrier == "query" else b"")))
            assert player.get(address).status_code in (400, 403, 404), way


def test_a_path_that_is_altered_opens_nothing(player, as_holder, video):
    viewer = Viewer(player, as_holder, video["id"], "path")
    address = viewer.playback["hls"]
    token = re.search(r"/~([^/]+)/", address).group(1)
    grant, cwt = token.split(".")
    raw = base64.urlsafe_b64decode(cwt + "=" * (-len(cwt) % 4))
    wrong = [cwt[:-1], cwt + "A", cwt + cwt, "", cwt[1:], cwt.swapcase()]
    for place in range(0, len(raw), 3):
        wrong.append(base64.urlsafe_b64encode(raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :]).decode().rstrip("="))
    other = Viewer(player, as_holder, video["id"], "path").grant["id"]
    tokens = [f"{grant}.{text}" for text in wrong] + [f"{other}.{cwt}", grant, f".{cwt}", f"{grant.upper()}.{cwt}"]
    assert player.get(address).status_code == 200
    for bad in tokens:
        assert player.get(address.replace(token, bad)).status_code in (400, 403, 404), bad


def test_a_renewal_goes_on_and_an_end_is_the_end(viewer):
    first = viewer.segments()[0]
    renewed = viewer.renew()
    assert renewed.status_code == 200, renewed.text
    assert renewed.json()["hls"] == viewer.playback["hls"]
    assert bool(cookies_of(renewed)) == (viewer.carrier == "cookie")
    wrong = viewer.player.http.post(
        str(renewed.request.url), headers={"Authorization": f"Bearer {viewer.grant['token'][:40]}{'0' * 64}"}
    )
    assert (wrong.status_code, wrong.json()["type"].rpartition("/")[2]) == (403, "grant-invalid")
    assert viewer.player.http.post(str(renewed.request.url)).status_code == 401
    assert viewer.end().status_code == 204
    assert viewer.renew().status_code == 403
    if viewer.carrier != "cookie":
        # The edge hears of it within seconds; cookies end by themselves.
        eventually(lambda: viewer.get(first), lambda answer: answer.status_code == 403, seconds=10, what="the end at the edge")


def test_the_owner_ends_everyones_streams(stack, player, as_holder, as_creator, as_stranger, video):
    viewers = [Viewer(player, as_holder, video["id"], carrier) for carrier in ("path", "query")]
    segments = [viewer.segments()[0] for viewer in viewers]
    assert as_stranger.ask("POST", f"/v1/videos/{video['id']}/revocations", {"everyone": True}).status_code == 404
    assert as_creator.revoke(video["id"], as_stranger.wallet.account) == 0
    assert as_creator.revoke(video["id"]) >= 2
    for viewer, segment in zip(viewers, segments, strict=True):
        eventually(lambda v=viewer, s=segment: v.get(s), lambda answer: answer.status_code == 403, seconds=10, what="the end")
        assert viewer.renew().status_code == 403
    # Whom the policy lets in gets a new one, which plays at once.
    again = Viewer(player, as_holder, video["id"], "path")
    assert again.get(again.segments()[0]).status_code == 200


def test_the_third_of_two_streams_is_refused_with_who_holds_the_leases(player, as_holder, own_policy, video, token):
    policy = token.policy() | {"streams": {"per_wallet": 2}}
    own_policy(policy)
    first, second = (Viewer(player, as_holder, video["id"], carrier) for carrier in ("path", "query"))
    assert first.playback["renew_at"] and second.playback["renew_at"]
    refused = as_holder.ask("POST", f"/v1/videos/{video['id']}/playback", {"carrier": "path"})
    problem = refused.json()
    assert (refused.status_code, problem["type"].rpartition("/")[2]) == (403, "streams-full")
    assert [holder["account"] for holder in problem["holders"]] == [as_holder.wallet.account] * 2
    assert first.end().status_code == 204
    third = Viewer(player, as_holder, video["id"], "path")
    assert third.get(third.segments()[0]).status_code == 200
    # The oldest gives way where the policy says so.
    own_policy(policy | {"streams": {"per_wallet": 1, "when_full": "take_over"}})
    fourth = Viewer(player, as_holder, video["id"], "path")
    segment = fourth.segments()[0]
    Viewer(player, as_holder, video["id"], "path")
    eventually(lambda: fourth.get(segment), lambda answer: answer.status_code == 403, seconds=10, what="the take-over")


def test_grants_tokens_are_in_no_log_and_no_table(stack, player, as_holder, video):
    viewers = [Viewer(player, as_holder, video["id"], carrier) for carrier in CARRIERS]
    for viewer in viewers:
        viewer.segments()
        assert viewer.renew().status_code == 200
    stored = str(inside.grants(stack, video["id"]))
    time.sleep(1)
    logs = "\n".join(line for name in ("PlaybackGrant", "GrantRenew", "PlaylistSign") for line in stack.log_lines(name))
    edge = (stack.state / "edge.log").read_text(errors="replace")
    for viewer in viewers:
        secret = viewer.grant["token"][40:]
        token = re.search(r"/~([^/]+)/", viewer.playback["hls"])
        for place in (stored, logs, edge):
            assert secret not in place
            assert token is None or token.group(1).partition(".")[2] not in place


@pytest.fixture(scope="module")
def encrypted(as_creator, small_film, policy) -> str:
    film = {"title": "Encrypted", "size": small_film.stat().st_size, "content_type": "video/mp4", "policy": policy}
    made = as_creator.get("POST", "/v1/videos", film | {"encryption": "aes-128"})
    as_creator.put_parts(small_film, made["upload"])
    as_creator.complete(made["video"]["id"])
    as_creator.wait_for_stage(made["video"]["id"], timeout=90)
    return made["video"]["id"]


def test_an_encrypted_film_gives_its_keys_to_live_grants_only(stack, player, as_holder, encrypted, video):
    by_query, by_cookie = (Viewer(player, as_holder, encrypted, carrier) for carrier in ("query", "cookie"))
    assert "dash" not in by_query.playback and "dash" not in by_cookie.playback
    refused = as_holder.ask("POST", f"/v1/videos/{encrypted}/playback", {"carrier": "path"})
    assert (refused.status_code, refused.json()["field"]) == (422, "carrier")
    tracks = media.master_playlist(by_query.get(by_query.playback["hls"]).text, by_query.playback["hls"])
    picture = next(track for track in tracks if track.kind == "video")
    text = by_query.get(picture.address).text
    uri = re.search(r'EXT-X-KEY:METHOD=AES-128,URI="([^"]+)"', text).group(1)
    key = player.get(f"{stack.edge_origin}{uri}")
    assert key.status_code == 200 and len(key.content) == 16 and key.headers["Cache-Control"] == "no-store"
    bare = f"{stack.edge_origin}{uri.partition('?')[0]}"
    assert by_cookie.get(bare).content == key.content
    assert player.get(bare).status_code == 403
    other = Viewer(player, as_holder, video["id"], "query").grant["token"]
    assert player.get(bare, params={"grant": other}).status_code == 403
    # A player that knows nothing of us decodes all of it.
    command = [tool("ffmpeg"), "-v", "error", "-i", by_query.playback["hls"], "-f", "null", "-"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    for viewer in (by_query, by_cookie):
        assert viewer.end().status_code == 204
    assert player.get(f"{stack.edge_origin}{uri}").status_code == by_cookie.get(bare).status_code == 403


def test_a_receipt_is_verified_offline(stack, player, as_holder, video, tmp_path):
    receipt = as_holder.playback(video["id"])["receipt"]
    keys = tmp_path / "keys.json"
    keys.write_text(player.get(f"{stack.edge_origin}/v1/receipts/keys").text)
    script = [sys.executable, str(REPOSITORY / "infra" / "verify_receipt.py"), str(keys), stack.edge_origin]
    good = subprocess.run(script, input=receipt, capture_output=True, text=True, timeout=20, check=False)
    assert good.returncode == 0, good.stderr
    assert video["id"] in good.stdout and as_holder.wallet.account.lower() in good.stdout.lower()
    head, body, signature = receipt.split(".")
    for bad in (f"{head}.{body[:-2]}AA.{signature}", f"{head}.{body}.{signature[::-1]}", "", head):
        assert subprocess.run(script, input=bad, capture_output=True, text=True, timeout=20, check=False).returncode != 0
