"""A grant, and a plain player that sends what its carrier wants."""

from __future__ import annotations

import time
from http.cookies import SimpleCookie

import httpx

from . import media
from .client import Client
from .player import Player, addresses

CARRIERS = ("cookie", "path", "query")


class Viewer:
    """Asks for a grant when it is made, and must be given one within `patience` seconds."""

    def __init__(self, player: Player, client: Client, video: str, carrier: str, patience: float = 0.0):
        self.player, self.carrier, self.video = player, carrier, video
        until = time.monotonic() + patience
        while True:
            answer = client.ask("POST", f"/v1/videos/{video}/playback", {"carrier": carrier})
            if answer.status_code == 200:
                break
            assert time.monotonic() < until, answer.text
            time.sleep(0.25)
        self.playback = answer.json()
        self.grant = self.playback["grant"]
        self.cookies = cookies_of(answer)

    @property
    def origin(self) -> str:
        return "/".join(self.playback["hls"].split("/")[:3])

    def headers(self) -> dict[str, str]:
        text = "; ".join(f"{name}={cookie.value}" for name, cookie in self.cookies.items())
        return {"Cookie": text} if text else {}

    def get(self, address: str) -> httpx.Response:
        return self.player.get(address, headers=self.headers())

    def tracks(self) -> list[media.Track]:
        """Every rendition of the film, with its media addresses."""
        tracks = media.master_playlist(self.get(self.playback["hls"]).raise_for_status().text, self.playback["hls"])
        for track in tracks:
            media.media_playlist(self.get(track.address).raise_for_status().text, track)
        return tracks

    def segments(self) -> list[str]:
        """Every media address of the film, through its playlists."""
        return addresses(self.tracks())

    def renew(self) -> httpx.Response:
        """What comes back; cookies that come with it are not taken over."""
        return self.player.http.post(f"{self.origin}/v1/grants/{self.grant['id']}/renew", headers=self._bearer())

    def end(self) -> httpx.Response:
        return self.player.http.delete(f"{self.origin}/v1/grants/{self.grant['id']}", headers=self._bearer())

    def _bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.grant['token']}"}


def cookies_of(answer: httpx.Response) -> dict:
    found = {}
    for line in answer.headers.get_list("set-cookie"):
        for name, cookie in SimpleCookie(line).items():
            found[name] = cookie
    return found
