"""A grant by one of its carriers, and a plain player that sends what the carrier wants."""

from __future__ import annotations

from http.cookies import Morsel, SimpleCookie

import httpx

from . import media
from .client import Client
from .gate import eventually
from .player import Player, addresses

CARRIERS = ("cookie", "path", "query")


class Viewer:
    """Asks for a grant, and plays by it. `seconds` is how long an answer from before the chain moved may be given."""

    def __init__(self, player: Player, client: Client, video: str, carrier: str, seconds: float = 0, **more):
        self.player, self.client, self.carrier, self.video = player, client, carrier, video
        granted = lambda answer: answer.status_code == 200  # noqa: E731
        answer = eventually(lambda: ask(client, video, carrier, **more), granted, seconds, f"a grant by {carrier}")
        self.playback = answer.json()
        self.grant = self.playback["grant"]
        self.cookies = cookies_of(answer)

    def headers(self) -> dict[str, str]:
        return cookie_header({name: cookie.value for name, cookie in self.cookies.items()}) if self.cookies else {}

    def get(self, address: str, **headers: str) -> httpx.Response:
        return self.player.get(address, headers=self.headers() | headers)

    def tracks(self) -> list[media.Track]:
        """Every rendition of the film, with its media addresses."""
        tracks = media.master_playlist(self.get(self.playback["hls"]).raise_for_status().text, self.playback["hls"])
        for track in tracks:
            media.media_playlist(self.get(track.address).raise_for_status().text, track)
        return tracks

    def segments(self) -> list[str]:
        """Every media address of the film."""
        return addresses(self.tracks())

    def renew(self) -> httpx.Response:
        return self.player.http.post(f"{self._grant()}/renew", headers=self._bearer())

    def end(self) -> httpx.Response:
        return self.player.http.delete(self._grant(), headers=self._bearer())

    def stops(self, address: str, seconds: float = 20) -> None:
        """Waits until the edge refuses what it served."""
        eventually(lambda: self.get(address), lambda answer: answer.status_code == 403, seconds, "the end at the edge")

    def _grant(self) -> str:
        return f"{self.client.origin}/v1/grants/{self.grant['id']}"

    def _bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.grant['token']}"}


def ask(client: Client, video: str, carrier: str, **more) -> httpx.Response:
    """A grant, or why there is none. `more` is the rest of the body."""
    return client.ask("POST", f"/v1/videos/{video}/playback", {"carrier": carrier} | more)


def slug(answer: httpx.Response) -> str:
    """The last part of a problem's type; nothing for what is none."""
    if answer.headers.get("Content-Type") != "application/problem+json":
        return ""
    return answer.json()["type"].rpartition("/")[2]


def cookies_of(answer: httpx.Response) -> dict[str, Morsel]:
    found = {}
    for line in answer.headers.get_list("set-cookie"):
        for name, cookie in SimpleCookie(line).items():
            found[name] = cookie
    return found


def cookie_header(cookies: dict[str, str]) -> dict[str, str]:
    return {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}
