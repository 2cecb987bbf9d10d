"""A JSON-RPC proxy in front of a chain that can be told to misbehave as providers do.

It passes everything on, whatever the path, until `fault` says otherwise. Functions keep their connections and their
settings, so a fault is switched here rather than by another deploy.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx

# Longer than a provider's time for one decision (adapters/evm), much shorter than a function's.
SLOW = 6.0
# The path of an RPC address is where providers put their keys.
RPC_PATH = "/v2/rpc-key-that-no-log-may-hold"
# A chain that the tests' stack is configured for, and whose provider serves another one.
MISLED_CHAIN = "eip155:424242"


class FaultProxy:
    """`with proxy.fault("slow"): ...`"""

    #: What a provider can do wrong, for tests that want to try all of it.
    FAULTS = ("down", "slow", "hang_up", "http_500", "empty", "garbage", "null", "nonsense", "rpc_error", "old_head")

    def __init__(self, port: int, upstream: str):
        self.port = port
        self.upstream = upstream
        self.mode: str | None = None
        self.held: Held | None = None
        self.seconds = 0.0
        self.http = httpx.Client(trust_env=False, timeout=10)
        self.server: ThreadingHTTPServer | None = None
        self._listen()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    @contextlib.contextmanager
    def fault(self, mode: str):
        """Every request is answered wrongly, as `mode` says, until the block ends."""
        assert mode in self.FAULTS, mode
        self.mode = mode
        if mode == "down":
            self._close()
        try:
            yield self
        finally:
            self.mode = None
            if mode == "down":
                self._listen()

    @contextlib.contextmanager
    def hold(self, method: str = "eth_call"):
        """Holds back the answers to `method` until they are released, or the block ends."""
        held = self.held = Held(method)
        try:
            yield held
        finally:
            self.held = None
            held.release()

    @contextlib.contextmanager
    def delay(self, seconds: float):
        """Right answers, each that much later: what races with a decision has more room."""
        self.seconds = seconds
        try:
            yield self
        finally:
            self.seconds = 0.0

    def stop(self) -> None:
        self._close()
        self.http.close()

    def _listen(self) -> None:
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # A head and a body in two packets would wait for each other (Nagle).
            wbufsize = -1

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                proxy._answer(self, body)

            def log_message(self, *_):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            allow_reuse_address = True

            def handle_error(self, *_):
                pass  # A client that hung up is no news.

        self.server = Server(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def _close(self) -> None:
        if self.server:
            self.server.shutdown()
            self.server.server_close()
            self.server = None

    def _answer(self, handler: BaseHTTPRequestHandler, body: bytes) -> None:
        mode, held = self.mode, self.held
        if mode in ("down", "hang_up"):
            # Also for connections that were open before.
            handler.close_connection = True
            with contextlib.suppress(OSError):
                handler.connection.shutdown(socket.SHUT_RDWR)
            return
        time.sleep(SLOW if mode == "slow" else self.seconds)
        asked = json.loads(body)
        if held and asked.get("method") == held.method:
            held.arrive()
        status, content = self._content(mode, asked, body)
        with contextlib.suppress(OSError):
            handler.send_response(status)
            handler.send_header("Content-Type", "application/json")
            handler.send_header("Content-Length", str(len(content)))
            handler.end_headers()
            handler.wfile.write(content)
            handler.wfile.flush()

    def _content(self, mode: str | None, asked: dict, body: bytes) -> tuple[int, bytes]:
        def answer(**parts) -> bytes:
            return json.dumps({"jsonrpc": "2.0", "id": asked.get("id")} | parts).encode()

        if mode == "http_500":
            return 500, b"upstream connect error"
        if mode == "empty":
            return 200, b""
        if mode == "garbage":
            return 200, b"<html>Please complete the captcha</html>"
        if mode == "null":
            return 200, answer(result=None)
        if mode == "nonsense":
            # The right form for no question at all.
            return 200, answer(result="0x01")
        if mode == "rpc_error":
            return 200, answer(error={"code": -32005, "message": "daily request count exceeded"})
        content = self.http.post(self.upstream, content=body, headers={"Content-Type": "application/json"}).content
        if mode == "old_head" and asked.get("method") == "eth_getBlockByNumber":
            block = json.loads(content)["result"]
            return 200, answer(result=block | {"timestamp": hex(int(block["timestamp"], 16) - 7200)})
        return 200, content


class Held:
    """Requests that wait in the proxy."""

    def __init__(self, method: str):
        self.method = method
        self._arrived = threading.Event()
        self._released = threading.Event()

    def arrive(self) -> None:
        self._arrived.set()
        self._released.wait(30)

    def wait_for_one(self, seconds: float = 20) -> None:
        assert self._arrived.wait(seconds), f"no {self.method} came"

    def release(self) -> None:
        self._released.set()
