"""A wallet becomes a session, and everything that only looks like it does not."""

from __future__ import annotations

import base64
import contextlib
import datetime
import hmac
import json
import re
import time

import pytest

from tests.kit import inside
from tests.kit.chain import SmartWallet, WalletFactory
from tests.kit.client import Client, Refused
from tests.kit.solana import SolanaWallet
from tests.kit.wallet import ContractWallet, Wallet, wrap_signature

MAINNET = "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp"
DEVNET = "solana:EtWTRABZaYq6iMfeYKouRu166VU2xqa1"


@pytest.fixture
def client(stack, secrets, proxy, stranger):
    with Client(stranger, stack.edge_origin) as client:
        yield client


@pytest.fixture
def client_of(stack, secrets, proxy):
    """`client_of(wallet)`: not signed in yet."""
    with contextlib.ExitStack() as open_ones:
        yield lambda wallet: open_ones.enter_context(Client(wallet, stack.edge_origin))


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
    assert session["account"] == client.wallet.account and session["accounts"] == [client.wallet.account]
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
        good + "00",
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
    assert problem_of(client, field(message, "Chain ID", "137")) == (401, "nonce-invalid")
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
    [
        "",
        "eip155:1",
        "eip155:1:0x12",
        "eip155:0x1:0x" + "ab" * 20,
        "0x" + "ab" * 20,
        "eip155:1:0x" + "zz" * 20,
        "solana:5eykt4:abc",
        f"{MAINNET}:0x" + "ab" * 20,
        f"{MAINNET}:" + "1" * 31,
        f"{MAINNET}:" + "1" * 33,
        "solana:mainnet:" + "1" * 32,
        "eip155:1:" + "1" * 32,
        "bip122:000000000019d6689c085ae165831e93:1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",
        7,
        None,
    ],
)
def test_what_is_no_account_gets_no_nonce(client, account):
    response = client.ask("POST", "/v1/auth/nonce", {"account": account})
    assert response.status_code == 422 and response.json()["type"].endswith("/body-invalid")


# ---- Solana


def test_a_solana_wallet_signs_in(client_of, stack):
    client = client_of(SolanaWallet.fresh())
    nonce = client.nonce()
    message, wallet = nonce["message"], client.wallet
    host = stack.edge_origin.removeprefix("http://")
    assert message.startswith(f"{host} wants you to sign in with your Solana account:\n{wallet.address}\n\n")
    assert f"\nURI: {stack.edge_origin}\nVersion: 1\nChain ID: {wallet.chain}\nNonce: {nonce['nonce']}\n" in message
    session = client.session(message, wallet.sign(message))
    assert session["account"] == wallet.account and session["accounts"] == [wallet.account]
    client.token = session["token"]
    assert client.videos() == []
    assert problem_of(client, message) == (401, "nonce-used")


@pytest.mark.parametrize("chain, name", [(MAINNET, "mainnet"), (DEVNET, "devnet")])
def test_a_solana_wallet_may_write_the_text_itself(client_of, chain, name):
    """As `signIn` does: the same fields, the cluster perhaps by its short name."""
    client = client_of(SolanaWallet.fresh(chain))
    for written in (name, f"solana:{name}"):
        message = field(client.nonce()["message"], "Chain ID", written) + "\nResources:\n- https://example.org/terms"
        assert client.session(message, client.wallet.sign(message))["account"] == client.wallet.account
    # The nonce is bound to the cluster, whatever it is called.
    other = field(client.nonce()["message"], "Chain ID", "testnet")
    assert problem_of(client, other) == (401, "nonce-invalid")


def test_signatures_that_are_not_the_solana_wallets_are_refused(client_of, stranger):
    client, other = client_of(SolanaWallet.fresh()), SolanaWallet.fresh()
    message = client.nonce()["message"]
    good = client.wallet.sign(message)
    raw = bytes(client.wallet.pair.sign_message(message.encode()))
    bad = [
        other.sign(message),
        client.wallet.sign(message + " "),
        stranger.sign(message),
        raw.hex(),
        f"0x{raw.hex()}",
        base64.b64encode(raw).decode(),
        good[:-1] + ("2" if good[-1] != "2" else "3"),
        "1" * 64,
    ]
    for signature in bad:
        assert problem_of(client, message, signature) == (401, "signature-invalid"), signature[:12]
    # And none of them used the nonce up.
    assert client.session(message, good)["token"]


@pytest.mark.parametrize(
    "change, refused",
    [
        (lambda message: message.replace("Solana account", "Ethereum account"), (422, "message-malformed")),
        (lambda message: message.replace("\n", "\r\n"), (422, "message-malformed")),
        (lambda message: message + "\n", (422, "message-malformed")),
        (lambda message: "http://" + message, (422, "message-malformed")),
        (lambda message: re.sub("\nNonce: .*", "", message), (422, "message-malformed")),
        (lambda message: re.sub("\nURI: .*", "", message), (422, "message-malformed")),
        (lambda message: field(message, "Version", "2"), (422, "message-malformed")),
        (lambda message: field(message, "Chain ID", "localnet"), (422, "message-malformed")),
        (lambda message: "evil.example" + message[message.index(" ") :], (401, "domain-mismatch")),
        (lambda message: field(message, "URI", "https://evil.example"), (401, "domain-mismatch")),
        (lambda message: field(message, "Issued At", stamp(600)), (401, "message-not-yet-valid")),
        (lambda message: message + f"\nNot Before: {stamp(120)}", (401, "message-not-yet-valid")),
        (lambda message: field(message, "Issued At", stamp(-3600)), (401, "message-expired")),
        (lambda message: field(message, "Expiration Time", stamp(-1)), (401, "message-expired")),
        (lambda message: field(message, "Nonce", "0" * 64), (401, "nonce-invalid")),
    ],
)
def test_a_changed_solana_message_is_refused(client_of, change, refused):
    client = client_of(SolanaWallet.fresh())
    message = client.nonce()["message"]
    changed = change(message)
    assert changed != message and problem_of(client, changed) == refused


# ---- Contract wallets


@pytest.fixture(scope="module")
def smart(chain, creator) -> SmartWallet:
    """A wallet that is a contract, on the first chain."""
    return SmartWallet.deploy(chain, creator)


@pytest.fixture(scope="module")
def factory(chain, creator) -> WalletFactory:
    return WalletFactory.deploy(chain, creator)


def outcome(client: Client, message: str, signature: str) -> str:
    """What becomes of an attempt: ok, or a problem's slug."""
    try:
        client.session(message, signature)
    except Refused as refused:
        return refused.slug
    return "ok"


def wait_for(client: Client, wanted: str) -> None:
    """Functions keep a chain's head for some seconds: what has just happened there shows a little later."""
    wallet = client.wallet

    def seen() -> bool:
        message = client.nonce()["message"]
        return outcome(client, message, wallet.sign(message)) == wanted

    inside.wait_until(seen, 20, f"{wallet} is never {wanted}", interval=1)


def claims_of(token: str) -> dict:
    claims = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))


def test_a_contract_wallet_signs_in(client_of, smart):
    client = client_of(smart.wallet)
    wait_for(client, "ok")
    message = client.nonce()["message"]
    signature = client.wallet.sign(message)
    session = client.session(message, signature)
    assert session["account"] == smart.wallet.account
    # The session knows that a contract spoke: it is nobody on other chains.
    assert claims_of(session["token"])["wallets"] == [{"account": smart.wallet.account, "contract": True}]
    assert problem_of(client, message, signature) == (401, "nonce-used")


def test_a_strangers_signature_for_a_contract_wallet_is_refused(client_of, smart, stranger):
    client = client_of(smart.wallet)
    wait_for(client, "ok")
    message = client.nonce()["message"]
    good = client.wallet.sign(message)
    for signature in (stranger.sign(message), client.wallet.sign(message + " "), "0x00", "0x" + "00" * 65, good + "00"):
        assert problem_of(client, message, signature) == (401, "signature-invalid"), signature[:12]
    # Control: they were refused for what they are.
    assert client.session(message, good)["token"]


def test_a_contract_wallet_that_changes_its_mind_is_refused(client_of, chain, creator):
    wallet = SmartWallet.deploy(chain, creator)
    client = client_of(wallet.wallet)
    wait_for(client, "ok")
    wallet.refuse()
    wait_for(client, "signature-invalid")


def test_a_contract_wallet_is_known_on_its_own_chain_only(client_of, smart, second_chain):
    """The same owner's signature, the same address, but no such contract there."""
    wait_for(client_of(smart.wallet), "ok")
    for chain in (second_chain.caip2(), "eip155:5"):
        elsewhere = ContractWallet(smart.owner, smart.address)
        elsewhere.chain = chain
        client = client_of(elsewhere)
        message = client.nonce()["message"]
        assert f"\nChain ID: {chain.removeprefix('eip155:')}\n" in message
        with pytest.raises(Refused) as refused:
            client.session(message, elsewhere.sign(message))
        assert (refused.value.status, refused.value.slug) == (401, "signature-invalid")
        # That a chain is not read here is said: nobody can do anything about it but the stack's owner.
        assert (f"{chain}: this stack" in refused.value.body["detail"]) == (chain == "eip155:5")


def test_a_wallet_that_is_not_there_yet_signs_in(client_of, chain, factory, creator, stranger):
    wallet = factory.wallet(creator, salt=1)
    client = client_of(wallet)
    wait_for(client, "ok")
    assert not chain.has_code(wallet.address), "checking a signature must not make the wallet"
    message = client.nonce()["message"]
    factory_address, order = wallet.creation
    for signature in (
        # Without the way to make it there is nobody to ask.
        creator.sign(message),
        wrap_signature(factory_address, order, stranger.sign(message)),
        wrap_signature(factory_address, order, creator.sign(message + " ")),
        # A factory that makes another wallet than the one that signs in.
        wrap_signature(*factory.wallet(stranger, salt=1).creation, stranger.sign(message)),
        wrap_signature(stranger.address, order, creator.sign(message)),
    ):
        assert problem_of(client, message, signature) == (401, "signature-invalid")
    assert client.session(message, wallet.sign(message))["account"] == wallet.account


def test_once_it_is_there_either_signature_is_good(client_of, factory, creator):
    made = factory.make(creator, salt=2)
    wrapped = factory.wallet(creator, salt=2)
    assert made.address == wrapped.address
    for wallet in (made.wallet, wrapped):
        wait_for(client_of(wallet), "ok")


def test_a_signature_that_is_too_long_is_refused(client_of, smart):
    client = client_of(smart.wallet)
    message = client.nonce()["message"]
    assert problem_of(client, message, "0x" + "00" * 4097) == (401, "signature-invalid")


def test_without_the_chain_a_contract_wallet_waits_and_its_message_stays_good(client_of, proxy, smart):
    client = client_of(smart.wallet)
    wait_for(client, "ok")
    message = client.nonce()["message"]
    signature = client.wallet.sign(message)
    with proxy.fault("http_500"):
        for _ in range(2):
            response = client.ask("POST", "/v1/auth/session", {"message": message, "signature": signature})
            assert response.status_code == 503 and int(response.headers["Retry-After"]) > 0
            assert response.json()["type"].endswith("/unavailable") and str(proxy.port) not in response.text
        # Whoever has a key of their own needs no chain.
        assert client_of(Wallet.fresh()).sign_in().token and client_of(SolanaWallet.fresh()).sign_in().token
    body = {"message": message, "signature": signature}
    # Providers that failed are left alone for a while.
    assert client.get("POST", "/v1/auth/session", body, session=False, patience=60)["account"] == smart.wallet.account


def test_one_provider_that_lies_signs_nobody_in(client_of, proxy, smart, stranger):
    client = client_of(smart.wallet)
    wait_for(client, "ok")
    message = client.nonce()["message"]
    with proxy.fault("lie", provider="a"):
        refused = outcome(client, message, stranger.sign(message))
        assert refused in ("signature-invalid", "unavailable")
        body = {"message": message, "signature": client.wallet.sign(message)}
        assert client.get("POST", "/v1/auth/session", body, session=False, patience=60)["token"]


# ---- Sessions of several wallets


def test_wallets_join_a_session(client):
    first = client.sign_in()
    before = claims_of(first.token)
    solana, third = SolanaWallet.fresh(), Wallet.fresh()
    # Within the same second a new end would be the old one.
    time.sleep(1.1)
    session = client.link(solana)
    assert session["account"] == client.wallet.account
    assert session["accounts"] == [client.wallet.account, solana.account]
    session = client.link(third)
    assert session["accounts"] == [client.wallet.account, solana.account, third.account]
    # It goes on as the session it was, and lasts no longer.
    after = claims_of(session["token"])
    assert after["sub"] == client.wallet.account and after["exp"] == before["exp"]
    assert client.videos() == []
    # A wallet that is there already changes nothing, on whichever chain it says it is.
    again = Wallet(third.key.key.hex(), "eip155:137")
    for wallet in (client.wallet, solana, again):
        assert client.link(wallet)["accounts"] == session["accounts"]
    assert claims_of(client.token)["exp"] == before["exp"]


def test_a_contract_wallet_joins_a_session(client, smart):
    client.sign_in()
    message = client.nonce(smart.wallet.account)["message"]
    body = {"message": message, "signature": smart.wallet.sign(message), "link": True}
    session = inside.wait_until(lambda: linked(client, body), 20, "the wallet never joins", interval=1)
    wallets = [{"account": client.wallet.account}, {"account": smart.wallet.account, "contract": True}]
    assert claims_of(session["token"])["wallets"] == wallets


def linked(client: Client, body: dict) -> dict | None:
    response = client.ask("POST", "/v1/auth/session", body)
    assert response.status_code in (200, 401)
    return response.json() if response.is_success else None


def test_a_session_has_five_wallets_at_most(client):
    client.sign_in()
    for _ in range(4):
        client.link(SolanaWallet.fresh())
    sixth = SolanaWallet.fresh()
    message = client.nonce(sixth.account)["message"]
    with pytest.raises(Refused) as refused:
        client.session(message, sixth.sign(message), link=True)
    assert (refused.value.status, refused.value.slug, refused.value.body["field"]) == (422, "body-invalid", "link")
    # It could still sign in on its own: the nonce was not used up.
    assert client.session(message, sixth.sign(message))["accounts"] == [sixth.account]


def test_a_link_needs_a_valid_session(client, stack):
    wallet = SolanaWallet.fresh()
    message = client.nonce(wallet.account)["message"]
    body = {"message": message, "signature": wallet.sign(message), "link": True}

    def refusal(**headers: str) -> tuple[int, str]:
        response = client.ask("POST", "/v1/auth/session", body, session=False, headers=headers)
        return response.status_code, response.json()["type"].rpartition("/")[2]

    assert refusal() == (401, "session-required")
    key, now = inside.session_key(stack), int(time.time())
    kid = inside.minting(stack, "SessionSecret")["id"]
    own = {"account": client.wallet.account}
    claims = {"jti": "own", "sub": own["account"], "wallets": [own], "aud": "streamgate", "iat": now - 70, "exp": now + 60}
    for token in ("nonsense", jwt(kid, claims | {"exp": now - 1}, key), jwt(kid, claims, bytes(32))):
        assert refusal(Authorization=f"Bearer {token}") == (401, "session-invalid")
    # Control, and with its nonce still good: the linked session ends when the shown one does.
    client.token = jwt(kid, claims, key)
    session = client.session(message, wallet.sign(message), link=True)
    assert session["accounts"] == [client.wallet.account, wallet.account]
    assert claims_of(session["token"])["exp"] == now + 60


def test_a_link_with_a_forged_signature_changes_nothing(client, holder):
    client.sign_in()
    message = client.nonce(holder.account)["message"]
    with pytest.raises(Refused) as refused:
        client.session(message, client.wallet.sign(message), link=True)
    assert refused.value.slug == "signature-invalid"
    assert len(claims_of(client.token)["wallets"]) == 1


def test_without_link_a_session_is_not_looked_at(client, holder):
    message = client.nonce(holder.account)["message"]
    body = {"message": message, "signature": holder.sign(message)}
    response = client.ask("POST", "/v1/auth/session", body, headers={"Authorization": "Bearer nonsense"})
    assert response.is_success and response.json()["accounts"] == [holder.account]


@pytest.mark.parametrize("link", ["true", 1, None, []])
def test_link_is_true_or_false(client, link):
    client.sign_in()
    message = client.nonce()["message"]
    body = {"message": message, "signature": client.wallet.sign(message), "link": link}
    response = client.ask("POST", "/v1/auth/session", body)
    assert response.status_code == 422 and response.json()["type"].endswith("/body-invalid")


# ---- Sessions


def jwt(kid: str, claims: dict, key: bytes, **header: str) -> str:
    """A token that names the stack's own key, whatever it is signed with."""

    def part(value: bytes) -> str:
        return base64.urlsafe_b64encode(value).rstrip(b"=").decode()

    header = {"typ": "JWT", "alg": "HS256", "kid": kid} | header
    signed = f"{part(json.dumps(header).encode())}.{part(json.dumps(claims).encode())}"
    # A good signature of its algorithm, so that it is the algorithm that is refused.
    digest = "sha512" if header["alg"] == "HS512" else "sha256"
    return f"{signed}.{part(hmac.new(key, signed.encode(), digest).digest())}"


def test_only_sessions_of_this_stack_that_are_not_over_are_taken(client, stack, creator):
    key, now = inside.session_key(stack), int(time.time())
    kid = inside.minting(stack, "SessionSecret")["id"]
    own = {"account": creator.account}
    claims = {"jti": "own", "sub": creator.account, "wallets": [own], "aud": "streamgate", "iat": now - 10, "exp": now + 60}

    def outcome(token: str) -> tuple[int, str]:
        response = client.ask("GET", "/v1/videos", headers={"Authorization": f"Bearer {token}"})
        return response.status_code, "" if response.is_success else response.json()["type"].rpartition("/")[2]

    # Control: made here with the stack's key, so the refusals below are for what is wrong with them.
    assert outcome(jwt(kid, claims, key)) == (200, "")
    others = [{"account": SolanaWallet.fresh().account} for _ in range(5)]
    assert outcome(jwt(kid, claims | {"wallets": [own, *others[:4]]}, key)) == (200, "")
    invalid = {
        "another stack's": jwt(kid, claims, bytes(32)),
        "over": jwt(kid, claims | {"exp": now - 1}, key),
        "without an end": jwt(kid, {name: claims[name] for name in claims if name != "exp"}, key),
        "without a name": jwt(kid, {name: claims[name] for name in claims if name != "jti"}, key),
        "for another audience": jwt(kid, claims | {"aud": "elsewhere"}, key),
        "of a key that is not known": jwt("other", claims, key),
        "unsigned": jwt(kid, claims, key, alg="none"),
        "unsigned and bare": jwt(kid, claims, key, alg="none").rpartition(".")[0] + ".",
        "of another algorithm": jwt(kid, claims, key, alg="HS512"),
        "for nobody": jwt(kid, claims | {"sub": "admin"}, key),
        "of no wallets": jwt(kid, claims | {"wallets": []}, key),
        "of six wallets": jwt(kid, claims | {"wallets": [own, *others]}, key),
        "of one wallet twice": jwt(kid, claims | {"wallets": [own, own]}, key),
        "of another wallet first": jwt(kid, claims | {"wallets": [others[0], own]}, key),
        "without wallets": jwt(kid, {name: claims[name] for name in claims if name != "wallets"}, key),
        "of more than wallets": jwt(kid, claims | {"wallets": [own | {"admin": True}]}, key),
        "with more claims": jwt(kid, claims | {"admin": True}, key),
        "no token": "x" * 40,
        "endless": "x" * 5000,
    }
    for what, token in invalid.items():
        assert outcome(token) == (401, "session-invalid"), what
    good = jwt(kid, claims, key)
    assert outcome(good[:-6] + ("A" if good[-6] != "A" else "B") + good[-5:]) == (401, "session-invalid")


def test_signing_out_ends_a_session_and_what_was_linked_to_it(client, client_of, holder, stranger, small_video):
    client.sign_in()
    tokens = [client.token]
    for wallet in (holder, stranger):
        client.link(wallet)
        tokens.append(client.token)
    other = client_of(client.wallet).sign_in()

    def opens(token: str) -> set[int]:
        ways = (("GET", "/v1/videos"), ("POST", f"/v1/videos/{small_video['id']}/playback"), ("DELETE", "/v1/auth/session"))
        return {client.ask(*way, headers={"Authorization": f"Bearer {token}"}).status_code for way in ways}

    client.sign_out()
    for token in tokens:
        assert opens(token) == {401}
    answer = client.ask("GET", "/v1/videos").json()
    assert (answer["type"].rpartition("/")[2], "sign in again" in answer["detail"]) == ("session-invalid", True)
    # Another session of the same wallet goes on.
    assert other.ask("GET", "/v1/videos").status_code == 200


def test_without_a_session_one_is_asked_for(client, small_video):
    for method, path in (("GET", "/v1/videos"), ("POST", f"/v1/videos/{small_video['id']}/playback")):
        response = client.ask(method, path)
        assert response.status_code == 401 and response.json()["type"].endswith("/session-required")
    # A session that is not valid is said to be so even where none is needed.
    for shown in ("Bearer nonsense", "Basic dXNlcjpwYXNz", "bearer", ""):
        response = client.ask("GET", f"/v1/videos/{small_video['id']}", headers={"Authorization": shown})
        assert response.status_code == 401 and response.json()["type"].endswith("/session-invalid")
