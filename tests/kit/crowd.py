"""Many viewers at once, each with a wallet and a token, who fetch a segment again and again until they can't.

    with Crowd(stack, token, video, "path", size=100, keepers=10) as crowd:
        crowd.watch()                     every one polls from now on
        crowd.sell(buyer, seconds=10)     one after the other; keepers keep theirs
        crowd.wait(seconds=60)            until nobody who sold is served any more
        crowd.sellers[0].served_for       seconds from the transfer to the last answer with a segment

A poll is one byte of one segment, so that it is the stack that is looked at and not how much the machine can carry.
"""

from __future__ import annotations

import collections
import http.client
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from urllib.parse import urlsplit

from . import media, webhooks
from .chain import Token
from .client import Client
from .gate import eventually
from .player import Player
from .viewer import Viewer, cookies_of
from .wallet import Wallet

EVERY = 0.5
# How many ask the API at a time while the crowd gathers.
TOGETHER = 8
# A cookie is renewed so many seconds before the API says at the latest: a busy machine may be late.
EARLY = 2.0
SERVED = (200, 206)
# What was served no more for so long has stopped.
SETTLED = 4.0


class Stream:
    """One viewer of the crowd. Times are of `time.monotonic()`."""

    def __init__(self, wallet: Wallet, token_id: int, client: Client):
        self.wallet, self.token_id, self.client = wallet, token_id, client
        self.statuses: collections.Counter = collections.Counter()
        self.renewals: collections.Counter = collections.Counter()
        self.failure: BaseException | None = None
        self.sold_at: float | None = None
        self.served_at: float | None = None
        self.refused_at: float | None = None

    def watch(self, segment: str, delay: float, over: threading.Event) -> None:
        """Polls until it is over; a thread of its own."""
        parts = urlsplit(segment)
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=35)
        due = time.monotonic() + delay
        try:
            while not over.wait(max(0.0, due - time.monotonic())):
                due = max(due + EVERY, time.monotonic())
                self._renew()
                connection.request("GET", path, headers={"Range": "bytes=0-0"} | self.viewer.headers())
                answer = connection.getresponse()
                answer.read()
                self._note(answer.status)
        except BaseException as failure:  # noqa: BLE001 - a thread's own end is seen by nobody else
            self.failure = failure
        finally:
            connection.close()

    def _note(self, status: int) -> None:
        self.statuses[status] += 1
        if status in SERVED:
            self.served_at, self.refused_at = time.monotonic(), None
        elif self.refused_at is None:
            self.refused_at = time.monotonic()

    def _renew(self) -> None:
        """As a player does, for as long as it is renewed."""
        at = self.viewer.playback.get("renew_at")
        if not at or time.time() < datetime.fromisoformat(at).timestamp() - EARLY:
            return
        answer = self.viewer.renew()
        self.renewals[answer.status_code] += 1
        if answer.status_code == 200:
            self.viewer.playback = answer.json()
            self.viewer.cookies = cookies_of(answer)
        elif answer.status_code < 500:
            self.viewer.playback = self.viewer.playback | {"renew_at": None}

    @property
    def served_for(self) -> float:
        """Seconds from the transfer to the last answer with a segment; 0 if there was none after it."""
        return max(0.0, self.served_at - self.sold_at)

    @property
    def granted_for(self) -> float:
        """Seconds from the transfer to the grant's own end."""
        sold_at = time.time() - time.monotonic() + self.sold_at
        return datetime.fromisoformat(self.viewer.grant["expires_at"]).timestamp() - sold_at

    @property
    def has_stopped(self) -> bool:
        return self.refused_at is not None and time.monotonic() - self.served_at > SETTLED


class Crowd:
    """Viewers of one film, by one carrier. The film's policy must let in whoever holds one of the collection."""

    def __init__(self, stack, token: Token, video: str, carrier: str, size: int, keepers: int, patience: float = 30):
        self.stack, self.token, self.video, self.carrier, self.patience = stack, token, video, carrier, patience
        self.player = Player(parallel=size + keepers, check=False)
        self.over = threading.Event()
        self.threads: list[threading.Thread] = []
        first = int(time.time() * 1000)
        self.streams = [self._join(first + number) for number in range(size + keepers)]
        self.sellers, self.keepers = self.streams[:size], self.streams[size:]

    def _join(self, token_id: int) -> Stream:
        wallet = Wallet.fresh(self.token.owner.chain, f"viewer {token_id}")
        # For the sale's gas.
        self.token.chain.fund(wallet.address)
        self.token.mint(wallet.address, token_id)
        return Stream(wallet, token_id, Client(wallet, self.stack.edge_origin, check=False))

    def __enter__(self) -> Crowd:
        try:
            with ThreadPoolExecutor(TOGETHER) as pool:
                list(pool.map(lambda stream: stream.client.sign_in(), self.streams))
                list(pool.map(self._grant, self.streams))
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_) -> None:
        self.over.set()
        for thread in self.threads:
            thread.join(timeout=40)
        for stream in self.streams:
            stream.client.close()
        self.player.close()

    def _grant(self, stream: Stream) -> None:
        # The token was minted just now: functions have to see it first.
        stream.viewer = Viewer(self.player, stream.client, self.video, self.carrier, seconds=self.patience)

    def watch(self) -> None:
        """Each begins at a moment of its own, and is served when this returns."""
        for number, stream in enumerate(self.streams):
            # The addresses of one are not another's, except by cookie: then only the first asks for playlists.
            segment = self._segment(stream) if number == 0 or self.carrier != "cookie" else segment
            delay = EVERY * number / len(self.streams)
            thread = threading.Thread(target=stream.watch, args=(segment, delay, self.over), daemon=True)
            self.threads.append(thread)
            thread.start()
        eventually(lambda: self.unserved(), lambda left: not left, 20, "a segment for everybody")

    def _segment(self, stream: Stream) -> str:
        """A middle one of the first rendition."""
        viewer = stream.viewer
        hls = viewer.playback["hls"]
        track = media.master_playlist(viewer.get(hls).raise_for_status().text, hls)[0]
        media.media_playlist(viewer.get(track.address).raise_for_status().text, track)
        return track.segments[len(track.segments) // 2]

    def sell(self, buyer: str, seconds: float, tell: Callable[[bytes], None] | None = None) -> None:
        """Each token of a seller, spread over so many seconds; `tell` gets what a webhook delivers of each."""
        began = time.monotonic()
        for number, stream in enumerate(self.sellers):
            time.sleep(max(0.0, began + seconds * number / len(self.sellers) - time.monotonic()))
            assert stream.refused_at is None, f"{stream.wallet} was stopped before it sold anything"
            receipt = self.token.transfer(stream.wallet, buyer, stream.token_id)
            stream.sold_at = time.monotonic()
            if tell:
                block = int(receipt["blockNumber"], 16)
                tell(webhooks.transfer(self.token.address, stream.token_id, stream.wallet.address, buyer, block))

    def unserved(self) -> list[Stream]:
        """Those who have had no segment yet, or not the last time."""
        return [stream for stream in self.streams if stream.served_at is None or stream.refused_at is not None]

    def wait(self, seconds: float) -> list[Stream]:
        """Until no seller has been served for a while; answers with those who still are."""
        until = time.monotonic() + seconds
        while left := [stream for stream in self.sellers if not stream.has_stopped]:
            if time.monotonic() > until:
                break
            time.sleep(0.2)
        return left

    def statuses(self) -> collections.Counter:
        """Of all polls and renewals."""
        return sum((stream.statuses + stream.renewals for stream in self.streams), collections.Counter())

    def failures(self) -> list[BaseException]:
        return [stream.failure for stream in self.streams if stream.failure]
