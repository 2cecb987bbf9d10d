"""Delivery's rows of the bench: how long a sold token still opens a film, and what a session costs for its gate.

    python tests/load/delivery_rows.py [--binaries FOLDER | --as-deployed] [--only revocation | cost]

runs these rows alone, on the bench's own stack (bench_stack.py) with the release binaries of the functions that take
part; all of it takes a quarter of an hour on two idle processors. The rows of the edge function, of a session's
cryptography and of playlists come from localstack/edge/examples/bench.rs and media_rows.py.

    delivery.revoke_p50,    seconds from the block with the transfer to the last answer with a segment, of 100 viewers,
    delivery.revoke_p99     each with a wallet and a token, who all sell while they fetch twice a second; ten more keep
                            theirs and must not be stopped. By cookies, noticed by the watch of the chain. `.path`
                            and `.query` are the other carriers; `.webhook` behind that: the watch is off, and each
                            transfer is delivered to POST /v1/webhooks/chain/alchemy as soon as it is mined.
                            baseline: how long the grant had left, and an address signed once would go on to open
    delivery.cost_per_million_sessions
                            dollars, by cookies; `.path`, `.query`.
                            baseline: Lambda@Edge asked about each media request instead

How to read the first. With the watch, sales are spread over the minute of its schedule, so that its pauses are in it;
with webhooks over ten seconds. A poll is each half second, so the end is up to that much later than the last answer.
Not in here: how long CloudFront takes to tell its edges of a write to a KeyValueStore (seconds, by AWS's word; half a
second here), and how long a webhook's provider takes to deliver. Cookies live COOKIE_SECONDS in these runs, and 300 s
as deployed; a sale that is noticed after d s ends them when those are over that were made last, so that

    p99 at a life of 300 s = p99 here + (300 - COOKIE_SECONDS)

and the worst case is 300 + d, where d is the row of `.path`. A sale falls anywhere between two renewals, which are
280 s apart as deployed and RENEWED_AFTER here:

    p50 at a life of 300 s = p50 here + (300 - COOKIE_SECONDS) - (280 - RENEWED_AFTER) / 2

How to read the second. A player really plays a film of 30 minutes, sound apart, in one rendition: grant, master and
media playlists, poster, storyboard, each segment, and each of the renewals that 30 minutes take. Only its
clock is quicker. What that took is counted (tests/kit/spending.py): API calls, function calls and their billed
milliseconds, capacity of DynamoDB with the audit records, SQS, S3; what the edge function is asked, each time with one
read of its store; bytes of the API's answers. Prices: prices.json. Logs have a row of their own, `.logs` behind the
name, to be added. Left out, and told beside the row: signing in, since one serves many sessions, and CloudFront's
requests, as callers could ask API Gateway itself. Left out as well: media and static playlists, which cost the same
without a gate, storage, and what is paid by the clock: the watch, queues' pollers, alarms, secrets. Each renewal reads
the chain anew, as after 280 s. No cold starts. RPC providers are not AWS. A session by path or query that is ended by
DELETE, or revoked, costs more: calls to the KeyValueStore's API, which are dear, are not in here.

The baseline's player is let in the same way, and then each of its media requests, playlists
included, calls a viewer-request function of 128 MB for the 1 ms that is billed at least.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial
from pathlib import Path

import model
from bench_stack import BenchStack, default

VIEWERS, KEEPERS = 100, 10
COOKIE_SECONDS = 15
# What a player of the crowd waits between two renewals: crowd.py's EARLY before 14/15 of the life.
RENEWED_AFTER = 12
SCHEDULE, BURST = 60, 10
PATIENCE = 120
FILM_SECONDS = 1800
SESSIONS = 2
EDGE_LAMBDA_GB_SECONDS = 0.001 * 128 / 1024
PLAYS = ("AuthNonce", "AuthSession", "PlaybackGrant", "GrantRenew", "PlaylistSign")
ENDS = ("OwnershipWatch", "WebhookChain", "GrantReview", "EdgeRevoke")


def rows(binaries: Path | None, row, say, only: str | None = None) -> list[dict]:
    """All of them; `row` makes one, and `say` tells how far it is."""
    made = []
    with _Stack(binaries, say) as stack:
        if only != "revocation":
            made += stack.cost_rows(row)
        if only != "cost":
            made += stack.revocation_rows(row)
    return made


def percentile(values: list[float], which: int) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[which - 1]


class _Stack(BenchStack):
    def start(self) -> None:
        from tests.kit.chain import Chain, Token
        from tests.kit.client import Client
        from tests.kit.wallet import Wallet

        # Said, because the gate's rows run on the same stack, and a parameter that is left out keeps its value.
        self.stack.up(ChunkSeconds="60", **{name: str(default(name)) for name in ("FactSeconds", "NegativeSeconds", "SegmentSeconds")})
        self.release(*PLAYS, *ENDS)
        self.chain = Chain(self.stack.chain_url)
        self.creator = Wallet.numbered(0, self.chain.caip2(), "creator")
        self.token = Token.deploy(self.chain, self.creator)
        self.as_creator = Client(self.creator, self.stack.edge_origin, renew=True).sign_in()

    def __exit__(self, *_) -> None:
        if hasattr(self, "as_creator"):
            self.as_creator.close()
        super().__exit__()

    def publish(self, name: str, **how) -> str:
        from tests.kit.film import make_film

        film = self.stack.state / name
        if not film.exists():
            make_film(film, **how)
        made = self.as_creator.upload(film, name, self.token.policy(min=1))
        return self.as_creator.wait_for_stage(made["id"], timeout=600)["id"]

    # ---- Revocation

    def revocation_rows(self, row) -> list[dict]:
        from tests.kit import inside, webhooks
        from tests.kit.client import Client
        from tests.kit.viewer import CARRIERS
        from tests.kit.watching import follows, unwatched

        self.say("delivery: a film to watch")
        video, chain = self.publish("crowd.mp4", seconds=12, size="320x180", rate=10), self.chain.caip2()
        made = []
        cookies = {"COOKIE_SECONDS": str(COOKIE_SECONDS)}
        with (
            inside.environment(self.stack, "PlaybackGrant", **cookies),
            inside.environment(self.stack, "GrantRenew", **cookies),
        ):
            self.chain.mine()
            follows(self.stack, chain, self.chain.block_number(), 90)
            for carrier in CARRIERS:
                made += self.sold_out(row, video, carrier, SCHEDULE)
            with (
                webhooks.configured(self.stack, chain),
                Client(None, self.stack.edge_origin, check=False) as provider,
                unwatched(self.stack),
            ):
                for carrier in CARRIERS:
                    made += self.sold_out(row, video, carrier, BURST, partial(webhooks.deliver, provider))
        return made

    def sold_out(self, row, video: str, carrier: str, seconds: float, tell=None) -> list[dict]:
        from tests.kit.crowd import Crowd
        from tests.kit.wallet import Wallet

        suffix = ("" if carrier == "cookie" else f".{carrier}") + (".webhook" if tell else "")
        self.say(f"delivery.revoke{suffix}: {VIEWERS} viewers sell")
        buyer = Wallet.fresh(self.creator.chain, "buyer").address
        with Crowd(self.stack, self.token, video, carrier, VIEWERS, KEEPERS) as crowd:
            crowd.watch()
            crowd.sell(buyer, seconds, tell)
            left = crowd.wait(PATIENCE)
        statuses = crowd.statuses()
        stopped = [stream for stream in crowd.keepers if set(stream.statuses) - {200, 206}]
        if left or stopped or crowd.failures() or max(statuses) >= 500:
            raise RuntimeError(
                f"{carrier}: {len(left)} go on, {len(stopped)} who keep theirs were stopped, {statuses}, "
                f"{crowd.failures()[:3]}"
            )
        served = [stream.served_for for stream in crowd.sellers]
        granted = statistics.median(stream.granted_for for stream in crowd.sellers)
        self.say(
            f"delivery.revoke{suffix}: {min(served):.1f} to {max(served):.1f} s, {sum(statuses.values())} answers, "
            f"load {os.getloadavg()[0]:.1f}"
        )
        return [
            row(f"delivery.revoke_p{which}{suffix}", round(percentile(served, which), 2), "s", round(granted))
            for which in (50, 99)
        ]

    # ---- Cost

    def cost_rows(self, row) -> list[dict]:
        from tests.kit import inside
        from tests.kit.spending import Meter
        from tests.kit.viewer import CARRIERS
        from tests.kit.watching import unwatched

        self.say(f"delivery: a film of {FILM_SECONDS} s")
        video = self.publish("half-hour.mp4", seconds=FILM_SECONDS, size="64x36", rate=1)
        made = []
        # No renewal may go by what was read for the last one: on the clock they are 280 s apart.
        fresh = inside.environment(self.stack, "GrantRenew", FACT_SECONDS="1", NEGATIVE_SECONDS="1", HEAD_SECONDS="1")
        with unwatched(self.stack), fresh, Meter(self.stack, *PLAYS, "GrantReview") as meter:
            # Functions start, and read their secrets: by these two, all of them.
            for carrier in ("cookie", "query"):
                self.session(meter, video, carrier)
            for carrier in CARRIERS:
                suffix = "" if carrier == "cookie" else f".{carrier}"
                self.say(f"delivery.cost{suffix}: {SESSIONS} sessions")
                before = Counter(meter.tap.calls)
                sessions = [self.session(meter, video, carrier) for _ in range(SESSIONS)]
                calls = Counter(meter.tap.calls)
                calls.subtract(before)
                for call, units in calls.most_common():
                    if units:
                        self.say(f"delivery.cost{suffix}: {units / SESSIONS:g} units of {call}, signing in included")
                made += self.cost_row(row, suffix, sessions)
        return made

    def session(self, meter, video: str, carrier: str) -> _Session:
        """Half an hour of one viewer."""
        from tests.kit.client import Client
        from tests.kit.player import Player, addresses
        from tests.kit.viewer import Viewer
        from tests.kit.wallet import Wallet

        session = _Session()
        wallet = Wallet.fresh(self.creator.chain)
        self.token.mint(wallet.address, time.time_ns())
        # The head of before would say that nobody holds anything.
        time.sleep(6)
        player, client = Player(check=False), Client(wallet, self.stack.edge_origin, check=False)
        for http in (player.http, client.http):
            http.event_hooks = {"response": [session.note]}
        try:
            with meter.measure() as session.signing_in:
                client.sign_in()
            session.move_to(session.signing_in)
            with meter.measure() as session.admission:
                viewer = Viewer(player, client, video, carrier)
            session.move_to(session.admission)
            with meter.measure() as session.playing:
                tracks = viewer.tracks()
                if sorted(track.kind for track in tracks) != ["audio", "video"]:
                    raise RuntimeError(f"one rendition and one sound were expected: {tracks}")
                asked = [viewer.playback["poster"], viewer.playback["storyboard"], *addresses(tracks)]
                with ThreadPoolExecutor(8) as pool:
                    statuses = {answer.status_code for answer in pool.map(viewer.get, asked)}
                if statuses - {200, 302}:
                    raise RuntimeError(f"{carrier}: {statuses}")
            session.move_to(session.playing)
            session.segments = [len(track.segments) for track in tracks]
            with meter.measure() as session.renewals:
                for _ in range(renewals(viewer.playback.get("renew_at"))):
                    time.sleep(2.1)
                    viewer.renew().raise_for_status()
                    session.renewed += 1
            session.move_to(session.renewals)
        finally:
            player.close()
            client.close()
        return session

    def cost_row(self, row, suffix: str, sessions: list[_Session]) -> list[dict]:
        from tests.kit.spending import Spent

        prices = model.prices()
        share = 1e6 / len(sessions)
        parts = {name: Spent() for name in ("signing_in", "admission", "playing", "renewals")}
        for session in sessions:
            for name, spent in parts.items():
                spent.update(getattr(session, name).times(share))
        everything = sum(parts.values(), Spent())
        signing_in = parts.pop("signing_in")
        logs = sum(spent.pop("log_gb", 0) for spent in parts.values()) * prices["log_gb"]
        for spent in parts.values():
            del spent["cloudfront_request"]
        whole = sum(parts.values(), Spent())
        first = sessions[0]
        authorized = Spent(
            edge_lambda_request=first.media_requests * 1e6,
            edge_lambda_gb_second=first.media_requests * 1e6 * EDGE_LAMBDA_GB_SECONDS,
        )
        dollars = lambda spent: sum(spent.dollars(prices).values())  # noqa: E731
        baseline = dollars(parts["admission"]) + dollars(authorized)
        say = lambda line: self.say(f"delivery.cost{suffix}: {line}")  # noqa: E731
        segments = " and ".join(str(number) for number in first.segments)
        say(f"{segments} segments, {first.media_requests} media requests, {first.renewed} renewals")
        say(", ".join(f"{name} {dollars(spent):.2f}" for name, spent in parts.items()))
        say(", ".join(f"{name} {each:.2f}" for name, each in whole.dollars(prices).items()))
        slower = dollars(whole) + 9 * whole["lambda_gb_second"] * prices["lambda_gb_second"]
        say(f"with logs {dollars(whole) + logs:.2f}, signing in {dollars(signing_in):.2f}; with that and CloudFront's requests {dollars(everything):.2f}")
        say(f"if functions took ten times as long {slower:.2f}")
        run = segment_seconds(self.stack)
        for length in (4, 6):
            other = dollars(first.with_segments_of(length, run).times(1e6))
            say(f"with segments of {length} s {dollars(whole) + other:.2f}; this run has {run:g} s")
        name = f"delivery.cost_per_million_sessions{suffix}"
        return [row(name, round(dollars(whole), 2), "USD", round(baseline, 2)), row(f"{name}.logs", round(logs, 2), "USD")]


class _Session:
    """What one session took, in three parts, and what the edge was asked."""

    def __init__(self):
        from tests.kit.spending import Spent, access_log_line

        self.signing_in = self.admission = self.playing = self.renewals = Spent()
        self.edge, self.line = Spent(), access_log_line()
        self.segments: list[int] = []
        self.media_requests = self.edge_requests = self.playlist_bytes = self.renewed = 0

    def note(self, answer) -> None:
        """Of each answer that the player gets."""
        answer.read()
        # As they came: playlists are packed.
        path, size = answer.request.url.path, answer.num_bytes_downloaded
        size += sum(len(name) + len(value) + 4 for name, value in answer.headers.raw)
        if not path.startswith("/v1/"):
            self.media_requests += 1
            if path.startswith(("/~", "/q/")):
                self.edge_requests += 1
                self.edge.update({"cloudfront_function": 1, "cloudfront_store_read": 1})
            return
        is_playlist = "/playlists/" in path
        self.media_requests += is_playlist
        self.edge.update({
            "http_api_request": math.ceil(size / (512 * 1024)),
            "log_gb": self.line / 1e9,
            # A playlist is asked for without a gate too, but is much shorter then.
            "cloudfront_request": 0 if is_playlist else 1,
            "cloudfront_gb": size / 1e9,
        })  # fmt: skip
        self.playlist_bytes += size if is_playlist else 0

    def move_to(self, part) -> None:
        """What the edge was asked since the last time belongs to this part."""
        part.update(self.edge)
        self.edge.clear()

    def with_segments_of(self, seconds: float, run: float):
        """What is used more, or less, where segments are of another length than in this run."""
        from tests.kit.spending import Spent

        before, after = (math.ceil(FILM_SECONDS / length) for length in (run, seconds))
        more = (after - before) * len(self.segments) if self.edge_requests else 0
        # A written playlist is addresses of segments and little else.
        longer = self.playlist_bytes * (after - before) / before
        return Spent(cloudfront_function=more, cloudfront_store_read=more, cloudfront_gb=longer / 1e9)


def renewals(renew_at: str | None) -> int:
    """How many a player needs until the film is over, of which it has played nothing yet."""
    if not renew_at:
        return 0
    every = datetime.fromisoformat(renew_at).timestamp() - time.time()
    return math.ceil(FILM_SECONDS / every) - 1


def segment_seconds(stack) -> float:
    """The stack's parameter."""
    described = stack.client("cloudformation").describe_stacks(StackName=stack.name)["Stacks"][0]
    parameters = {each["ParameterKey"]: each["ParameterValue"] for each in described.get("Parameters", [])}
    return float(parameters["SegmentSeconds"])


def main() -> int:
    import bench

    parser = argparse.ArgumentParser(description="the delivery rows of the bench")
    parser.add_argument("--binaries", type=Path, default=bench.release_binaries(), help="of the functions")
    parser.add_argument("--as-deployed", action="store_true", help="the development build, for a quick look")
    parser.add_argument("--only", choices=("revocation", "cost"))
    arguments = parser.parse_args()
    say = lambda line: print(f"bench    {line}", file=sys.stderr, flush=True)  # noqa: E731
    binaries = None if arguments.as_deployed else arguments.binaries.resolve()
    bench.show(rows(binaries, bench.row, say, arguments.only))
    return 0


if __name__ == "__main__":
    sys.exit(main())
