"""Asks the gate as its callers do: by a film that has the rule, and by POST /v1/verify. Both must say the same."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from .client import Client
from .solana import LOCAL_CHAIN, SolanaWallet
from .wallet import ContractWallet, Wallet

T = TypeVar("T")
# What a status of the playback call says of the policy.
VERDICTS = {200: "yes", 403: "no", 503: "unknown"}
# How long a yes is remembered (FactSeconds in conftest.py), and a little.
FACT_SECONDS = 1.5
# How long functions may read an EVM chain at a block that was the newest (HeadSeconds in conftest.py), and a little.
HEAD_SECONDS = 1.5
#: The chains whose providers are put to the test.
GROUNDS = ("eip155:1", "eip155:137", LOCAL_CHAIN)


def eventually(look: Callable[[], T], good: Callable[[T], bool], seconds: float = 10.0, what: str = "it") -> T:
    """Looks until what is seen is good. Facts and heads live for seconds, and so long an old answer may be given."""
    until = time.monotonic() + seconds
    while True:
        seen = look()
        if good(seen):
            return seen
        assert time.monotonic() < until, f"{what} did not come about within {seconds:.0f} s; last seen: {seen}"
        time.sleep(0.25)


def renew(stack, *logical_ids: str) -> None:
    """Functions start anew at their next call: with closed breakers, no latencies, and nothing remembered."""
    client = stack.client("lambda")
    for logical_id in logical_ids or ("PlaybackGrant", "ChainVerify"):
        name = stack.resource(logical_id)
        variables = client.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
        client.update_function_configuration(FunctionName=name, Environment={"Variables": variables})


@dataclass
class Ground:
    """A chain with somebody who holds and somebody who doesn't.

    `rule` gives a condition that the holder meets and that nobody has asked about yet: an answer that is remembered
    would say nothing of the providers. `friend` is the stranger as a "lie" names whom it favours.
    """

    name: str
    holder: Wallet | SolanaWallet
    stranger: Wallet | SolanaWallet
    friend: str
    rule: Callable[[], dict]


@dataclass
class Seen:
    """What the gate said. `conditions` are the outcomes as they are answered; a grant comes without."""

    verdict: str
    conditions: list[dict] = field(default_factory=list)
    grant: dict | None = None
    detail: str = ""
    retry_after: str | None = None

    @property
    def value(self) -> str | None:
        """Of the only condition."""
        (condition,) = self.conditions
        return condition.get("value")

    @property
    def reasons(self) -> str:
        return "; ".join([self.detail, *(condition.get("reason", "") for condition in self.conditions)])

    @property
    def outcomes(self) -> dict[str, str]:
        return {condition["path"]: condition["outcome"] for condition in self.conditions}


class Gate:
    """A film whose policy changes with every question, and the sessions of whoever asks.

    Wallets that are asked about together are linked into one session, in their order.
    """

    def __init__(self, stack, owner: Client, video: str):
        self.stack, self.owner, self.video = stack, owner, video
        self.rule: dict | None = None
        self.clients: dict[tuple[str, ...], Client] = {}

    def close(self) -> None:
        for client in self.clients.values():
            client.close()

    def client(self, *wallets) -> Client:
        """A session of these wallets."""
        key = tuple(wallet.account for wallet in wallets)
        if key not in self.clients:
            client = Client(wallets[0], self.stack.edge_origin).sign_in()
            for wallet in wallets[1:]:
                client.link(wallet)
            self.clients[key] = client
        return self.clients[key]

    def set(self, rule: dict) -> None:
        if rule != self.rule:
            self.owner.set_policy(self.video, {"version": 1, "rule": rule})
            self.rule = rule

    def playback(self, rule: dict, *wallets, assets: list[str] | None = None) -> Seen:
        """The film's own answer."""
        self.set(rule)
        path, body = f"/v1/videos/{self.video}/playback", {"assets": assets} if assets else None
        answer = self.client(*wallets).ask("POST", path, body)
        if answer.status_code == 401:
            # The session ran out.
            self.clients.pop(tuple(wallet.account for wallet in wallets)).close()
            answer = self.client(*wallets).ask("POST", path, body)
        assert answer.status_code in VERDICTS, f"{answer.status_code}: {answer.text[:500]}"
        said = answer.json()
        return Seen(
            VERDICTS[answer.status_code],
            said.get("conditions", []),
            said.get("grant"),
            said.get("detail", ""),
            answer.headers.get("Retry-After"),
        )

    def verify(self, rule: dict, *wallets, assets: list[str] | None = None) -> Seen:
        """What anybody is told about these wallets."""
        first, *others = [wallet.account for wallet in wallets]
        said = self.owner.verify({"version": 1, "rule": rule}, first, others, assets)
        return Seen(said["verdict"], said["conditions"])

    def look(self, rule: dict, *wallets, assets: list[str] | None = None) -> Seen:
        """Both ways. For verify every account is a wallet with a key, so contract wallets only ask for the film."""
        played = self.playback(rule, *wallets, assets=assets)
        if any(isinstance(wallet, ContractWallet) for wallet in wallets):
            return played
        verified = self.verify(rule, *wallets, assets=assets)
        if played.verdict != verified.verdict:
            played.verdict = f"{played.verdict}, but verify says {verified.verdict}"
        played.conditions = played.conditions or verified.conditions
        return played

    # ---- Expectations

    def admits(self, rule: dict, *wallets, assets: list[str] | None = None, seconds: float = 10.0) -> Seen:
        """They get in, once the functions have seen the chain as it is."""
        return self._comes_to("yes", rule, wallets, assets, seconds, never=())

    def refuses(self, rule: dict, *wallets, because: str = "", assets: list[str] | None = None) -> Seen:
        """They don't get in, and never did for this."""
        return self._comes_to("no", rule, wallets, assets, 10.0, never=("yes",), because=because)

    def turns_away(self, rule: dict, *wallets, because: str = "", assets: list[str] | None = None) -> Seen:
        """They got in before, and soon don't any more."""
        return self._comes_to("no", rule, wallets, assets, 10.0, never=(), because=because)

    def cannot_tell(self, rule: dict, *wallets, because: str = "", assets: list[str] | None = None) -> Seen:
        """503: nobody gets in, and nobody is told a no."""
        seen = self._comes_to("unknown", rule, wallets, assets, 10.0, never=("yes",), because=because)
        assert int(seen.retry_after) > 0
        return seen

    def _comes_to(self, verdict, rule, wallets, assets, seconds, never, because="") -> Seen:
        def look() -> Seen:
            seen = self.look(rule, *wallets, assets=assets)
            for wrong in never:
                assert wrong not in seen.verdict, f"{seen} for {rule}"
            return seen

        def good(seen: Seen) -> bool:
            return seen.verdict == verdict and because in seen.reasons

        return eventually(look, good, seconds, f"{verdict} {because and f'because {because} '}for {rule}")

    @staticmethod
    def settle() -> None:
        """Waits until no function reads a chain at a block before this moment.

        A question to a contract that isn't there yet is answered too, and answers about a contract's manners and
        decimals are kept for long.
        """
        time.sleep(HEAD_SECONDS)
