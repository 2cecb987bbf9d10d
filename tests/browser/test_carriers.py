"""hls.js, Shaka Player and dash.js by each carrier, across a renewal. By query they play in test_players.py."""

from __future__ import annotations

from tests.browser.players import PLAYERS, until


def test_every_player_plays_by_a_path(players, as_holder, video):
    playback = as_holder.playback(video["id"], carrier="path")
    playing = players(playback)
    until(playing, lambda each: each["ended"], 40, "not every player came to the end")
    token = playback["hls"].split("/")[3]
    for player in playing:
        media = [path for path in player.requested if path.endswith((".m4s", ".mp4"))]
        # The playlists say nothing of the token: relative addresses inherit it.
        assert media and all(path.startswith(f"/{token}/v/") for path in media), player.name


# Asks in the page itself, as the film's own page does: the cookies are the browser's, and no script can read them.
GRANT = """async ([video, session]) => {
    const post = async (path, bearer) => {
        const answer = await fetch(path, { method: "POST", headers: { Authorization: `Bearer ${bearer}` } });
        if (!answer.ok) throw new Error(await answer.text());
        return answer.json();
    };
    const playback = await post(`/v1/videos/${video}/playback`, session);
    window.renew = () => post(`/v1/grants/${playback.grant.id}/renew`, playback.grant.token);
    return playback;
}"""


def test_every_player_plays_by_cookies_across_a_renewal(players, as_holder, video):
    playing = []
    for name in PLAYERS:
        player = players.open(name)
        playback = player.page.evaluate(GRANT, [video["id"], as_holder.token])
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
