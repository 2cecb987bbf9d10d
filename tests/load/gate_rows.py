"""The gate's rows of the bench: what a decision costs in CPU, round trips and time, and how often it asks no chain.

Runs a stack of its own (ports 25560 and up, state in <cache>/state-bench) with the release binaries of the two functions
that are timed, three EVM chains behind the fault proxy, and beside them a function that only echoes.

    gate.rpc_round_trips    HTTP requests to the busiest provider, over all chains, for one decision of 20 conditions on 3 chains;
                            the head of each chain is known already. baseline: 20, a request for each condition
    gate.decide_cpu         microseconds of one decision, 20 conditions, compiled plan, all facts at hand; baseline: reading the
                            same policy as plain JSON
    gate.cached_grant       p95 in ms of POST /v1/videos/{id}/playback, facts cached; baseline: p95 of the echo, taken in turns
    gate.cold_grant         the same for wallets that nobody has asked about before
    gate.hit_rate           share of the facts used that were remembered, 10,000 viewers in 30 minutes (gate/src/viewers.rs), a yes
                            good for 30 minutes as where chains are watched; gate.hit_rate_default: by FactSeconds' default.
                            gate.silent_decisions: the same load, decisions that asked no chain at all. Each with the store in
                            memory, and with `.dynamodb` behind its name in DynamoDB
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import time
from pathlib import Path

from bench_stack import PORT, PROXY_PORT, BenchStack, default

THIRD_CHAIN_ID = 10
GRANTS = 300
COLD_WALLETS = 60
WATCHED_SECONDS = 30 * 60


def p95(times: list[float]) -> float:
    return statistics.quantiles(times, n=20)[-1]


def program(binaries: Path, *arguments: str, **environment: str) -> dict:
    done = subprocess.run(
        [str(binaries / "load-gate"), *arguments], env=os.environ | environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"load-gate {' '.join(arguments)}: {done.stderr.strip()[-500:]}")
    return json.loads(done.stdout)


def rows(binaries: Path, row, say) -> list[dict]:
    """All of them; `row` makes one, and `say` tells how far it is."""
    made = []
    say("gate: one decision's CPU")
    cpu = program(binaries, "decide")
    made.append(row("gate.decide_cpu", round(cpu["decide_us"], 2), "us", round(cpu["parse_us"], 2)))
    made.append(row("gate.compile_cpu", round(cpu["compile_us"], 2), "us", round(cpu["parse_us"], 2)))
    for name, seconds in (("gate.hit_rate", WATCHED_SECONDS), ("gate.hit_rate_default", default("FactSeconds"))):
        say(f"{name}: 10,000 viewers, in memory")
        seen = program(binaries, "hit-rate", "memory", str(seconds))
        made += shares(name, seen, row)
    with _Stack(binaries, say) as stack:
        for name, seconds in (("gate.hit_rate", WATCHED_SECONDS), ("gate.hit_rate_default", default("FactSeconds"))):
            say(f"{name}: 10,000 viewers, in DynamoDB (some minutes)")
            seen = program(binaries, "hit-rate", "dynamodb", str(seconds), **stack.facts_environment())
            made += shares(f"{name}.dynamodb", seen, row)
        say("gate: round trips of 20 conditions on 3 chains")
        made.append(row("gate.rpc_round_trips", stack.round_trips(), "requests", 20))
        say(f"gate: {GRANTS} grants in turns with as many echoes")
        cached, cold, echo = stack.grants()
        made += [
            row("gate.echo", round(p95(echo), 2), "ms"),
            row("gate.cached_grant", round(p95(cached), 2), "ms", round(p95(echo), 2)),
            row("gate.cold_grant", round(p95(cold), 2), "ms", round(p95(echo), 2)),
        ]
    return made


def shares(name: str, seen: dict, row) -> list[dict]:
    """Of the facts that decisions used, those that no chain was asked for; and of the decisions, those that asked none."""
    decisions = name.replace("hit_rate", "silent_decisions")
    return [
        row(name, round(seen["fact_hit_rate"], 4), "share"),
        row(decisions, round(seen["without_a_chain"], 4), "share"),
    ]


class _Stack(BenchStack):
    """A deployed stack with the release binaries, and what is measured on it."""

    def start(self) -> None:
        from processes import Process
        from stack import SECOND_CHAIN_ID

        from tests.kit.chain import Chain, Token
        from tests.kit.client import Client
        from tests.kit.fault_proxy import PROVIDERS, FaultProxy, provider_url
        from tests.kit.wallet import Wallet

        stack = self.stack
        self.third = Process("third-chain", stack.state)
        self.ours.append(self.third)
        port = PORT + 6
        stack.start_second_chain()
        self.third.stop()
        self.third.start(
            [str(stack.anvil()), "--host", "127.0.0.1", "--port", str(port), "--chain-id", str(THIRD_CHAIN_ID)],
            stack.plain_environment,
        )
        third = f"http://127.0.0.1:{port}"
        upstreams = {
            "eip155:1": stack.chain_url,
            f"eip155:{SECOND_CHAIN_ID}": stack.second_chain_url,
            f"eip155:{THIRD_CHAIN_ID}": third,
        }
        chains = [
            {"chain": name, "rpc": [provider_url(PROXY_PORT, name, each) for each in PROVIDERS], "quorum": 2} for name in upstreams
        ]
        self.proxy = FaultProxy(PROXY_PORT, upstreams)
        stack.up(Chains=json.dumps(chains, separators=(",", ":")), FactSeconds="890", NegativeSeconds="300")
        self.third.wait_ready(lambda: Chain(third).id() == THIRD_CHAIN_ID)
        code = Chain(stack.chain_url).call("eth_getCode", MULTICALL, "latest")
        Chain(third).call("anvil_setCode", MULTICALL, code)
        self.chains = {name: Chain(url) for name, url in upstreams.items()}
        self.creator = Wallet.numbered(0, "eip155:1", "creator")
        self.tokens = {
            name: [Token.deploy(chain, Wallet.numbered(0, name)) for _ in range(14)] for name, chain in self.chains.items()
        }
        self.client, self.wallet = Client, Wallet
        self.release("PlaybackGrant", "ChainVerify")
        self._echo()

    def facts_environment(self) -> dict[str, str]:
        return self.stack.aws_environment | {"FACTS_TABLE": self.stack.resource("FactsTable")}

    def _echo(self) -> None:
        """A function and a route beside the stack's own; they go with the state."""
        functions, gateway = self.stack.client("lambda"), self.stack.client("apigatewayv2")
        role = functions.get_function(FunctionName=self.stack.resource("PlaybackGrant"))["Configuration"]["Role"]
        if self._has_echo(functions):
            functions.delete_function(FunctionName="bench-echo")
        made = functions.create_function(
            FunctionName="bench-echo", Runtime="provided.al2023", Role=role, Handler="bootstrap", MemorySize=256, Timeout=10,
            Code={"ZipFile": self.archive("load-echo")},
        )  # fmt: skip
        api = self.stack.output("ApiId")
        integration = gateway.create_integration(
            ApiId=api, IntegrationType="AWS_PROXY", IntegrationUri=made["FunctionArn"], PayloadFormatVersion="2.0"
        )
        gateway.create_route(ApiId=api, RouteKey="POST /v1/bench-echo", Target=f"integrations/{integration['IntegrationId']}")

    @staticmethod
    def _has_echo(functions) -> bool:
        try:
            functions.get_function(FunctionName="bench-echo")
        except functions.exceptions.ResourceNotFoundException:
            return False
        return True

    # ---- What is measured

    def round_trips(self) -> int:
        """Requests to whichever provider has the most, over all chains."""
        with self.client(self.wallet.numbered(1, "eip155:1"), self.stack.edge_origin).sign_in() as client:
            leaves = [token.condition(min=1) for tokens in zip(*self.tokens.values(), strict=True) for token in tokens]
            account = client.wallet.account
            # Which providers are asked, and the head of each chain, is settled by a decision on other collections.
            first = leaves[:12]
            client.verify({"version": 1, "rule": {"any": first}}, account)
            self.proxy.reset_counts()
            answer = client.verify({"version": 1, "rule": {"any": leaves[12:32]}}, account)
            if {one["outcome"] for one in answer["conditions"]} != {"no"} or len(answer["conditions"]) != 20:
                raise RuntimeError(f"the decision was not made: {answer}")
            by_provider: dict[str, int] = {}
            for (_, provider), requests in self.proxy.requests().items():
                by_provider[provider] = by_provider.get(provider, 0) + requests
            return max(by_provider.values())

    def grants(self) -> tuple[list[float], list[float], list[float]]:
        """Milliseconds of cached grants, first grants, and echoes."""
        import tempfile

        from tests.kit.film import make_film

        token = self.tokens["eip155:1"][0]
        with tempfile.TemporaryDirectory() as folder, self.client(self.creator, self.stack.edge_origin).sign_in() as creator:
            film = make_film(Path(folder) / "bench.mp4", seconds=2, size="320x180", rate=10, audio=False)
            video = creator.wait_for_stage(creator.upload(film, "Bench", token.policy(min=1))["id"])["id"]
        cached, cold, echo = [], [], []
        holder = self.wallet.numbered(1, "eip155:1")
        token.mint(holder.address, 1)
        path = f"/v1/videos/{video}/playback"

        def timed(client, where: str, expected: int, into: list[float]) -> None:
            began = time.perf_counter()
            answer = client.ask("POST", where, {})
            taken = (time.perf_counter() - began) * 1000
            if answer.status_code != expected:
                raise RuntimeError(f"{where}: {answer.status_code} {answer.text[:300]}")
            into.append(taken)

        # Past the edge: what is timed is the API and the functions.
        with self.client(holder, self.stack.api_url).sign_in() as client:
            warm: list[float] = []
            for _ in range(10):
                timed(client, path, 200, warm)
                timed(client, "/v1/bench-echo", 200, warm)
            for _ in range(GRANTS):
                timed(client, path, 200, cached)
                timed(client, "/v1/bench-echo", 200, echo)
        strangers = [self.wallet.fresh("eip155:1", f"cold {number}") for number in range(COLD_WALLETS)]
        for number, wallet in enumerate(strangers):
            token.mint(wallet.address, 1000 + number)
        # The head of before is good for five seconds, and would say that nobody holds anything.
        time.sleep(6)
        for wallet in strangers:
            with self.client(wallet, self.stack.api_url).sign_in() as client:
                timed(client, path, 200, cold)
        return cached, cold, echo


MULTICALL = "0xcA11bde05977b3631167028862bE2a173976CA11"
