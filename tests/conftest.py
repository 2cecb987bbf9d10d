"""The deployed stack, the wallets and the films that flow, fault and browser tests share.

A test run has ports and a state of its own, so that a demo that happens to run is left alone; STREAMGATE_* variables
choose others (then nothing is thrown away). Whatever the run started it stops.

    python -m pytest -c tests/pytest.ini tests                     everything
    python -m pytest -c tests/pytest.ini tests/flow/test_gate.py   one flow
    STREAMGATE_KEEP=1 ...                                          leaves the stack running, for the next run to use
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
for folder in (REPOSITORY, REPOSITORY / "localstack"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))

CACHE = Path(os.environ.get("STREAMGATE_CACHE", REPOSITORY / ".cache")).resolve()
OWN_STATE = "STREAMGATE_STATE" not in os.environ
# Which of those that run beside one another (side_by_side.py).
RUN = int(os.environ.get("STREAMGATE_RUN", "0"))
# Before anything reads them: the kit's clients take the edge's port from here.
os.environ.setdefault("STREAMGATE_STATE", str(CACHE / (f"state-test-{RUN}" if RUN else "state-test")))
if RUN:
    os.environ.setdefault("STREAMGATE_CONTRACT_LOG", str(REPOSITORY / "target" / "test-output" / f"contract-seen-{RUN}.jsonl"))
for name, port in (("ENGINE", 24566), ("CHAIN", 28545), ("EDGE", 28088), ("SOLANA", 28899)):
    os.environ.setdefault(f"STREAMGATE_{name}_PORT", str(port + 20 * RUN))
# Ethereum's own number, so that policies and sign-in messages look as they will.
os.environ.setdefault("STREAMGATE_CHAIN_ID", "1")
# Films of seconds are converted in seconds: status updates come five times a second, not every ten.
os.environ.setdefault("MEDIACONVERT_HURRY", "50")
PROXY_PORT = int(os.environ.setdefault("STREAMGATE_PROXY_PORT", str(int(os.environ["STREAMGATE_CHAIN_PORT"]) + 1)))
KEEP = os.environ.get("STREAMGATE_KEEP", "") not in ("", "0")

from stack import SECOND_CHAIN_ID, SOLANA  # noqa: E402
from tests.kit import contract, inside  # noqa: E402
from tests.kit.chain import Chain, Token  # noqa: E402
from tests.kit.client import Client  # noqa: E402
from tests.kit.fault_proxy import MISLED_CHAIN, PROVIDERS, FaultProxy, provider_url  # noqa: E402
from tests.kit.film import make_film  # noqa: E402
from tests.kit.gate import Gate  # noqa: E402
from tests.kit.player import Player  # noqa: E402
from tests.kit.secrets import Secrets  # noqa: E402
from tests.kit.solana import SolanaChain  # noqa: E402
from tests.kit.wallet import Wallet  # noqa: E402

# The longest film the tests' stack takes, in seconds.
LONGEST = 600
# Facts are kept just long enough to be kept at all: tests wait until what was sold is seen to be gone.
FRESHNESS = {"FactSeconds": "1", "NegativeSeconds": "1", "GraceSeconds": "0", "HeadSeconds": "1"}


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if any("/flow/" in item.path.as_posix() for item in items):
        # What an earlier run has seen says nothing of this one.
        contract.coverage_path().unlink(missing_ok=True)
    # A stable sort: everything else stays where it was.
    items.sort(key=lambda item: item.get_closest_marker("after_flow") is not None)


# ---- The stack


@pytest.fixture(scope="session")
def stack():
    """The real template in the local engine, with IAM enforced."""
    from stack import Stack, StackError

    stack = Stack()
    if OWN_STATE and not KEEP:
        stack.down()
        shutil.rmtree(stack.state, ignore_errors=True)
    assert stack.engine_environment()["AUTH"] == "true"
    processes = (stack.edge, stack.solana, stack.second_chain, stack.chain, stack.mediaconvert, stack.engine)
    ours = [process for process in processes if not process.pid()]
    try:
        try:
            stack.start_second_chain()
            stack.up(**parameters(stack))
        except StackError as problem:
            # Once, and not for each of some hundred tests.
            pytest.exit(f"the stack did not start: {problem}", returncode=1)
        # A run that was cut off may have left something at work.
        inside.purge(stack)
        yield stack
    finally:
        if not KEEP:
            for process in ours:
                process.stop()


def parameters(stack) -> dict[str, str]:
    chains = json.dumps(configured_chains(stack), separators=(",", ":"))
    # A chunk is one segment: a film of some seconds is cut as one of hours is.
    return {"Chains": chains, "MaxDurationSeconds": str(LONGEST), "ChunkSeconds": "4", **FRESHNESS}


@pytest.fixture(scope="session")
def redeploy(stack):
    """`redeploy(Name="value")`: the stack with other parameters than the tests'. Without any it is as before."""
    return lambda **changes: stack.deploy(**parameters(stack) | changes)


def configured_chains(stack) -> list[dict]:
    """What functions are told: each chain by three providers of which two must agree, and all of them are the proxy."""

    def chain(name: str, providers: tuple[str, ...] = PROVIDERS, quorum: int = 2) -> dict:
        return {"chain": name, "rpc": [provider_url(PROXY_PORT, name, each) for each in providers], "quorum": quorum}

    return [
        chain(f"eip155:{stack.chain_id}"),
        chain(f"eip155:{SECOND_CHAIN_ID}"),
        chain(MISLED_CHAIN, PROVIDERS[:1], quorum=1),
        chain(SOLANA),
    ]


def upstreams(stack) -> dict[str, str]:
    """Where the chains are that the proxy stands before."""
    return {
        f"eip155:{stack.chain_id}": stack.chain_url,
        f"eip155:{SECOND_CHAIN_ID}": stack.second_chain_url,
        MISLED_CHAIN: stack.chain_url,
        SOLANA: stack.solana_url,
    }


@pytest.fixture(scope="session")
def proxy(stack):
    """Between the functions and the chains; passes everything on unless a test says otherwise."""
    proxy = FaultProxy(PROXY_PORT, upstreams(stack))
    yield proxy
    proxy.stop()


@pytest.fixture(scope="session")
def secrets():
    """Every secret of this session, collected by the kit's clients as they go."""
    secrets = Secrets()
    contract.observers.append(secrets.watch)
    yield secrets
    contract.observers.remove(secrets.watch)


# ---- The chain and who is on it


@pytest.fixture(scope="session")
def chain(stack, proxy) -> Chain:
    return Chain(stack.chain_url)


@pytest.fixture(scope="session")
def second_chain(stack, proxy) -> Chain:
    """Another chain, with state of its own."""
    return Chain(stack.second_chain_url)


@pytest.fixture(scope="session")
def solana(stack, proxy) -> SolanaChain:
    return SolanaChain(stack.solana_url)


@pytest.fixture(scope="session")
def caip2(chain) -> str:
    return chain.caip2()


@pytest.fixture(scope="session")
def creator(caip2) -> Wallet:
    """On the stack's list of creators."""
    return Wallet.numbered(0, caip2, "creator")


@pytest.fixture(scope="session")
def token(chain, creator) -> Token:
    """An ERC-721 of this session's own."""
    return Token.deploy(chain, creator)


@pytest.fixture(scope="session")
def holder(caip2, token) -> Wallet:
    """Holds token 1."""
    wallet = Wallet.numbered(1, caip2, "holder")
    token.mint(wallet.address, 1)
    return wallet


@pytest.fixture(scope="session")
def stranger(caip2) -> Wallet:
    """Holds nothing."""
    return Wallet.numbered(2, caip2, "stranger")


@pytest.fixture(scope="session")
def policy(token) -> dict:
    """Whoever holds one of the collection."""
    return token.policy(min_balance=1)


# ---- Clients: signed in once, for all tests


def signed_in(stack, wallet: Wallet) -> Client:
    return Client(wallet, stack.edge_origin, renew=True).sign_in()


@pytest.fixture(scope="session")
def as_creator(stack, proxy, secrets, creator):
    with signed_in(stack, creator) as client:
        yield client


@pytest.fixture(scope="session")
def as_holder(stack, proxy, secrets, holder):
    with signed_in(stack, holder) as client:
        yield client


@pytest.fixture(scope="session")
def as_stranger(stack, proxy, secrets, stranger):
    with signed_in(stack, stranger) as client:
        yield client


@pytest.fixture(scope="session")
def as_nobody(stack, proxy, secrets):
    with Client(None, stack.edge_origin) as client:
        yield client


@pytest.fixture(scope="session")
def player():
    player = Player()
    yield player
    player.close()


# ---- Films


@pytest.fixture(scope="session")
def films():
    """`films("name.mp4", seconds=3)`: made once, and kept for later runs."""

    def film(name: str, **how) -> Path:
        # The name alone would keep a film that was made otherwise.
        marks = "-".join(str(value) for value in how.values())
        path = CACHE / "films" / f"{Path(name).stem}-{marks}{Path(name).suffix}"
        return path if path.exists() else make_film(path, **how)

    return film


@pytest.fixture(scope="session")
def publish(as_creator):
    """`publish(film, policy)`: uploads a film and waits until it can be watched."""

    def publish(film: Path, policy: dict | None = None, title: str | None = None, **how) -> dict:
        video = as_creator.upload(film, title, policy, **how)["id"]
        return as_creator.wait_for_stage(video, timeout=120, interval=0.2)

    return publish


@pytest.fixture(scope="session")
def film(films) -> Path:
    """Six seconds of 1280x720 with sound: two renditions, two segments."""
    return films("film.mp4", seconds=6, size="1280x720", rate=25, keyframe_seconds=10)


@pytest.fixture(scope="session")
def small_film(films) -> Path:
    """Three small and silent seconds: one rendition, one segment."""
    return films("small.mp4", seconds=3, size="320x180", rate=10, audio=False)


@pytest.fixture(scope="session")
def video(publish, film, policy) -> dict:
    """A published film for holders. Tests that change its policy put it back."""
    return publish(film, policy, "Two renditions")


@pytest.fixture(scope="session")
def small_video(publish, small_film, policy) -> dict:
    """Another published film for holders."""
    return publish(small_film, policy, "A small film")


@pytest.fixture(scope="session")
def encrypted_video(publish, small_film, policy) -> dict:
    """The small film once more, encrypted."""
    return publish(small_film, policy, "Encrypted", encryption="aes-128")


@pytest.fixture(scope="session")
def ready_video(publish, films, policy) -> dict:
    """Half a minute for the browser: small, because what it shows is that it plays."""
    return publish(films("page.mp4", seconds=30, size="640x360", rate=15), policy, "Half a minute")


@pytest.fixture(scope="session")
def gate(stack, proxy, secrets, as_creator, publish, small_film) -> Gate:
    """A film of its own, to ask any rule about any wallets."""
    gate = Gate(stack, as_creator, publish(small_film, None, "The gate")["id"])
    yield gate
    gate.close()


@pytest.fixture
def own_policy(as_creator, video, policy):
    """`own_policy(rule)` changes the shared film's policy for one test."""

    def change(changed: dict | None) -> dict:
        return as_creator.set_policy(video["id"], changed)

    yield change
    as_creator.set_policy(video["id"], policy)
