"""hls.js, Shaka Player and dash.js in pages of their own, and what each notes of what happens to it."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Page

from tests.browser.conftest import OUTPUT

REPOSITORY = Path(__file__).resolve().parents[2]
MODULES = Path(os.environ.get("STREAMGATE_CACHE", REPOSITORY / ".cache")) / "npm" / "node_modules"
SCRIPTS = {
    "hls.js": REPOSITORY / "web" / "vendor" / "hls.min.js",
    "shaka": MODULES / "shaka-player" / "dist" / "shaka-player.compiled.js",
    "dash.js": MODULES / "dashjs" / "dist" / "modern" / "umd" / "dash.all.min.js",
}
# Everything that a page notes of what happens to it.
NOTES = """
window.notes = { errors: [], waits: [], renditions: [], ended: false };
const video = document.querySelector("video");
const note = (list, what) => window.notes[list].push(what);
video.addEventListener("waiting", () => video.currentTime > 0.2 && !video.seeking && note("waits", video.currentTime));
video.addEventListener("error", () => note("errors", `media: ${video.error.message}`));
video.addEventListener("ended", () => { window.notes.ended = true; });
"""
START = {
    "hls.js": """({ hls }) => {
        const player = new Hls({ enableWorker: false, startPosition: 0, ...window.settings });
        player.on(Hls.Events.ERROR, (_, { fatal, details }) => fatal && note("errors", details));
        player.on(Hls.Events.LEVEL_SWITCHED, (_, { level }) => note("renditions", player.levels[level].height));
        player.loadSource(hls);
        player.attachMedia(video);
        video.play();
        const index = (tracks, language) => tracks.findIndex((track) => track.lang === language);
        window.choose = (height) => { player.nextLevel = player.levels.findIndex((level) => level.height === height); };
        window.chooseSound = (language) => { player.audioTrack = index(player.audioTracks, language); };
        window.chooseText = (language) => { player.subtitleTrack = index(player.subtitleTracks, language); };
        window.sound = () => player.audioTracks[player.audioTrack]?.lang;
    }""",
    "shaka": """async ({ source }) => {
        shaka.polyfill.installAll();
        const player = new shaka.Player();
        await player.attach(video);
        player.configure(window.settings ?? {});
        player.addEventListener("error", ({ detail }) => note("errors", `shaka ${detail.code}`));
        player.addEventListener("adaptation", ({ newTrack }) => note("renditions", newTrack.height));
        player.addEventListener("variantchanged", ({ newTrack }) => note("renditions", newTrack.height));
        try {
            await player.load(source, 0);
        } catch (error) {
            note("errors", `shaka ${error.code} ${error.data}`);
        }
        video.play();
        window.choose = (height) => {
            player.configure({ abr: { enabled: false } });
            const active = player.getVariantTracks().find((track) => track.active);
            const same = (track) => track.height === height && track.language === active.language;
            player.selectVariantTrack(player.getVariantTracks().find(same), true);
        };
        const find = (tracks, language) => tracks.find((track) => track.language === language);
        window.chooseSound = (language) => player.selectAudioTrack(find(player.getAudioTracks(), language));
        window.chooseText = (language) => player.selectTextTrack(find(player.getTextTracks(), language));
        window.sound = () => player.getAudioTracks().find((track) => track.active)?.language;
    }""",
    "dash.js": """({ dash }) => {
        const player = dashjs.MediaPlayer().create();
        player.updateSettings({ streaming: { utcSynchronization: { enabled: false }, text: { defaultEnabled: false } } });
        player.on(dashjs.MediaPlayer.events.ERROR, ({ error }) => note("errors", `dash.js ${error.code} ${error.message}`));
        player.on(dashjs.MediaPlayer.events.PLAYBACK_ENDED, () => { window.notes.ended = true; });
        player.on(dashjs.MediaPlayer.events.QUALITY_CHANGE_RENDERED, ({ mediaType, newRepresentation }) => {
            if (mediaType === "video") note("renditions", newRepresentation?.height);
        });
        player.updateSettings(window.dashSettings ?? {});
        player.initialize(video, dash, true, 0);
        window.choose = (height) => {
            player.updateSettings({ streaming: { abr: { autoSwitchBitrate: { video: false } } } });
            const wanted = player.getRepresentationsByType("video").find((one) => one.height === height);
            player.setRepresentationForTypeById("video", wanted.id, true);
        };
        const tracks = (kind) => player.getTracksFor(kind);
        window.chooseSound = (language) => player.setCurrentTrack(tracks("audio").find((track) => track.lang === language));
        window.chooseText = (language) => {
            player.enableText(true);
            player.setTextTrack(tracks("text").findIndex((track) => track.lang === language));
        };
        window.sound = () => player.getCurrentTrackFor("audio")?.lang;
    }""",
}
# For players that are to go on asking while they play, and not to have it all beforehand.
SHORT_BUFFERS = """
window.settings = { maxBufferLength: 3, maxMaxBufferLength: 3, streaming: { bufferingGoal: 3, rebufferingGoal: 1 } };
window.dashSettings = { streaming: { buffer: {
    bufferTimeDefault: 3, bufferTimeAtTopQuality: 3, bufferTimeAtTopQualityLongForm: 3,
} } };
"""
# Asks in the page itself, as the film's own page does: the cookies are the browser's, and no script can read them.
GRANT = """async ([video, session, carrier]) => {
    const ask = async (method, path, bearer, body) => {
        const headers = { Authorization: `Bearer ${bearer}` };
        const answer = await fetch(path, { method, headers, body });
        if (!answer.ok) throw new Error(await answer.text());
        return answer.status === 204 ? null : answer.json();
    };
    const playback = await ask("POST", `/v1/videos/${video}/playback`, session, JSON.stringify({ carrier }));
    const grant = `/v1/grants/${playback.grant.id}`;
    window.renew = () => ask("POST", `${grant}/renew`, playback.grant.token);
    window.leave = () => ask("DELETE", grant, playback.grant.token);
    return playback;
}"""
#: What plays, and what it is given.
PLAYERS = {"hls.js": "hls", "shaka-hls": "hls", "shaka-dash": "dash", "dash.js": "dash"}


@dataclass(eq=False)
class Playing:
    """A player in a page of its own."""

    name: str
    page: Page
    # All that it asked for, and the paths of that, and of what it did not get.
    addresses: list[str] = field(default_factory=list)
    requested: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    def grant(self, video: str, session: str, carrier: str = "cookie") -> dict:
        """A playback that the page asked for itself, with a session's token."""
        return self.page.evaluate(GRANT, [video, session, carrier])

    def status(self, path: str) -> int:
        """What the page is answered when it asks for that."""
        return self.page.evaluate("async (path) => (await fetch(path, { cache: 'no-store' })).status", path)

    def seen(self) -> dict:
        return {"name": self.name} | self.page.evaluate(
            "() => ({ ...window.notes, time: video.currentTime, length: video.duration, paused: video.paused, "
            "frames: video.getVideoPlaybackQuality().totalVideoFrames, height: video.videoHeight })"
        )

    def picture(self, name: str) -> None:
        OUTPUT.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=OUTPUT / f"player-{self.name}-{name}.png")


class Players:
    """Starts every player on a film, side by side."""

    def __init__(self, browser: Browser, origin: str):
        self.browser = browser
        self.origin = origin
        self.contexts: list = []

    def __call__(self, playback: dict, before: str = "") -> list[Playing]:
        """`before` is a script that each page runs before its player starts."""
        return [self.start(name, playback, before) for name in PLAYERS]

    def start(self, name: str, playback: dict, before: str) -> Playing:
        return self.play(self.open(name), playback, before)

    def open(self, name: str, beside: Playing | None = None) -> Playing:
        """An empty page of the film's own origin, in a browser session of its own or beside another page."""
        if beside:
            context = beside.page.context
        else:
            context = self.browser.new_context(base_url=self.origin, viewport={"width": 640, "height": 360})
            self.contexts.append(context)
        page = context.new_page()
        html = "<!doctype html><style>*{margin:0;width:100%}</style><video muted></video>"
        page.route("**/test-player", lambda route: route.fulfill(content_type="text/html", body=html))
        page.goto("/test-player")
        return Playing(name, page)

    def play(self, playing: Playing, playback: dict, before: str = "") -> Playing:
        name, page = playing.name, playing.page
        page.on("request", lambda request: playing.addresses.append(request.url))
        page.on("request", lambda request: playing.requested.append(urlsplit(request.url).path))
        page.on("response", lambda answer: answer.ok or playing.refused.append(urlsplit(answer.url).path))
        library = name.partition("-")[0]
        page.add_script_tag(content=NOTES + before)
        page.add_script_tag(path=SCRIPTS[library])
        page.evaluate(START[library], {**playback, "source": playback[PLAYERS[name]]})
        return playing

    def close(self) -> None:
        for context in self.contexts:
            context.close()


def shortened(seen: dict) -> dict:
    return {key: value[-5:] if isinstance(value, list) else value for key, value in seen.items()}


def look(playing: list[Playing]) -> dict[str, dict]:
    """What every player has noted, by its name; of several of a name, the later ones are numbered."""
    seen: dict[str, dict] = {}
    for player in playing:
        same = sum(name.partition(" ")[0] == player.name for name in seen)
        seen[f"{player.name} {same + 1}" if same else player.name] = player.seen()
    return seen


def until(playing: list[Playing], true, seconds: float, what: str) -> dict[str, dict]:
    """Waits until it is so of every player; none may complain meanwhile."""
    deadline = time.monotonic() + seconds
    while True:
        seen = look(playing)
        assert not any(each["errors"] for each in seen.values()), {name: each["errors"] for name, each in seen.items()}
        if all(true(each) for each in seen.values()):
            return seen
        assert time.monotonic() < deadline, f"{what}: {[shortened(each) for each in seen.values()]}"
        time.sleep(0.2)
