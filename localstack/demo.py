"""The main job before your eyes: a film goes in, a holder watches it, a non-holder does not.

    make demo [VIDEO=film.mp4] [CHECK=1]

Everything runs on this machine. The demo is a client like any other: it uses the public API through the edge, a wallet's
signature and the chain. The one exception is marked in its table: to show that an expired signature is refused without
waiting for one to expire, it signs a policy of the past with the stack's own key.

CHECK=1 ends after the table, with 0 only if every row is as it should be. Otherwise the demo stays until Ctrl-C, which
stops every process it started. What it made (film, token, accounts) is kept and used again by the next start.
"""

from __future__ import annotations

import argparse
import base64
import collections
import concurrent.futures
import contextlib
import hashlib
import json
import mimetypes
import os
import re
import shutil
import signal
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urljoin

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import httpx  # noqa: E402
from cryptography.hazmat.primitives import hashes, serialization  # noqa: E402
from cryptography.hazmat.primitives.asymmetric import ec  # noqa: E402

from stack import REPOSITORY, Stack, StackError  # noqa: E402
from tests.kit import media  # noqa: E402
from tests.kit.chain import Chain, RpcError, Token  # noqa: E402
from tests.kit.client import Client, Failed, Refused  # noqa: E402
from tests.kit.film import make_film  # noqa: E402
from tests.kit.solana import TOKEN, Mint, Pubkey, SolanaChain, SolanaWallet  # noqa: E402
from tests.kit.wallet import Wallet  # noqa: E402

TOKEN_ID = 1
# How long a sold token's stream is waited for: the chains are looked at every few seconds.
SALE_SECONDS = 60
PARALLEL = 8


# ---- What the reader sees


class Screen:
    """One line per step. On a terminal the line of a long step is drawn anew as it goes on."""

    def __init__(self):
        self.terminal = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
        self.began = time.monotonic()
        self.lock = threading.Lock()
        self.drawn = ""

    def paint(self, colour: str, text: str) -> str:
        codes = {"green": "32", "red": "31", "dim": "2", "bold": "1"}
        return f"\033[{codes[colour]}m{text}\033[0m" if self.terminal else text

    def line(self, text: str = "") -> None:
        with self.lock:
            self._clear()
            print(text, flush=True)

    def done(self, seconds: float, text: str) -> None:
        self.line(f"{self.paint('green', '✓')} {seconds:6.1f} s  {text}")

    def bar(self, text: str, part: float | None, note: str = "") -> None:
        """Draws a bar in the current line; without `part` only the words. Nothing of it remains."""
        if not self.terminal:
            return
        width = 28
        bar = "" if part is None else "█" * int(width * min(part, 1)) + "░" * (width - int(width * min(part, 1))) + "  "
        line = f"  {'':6}    {text}  {bar}{note}"[: shutil.get_terminal_size().columns - 1]
        with self.lock:
            self._clear()
            sys.stdout.write(line)
            sys.stdout.flush()
            self.drawn = line

    def _clear(self) -> None:
        if self.drawn:
            sys.stdout.write("\r" + " " * len(self.drawn) + "\r")
            self.drawn = ""

    @contextlib.contextmanager
    def step(self, text: str):
        """A step: the block may give it better words by setting `.text`."""
        step = Step(text)
        began = time.monotonic()
        self.bar(text, None, "…")
        yield step
        self.done(time.monotonic() - began, step.text)


@dataclass
class Step:
    text: str


def transcoded(video: dict) -> tuple[float, str]:
    """How far a film is: the part that is done, and in words."""
    done, total = video.get("tasks_done", 0), video.get("tasks_total", 0)
    if not total:
        return 0.0, "waiting for the plan"
    progress = video.get("progress", {})
    words = [f"{done} of {total} tasks"]
    words += [f"{track['name']} {track['done']:.0%}" for track in progress.get("tracks", [])]
    if progress.get("watchable_seconds"):
        words.append(f"{progress['watchable_seconds']:.0f} s can be watched")
    if "seconds_left" in progress:
        words.append(f"about {progress['seconds_left']} s left")
    return done / total, ", ".join(words)


def size_in_words(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e5 else f"{count / 1e3:.1f} kB"


# ---- The table


@dataclass
class Row:
    what: str
    request: str
    wanted: int
    seen: collections.Counter
    note: str = ""
    # What is wrong although the status is right.
    fault: str = ""

    @property
    def right(self) -> bool:
        return not self.fault and set(self.seen) == {self.wanted} and self.seen.total() > 0

    @property
    def statuses(self) -> str:
        return ", ".join(str(status) if count == 1 else f"{count} × {status}" for status, count in sorted(self.seen.items())) or "none"


class Table:
    def __init__(self):
        self.rows: list[Row] = []

    def add(self, what: str, request: str, wanted: int, seen, note: str = "", fault: str = "") -> None:
        """`seen` is a status that was received, or a Counter of them."""
        counted = seen if isinstance(seen, collections.Counter) else collections.Counter([seen])
        self.rows.append(Row(what, request, wanted, counted, note, fault))

    def show(self, screen: Screen) -> None:
        heads = ("", "what", "request", "should be", "received")
        cells = [("✓" if row.right else "✗", row.what, row.request, str(row.wanted), row.statuses) for row in self.rows]
        widths = [max(len(line[column]) for line in [heads, *cells]) for column in range(len(heads))]
        form = lambda line: "  ".join(text.ljust(width) for text, width in zip(line, widths))  # noqa: E731
        screen.line()
        screen.line(screen.paint("bold", form(heads).rstrip()))
        for row, line in zip(self.rows, cells):
            text = form(line)
            coloured = screen.paint("green" if row.right else "red", text[0]) + text[1:]
            notes = [part for part in (row.note, row.fault and f"WRONG: {row.fault}") if part]
            screen.line((coloured + ("  " + screen.paint("dim", "; ".join(notes)) if notes else "")).rstrip())
        wrong = [row for row in self.rows if not row.right]
        screen.line()
        if wrong:
            screen.line(screen.paint("red", f"✗ {len(wrong)} of {len(self.rows)} rows are not as they should be."))
        else:
            requests = sum(row.seen.total() for row in self.rows)
            screen.line(screen.paint("green", f"✓ All {len(self.rows)} rows are as they should be ({requests} answers received in this run)."))

    @property
    def right(self) -> bool:
        return bool(self.rows) and all(row.right for row in self.rows)


# ---- What is kept from one start to the next


class Memory:
    def __init__(self, path: Path):
        self.path = path
        try:
            self.known = json.loads(path.read_text())
        except (OSError, ValueError):
            self.known = {}

    def get(self, key: str):
        return self.known.get(key)

    def keep(self, **things) -> None:
        self.known |= things
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # Renamed into place: a start that is interrupted here leaves the old one.
        partial = self.path.with_suffix(".partial")
        partial.write_text(json.dumps(self.known, indent=1))
        partial.replace(self.path)


# ---- The demo


class Demo:
    def __init__(self, stack: Stack, screen: Screen, film: Path | None):
        self.stack, self.screen, self.film = stack, screen, film
        self.memory = Memory(stack.state / "demo.json")
        self.table = Table()
        # Plain requests, as a player or a stranger makes them. Never behind a proxy: this is all on one machine.
        limits = httpx.Limits(max_connections=PARALLEL)
        self.http = httpx.Client(timeout=35.0, trust_env=False, limits=limits)

    def run(self) -> None:
        self.start_stack()
        self.prepare_chain()
        self.sign_in()
        self.publish()
        self.look()

    # 1. The stack

    def start_stack(self) -> None:
        """The stack's own step lines become the demo's; while it builds, a bar follows cargo's log."""
        stack, screen = self.stack, self.screen
        finished = threading.Event()
        stage = {"name": "build"}
        following = {"build": "engine", "engine": "chain", "chain": "solana", "solana": "deploy", "deploy": "edge"}

        def say(line: str) -> None:
            match = re.fullmatch(r"(\w+)\s+(.*?)(?: \(([\d.]+) s\))?", line)
            if not match:
                return screen.line(line)
            name, what, seconds = match.groups()
            words = {"build": "functions and edge", "engine": "local AWS engine", "chain": "EVM chain (anvil)",
                     "solana": "Solana chain (litesvm)", "deploy": "template.yaml, by sam deploy", "edge": "local edge"}  # fmt: skip
            screen.done(float(seconds or 0), f"{words.get(name, name)}: {what}")
            stage["name"] = following.get(name, "")

        def watch() -> None:
            began = time.time()
            while not finished.wait(0.3):
                if stage["name"] == "build":
                    screen.bar("building", *build_progress(stack, began))
                elif stage["name"]:
                    screen.bar({"deploy": "deploying template.yaml"}.get(stage["name"], f"starting {stage['name']}"), None, "…")

        stack.say = say
        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            stack.up()
        finally:
            finished.set()
            watcher.join()

    # 2. The chain, the wallets and the film

    def prepare_chain(self) -> None:
        with self.screen.step("an ERC-721 on the chain") as step:
            self.chain = Chain(self.stack.chain_url)
            caip2 = self.chain.caip2()
            self.creator, self.holder, self.stranger = (
                Wallet.numbered(number, caip2, name) for number, name in enumerate(("creator", "holder", "stranger"))
            )
            known = self.memory.get("token")
            token = Token(self.chain, self.creator, known) if known else None
            if token and token.is_there():
                how = "is there from the last start"
            else:
                token, how = Token.deploy(self.chain, self.creator), "deployed"
                self.memory.keep(token=token.address)
            if token.owner_of(TOKEN_ID) != self.holder.address:
                # Sold or burnt since: the demo's holder gets it back by a new one.
                if token.owner_of(TOKEN_ID):
                    token.burn(TOKEN_ID)
                token.mint(self.holder.address, TOKEN_ID)
            holds, holds_not = token.balance(self.holder.address), token.balance(self.stranger.address)
            if not holds or holds_not:
                raise Failed(f"the holder must hold a token and the stranger none; they hold {holds} and {holds_not}")
            self.token = token
            step.text = f"ERC-721 {token.address} {how}; the holder holds token {TOKEN_ID}, the stranger none"
        with self.screen.step("an SPL token on Solana") as step:
            solana = SolanaChain(self.stack.solana_url)
            self.solana_holder = SolanaWallet.numbered(1, name="Solana holder")
            issuer = SolanaWallet.numbered(0, name="issuer")
            known = self.memory.get("mint")
            mint, how = Mint(solana, issuer, Pubkey.from_string(known), 0, TOKEN) if known else None, "is there from the last start"
            if not mint or not solana.account(mint.address):
                solana.airdrop(issuer.address)
                mint, how = Mint.create(solana, issuer), "made"
                self.memory.keep(mint=mint.address)
            if not mint.balance(self.solana_holder.address):
                mint.mint_to(self.solana_holder.address)
            step.text = f"SPL token {mint.address} {how}; {self.solana_holder.address} holds one"
        # Either of them opens the film.
        self.policy = {"version": 1, "rule": {"any": [token.condition(min=1), mint.condition()]}}

    def sign_in(self) -> None:
        with self.screen.step("signing in") as step:
            origin = self.stack.edge_origin
            wallets = (self.creator, self.holder, self.stranger, self.solana_holder)
            self.as_creator, self.as_holder, self.as_stranger, self.as_solana_holder = (
                Client(wallet, origin, check=False, renew=True).sign_in() for wallet in wallets
            )
            self.as_nobody = Client(None, origin, check=False)
            step.text = f"signed in: holder {self.holder.address}, stranger {self.stranger.address}, the Solana holder and the creator"

    def publish(self) -> None:
        film = self.film
        if film is None:
            film = self.stack.state / "demo" / "film.mp4"
            if not film.exists():
                with self.screen.step("making a film") as step:
                    make_film(film, seconds=30, size="1280x720")
                    step.text = f"a film made: 30 s of 1280x720 with a running time and sound, {size_in_words(film.stat().st_size)}"
        other = self.stack.state / "demo" / "other.mp4"
        if not other.exists():
            make_film(other, seconds=3, size="640x360", tone=500)
        self.video = self.published("video", film, title=film.stem if self.film else "StreamGate demo")
        self.other_video = self.published("other", other, title="Another film")
        for video in (self.video, self.other_video):
            # Also for a film of an earlier start: the policy is what the rest is about.
            if video.get("policy") != self.policy:
                with self.screen.step("setting the policy") as step:
                    self.as_creator.set_policy(video["id"], self.policy)
                    step.text = f"policy of “{video['title']}”: holders of the ERC-721 or of the SPL token"
        if self.video.get("policy") == self.policy and self.other_video.get("policy") == self.policy:
            self.screen.done(0.0, "policies are set from the last start")

    def published(self, key: str, film: Path, title: str) -> dict:
        """The film of an earlier start when it is still there and the same, else a new upload and its transcode."""
        with open(film, "rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
        known = self.memory.get(key) or {}
        if known.get("digest") == digest:
            try:
                video = self.as_creator.video(known["id"])
                if video["stage"] == "ready":
                    self.screen.done(0.0, f"“{title}” is there from the last start: {known['id']}")
                    return video
            except Refused as refused:
                if refused.status != 404:
                    raise
        size = film.stat().st_size
        with self.screen.step(f"uploading “{title}”") as step:
            kind = mimetypes.guess_type(film.name)[0] or "video/mp4"
            made = self.as_creator.create_video(title, size, kind)
            video_id = made["video"]["id"]
            parts = len(made["upload"]["parts"])
            self.as_creator.put_parts(
                film,
                made["upload"],
                lambda done, total: self.screen.bar(f"uploading “{title}”", done / total, f"{size_in_words(done)} of {size_in_words(total)}"),
            )
            self.as_creator.complete(video_id)
            step.text = f"“{title}” uploaded by S3 multipart: {size_in_words(size)} in {parts} part{'s' if parts > 1 else ''}"
        with self.screen.step(f"transcoding “{title}”") as step:
            video = self.as_creator.wait_for_stage(
                video_id,
                timeout=max(300.0, size / 5e4),
                progress=lambda seen: self.screen.bar(f"transcoding “{title}”", *transcoded(seen)),
            )
            length = video.get("duration_seconds", 0)
            step.text = f"“{title}” transcoded: {length:.1f} s of film in {video.get('tasks_total', 0)} tasks, {video_id}"
        self.memory.keep(**{key: {"id": video_id, "digest": digest}})
        return video

    # 4. What happens to whom

    def look(self) -> None:
        with self.screen.step("asking for everything") as step:
            # A long transcode outlasts a session.
            for client in (self.as_holder, self.as_stranger, self.as_solana_holder):
                client.sign_in()
            self.look_at_gate()
            self.look_at_media()
            self.look_at_a_sale()
            step.text = f"{sum(row.seen.total() for row in self.table.rows)} requests through the edge"

    def look_at_gate(self) -> None:
        add = self.table.add
        path = f"/v1/videos/{self.video['id']}/playback"
        request = "POST …/playback"
        page = self.http.get(f"{self.stack.edge_origin}/")
        add("the page", "GET /", 200, page.status_code, fault="" if "StreamGate" in page.text else "it is not our page")

        add("no session", request, 401, self.as_nobody.ask("POST", path).status_code)

        answer = self.as_stranger.ask("POST", path)
        conditions = [] if answer.is_success else answer.json().get("conditions", [])
        failing = [condition for condition in conditions if condition["outcome"] == "no"]
        words = [
            f"{condition['path']}: {condition['kind']} {condition['subject']} on {condition['chain']}: {condition['outcome']}, "
            f"holds {condition.get('value', '?')} at {place(condition)}"
            for condition in failing
        ]
        add("non-holder", request, 403, answer.status_code, "; ".join(words), "" if failing else "no failing condition is named")

        answer = self.as_solana_holder.ask("POST", path)
        add("Solana holder", request, 200, answer.status_code)

        # By query the addresses are all that a plain player needs; a browser's default is cookies.
        answer = self.as_holder.ask("POST", path, {"carrier": "query"})
        add("holder", request, 200, answer.status_code)
        if not answer.is_success:
            raise Refused(answer)
        self.playback = answer.json()
        same = all(self.playback[kind].startswith(f"{self.stack.edge_origin}/v1/") for kind in ("hls", "dash"))
        if not same:
            self.table.rows[-1].fault = "the playlists' addresses are not the edge's"
        answer = self.http.get(self.playback["hls"].partition("?")[0], params={"grant": "0" * 104})
        add("made-up grant", "GET …/master.m3u8", 403, answer.status_code)

    def look_at_media(self) -> None:
        add = self.table.add
        master = self.http.get(self.playback["hls"])
        tracks = media.master_playlist(master.text, self.playback["hls"]) if master.is_success else []
        names = ", ".join(track.name for track in tracks)
        add("HLS master playlist", "GET …/master.m3u8", 200, master.status_code, names, "" if tracks else "it names nothing")
        for track in tracks:
            answer = self.http.get(track.address)
            if answer.is_success:
                media.media_playlist(answer.text, track)
            note = f"{len(track.segments)} segments, {sum(track.durations):.1f} s"
            add(f"HLS playlist {track.name}", f"GET …/{track.name}.m3u8", 200, answer.status_code, note, "" if track.segments else "it names nothing")

        # Each address once: the tracks share no segment, but nothing here should depend on it.
        every = list(dict.fromkeys(address for track in tracks for address in track.addresses))
        for track in tracks:
            statuses, size, fault = self.fetch(track.addresses, track.init)
            add(f"HLS segments {track.name}", "GET /v/…", 200, statuses, f"init and {len(track.segments)} segments, {size_in_words(size)}", fault)
        refused = "the same segments, "
        add(refused + "no signature", "GET /v/…", 403, self.fetch([media.unsigned(address) for address in every])[0])
        add(refused + "tampered", "GET /v/…", 403, self.fetch([media.tampered(address) for address in every])[0], "one character of Signature changed")

        if every:
            expired, lasting, note = self.past_signature(every[0])
            control = media.signed_with(every[0], lasting)
            add("one segment, our own signature", "GET /v/…", 200, self.fetch([control])[0],
                "control: signed here like the next row's, but good for a minute")  # fmt: skip
            statuses, _, _ = self.fetch([media.signed_with(address, expired) for address in every])
            add(refused + "expired", "GET /v/…", 403, statuses, note)

        other = self.as_holder.playback(self.other_video["id"])
        foreign = self.first_track(other["hls"])
        signature = media.signature_of(foreign[0]) if foreign else {}
        add("another film's segments", "GET /v/…", 200, self.fetch(foreign)[0], "so its signature is a good one")
        statuses, _, _ = self.fetch([media.signed_with(address, signature) for address in every])
        add(refused + "that film's signature", "GET /v/…", 403, statuses)

        answer = self.http.get(self.playback["dash"])
        representations = media.manifest(answer.text, self.playback["dash"]) if answer.is_success else []
        add("DASH manifest", "GET …/manifest.mpd", 200, answer.status_code,
            ", ".join(track.name for track in representations), "" if representations else "it names nothing")  # fmt: skip
        for track in representations:
            statuses, size, fault = self.fetch(track.addresses, track.init)
            add(f"DASH segments {track.name}", "GET /v/…", 200, statuses, f"init and {len(track.segments)} segments, {size_in_words(size)}", fault)
        dash = {media.unsigned(address) for track in representations for address in track.addresses}
        if dash != {media.unsigned(address) for address in every}:
            self.table.rows[-1].fault = "DASH and HLS name different files"
        add("DASH segments, no signature", "GET /v/…", 403, self.fetch(sorted(dash))[0])
        self.look_at_images()

    def look_at_images(self) -> None:
        poster = self.http.get(self.playback.get("poster", ""), follow_redirects=True)
        self.table.add("poster", "GET …/poster.jpg", 200, poster.status_code, size_in_words(len(poster.content)), not_jpeg(poster))
        answer = self.http.get(self.playback["storyboard"])
        cues = re.findall(r"^(\S+)#xywh=", answer.text, re.MULTILINE)
        sheets = [self.http.get(urljoin(self.playback["storyboard"], sheet)) for sheet in dict.fromkeys(cues)]
        statuses = collections.Counter([answer.status_code, *(sheet.status_code for sheet in sheets)])
        note = f"{len(cues)} pictures on {len(sheets)} sheets, to find a place by"
        fault = "; ".join(filter(None, map(not_jpeg, sheets))) if sheets else "it names nothing"
        self.table.add("storyboard", "GET …/storyboard.vtt", 200, statuses, note, fault)

    def look_at_a_sale(self) -> None:
        """Sell the token, lose the picture. Cookies end by not being renewed, at most five minutes later."""
        add = self.table.add
        streams = {carrier: self.as_holder.playback(self.video["id"], carrier=carrier) for carrier in ("path", "query")}
        segments = {carrier: self.first_track(stream["hls"])[-1] for carrier, stream in streams.items()}
        for carrier, address in segments.items():
            add(f"a segment, by {carrier}", "GET /~…" if carrier == "path" else "GET /q/…", 200, self.fetch([address])[0])
        self.token.transfer(self.holder, self.stranger.address, TOKEN_ID)
        sold = time.monotonic()
        try:
            for carrier, address in segments.items():
                status = 200
                while status == 200 and time.monotonic() - sold < SALE_SECONDS:
                    time.sleep(0.2)
                    status = self.http.get(address).status_code
                note = f"{time.monotonic() - sold:.1f} s after the holder sold the token"
                add(f"the same segment, by {carrier}", "GET /~…" if carrier == "path" else "GET /q/…", 403, status, note)
        finally:
            self.token.transfer(self.stranger, self.holder.address, TOKEN_ID)

    def fetch(self, addresses: list[str], init: str | None = None) -> tuple[collections.Counter, int, str]:
        """Gets them all. Answers with the statuses, the bytes, and what is wrong with the content of the good ones."""
        faults: list[str] = []

        def one(address: str) -> tuple[int, int]:
            answer = self.http.get(address)
            if answer.is_success:
                # An MP4 box begins with its length and its name: a 200 with an error page in it is no segment.
                box = answer.content[4:8]
                if box not in ((b"ftyp",) if address == init else (b"ftyp", b"styp", b"moof", b"sidx", b"emsg", b"prft")):
                    faults.append(f"{address.partition('?')[0]} is not MP4")
            return answer.status_code, len(answer.content)

        with concurrent.futures.ThreadPoolExecutor(PARALLEL) as pool:
            answers = list(pool.map(one, addresses))
        return collections.Counter(status for status, _ in answers), sum(size for _, size in answers), "; ".join(faults[:2])

    def first_track(self, master: str) -> list[str]:
        """The segments of a film's first track."""
        answer = self.http.get(master).raise_for_status()
        track = media.master_playlist(answer.text, master)[0]
        return media.media_playlist(self.http.get(track.address).raise_for_status().text, track).addresses

    def past_signature(self, address: str) -> tuple[dict, dict, str]:
        """Two signatures for this film by the stack's own key: one that ended an hour ago, and one that holds."""
        secret = self.stack.client("secretsmanager").get_secret_value(SecretId=self.stack.resource("SigningSecret"))
        given = media.signature_of(address)
        # The key that made the given one; another may be on its way.
        (key,) = [key for key in json.loads(secret["SecretString"])["keys"] if key.get("name") == given["Key-Pair-Id"]]
        key = serialization.load_pem_private_key(key["private_key"].encode(), None)
        statement = json.loads(from_cloudfront_base64(given["Policy"]))["Statement"][0]

        def sign(until: int) -> dict:
            # Only the times differ from the policy that the playlist function made.
            own = {"Resource": statement["Resource"], "Condition": {"DateLessThan": {"AWS:EpochTime": until}}}
            policy = json.dumps({"Statement": [own]}, separators=(",", ":")).encode()
            signature = key.sign(policy, ec.ECDSA(hashes.SHA256()))
            return given | {"Policy": to_cloudfront_base64(policy), "Signature": to_cloudfront_base64(signature)}

        now = int(time.time())
        return sign(now - 3600), sign(now + 60), "signed by the demo with the stack's key from Secrets Manager, ended an hour ago"


def not_jpeg(answer: httpx.Response) -> str:
    return "" if answer.content.startswith(b"\xff\xd8\xff") else f"{answer.url.path} is no JPEG"


def place(condition: dict) -> str:
    """Where on its chain a condition was read."""
    return f"block {condition['block']['number']}" if "block" in condition else f"slot {condition.get('slot', '?')}"


def to_cloudfront_base64(data: bytes) -> str:
    return base64.b64encode(data).decode().translate(str.maketrans("+=/", "-_~"))


def from_cloudfront_base64(text: str) -> bytes:
    return base64.b64decode(text.translate(str.maketrans("-_~", "+=/")))


def build_progress(stack: Stack, since: float) -> tuple[float | None, str]:
    """How far the build is, by the names of crates in cargo's log. A guess: cargo says neither total nor weight."""
    for log in ("sam-build", "cargo"):
        path = stack.state / f"{log}.log"
        with contextlib.suppress(OSError):
            if path.stat().st_mtime < since - 1:
                continue
            if log == "sam-build":
                return 1.0, "packing the functions (sam build)"
            crates = re.findall(r"^\s*Compiling (\S+)", path.read_text(errors="replace"), re.MULTILINE)
            locked = (REPOSITORY / "Cargo.lock").read_text().count("[[package]]")
            # The lock also has crates of other systems: roughly one in eight.
            return min(len(crates) / (locked * 0.88), 0.99), f"{len(crates)} crates, {crates[-1] if crates else 'looking'}"
    return None, "looking for what changed"


def stop(stack: Stack, ours: list, screen: Screen) -> None:
    """Stops what this demo started, and nothing that was running before it."""
    stopped = [process.name for process in ours if process.stop()]
    if stopped:
        screen.line(f"stopped: {', '.join(stopped)}; what was made is kept for the next start")


def main() -> int:
    parser = argparse.ArgumentParser(description="StreamGate's demo on this machine")
    parser.add_argument("--video", default=os.environ.get("VIDEO") or None, help="a film of your own (default: one is made)")
    parser.add_argument("--check", action="store_true", default=os.environ.get("CHECK", "") not in ("", "0"),
                        help="end after the table; exit 0 only if every row is right")  # fmt: skip
    arguments = parser.parse_args()
    film = Path(arguments.video).expanduser().resolve() if arguments.video else None
    screen = Screen()
    if film and not film.is_file():
        screen.line(f"✗ there is no film at {film}")
        return 2

    # A polite kill ends as Ctrl-C does: everything is stopped.
    def interrupt(*_):
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    ours: list = []
    stack = None
    try:
        stack = Stack()
        # The edge before what it asks, and the engine last.
        ours = [process for process in (stack.edge, stack.solana, stack.chain, stack.mediaconvert, stack.engine) if not process.pid()]
        demo = Demo(stack, screen, film)
        demo.run()
        demo.table.show(screen)
        address = f"{stack.edge_origin}/?video={demo.video['id']}"
        if arguments.check:
            return 0 if demo.table.right else 1
        screen.line(f"\nready after {time.monotonic() - screen.began:.0f} s. Watch it in a browser with a wallet:\n")
        screen.line(f"    {screen.paint('bold', address)}\n")
        screen.line(f"The holder is anvil's well-known account 1, {demo.holder.address}; to be it, import its key into your")
        screen.line(f"wallet (worthless anywhere but here): 0x{demo.holder.key.key.hex().removeprefix('0x')}")
        screen.line("Ctrl-C stops everything.")
        # An engine of somebody else's is none of ours, and has no process here.
        running = [process for process in ours if process.pid()]
        while True:
            time.sleep(1)
            for process in running:
                if process.pid() is None:
                    screen.line(f"✗ the {process.name} has ended by itself; its log: {process.log}")
                    return 1
    except KeyboardInterrupt:
        screen.line()
        return 130 if arguments.check else 0
    except (StackError, Failed, Refused, RpcError, httpx.HTTPError) as problem:
        screen.line(f"{screen.paint('red', '✗')} {problem}")
        return 1
    finally:
        # A second Ctrl-C must not leave half of it running.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        if stack:
            stop(stack, ours, screen)


if __name__ == "__main__":
    sys.exit(main())
