"""The checker itself: it must let right answers pass and catch wrong ones, or the flow tests' silence means nothing."""

from __future__ import annotations

import httpx
import pytest

from tests.kit.contract import ContractTransport, ContractViolation

ID = "0f8e1d2c3b4a59687766554433221100"
NOT_FOUND = {
    "type": "https://streamgate.dev/problems/not-found",
    "title": "Not found",
    "status": 404,
    "detail": "There is no such film.",
}
PUBLIC = {"id": ID, "title": "Harbour", "stage": "ready", "duration_seconds": 30.04}
SESSION = {"Authorization": "Bearer 0123456789abcdef"}


def ask(method: str, path: str, status: int, body=None, *, media: str = "", answered: dict | None = None, **request):
    """Sends a request through the checker to a server that answers what the test says."""
    kind = media or ("application/problem+json" if status >= 400 else "application/json")
    headers = ({"Content-Type": kind} if body is not None else {}) | (answered or {})

    def server(_: httpx.Request) -> httpx.Response:
        if isinstance(body, str):
            return httpx.Response(status, headers=headers, text=body)
        return httpx.Response(status, headers=headers, content=None if body is None else httpx.Response(0, json=body).content)

    transport = ContractTransport(httpx.MockTransport(server))
    transport.contract._note = lambda *_: None  # What is made up here was not seen in any flow.
    try:
        with httpx.Client(base_url="http://films.example", transport=transport) as client:
            return client.request(method, path, **request)
    finally:
        del transport.contract._note


@pytest.mark.parametrize(
    ("method", "path", "status", "body", "more"),
    [
        ("GET", f"/v1/videos/{ID}", 200, PUBLIC, {}),
        ("GET", f"/v1/videos/{ID}", 404, NOT_FOUND, {}),
        ("GET", f"/v1/videos/{ID}", 404, NOT_FOUND | {"extra": 1}, {}),
        ("DELETE", f"/v1/videos/{ID}", 204, None, {"headers": SESSION}),
        ("GET", "/v1/nothing", 404, {"message": "Not Found"}, {"media": "application/json"}),
        (
            "GET",
            f"/v1/videos/{ID}/playlists/master.m3u8?grant={'a' * 104}",
            200,
            "#EXTM3U\n",
            {"media": "application/vnd.apple.mpegurl", "answered": {"Cache-Control": "no-store"}},
        ),
    ],
)
def test_right_answers_pass(method, path, status, body, more):
    assert ask(method, path, status, body, **more).status_code == status


@pytest.mark.parametrize(
    ("what", "method", "path", "status", "body", "more"),
    [
        ("an unknown field", "GET", f"/v1/videos/{ID}", 200, PUBLIC | {"owner_key": "x"}, {}),
        ("a missing field", "GET", f"/v1/videos/{ID}", 200, {"id": ID, "stage": "ready"}, {}),
        ("a stage the public must not see", "GET", f"/v1/videos/{ID}", 200, PUBLIC | {"stage": "uploading"}, {}),
        ("an undocumented status", "GET", f"/v1/videos/{ID}", 418, NOT_FOUND, {}),
        ("a problem that is not this status's", "GET", f"/v1/videos/{ID}", 404, NOT_FOUND | {"status": 500}, {}),
        ("another slug", "GET", f"/v1/videos/{ID}", 404, NOT_FOUND | {"type": "https://streamgate.dev/problems/gone"}, {}),
        ("a problem as plain JSON", "GET", f"/v1/videos/{ID}", 404, NOT_FOUND, {"media": "application/json"}),
        ("a body where there is none", "DELETE", f"/v1/videos/{ID}", 200, {}, {"headers": SESSION}),
        ("success without a session", "GET", "/v1/videos", 200, {"videos": []}, {}),
        (
            "success for an unknown field in the request",
            "POST",
            "/v1/auth/nonce",
            200,
            {"nonce": "a" * 16, "expires_at": "2026-01-01T00:00:00Z", "message": "m"},
            {"json": {"account": "eip155:1:0x" + "ab" * 20, "policy": {}}},
        ),
        (
            "unavailable without Retry-After",
            "GET",
            "/v1/health",
            503,
            NOT_FOUND | {"type": "https://streamgate.dev/problems/unavailable", "status": 503},
            {},
        ),
        (
            "a playlist that may be kept",
            "GET",
            f"/v1/videos/{ID}/playlists/master.m3u8?grant={'a' * 104}",
            200,
            "#EXTM3U\n",
            {"media": "application/vnd.apple.mpegurl"},
        ),
        ("an unknown path that succeeds", "GET", "/v1/nothing", 200, {}, {}),
    ],
)
def test_wrong_answers_are_caught(what, method, path, status, body, more):
    with pytest.raises(ContractViolation):
        ask(method, path, status, body, **more)
