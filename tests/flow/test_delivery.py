"""One grant, three carriers: what each opens, and how each ends."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
import time
from functools import partial

import httpx
import pytest

from tests.kit import forge, inside, media
from tests.kit.contract import REPOSITORY
from tests.kit.film import tool
from tests.kit.player import addresses
from tests.kit.viewer import CARRIERS, Viewer, ask, cookie_header, cookies_of, slug


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


def opens(player, address: str, cookies: dict[str, str] | None = None) -> bool:
    """Whether the address opens, with these cookies or alone."""
    answer = player.get(address, headers=cookie_header(cookies) if cookies else {})
    assert answer.status_code in (200, 403), answer.text
    return answer.status_code == 200


def test_what_is_for_one_host_opens_nothing_on_another(stack, player, as_holder, video):
    """A distribution may have several names, and a viewer may be sent to another by the Host header alone."""
    key = inside.minting(stack, "SigningSecret")
    host = stack.edge_origin.removeprefix("http://")
    by_cookie, by_query = (Viewer(player, as_holder, video["id"], carrier) for carrier in ("cookie", "query"))
    first = {viewer: viewer.segments()[0] for viewer in (by_cookie, by_query)}
    for other in ("elsewhere.example", f"{host}.elsewhere.example", host.partition(":")[0], f"x.{host}", f"{host}0"):
        for viewer, segment in first.items():
            assert viewer.get(segment).status_code == 200
            assert viewer.get(segment, Host=other).status_code == 403, (viewer.carrier, other)
        # Signed well, for that host: it is good there and not here.
        until = int(time.time()) + 60
        theirs = forge.as_cookies(forge.signature(key, f"http://{other}/v/{video['id']}/*", until))
        there = player.get(first[by_cookie], headers=cookie_header(theirs) | {"Host": other})
        assert (there.status_code, opens(player, first[by_cookie], theirs)) == (200, False), other
    # Another scheme is another origin too.
    secure = forge.as_cookies(forge.signature(key, f"https://{host}/v/{video['id']}/*", until))
    assert not opens(player, first[by_cookie], secure)


def test_another_stacks_keys_open_nothing(stack, player, as_holder, video):
    """What another stack made for the same film and viewer: by its own keys, whatever they are called."""
    pair, secret = inside.minting(stack, "SigningSecret"), inside.minting(stack, "TokenSecret")
    by_cookie, by_path, by_query = (Viewer(player, as_holder, video["id"], carrier) for carrier in CARRIERS)
    until = int(time.time()) + 60
    folder = f"/v/{video['id']}/"
    in_cookies, in_path, in_query = (viewer.segments()[0] for viewer in (by_cookie, by_path, by_query))
    theirs = forge.strangers_pair(pair)
    for key, good in ((pair, True), (theirs, False), (theirs | {"name": "KELSEWHERE0000"}, False)):
        cookies = forge.as_cookies(forge.signature(key, f"{stack.edge_origin}{folder}*", until))
        assert opens(player, in_cookies, cookies) == good
        query = forge.signature(key, f"{stack.edge_origin}/q/{by_query.grant['id']}{folder}*", until)
        assert opens(player, media.signed_with(in_query, query)) == good
    token = in_path.split("/~")[1].partition("/")[0]
    theirs = forge.strangers_secret(secret)
    for key, good in ((secret, True), (theirs, False), (theirs | {"id": "elsewher"}, False)):
        forged = forge.path_token(key, by_path.grant["id"], video["id"], until - 120, until)
        assert opens(player, in_path.replace(token, forged)) == good


def test_no_carriers_leave_is_anothers(stack, player, as_holder, video):
    """Above all the query's signature must not open what only cookies open: there nobody looks for revocations."""
    by_cookie, by_path, by_query, other = (
        Viewer(player, as_holder, video["id"], carrier) for carrier in (*CARRIERS, "query")
    )
    in_cookies, in_path, in_query = (viewer.segments()[0] for viewer in (by_cookie, by_path, by_query))
    signature = media.signature_of(in_query)
    cookies = {name: cookie.value for name, cookie in by_cookie.cookies.items()}
    assert opens(player, in_query) and opens(player, in_cookies, cookies)
    assert not opens(player, media.signed_with(in_cookies, signature))
    assert not opens(player, in_cookies, forge.as_cookies(signature))
    assert not opens(player, media.unsigned(in_query), cookies)
    # Another grant's name with this one's signature, which would go on when this one has ended.
    assert not opens(player, in_query.replace(by_query.grant["id"], other.grant["id"]))
    grant, token = by_path.grant["id"], in_path.split("/~")[1].partition("/")[0]
    for stem in (f"/~{grant}", f"/q/{grant}", f"/q/{token}", f"/~{by_path.grant['token']}"):
        assert not opens(player, in_path.replace(f"/~{token}", stem), cookies), stem


def test_clocks_may_differ_by_what_is_allowed_and_no_more(stack, player, as_holder, video):
    """A grant's token counts from a minute before it was made, for the edge's clock may be behind; its end is its end,
    and so is the cookies'. Minted here as a machine would whose clock is so many seconds off."""
    pair, secret = inside.minting(stack, "SigningSecret"), inside.minting(stack, "TokenSecret")
    by_cookie, by_path = (Viewer(player, as_holder, video["id"], carrier) for carrier in ("cookie", "path"))
    in_cookies, in_path = by_cookie.segments()[0], by_path.segments()[0]
    grant, token = by_path.grant["id"], in_path.split("/~")[1].partition("/")[0]
    (stored,) = [each for each in inside.grants(stack, video["id"]) if each["grant"] == grant]
    created_at, expires_at = int(stored["created_at"]), int(stored["expires_at"])
    # To the byte what the stack made.
    assert forge.path_token(secret, grant, video["id"], created_at - 60, expires_at) == token

    def by_token(created: float, expires: float) -> bool:
        forged = forge.path_token(secret, grant, video["id"], int(created) - 60, int(expires))
        return opens(player, in_path.replace(token, forged))

    def by_cookies(made: float, seconds: int = 300) -> bool:
        signature = forge.signature(pair, f"{stack.edge_origin}/v/{video['id']}/*", int(made) + seconds)
        return opens(player, in_cookies, forge.as_cookies(signature))

    for ahead, good in ((0, True), (45, True), (90, False), (3600, False), (-3600, True)):
        assert by_token(time.time() + ahead, time.time() + 7200) == good, ahead
    for left, good in ((30, True), (0, False), (-1, False), (-3600, False)):
        assert by_token(time.time() - 60, time.time() + left) == good, left
    # Cookies have no beginning: by a clock that is ahead they open longer, by one that is far behind never.
    for ahead, good in ((0, True), (3600, True), (-240, True), (-301, False), (-3600, False)):
        assert by_cookies(time.time() + ahead) == good, ahead
    begins_later = forge.signature(pair, f"{stack.edge_origin}/v/*", int(time.time()) + 300, int(time.time()) + 30)
    assert not opens(player, in_cookies, forge.as_cookies(begins_later))


def test_a_renewal_goes_on_and_an_end_is_the_end(viewer):
    first = viewer.segments()[0]
    renewed = viewer.renew()
    assert renewed.status_code == 200, renewed.text
    assert renewed.json()["hls"] == viewer.playback["hls"]
    assert bool(cookies_of(renewed)) == (viewer.carrier == "cookie")
    wrong = viewer.player.http.post(
        str(renewed.request.url), headers={"Authorization": f"Bearer {viewer.grant['token'][:40]}{'0' * 64}"}
    )
    assert (wrong.status_code, slug(wrong)) == (403, "grant-invalid")
    assert viewer.player.http.post(str(renewed.request.url)).status_code == 401
    assert viewer.end().status_code == 204
    assert viewer.renew().status_code == 403
    if viewer.carrier != "cookie":
        # The edge hears of it within seconds; cookies end by themselves.
        viewer.stops(first)


def test_the_owner_ends_everyones_streams(stack, player, as_holder, as_creator, as_stranger, video):
    viewers = [Viewer(player, as_holder, video["id"], carrier) for carrier in ("path", "query")]
    segments = [viewer.segments()[0] for viewer in viewers]
    assert as_stranger.ask("POST", f"/v1/videos/{video['id']}/revocations", {"everyone": True}).status_code == 404
    assert as_creator.revoke(video["id"], as_stranger.wallet.account) == 0
    assert as_creator.revoke(video["id"]) >= 2
    for viewer, segment in zip(viewers, segments, strict=True):
        viewer.stops(segment)
        assert viewer.renew().status_code == 403
    # Whom the policy lets in gets a new one, which plays at once.
    again = Viewer(player, as_holder, video["id"], "path")
    assert again.get(again.segments()[0]).status_code == 200


def test_the_third_of_two_streams_is_refused_with_who_holds_the_leases(player, as_holder, own_policy, video, token):
    policy = token.policy() | {"streams": {"per_wallet": 2}}
    own_policy(policy)
    first, second = (Viewer(player, as_holder, video["id"], carrier) for carrier in ("path", "query"))
    assert first.playback["renew_at"] and second.playback["renew_at"]
    refused = ask(as_holder, video["id"], "path")
    assert (refused.status_code, slug(refused)) == (403, "streams-full")
    assert [holder["account"] for holder in refused.json()["holders"]] == [as_holder.wallet.account] * 2
    assert first.end().status_code == 204
    third = Viewer(player, as_holder, video["id"], "path")
    assert third.get(third.segments()[0]).status_code == 200
    # The oldest gives way where the policy says so.
    own_policy(policy | {"streams": {"per_wallet": 1, "when_full": "take_over"}})
    fourth = Viewer(player, as_holder, video["id"], "path")
    segment = fourth.segments()[0]
    fifth = Viewer(player, as_holder, video["id"], "path")
    fourth.stops(segment)
    # Whoever runs this again on a stack that was kept finds the places free.
    assert fifth.end().status_code == 204


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


def test_an_encrypted_film_gives_its_keys_to_live_grants_only(stack, player, as_holder, encrypted_video, video):
    encrypted = encrypted_video["id"]
    by_query, by_cookie = (Viewer(player, as_holder, encrypted, carrier) for carrier in ("query", "cookie"))
    assert "dash" not in by_query.playback and "dash" not in by_cookie.playback
    refused = ask(as_holder, encrypted, "path")
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


def test_playlists_that_are_written_for_a_grant_come_packed_to_who_takes_that(as_holder, player, video):
    viewer = Viewer(player, as_holder, video["id"], "query")
    for address in (viewer.playback["hls"], viewer.playback["dash"], viewer.tracks()[0].address):
        plain, packed = (viewer.get(address, **{"Accept-Encoding": way}) for way in ("identity", "gzip"))
        assert packed.status_code == 200 and packed.headers["Content-Encoding"] == "gzip"
        assert "Content-Encoding" not in plain.headers and packed.text == plain.text
        assert packed.num_bytes_downloaded < plain.num_bytes_downloaded / 1.5


def test_a_bound_path_plays_where_it_is_bound_to(player, as_holder, video):
    here = Viewer(player, as_holder, video["id"], "path", bind={"address": "127.0.0.0/8", "user_agent": "a-player/1"})
    address = here.playback["hls"]
    assert player.get(address, headers={"User-Agent": "a-player/1"}).status_code == 200
    for agent in ("a-player/2", ""):
        assert player.get(address, headers={"User-Agent": agent}).status_code == 403
    elsewhere = Viewer(player, as_holder, video["id"], "path", bind={"address": "203.0.113.0/24"})
    assert elsewhere.get(elsewhere.playback["hls"]).status_code == 403
    for carrier in ("cookie", "query"):
        refused = ask(as_holder, video["id"], carrier, bind={"country": "DE"})
        assert (refused.status_code, refused.json()["field"]) == (422, "bind")


def test_the_owner_reads_what_was_decided(as_creator, as_holder, as_stranger, video):
    given = as_holder.playback(video["id"], carrier="path")["grant"]
    assert as_stranger.ask("POST", f"/v1/videos/{video['id']}/playback").status_code == 403
    # Among what other tests decided: a refusal stands where its minute begins.
    said, page = [], {"next": None}
    while "next" in page:
        page = as_creator.decisions(video["id"], before=page["next"])
        said += page["decisions"]
    (let_in,) = [decision for decision in said if decision.get("grant") == given["id"]]
    refused = next(decision for decision in said if decision["accounts"] == [as_stranger.wallet.account])
    assert (refused["verdict"], "grant" in refused) == ("no", False)
    assert (let_in["verdict"], let_in["accounts"]) == ("yes", [as_holder.wallet.account])
    assert refused["policy"] == let_in["policy"] and refused["facts"][0]["block"]["hash"].startswith("0x")
    # Not a word to anybody else, and no way to change one.
    assert as_holder.ask("GET", f"/v1/videos/{video['id']}/decisions").status_code == 404
    assert as_creator.ask("GET", f"/v1/videos/{video['id']}/decisions", params={"before": "9" * 60}).status_code == 422
    earlier = as_creator.decisions(video["id"], before="2000")
    assert earlier == {"decisions": []}


def test_that_a_stream_goes_on_stands_in_the_log_with_what_it_rests_on(stack, player, as_holder, video):
    viewer = Viewer(player, as_holder, video["id"], "path")
    assert viewer.renew().status_code == 200
    inside.send(stack, "Review", {"review": "grants", "ids": [viewer.grant["id"]]})
    for function in ("GrantRenew", "GrantReview"):
        told = inside.wait_until(partial(decisions_told, stack, function, viewer.grant["id"]), 20, f"{function} told nothing")[0]
        assert (told["video"], told["accounts"], told["verdict"]) == (video["id"], [as_holder.wallet.account], "yes")
        assert re.fullmatch("[0-9a-f]{64}", told["policy"]) and told["facts"][0]["block"]["hash"].startswith("0x")


def decisions_told(stack, function: str, grant: str) -> list[dict]:
    lines = (json.loads(line) for line in stack.log_lines(function) if '"decision"' in line)
    return [record for record in (json.loads(line["record"]) for line in lines) if record["grant"] == grant]


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
