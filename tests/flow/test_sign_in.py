"""A wallet becomes a session, and everything that only looks like it does not."""

from __future__ import annotations

import base64
import datetime
import hmac
import json
import re
import time

import pytest

from tests.kit import inside
from tests.kit.client import Client, Refused


@pytest.fixture
def client(stack, secrets, proxy, stranger):
    with Client(stranger, stack.edge_origin) as client:
        yield client


def stamp(seconds: float) -> str:
    """RFC 3339, that many seconds from now."""
    moment = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=seconds)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def field(message: str, name: str, value: str) -> str:
    changed, count = re.subn(rf"^{name}: .*$", f"{name}: {value}", message, flags=re.MULTILINE)
    assert count == 1
    return changed


def problem_of(client: Client, message: str, signature: str | None = None) -> tuple[int, str]:
    """What an attempt is refused with; signed by the client's own wallet unless told otherwise."""
    with pytest.raises(Refused) as caught:
        client.session(message, signature or client.wallet.sign(message))
    return caught.value.status, caught.value.slug


def test_a_wallet_signs_in(client, stack):
    before = time.time()
    nonce = client.nonce()
    message = nonce["message"]
    host = stack.edge_origin.removeprefix("http://")
    assert message.startswith(f"{host} wants you to sign in with your Ethereum account:\n{client.wallet.address}\n")
    assert f"\nURI: {stack.edge_origin}\nVersion: 1\nChain ID: {stack.chain_id}\nNonce: {nonce['nonce']}\n" in message
    session = client.session(message, client.wallet.sign(message))
    assert session["account"] == client.wallet.account
    ends = datetime.datetime.fromisoformat(session["expires_at"]).timestamp()
    assert before + 3590 < ends < time.time() + 3610
    client.token = session["token"]
    assert client.videos() == []


def test_a_nonce_works_once(client):
    message = client.nonce()["message"]
    signature = client.wallet.sign(message)
    client.session(message, signature)
    for _ in range(3):
        assert problem_of(client, message, signature) == (401, "nonce-used")
    # The same nonce in another message is the same nonce.
    other = field(message, "Expiration Time", stamp(200))
    assert problem_of(client, other) == (401, "nonce-used")


def test_a_refused_attempt_does_not_use_the_nonce_up(client, holder):
    message = client.nonce()["message"]
    assert problem_of(client, message, holder.sign(message)) == (401, "signature-invalid")
    assert client.session(message, client.wallet.sign(message))["token"]


@pytest.mark.parametrize(
    "change",
    [
        lambda message: message.replace("This costs nothing", "This costs everything"),
        lambda message: field(message, "Issued At", stamp(-2)),
        lambda message: field(message, "Expiration Time", stamp(100)),
    ],
)
def test_an_altered_message_is_refused(client, change):
    message = client.nonce()["message"]
    assert problem_of(client, change(message), client.wallet.sign(message)) == (401, "signature-invalid")


def test_signatures_that_are_not_the_wallets_are_refused(client, holder):
    message = client.nonce()["message"]
    good = client.wallet.sign(message)
    bad = [
        holder.sign(message),
        good[:-2] + ("1b" if good.endswith("1c") else "1c"),
        good[:-2] + "25",
        "0x" + "00" * 65,
        "0x" + "ff" * 65,
        good[:10] + ("0" if good[10] != "0" else "1") + good[11:],
        # s -> n - s: the malleable twin of a good signature is no second one.
        twin(good),
    ]
    for signature in bad:
        assert problem_of(client, message, signature) == (401, "signature-invalid"), signature[:12]


def twin(signature: str) -> str:
    order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
    r, s, v = signature[2:66], int(signature[66:130], 16), int(signature[130:], 16)
    return f"0x{r}{order - s:064x}{55 - v:02x}"


@pytest.mark.parametrize("signature", ["", "0x", "0x00", "hello", "0x" + "0" * 131, "0x" + "00" * 5000])
def test_what_is_no_signature_at_all_is_refused(client, signature):
    message = client.nonce()["message"]
    response = client.ask("POST", "/v1/auth/session", {"message": message, "signature": signature})
    assert response.status_code in (401, 422)
    assert response.json()["type"].rpartition("/")[2] in ("signature-invalid", "body-invalid")


def test_an_expired_message_is_refused(client):
    message = client.nonce()["message"]
    assert problem_of(client, field(message, "Expiration Time", stamp(-1))) == (401, "message-expired")
    assert problem_of(client, field(message, "Issued At", stamp(-3600))) == (401, "message-expired")


def test_an_expired_nonce_is_refused_whatever_its_message_says(client, stack):
    message = client.nonce()["message"]
    host = stack.edge_origin.removeprefix("http://")
    # Control: a nonce that is made here is as good as one of the stack's own.
    for seconds, outcome in ((60, None), (-1, (401, "nonce-invalid"))):
        nonce = inside.old_nonce(stack, client.wallet.account, host, int(time.time()) + seconds)
        changed = field(message, "Nonce", nonce)
        if outcome is None:
            assert client.session(changed, client.wallet.sign(changed))["token"]
        else:
            assert problem_of(client, changed) == outcome


def test_a_message_from_the_future_is_refused(client):
    message = client.nonce()["message"]
    early = f"{message}\nNot Before: {stamp(120)}"
    assert problem_of(client, early) == (401, "message-not-yet-valid")
    assert problem_of(client, field(message, "Issued At", stamp(600))) == (401, "message-not-yet-valid")


def test_a_message_for_another_site_is_refused(client, stack):
    message = client.nonce()["message"]
    host = stack.edge_origin.removeprefix("http://")
    # The API's own host name is another site too: wallets sign in where the page is.
    for foreign in ("evil.example", f"{host}.evil.example", "127.0.0.1", "localhost:28088", stack.api_origin.removeprefix("http://")):
        changed = message.replace(f"{host} wants", f"{foreign} wants")
        assert problem_of(client, changed) == (401, "domain-mismatch"), foreign
    for foreign in ("https://evil.example", f"{stack.edge_origin}/elsewhere", stack.edge_origin.replace("http:", "https:")):
        assert problem_of(client, field(message, "URI", foreign)) == (401, "domain-mismatch"), foreign


def test_a_nonce_of_another_account_or_chain_is_refused(client, holder):
    message = client.nonce()["message"]
    assert problem_of(client, field(message, "Chain ID", "1")) == (401, "nonce-invalid")
    foreign = client.nonce(holder.account)["nonce"]
    assert problem_of(client, field(message, "Nonce", foreign)) == (401, "nonce-invalid")
    assert problem_of(client, field(message, "Nonce", "0" * 64)) == (401, "nonce-invalid")
    # Capitals would be a second spelling of one nonce.
    nonce = re.search("^Nonce: (.*)$", message, re.MULTILINE).group(1)
    assert problem_of(client, field(message, "Nonce", nonce.upper())) == (401, "nonce-invalid")


@pytest.mark.parametrize(
    "change",
    [
        lambda message: "hello",
        lambda message: message.replace("Version: 1", "Version: 2"),
        lambda message: message.replace("\n", "\r\n"),
        lambda message: message + "\n",
        lambda message: message.replace("Chain ID: ", "Chain ID: 0"),
        lambda message: message.replace("\nNonce: ", "\nNonce: short\nNonce: "),
        lambda message: re.sub("\nIssued At: .*", "", message),
        # All in small letters is a spelling (EIP-55); mixed otherwise than the checksum says is a typing error.
        lambda message: re.sub("0x[0-9a-fA-F]{40}", lambda found: "0x" + found.group()[2:].swapcase(), message, count=1),
        lambda message: message.replace("This costs", "\u0000This costs"),
        lambda message: message + "\nResources:\n- not a uri at all",
    ],
)
def test_a_malformed_message_is_refused(client, change):
    assert problem_of(client, change(client.nonce()["message"])) == (422, "message-malformed")


def test_an_endless_message_is_refused(client):
    message = client.nonce()["message"].replace("This costs", "x" * 5000)
    assert problem_of(client, message)[1] in ("message-malformed", "body-invalid")
    message = client.nonce()["message"].replace("This costs", "x" * 70_000)
    assert problem_of(client, message) == (413, "body-too-large")


@pytest.mark.parametrize(
    "account",
    ["", "eip155:1", "eip155:1:0x12", "solana:5eykt4:abc", "eip155:0x1:0x" + "ab" * 20, "0x" + "ab" * 20, "eip155:1:0x" + "zz" * 20, 7, None],
)
def test_what_is_no_account_gets_no_nonce(client, account):
    response = client.ask("POST", "/v1/auth/nonce", {"account": account})
    assert response.status_code == 422 and response.json()["type"].endswith("/body-invalid")


# ---- Sessions


def jwt(claims: dict, key: bytes, header: dict | None = None) -> str:
    def part(value: bytes) -> str:
        return base64.urlsafe_b64encode(value).rstrip(b"=").decode()

    header = header or {"typ": "JWT", "alg": "HS256"}
    signed = f"{part(json.dumps(header).encode())}.{part(json.dumps(claims).encode())}"
    return f"{signed}.{part(hmac.new(key, signed.encode(), 'sha256').digest())}"


def test_only_sessions_of_this_stack_that_are_not_over_are_taken(client, stack, creator):
    key, now = inside.session_key(stack), int(time.time())
    claims = {"sub": creator.account, "aud": "streamgate", "iat": now - 10, "exp": now + 60}

    def outcome(token: str) -> tuple[int, str]:
        response = client.ask("GET", "/v1/videos", headers={"Authorization": f"Bearer {token}"})
        return response.status_code, "" if response.is_success else response.json()["type"].rpartition("/")[2]

    # Control: made here with the stack's key, so the refusals below are for what is wrong with them.
    assert outcome(jwt(claims, key)) == (200, "")
    invalid = {
        "another stack's": jwt(claims, bytes(32)),
        "over": jwt(claims | {"exp": now - 1}, key),
        "without an end": jwt({name: claims[name] for name in ("sub", "aud", "iat")}, key),
        "for another audience": jwt(claims | {"aud": "elsewhere"}, key),
        "unsigned": jwt(claims, key, {"typ": "JWT", "alg": "none"}),
        "unsigned and bare": jwt(claims, key, {"typ": "JWT", "alg": "none"}).rpartition(".")[0] + ".",
        "of another algorithm": jwt(claims, key, {"typ": "JWT", "alg": "HS512"}),
        "for nobody": jwt(claims | {"sub": "admin"}, key),
        "no token": "x" * 40,
        "endless": "x" * 5000,
    }
    for what, token in invalid.items():
        assert outcome(token) == (401, "session-invalid"), what
    good = jwt(claims, key)
    assert outcome(good[:-6] + ("A" if good[-6] != "A" else "B") + good[-5:]) == (401, "session-invalid")


def test_without_a_session_one_is_asked_for(client, small_video):
    for method, path in (("GET", "/v1/videos"), ("POST", f"/v1/videos/{small_video['id']}/playback")):
        response = client.ask(method, path)
        assert response.status_code == 401 and response.json()["type"].endswith("/session-required")
    # A session that is not valid is said to be so even where none is needed.
    for shown in ("Bearer nonsense", "Basic dXNlcjpwYXNz", "bearer", ""):
        response = client.ask("GET", f"/v1/videos/{small_video['id']}", headers={"Authorization": shown})
        assert response.status_code == 401 and response.json()["type"].endswith("/session-invalid")
