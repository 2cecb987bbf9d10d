"""A client of StreamGate's public API, written as a stranger would write one from infra/openapi.yaml."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import httpx

Progress = Callable[[int, int], None]


class Signer(Protocol):
    """What signs in: any wallet of the kit, whatever its chain."""

    @property
    def account(self) -> str:
        """The CAIP-10 account."""

    def sign(self, message: str) -> str: ...


def edge_origin() -> str:
    """The one public origin: page, API and media."""
    port = os.environ.get("STREAMGATE_EDGE_PORT", "8088")
    return os.environ.get("STREAMGATE_EDGE", f"http://127.0.0.1:{port}").rstrip("/")


class Refused(Exception):
    """The API answered with a problem document."""

    def __init__(self, response: httpx.Response):
        self.response = response
        self.status = response.status_code
        try:
            self.body = response.json()
        except ValueError:
            self.body = {}
        # The last part of the problem's type, which is what a caller decides by.
        self.slug = str(self.body.get("type", "")).rpartition("/")[2]
        detail = self.body.get("detail") or response.text[:300]
        request = f"{response.request.method} {response.request.url.path}"
        super().__init__(f"{request} -> {self.status} {self.slug or '(no problem document)'}: {detail}")


class Failed(Exception):
    """A film did not get where it should."""


class Client:
    """One caller. With `wallet` it can sign in; without a session it asks as the public does.

    `check` holds every answer to infra/openapi.yaml; a load test may want it off. `renew` signs in again by itself when
    the session has run out, for work that takes longer than a session.
    """

    def __init__(
        self,
        wallet: Signer | None = None,
        origin: str | None = None,
        check: bool = True,
        renew: bool = False,
        timeout: float = 35.0,
    ):
        self.wallet = wallet
        self.linked: list[Signer] = []
        self.renew = renew
        self.origin = (origin or edge_origin()).rstrip("/")
        self.token: str | None = None
        transport: httpx.BaseTransport = httpx.HTTPTransport()
        if check:
            # Here, because the demo runs without the contract's tools.
            from .contract import ContractTransport

            transport = ContractTransport(transport)
        self.http = httpx.Client(base_url=self.origin, transport=transport, timeout=timeout)
        # S3 is another service: its answers are not part of our contract, and it must never see our session.
        self.storage = httpx.Client(timeout=120.0, trust_env=False)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def close(self) -> None:
        self.http.close()
        self.storage.close()

    def ask(self, method: str, path: str, body=None, *, session: bool = True, **more) -> httpx.Response:
        """Any request, and whatever comes back. `more` goes to httpx (headers, content, params)."""
        headers = dict(more.pop("headers", {}) or {})
        if session and self.token and "Authorization" not in headers:
            headers["Authorization"] = f"Bearer {self.token}"
        if body is not None:
            more["json"] = body
        return self.http.request(method, path, headers=headers, **more)

    def get(self, method: str, path: str, body=None, *, patience: float = 0.0, **more):
        """The answer's JSON; raises Refused for anything but success. Waits up to `patience` s while it is 503."""
        until = time.monotonic() + patience
        while True:
            response = self.ask(method, path, body, **more)
            if response.is_success:
                return response.json() if response.content else None
            refused = Refused(response)
            if self.renew and refused.slug == "session-invalid" and self.token:
                self.token = None
                self.sign_in()
                continue
            if refused.status != 503 or time.monotonic() > until:
                raise refused
            time.sleep(min(float(response.headers.get("Retry-After", "1")), 2.0))

    # Sign-in

    def nonce(self, account: str | None = None) -> dict:
        return self.get("POST", "/v1/auth/nonce", {"account": account or self._wallet().account}, session=False)

    def session(self, message: str, signature: str, link: bool = False) -> dict:
        """With `link` the wallet joins the session that this client has."""
        body = {"message": message, "signature": signature} | ({"link": True} if link else {})
        return self.get("POST", "/v1/auth/session", body, session=link)

    def sign_in(self) -> Client:
        """Nonce, signature, session, of linked wallets too. Returns itself, for `Client(wallet).sign_in()`."""
        message = self.nonce()["message"]
        self.token = self.session(message, self._wallet().sign(message))["token"]
        wallets, self.linked = self.linked, []
        for wallet in wallets:
            self.link(wallet)
        return self

    def sign_out(self) -> None:
        """The token stays with this client, for who wants to see that it is worth nothing."""
        self.get("DELETE", "/v1/auth/session")

    def link(self, wallet: Signer) -> dict:
        """Makes it one more wallet of this session; answers with the session."""
        message = self.nonce(wallet.account)["message"]
        session = self.session(message, wallet.sign(message), link=True)
        self.token = session["token"]
        self.linked.append(wallet)
        return session

    def _wallet(self) -> Signer:
        if self.wallet is None:
            raise ValueError("this client has no wallet")
        return self.wallet

    # Films

    def create_video(
        self,
        title: str,
        size: int,
        content_type: str = "video/mp4",
        policy: dict | None = None,
        encryption: str | None = None,
    ) -> dict:
        body = {"title": title, "size": size, "content_type": content_type}
        more = {"policy": policy, "encryption": encryption}
        return self.get("POST", "/v1/videos", body | {name: value for name, value in more.items() if value})

    def missing_parts(self, video: str) -> dict:
        return self.get("GET", f"/v1/videos/{video}/upload")

    def put_part(self, part: dict, data: bytes) -> httpx.Response:
        return self.storage.put(part["url"], content=data)

    def put_parts(self, file: Path | str, plan: dict, progress: Progress | None = None) -> None:
        """Uploads the parts the plan still lists. Part n begins at (n - 1) * part_size."""
        missing = sum(part["size"] for part in plan["parts"])
        total = Path(file).stat().st_size
        with open(file, "rb") as source:
            done = total - missing
            for part in plan["parts"]:
                source.seek((part["number"] - 1) * plan["part_size"])
                response = self.put_part(part, source.read(part["size"]))
                if not response.is_success:
                    raise Failed(f"part {part['number']}: S3 answered {response.status_code}: {response.text[:300]}")
                done += part["size"]
                if progress:
                    progress(done, total)

    def complete(self, video: str) -> dict:
        return self.get("POST", f"/v1/videos/{video}/upload/complete")

    def upload(
        self,
        file: Path | str,
        title: str | None = None,
        policy: dict | None = None,
        content_type: str = "video/mp4",
        progress: Progress | None = None,
        encryption: str | None = None,
    ) -> dict:
        """The whole upload: plan, parts, completion. Returns the video."""
        file = Path(file)
        made = self.create_video(title or file.stem, file.stat().st_size, content_type, policy, encryption)
        self.put_parts(file, made["upload"], progress)
        return self.complete(made["video"]["id"])

    def resume(self, video: str, file: Path | str, progress: Progress | None = None) -> dict:
        """Uploads what an interrupted upload left out, and completes it."""
        self.put_parts(file, self.missing_parts(video), progress)
        return self.complete(video)

    def video(self, video: str) -> dict:
        return self.get("GET", f"/v1/videos/{video}")

    def videos(self) -> list[dict]:
        return self.get("GET", "/v1/videos")["videos"]

    def set_policy(self, video: str, policy: dict | None) -> dict:
        return self.get("PUT", f"/v1/videos/{video}/policy", {"policy": policy})

    def set_subtitle(self, video: str, name: str, text: str, **more) -> dict:
        return self.get("PUT", f"/v1/videos/{video}/subtitles/{name}", {"text": text} | more)

    def delete_subtitle(self, video: str, name: str) -> None:
        self.get("DELETE", f"/v1/videos/{video}/subtitles/{name}")

    def delete(self, video: str) -> None:
        self.get("DELETE", f"/v1/videos/{video}")

    def wait_for_stage(
        self,
        video: str,
        stage: str = "ready",
        timeout: float = 300.0,
        progress: Callable[[dict], None] | None = None,
        interval: float = 0.5,
    ) -> dict:
        """Polls until the film is at `stage`. A film that fails instead raises at once, with its reason."""
        until = time.monotonic() + timeout
        while True:
            seen = self.get("GET", f"/v1/videos/{video}", patience=timeout)
            if progress:
                progress(seen)
            if seen["stage"] == stage:
                return seen
            if seen["stage"] == "failed":
                raise Failed(f"video {video} failed: {seen.get('reason')}")
            if time.monotonic() > until:
                raise Failed(f"video {video} is still {seen['stage']} after {timeout:.0f} s")
            time.sleep(interval)

    # Gate

    def verify(
        self, policy: dict, account: str, linked: list[str] | None = None, assets: list[str] | None = None
    ) -> dict:
        """What a policy says to an account and to those linked to it. `assets` say where to look (CAIP-19)."""
        more = {"linked": linked, "assets": assets}
        body = {"policy": policy, "account": account} | {name: value for name, value in more.items() if value}
        return self.get("POST", "/v1/verify", body)

    def playback(self, video: str, assets: list[str] | None = None, carrier: str = "query") -> dict:
        """A grant. By `query` unless something else is said: then an address is all that a plain player needs."""
        return self.get("POST", f"/v1/videos/{video}/playback", {"carrier": carrier} | ({"assets": assets} if assets else {}))

    def decisions(self, video: str, before: str | None = None) -> dict:
        """For the film's owner: who was let in and who was not, newest first, some at a time."""
        return self.get("GET", f"/v1/videos/{video}/decisions", params={"before": before} if before else None)

    def revoke(self, video: str, account: str | None = None) -> int:
        """Ends the grants of an account, or everyone's; answers with how many."""
        body = {"account": account} if account else {"everyone": True}
        return self.get("POST", f"/v1/videos/{video}/revocations", body)["ended"]

    def health(self) -> dict:
        return self.get("GET", "/v1/health")
