"""Collects every secret that goes over the wire in a test session, so that the logs can be searched for them."""

from __future__ import annotations

import re
import threading
from urllib.parse import parse_qs, urlsplit

import httpx

FIELDS = ("token", "nonce", "signature", "message")
IN_TEXT = re.compile(r"[?&;](grant|Signature|Policy|X-Amz-Signature|X-Amz-Credential|X-Amz-Security-Token)=([^&\"\s<]+)")


class Secrets:
    """`secret -> what it is`."""

    def __init__(self):
        self.found: dict[str, str] = {}
        self.lock = threading.Lock()

    def add(self, what: str, value: str) -> None:
        # Short values would be found by chance, and a grant's id, which its token begins with, is no secret.
        if isinstance(value, str) and len(value) >= (41 if what == "grant" else 16):
            with self.lock:
                self.found.setdefault(value, what)

    def watch(self, request: httpx.Request, response: httpx.Response) -> None:
        """Takes the secrets out of one exchange."""
        header = request.headers.get("Authorization", "")
        if header.startswith("Bearer "):
            self.add("session token", header.removeprefix("Bearer "))
        for name, values in parse_qs(urlsplit(str(request.url)).query).items():
            if name in ("grant", "Signature", "Policy"):
                self.add(name, values[0])
        for content in (request.content, response.content):
            # No film has a secret in it.
            if not response.headers.get("Content-Type", "").startswith("video/"):
                self._text(content)
                self._json(content)

    def _text(self, content: bytes) -> None:
        for name, value in IN_TEXT.findall(content.decode(errors="replace").replace("&amp;", "&")):
            if name != "X-Amz-Credential":
                self.add(name, value)

    def _json(self, content: bytes) -> None:
        try:
            body = httpx.Response(200, content=content).json()
        except ValueError:
            return
        if isinstance(body, dict):
            for field in FIELDS:
                if isinstance(body.get(field), str):
                    # A log would break a message's lines; its nonce is searched for on its own.
                    if field != "message":
                        self.add(field, body[field])
