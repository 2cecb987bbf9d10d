"""A grant opens one film, for a while, at the edge and nowhere else."""

from __future__ import annotations

import base64
import json
import time

import httpx
import pytest

from tests.kit import forge, inside, media
from tests.kit.player import addresses
from tests.kit.solana import LOCAL_CHAIN


@pytest.fixture(scope="module")
def granted(as_holder, video):
    return as_holder.playback(video["id"])


@pytest.fixture(scope="module")
def tracks(player, granted):
    return player.hls(granted["hls"])


@pytest.fixture(scope="module")
def every(tracks):
    return addresses(tracks)


def policy_of(address: str) -> dict:
    text = media.signature_of(address)["Policy"].translate(str.maketrans("-_~", "+=/"))
    return json.loads(base64.b64decode(text))


def test_every_playlist_and_segment_plays(player, granted, every):
    for answer, box in ((answer, answer.content[4:8]) for answer in player.fetch(every)):
        assert answer.status_code == 200 and box in (b"ftyp", b"styp", b"moof", b"sidx"), answer.url.path
        # Named by content: kept for ever. And any page's player may read it.
        assert "immutable" in answer.headers["Cache-Control"]
    for address in (granted["hls"], granted["dash"]):
        assert player.get(address).headers["Cache-Control"] == "no-store"
    dash = player.dash(granted["dash"])
    assert player.statuses(addresses(dash)) == {200}


def test_segments_can_be_read_in_ranges_and_from_other_pages(player, every):
    answer = player.get(every[1], headers={"Range": "bytes=4-7", "Origin": "https://elsewhere.example"})
    assert answer.status_code == 206 and answer.content in (b"styp", b"moof")
    assert answer.headers["Access-Control-Allow-Origin"] == "*"


def test_one_signature_for_the_film_and_for_nothing_else(player, stack, granted, every, video):
    dash = addresses(player.dash(granted["dash"]))
    signatures = {json.dumps(media.signature_of(address), sort_keys=True) for address in every + dash}
    assert len(signatures) == 1 and "{}" not in signatures
    assert media.signature_of(every[0])["Hash-Algorithm"] == "SHA256"
    (statement,) = policy_of(every[0])["Statement"]
    assert statement["Resource"] == f"{stack.edge_origin}/q/{granted['grant']['id']}/v/{video['id']}/*"
    ends = statement["Condition"]["DateLessThan"]["AWS:EpochTime"]
    stored = [grant for grant in inside.grants(stack, video["id"]) if grant["grant"] == inside.grant_key(granted["hls"])]
    assert len(stored) == 1 and ends == stored[0]["expires_at"]
    # The token itself is nowhere in the table.
    assert granted["hls"].rpartition("grant=")[2] not in json.dumps(stored, default=str)


def test_addresses_without_a_good_signature_are_refused(player, every):
    assert player.statuses([media.unsigned(address) for address in every]) == {403}
    assert player.statuses([media.tampered(address) for address in every]) == {403}
    good = media.signature_of(every[0])
    for missing in good:
        rest = {name: value for name, value in good.items() if name != missing}
        assert player.get(media.signed_with(every[0], rest)).status_code == 403, missing
    for name, value in (("Key-Pair-Id", "K0000000000000"), ("Policy", good["Policy"][:-4]), ("Signature", "")):
        assert player.get(media.signed_with(every[0], good | {name: value})).status_code == 403, name


def test_a_films_signature_opens_no_other_film(player, as_holder, every, small_video):
    other = addresses(player.hls(as_holder.playback(small_video["id"])["hls"]))
    # Both are good where they belong.
    assert player.statuses([every[0], other[0]]) == {200}
    assert player.statuses([media.signed_with(address, media.signature_of(every[0])) for address in other]) == {403}
    assert player.statuses([media.signed_with(address, media.signature_of(other[0])) for address in every]) == {403}
    # Nor by a way around.
    there = httpx.URL(media.unsigned(other[0])).path
    here = "/v/" + there.split("/")[4]
    mine = httpx.URL(every[0])
    for path in (f"{mine.path.rsplit('/', 3)[0]}/../..{there}", f"{mine.path.rsplit('/', 3)[0]}/%2e%2e/{there[3:]}", f"/v//{there[3:]}", here):
        address = media.signed_with(str(mine.copy_with(raw_path=path.encode())), media.signature_of(every[0]))
        assert player.get(address).status_code in (400, 403, 404), path


def test_a_signature_ends(player, stack, every):
    key = inside.minting(stack, "SigningSecret")
    resource = policy_of(every[0])["Statement"][0]["Resource"]

    def sign(until: int) -> str:
        return media.signed_with(every[0], forge.signature(key, resource, until))

    now = int(time.time())
    # Control: what is signed here is as good as what the stack signs, but for its end.
    assert player.get(sign(now + 60)).status_code == 200
    assert player.get(sign(now - 1)).status_code == 403


def problem(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["type"].rpartition("/")[2]


def test_playlists_need_this_films_grant(player, granted, small_video, video):
    token = granted["hls"].rpartition("grant=")[2]
    base = granted["hls"].partition("?")[0]
    bad = ["0" * 64, "0" * 104, "", token[:-1], token + "0", token.upper(), "../" + token[3:], token[:40]]
    for name in ("master.m3u8", "720p.m3u8", "manifest.mpd"):
        address = base.replace("master.m3u8", name)
        for wrong in bad:
            assert problem(player.get(address, params={"grant": wrong})) == (403, "grant-invalid"), (name, wrong)
        assert problem(player.get(address)) == (403, "grant-invalid")
        other = address.replace(video["id"], small_video["id"])
        assert problem(player.get(other, params={"grant": token})) == (403, "grant-invalid")
    for name in ("1080p.m3u8", "presentation.json", "master.m3u", "manifest.mpd.m3u8"):
        assert player.get(base.replace("master.m3u8", name), params={"grant": token}).status_code == 404, name


def test_a_grant_ends(player, stack, as_holder, video):
    granted = as_holder.playback(video["id"])
    assert player.get(granted["hls"]).status_code == 200
    # The table's own TTL may be days late, so the record is still there when its time is over.
    stack.client("dynamodb").update_item(
        TableName=stack.output("GrantsTableName"),
        Key={"grant": {"S": inside.grant_key(granted["hls"])}},
        UpdateExpression="SET expires_at = :past",
        ExpressionAttributeValues={":past": {"N": str(int(time.time()) - 1)}},
    )
    assert problem(player.get(granted["hls"])) == (403, "grant-invalid")


def test_the_edge_alone_serves_media(player, stack, every, video):
    path = httpx.URL(every[0]).path
    query = httpx.URL(every[0]).query.decode()
    # S3 without the distribution: no key, no way, with the film's signature or without.
    bucket = stack.output("MediaBucketName")
    stored = path[path.index("/v/") :]
    assert stack.client("s3").head_object(Bucket=bucket, Key=stored[1:])["ContentLength"] > 0
    assert player.get(f"{stack.engine_url}{stored}", headers={"Host": f"{bucket}.s3.amazonaws.com"}).status_code == 403
    for address in (f"{stack.engine_url}/{bucket}{stored}", f"{stack.engine_url}/{bucket}{stored}?{query}"):
        # To S3 a `Signature` in the query is a broken signature of its own kind.
        assert player.get(address).status_code == (400 if "?" in address else 403)
    assert player.get(f"{stack.engine_url}/{bucket}", params={"list-type": "2"}).status_code == 403
    assert player.get(f"{stack.engine_url}/{stack.output('UploadsBucketName')}/uploads/{video['id']}/source").status_code == 403
    # The API's own address answers the API, and has neither media nor page.
    assert player.get(f"{stack.api_url}/v1/health").status_code == 200
    for there in (path, f"{path}?{query}", "/", "/index.html"):
        assert player.get(f"{stack.api_url}{there}").status_code in (403, 404), there
    # What lies beside the segments needs the signature as well.
    for name in ("presentation.json", "master.m3u8", "manifest.mpd"):
        assert player.get(f"{stack.edge_origin}/v/{video['id']}/{name}").status_code == 403


def test_the_page_comes_with_its_security_headers(player, stack):
    answer = player.get(f"{stack.edge_origin}/")
    assert answer.status_code == 200 and "StreamGate" in answer.text
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff" and answer.headers["X-Frame-Options"] == "DENY"
    # Only the page's folder: neither media nor anything above it.
    for path in ("/v", "/page/index.html", "/../v/x", "/%2e%2e/v/x", "/nothing"):
        assert player.get(f"{stack.edge_origin}{path}").status_code in (400, 403, 404), path


def test_health_says_what_is_well(as_nobody):
    checks = {check["name"]: check["status"] for check in as_nobody.health()["checks"]}
    # The provider of that last chain serves another one; that is said too.
    well = {name: "ok" for name in ("videos", "eip155:1", "eip155:137", LOCAL_CHAIN)}
    assert checks == well | {"eip155:424242": "degraded"}
