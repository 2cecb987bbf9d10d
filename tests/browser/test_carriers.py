"""hls.js, Shaka Player and dash.js by each carrier, across a renewal. By query they play in test_players.py."""

from __future__ import annotations

import pytest

from tests.browser.players import PLAYERS, until
from tests.kit.gate import eventually


def test_every_player_plays_by_a_path(players, as_holder, video):
    playback = as_holder.playback(video["id"], carrier="path")
    playing = players(playback)
    until(playing, lambda each: each["ended"], 40, "not every player came to the end")
    token = playback["hls"].split("/")[3]
    for player in playing:
        media = [path for path in player.requested if path.endswith((".m4s", ".mp4"))]
        # The playlists say nothing of the token: relative addresses inherit it.
        assert media and all(path.startswith(f"/{token}/v/") for path in media), player.name


def test_every_player_plays_by_cookies_across_a_renewal(players, as_holder, video):
    playing = []
    for name in PLAYERS:
        player = players.open(name)
        playback = player.grant(video["id"], as_holder.token)
        assert playback["carrier"] == "cookie"
        assert player.page.evaluate("document.cookie") == ""
        players.play(player, playback)
        playing.append(player)
    until(playing, lambda each: each["time"] > 0.5, 30, "not every player began")
    # Policies are of whole seconds: a later one is another one.
    playing[0].page.wait_for_timeout(1100)
    for player in playing:
        jar = {cookie["name"]: cookie for cookie in player.page.context.cookies()}
        before = jar["CloudFront-Policy"]
        assert before["path"] == f"/v/{video['id']}/" and before["httpOnly"] and before["secure"] and before["sameSite"] == "Strict"
        renewed = player.page.evaluate("window.renew()")
        assert renewed["renew_at"]
        after = {cookie["name"]: cookie for cookie in player.page.context.cookies()}["CloudFront-Policy"]
        assert after["value"] != before["value"] and after["expires"] > before["expires"]
    until(playing, lambda each: each["ended"], 40, "not every player came to the end")
    for player in playing:
        assert all("?" not in path and path.startswith(f"/v/{video['id']}/") for path in player.requested if path.endswith(".m4s"))


@pytest.mark.parametrize("carrier", ["cookie", "path"])
def test_two_films_play_side_by_side_in_one_browser(players, as_holder, video, small_video, carrier):
    """The cookies of two films have the same names: what keeps them apart is their folders."""
    films = [video["id"], small_video["id"]]
    playing, media = [], []
    for film in films:
        player = players.open("hls.js", beside=playing[0] if playing else None)
        playing.append(players.play(player, player.grant(film, as_holder.token, carrier)))
    until(playing, lambda each: each["ended"], 40, "not both came to the end")
    jar = [cookie["path"] for cookie in playing[0].page.context.cookies() if cookie["name"] == "CloudFront-Policy"]
    assert sorted(jar) == (sorted(f"/v/{film}/" for film in films) if carrier == "cookie" else [])
    for player, film in zip(playing, films, strict=True):
        media.append([path for path in player.requested if path.endswith(".m4s")])
        assert media[-1] and all(f"/v/{film}/" in path for path in media[-1])
        assert player.refused == []
    (mine, *_), (other, *_) = media
    if carrier == "path":
        # The one's token in the other's place.
        assert playing[0].status(other.replace(other.split("/")[1], mine.split("/")[1])) == 403
    # Either page may leave, and takes nothing from the other.
    playing[0].page.evaluate("window.leave()")
    eventually(lambda: playing[1].status(mine), lambda status: status == 403, what="the end of the one")
    assert playing[0].status(other) == playing[1].status(other) == 200
    assert playing[1].page.evaluate("window.renew().then((renewed) => renewed.carrier)") == carrier
