"""A JSON-RPC proxy in front of the chains that can be told to misbehave as providers do.

It stands for several providers of each chain: the last two parts of a request's path name the chain and the provider
(`…/eip155:1/a`). It passes everything on until `fault` says otherwise. Functions keep their connections and their
settings, so a fault is switched here rather than by another deploy.
"""

from __future__ import annotations

import collections
import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from . import lies, solana_lies

# Longer than a provider's time for one decision (adapters/evm), much shorter than a function's.
SLOW = 6.0
# The path of an RPC address is where providers put their keys.
RPC_PATH = "/v2/rpc-key-that-no-log-may-hold"
# A chain that the tests' stack is configured for, and whose provider serves another one.
MISLED_CHAIN = "eip155:424242"
PROVIDERS = ("a", "b", "c")
HUGE = 50_000_000


class FaultProxy:
    """`with proxy.fault("slow"): ...` for all providers, `with proxy.fault("slow", provider="a"): ...` for one.

    `upstreams` says where each chain really is, by the name that it has in paths; `name/provider` gives one provider
    another place than the others.
    """

    #: What a provider can do wrong, for tests that want to try all of it. None of these can be taken for an answer.
    FAULTS = (
        "down", "slow", "hang_up", "http_500", "empty", "garbage", "huge", "null", "nonsense", "rpc_error",
        "stale_head", "wrong_chain",
    )  # fmt: skip
    #: Answers in perfect form that aren't true: believed, if enough providers tell the same.
    LIES = ("lie", "lie_head")

    def __init__(self, port: int, upstreams: dict[str, str]):
        self.port = port
        self.upstreams = dict(upstreams)
        self.faults: list[Fault] = []
        self.held: list[Held] = []
        self.seconds = 0.0
        self.lock = threading.Lock()
        self.listener: socket.socket | None = None
        self._calls: collections.Counter = collections.Counter()
        self._requests: collections.Counter = collections.Counter()
        self._own = threading.local()
        self._listen()

    def url(self, chain: str, provider: str = "a") -> str:
        """A provider's address, with a key in it as most have."""
        return provider_url(self.port, chain, provider)

    @contextlib.contextmanager
    def fault(
        self,
        mode: str,
        provider: str | Iterable[str] | None = None,
        chain: str | None = None,
        account: str | None = None,
    ):
        """Until the block ends, those providers answer wrongly, as `mode` says.

        Several may be in force at once. "down" closes the port when it is for everybody, as a provider's would be; for
        one provider it hangs up. `account` is who a "lie" is in favour of: it owns every token that is asked about.
        """
        assert mode in self.FAULTS + self.LIES, mode
        names = {provider} if isinstance(provider, str) else set(provider) if provider else None
        fault = Fault(mode, names, chain, account)
        everywhere = mode == "down" and names is None and chain is None
        with self.lock:
            self.faults = [*self.faults, fault]
        if everywhere:
            self._close()
        try:
            yield self
        finally:
            with self.lock:
                self.faults = [other for other in self.faults if other is not fault]
            if everywhere:
                self._listen()

    @contextlib.contextmanager
    def hold(self, method: str = "eth_call", provider: str | None = None, chain: str | None = None):
        """Holds back the answers to `method` until they are released, or the block ends."""
        held = Held(method, provider, chain)
        with self.lock:
            self.held = [*self.held, held]
        try:
            yield held
        finally:
            with self.lock:
                self.held = [other for other in self.held if other is not held]
            held.release()

    @contextlib.contextmanager
    def delay(self, seconds: float):
        """Right answers, each that much later: what races with a decision has more room."""
        self.seconds = seconds
        try:
            yield self
        finally:
            self.seconds = 0.0

    # ---- What was asked

    def counts(self) -> dict[tuple[str, str, str], int]:
        """Calls by (chain, provider, method); each call of a batch counts."""
        with self.lock:
            return dict(self._calls)

    def requests(self) -> dict[tuple[str, str], int]:
        """HTTP requests by (chain, provider); a batch is one."""
        with self.lock:
            return dict(self._requests)

    def reset_counts(self) -> None:
        with self.lock:
            self._calls.clear()
            self._requests.clear()

    def _count(self, chain: str, provider: str, calls: list[dict]) -> None:
        with self.lock:
            self._requests[chain, provider] += 1
            for call in calls:
                self._calls[chain, provider, str(call.get("method"))] += 1

    # ---- Connections. By hand, because http.server and an HTTP client cost more than all else on a request's way.

    def stop(self) -> None:
        self._close()

    def _listen(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", self.port), backlog=256)
        threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()

    def _close(self) -> None:
        if self.listener:
            # close() alone would leave the accepting thread in its call, and the port with it.
            with contextlib.suppress(OSError):
                self.listener.shutdown(socket.SHUT_RDWR)
            self.listener.close()
            self.listener = None

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        # A client that hung up is no news.
        with connection, contextlib.suppress(OSError, EndOfStream):
            stream = connection.makefile("rb")
            while True:
                start, headers, body = read_message(stream)
                if not self._answer(connection, start, body) or headers.get("connection", "").lower() == "close":
                    return

    def _answer(self, connection: socket.socket, start: str, body: bytes) -> bool:
        """Answers one request. False if the connection is to be closed."""
        verb, path = start.split(" ")[:2]
        chain, provider = ["", "", *unquote(path.partition("?")[0]).strip("/").split("/")][-2:]
        upstream = self.upstreams.get(f"{chain}/{provider}") or self.upstreams.get(chain)
        if verb != "POST" or upstream is None:
            return send(connection, 404 if upstream is None else 405, b"")
        try:
            asked = json.loads(body)
        except ValueError:
            return send(connection, 400, b"")
        calls = asked if isinstance(asked, list) else [asked]
        self._count(chain, provider, calls)
        faults = [fault for fault in self.faults if fault.meets(chain, provider)]
        modes = {fault.mode for fault in faults}
        if modes & {"down", "hang_up"} or self.listener is None:
            # Also for connections that were open before.
            return False
        time.sleep(SLOW if "slow" in modes else self.seconds)
        for held in self.held:
            if held.meets(chain, provider, calls):
                held.arrive()
        for mode in modes:
            if mode in PLAIN:
                return send(connection, *PLAIN[mode])
        if "huge" in modes:
            return send_huge(connection, calls[0])
        parts = next((parts for mode, parts in IN_FORM.items() if mode in modes), None)
        if parts:
            return send(connection, 200, as_asked(asked, [envelope(call) | parts for call in calls]))
        if not faults:
            return send(connection, *self._forward(upstream, body))
        liar = solana_lies if chain.startswith("solana:") else lies
        status, content = self._forward(upstream, as_asked(asked, [liar.redirected(call) for call in calls]))
        if status != 200:
            return send(connection, status, content)
        given = json.loads(content)
        answers = {answer.get("id"): answer for answer in (given if isinstance(given, list) else [given])}
        told = [self._told(liar, faults, call, answers.get(call.get("id"), envelope(call))) for call in calls]
        return send(connection, 200, as_asked(asked, told))

    @staticmethod
    def _told(liar, faults: list[Fault], call: dict, answer: dict) -> dict:
        """One call's true answer, as these faults make it."""
        for fault in faults:
            if fault.mode in liar.TOLD:
                answer = liar.TOLD[fault.mode](call, answer, fault.account)
        return answer

    def _forward(self, upstream: str, body: bytes) -> tuple[int, bytes]:
        """Asks the real chain, on a connection that this thread keeps."""
        place = urlsplit(upstream)
        address = (place.hostname, place.port or 80)
        head = (
            f"POST {place.path or '/'} HTTP/1.1\r\nHost: {place.netloc}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        ).encode()
        kept = self._own.__dict__.setdefault("upstreams", {})
        for fresh in (False, True):
            # A kept connection may have been closed meanwhile, so it is tried once more on a new one.
            if fresh or address not in kept:
                try:
                    connection = socket.create_connection(address, timeout=30)
                except OSError:
                    return 502, b""
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                kept[address] = (connection, connection.makefile("rb"))
            connection, stream = kept[address]
            try:
                connection.sendall(head + body)
                start, headers, content = read_message(stream)
            except (OSError, EndOfStream):
                kept.pop(address)[0].close()
                continue
            if headers.get("connection", "").lower() == "close":
                kept.pop(address)[0].close()
            return int(start.split(" ")[1]), content
        return 502, b""


def provider_url(port: int, chain: str, provider: str) -> str:
    return f"http://127.0.0.1:{port}{RPC_PATH}/{chain}/{provider}"


# Answers that have nothing of JSON-RPC.
PLAIN = {
    "http_500": (500, b"upstream connect error"),
    "empty": (200, b""),
    "garbage": (200, b"<html>Please complete the captcha</html>"),
}
# Answers in form, the same to every call.
IN_FORM = {
    "null": {"result": None},
    # The right form for no question at all.
    "nonsense": {"result": "0x01"},
    "rpc_error": {"error": {"code": -32005, "message": "daily request count exceeded"}},
}


@dataclass(frozen=True, eq=False)
class Fault:
    """What some providers do wrong now."""

    mode: str
    providers: set[str] | None
    chain: str | None
    account: str | None

    def meets(self, chain: str, provider: str) -> bool:
        return (self.chain is None or self.chain == chain) and (self.providers is None or provider in self.providers)


class Held:
    """Requests that wait in the proxy."""

    def __init__(self, method: str, provider: str | None = None, chain: str | None = None):
        self.method, self.provider, self.chain = method, provider, chain
        self._arrived = threading.Event()
        self._released = threading.Event()

    def meets(self, chain: str, provider: str, calls: list[dict]) -> bool:
        return (
            self.chain in (None, chain)
            and self.provider in (None, provider)
            and any(call.get("method") == self.method for call in calls)
        )

    def arrive(self) -> None:
        self._arrived.set()
        self._released.wait(30)

    def wait_for_one(self, seconds: float = 20) -> None:
        assert self._arrived.wait(seconds), f"no {self.method} came"

    def release(self) -> None:
        self._released.set()


class EndOfStream(Exception):
    """The other side closed the connection."""


def read_message(stream) -> tuple[str, dict[str, str], bytes]:
    """One HTTP/1.1 request or answer: its first line, its headers in lower case, its body."""
    start = stream.readline()
    if not start:
        raise EndOfStream
    headers = {}
    while (line := stream.readline().strip()) != b"":
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.strip().lower()] = value.strip()
    if headers.get("transfer-encoding", "").lower() == "chunked":
        body = b""
        while size := int(stream.readline().split(b";")[0] or b"0", 16):
            body += stream.read(size)
            stream.readline()
        stream.readline()
        return start.decode("latin-1"), headers, body
    length = int(headers.get("content-length", "0"))
    body = stream.read(length)
    if len(body) < length:
        raise EndOfStream
    return start.decode("latin-1"), headers, body


def send(connection: socket.socket, status: int, content: bytes) -> bool:
    """In one packet: a head and a body apart would wait for each other (Nagle)."""
    head = f"HTTP/1.1 {status} Said\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    connection.sendall(head.encode() + content)
    return True


def send_huge(connection: socket.socket, call: dict) -> bool:
    """A well-formed answer without end, almost; it doesn't say how long it will be."""
    connection.sendall(b"HTTP/1.1 200 Said\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")

    def chunk(data: bytes) -> None:
        connection.sendall(b"%x\r\n%s\r\n" % (len(data), data))

    before, after = json.dumps(envelope(call) | {"result": "0x|"}).encode().split(b"|")
    chunk(before)
    zeros = b"0" * 1_000_000
    for _ in range(HUGE // len(zeros)):
        chunk(zeros)
    chunk(after)
    chunk(b"")
    return True


def envelope(call: dict) -> dict:
    return {"jsonrpc": "2.0", "id": call.get("id")}


def as_asked(asked: dict | list, parts: list[dict]) -> bytes:
    """A batch is answered by a batch."""
    return json.dumps(parts if isinstance(asked, list) else parts[0]).encode()
