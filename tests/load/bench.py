"""How quickly each function starts, beside Node and Python on the same machine in the same run; and other rows.

    make bench          builds the release binaries first (over ten minutes when nothing is built), then runs this
    python tests/load/bench.py [--binaries FOLDER] [--runs 40] [--only NAME ...]

A start is from spawning the process to its first `GET /2018-06-01/runtime/invocation/next`, the moment from which Lambda
would give it a request. The runtime API is a socket of this process. Every variable that the template gives a function has
a value, and AWS is at an address that nobody has (192.0.2.1, RFC 5737): a function that waits for an answer before it asks
for work does not get there, and fails the bench. What Lambda itself adds to a cold start (fetching the code, starting the
sandbox) is the same for all and is not in here; nor is the first request, which fetches secrets and opens connections.

Rows: `start.<function>` in ms, p50, `baseline` the p50 of the minimal Python bootstrap, `ratio` value / baseline;
`start.baseline_node` and `start.baseline_python`; `size.<function>`, the binary in bytes; `gate.*`: gate_rows.py, `media.*`:
media_rows.py, `delivery.*`: delivery_rows.py, each of which needs some minutes and can be run alone. target/bench/results.json, and target/bench/media.json for model.py.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import select
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import delivery_rows
import gate_rows
import media_rows

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "localstack"))
import template as templates  # noqa: E402

REPOSITORY = Path(__file__).resolve().parents[2]
NEXT = b"GET /2018-06-01/runtime/invocation/next "
# Over a hundred times what the slowest baseline needs on an idle machine.
PATIENCE = 10.0

# As small as the two languages' own HTTP clients allow; a real handler imports more.
NODE = """\
const http = require('node:http');
const [host, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(':');
http.get({ host, port, path: '/2018-06-01/runtime/invocation/next' }, (answer) => answer.resume());
"""
PYTHON = """\
import http.client, os
connection = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
connection.request("GET", "/2018-06-01/runtime/invocation/next")
connection.getresponse()
"""


class Broken(Exception):
    """A subject that does not start."""


class Progress:
    """One line that says how far a long step is: drawn anew on a terminal, else again every few seconds."""

    def __init__(self, text: str, total: int):
        self.text, self.total, self.done = text, total, 0
        self.began = self.shown = time.monotonic()
        self.terminal = sys.stderr.isatty()

    def step(self) -> None:
        self.done += 1
        now = time.monotonic()
        if now - self.began < 2 or now - self.shown < (0.2 if self.terminal else 5):
            return
        self.shown = now
        left = (now - self.began) / self.done * (self.total - self.done)
        line = f"bench    {self.text}: {self.done} of {self.total}, about {left:.0f} s left"
        print(f"\r{line}\033[K" if self.terminal else line, end="" if self.terminal else "\n", file=sys.stderr, flush=True)

    def end(self) -> None:
        if self.terminal:
            print("\r\033[K", end="", file=sys.stderr, flush=True)


# ---- The template


def functions() -> dict[str, dict[str, str]]:
    """Each function's binary with the variables of its environment."""
    template = templates.read(named=True)
    parameters = template["Parameters"]
    found = {}
    for resource in template["Resources"].values():
        if resource["Type"] != "AWS::Serverless::Function":
            continue
        properties = resource["Properties"]
        variables = properties.get("Environment", {}).get("Variables", {})
        values = {key: _value(key, value, parameters) for key, value in variables.items()}
        values["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] = str(properties.get("MemorySize", 128))
        found[resource["Metadata"]["BuildProperties"]["Binary"]] = values
    if not found:
        raise Broken("template.yaml has no functions")
    return found


def _value(key: str, value, parameters: dict) -> str:
    """A parameter's default where there is one; else a word, as a table's name would be."""
    if isinstance(value, dict) and value.get("Ref") in parameters:
        return str(parameters[value["Ref"]].get("Default", ""))
    if isinstance(value, (str, int)):
        return str(value)
    if key == "PLUGINS":
        return "bench=bench-plugin"
    return "https://192.0.2.1/queue" if key.endswith("_URL") else "bench-" + key.lower().replace("_", "-")


def environment(name: str, address: str, own: dict[str, str]) -> dict[str, str]:
    """What Lambda gives a function, and nothing of this process's own environment."""
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "LANG": "en_US.UTF-8",
        "TZ": ":UTC",
        "_HANDLER": "bootstrap",
        "LAMBDA_TASK_ROOT": "/var/task",
        "AWS_LAMBDA_RUNTIME_API": address,
        "AWS_LAMBDA_FUNCTION_NAME": name,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": "/bench",
        "AWS_LAMBDA_LOG_STREAM_NAME": "bench",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "bench",
        "AWS_SECRET_ACCESS_KEY": "bench",
        "AWS_SESSION_TOKEN": "bench",
        "AWS_ENDPOINT_URL": "http://192.0.2.1",
    } | own


# ---- One start


def start(name: str, command: list[str], own: dict[str, str], listener: socket.socket, output: Path) -> float:
    """Milliseconds from spawn to the first request for work; the process does not outlive the call."""
    address = "127.0.0.1:{}".format(listener.getsockname()[1])
    variables = environment(name, address, own)
    with open(output, "wb") as log:
        actions = [(os.POSIX_SPAWN_DUP2, log.fileno(), 1), (os.POSIX_SPAWN_DUP2, log.fileno(), 2)]
        began = time.perf_counter()
        process = os.posix_spawn(command[0], command, variables, file_actions=actions)
    try:
        ended = os.pidfd_open(process)
        try:
            return (_asked_for_work(name, listener, ended, output) - began) * 1000
        finally:
            os.close(ended)
    finally:
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)


def _asked_for_work(name: str, listener: socket.socket, ended: int, output: Path) -> float:
    def wait(file: socket.socket, for_what: str) -> None:
        ready, _, _ = select.select([file, ended], [], [], PATIENCE)
        if file in ready:
            return
        what = "ended by itself" if ready else f"did not {for_what} within {PATIENCE:.0f} s"
        said = output.read_text(errors="replace").strip() or "(nothing)"
        raise Broken(f"{name} {what}; its output:\n{said}")

    wait(listener, "connect to the runtime API")
    connection, _ = listener.accept()
    with connection:
        request = b""
        while len(request) < len(NEXT):
            wait(connection, "ask for work")
            read = connection.recv(4096)
            if not read:
                raise Broken(f"{name} closed its connection to the runtime API")
            request += read
        at = time.perf_counter()
    if not request.startswith(NEXT):
        line = request.partition(b"\r\n")[0].decode(errors="replace")
        raise Broken(f"{name} asked for something else first: {line}; its output:\n{output.read_text(errors='replace')}")
    return at


# ---- The bench


def measure(subjects: dict[str, tuple[list[str], dict[str, str]]], runs: int, folder: Path) -> dict[str, float]:
    """The p50 of each. Interleaved, in another order every round: a busy moment of the machine hits all alike."""
    times: dict[str, list[float]] = {name: [] for name in subjects}
    order = list(subjects)
    progress = Progress("starting processes", (runs + 1) * len(order))
    with socket.create_server(("127.0.0.1", 0), backlog=16) as listener:
        # The first round only brings the files into memory.
        for round_number in range(runs + 1):
            random.shuffle(order)
            for name in order:
                command, own = subjects[name]
                taken = start(name, command, own, listener, folder / "output")
                if round_number:
                    times[name].append(taken)
                progress.step()
    progress.end()
    return {name: statistics.median(taken) for name, taken in times.items()}


def row(name: str, value: float, unit: str, baseline: float | None = None) -> dict:
    ratio = None if baseline is None else round(value / baseline, 4)
    return {"name": name, "value": value, "unit": unit, "baseline": baseline, "ratio": ratio}


def bench(binaries: Path, runs: int, only: list[str]) -> list[dict]:
    wanted = {name: own for name, own in functions().items() if not only or name in only}
    if unknown := set(only) - set(wanted):
        raise Broken(f"the template has no function {', '.join(sorted(unknown))}")
    missing = [name for name in wanted if not os.access(binaries / name, os.X_OK)]
    if missing:
        raise Broken(f"{binaries} lacks {', '.join(missing)}: cargo build --release --workspace --bins")
    node = shutil.which("node")
    if not node:
        raise Broken("node is missing: it is one of the two baselines")
    # Not the virtual environment's: its start-up files are no part of a function.
    python = getattr(sys, "_base_executable", None) or sys.executable
    print(f"{runs} starts of each, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}, {binaries}")
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    print(f"baselines: node {version.lstrip('v')}, python {platform.python_version()}, each with its own HTTP client only\n")
    with tempfile.TemporaryDirectory(prefix="streamgate-bench-") as folder:
        at = Path(folder)
        (at / "bootstrap.js").write_text(NODE)
        (at / "bootstrap.py").write_text(PYTHON)
        # Copies, lest a build that runs meanwhile replace what is measured.
        copies = {name: str(shutil.copy(binaries / name, at / name)) for name in wanted}
        subjects = {
            "baseline_node": ([node, str(at / "bootstrap.js")], {}),
            "baseline_python": ([python, "-I", str(at / "bootstrap.py")], {}),
        } | {name: ([copies[name]], own) for name, own in wanted.items()}
        medians = {name: round(value, 3) for name, value in measure(subjects, runs, at).items()}
        sizes = {name: os.path.getsize(copy) for name, copy in copies.items()}
    baseline = medians["baseline_python"]
    rows = [row(f"start.{name}", medians[name], "ms", baseline) for name in [*wanted, "baseline_node", "baseline_python"]]
    return rows + [row(f"size.{name}", size, "bytes") for name, size in sizes.items()]


def edge_rows() -> list[dict]:
    """What localstack/edge/examples/bench.rs measures."""
    command = ["cargo", "run", "--release", "--quiet", "--locked", "-p", "edge", "--example", "bench"]
    done = subprocess.run(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise Broken("the edge's bench failed")
    return [json.loads(line) for line in done.stdout.splitlines()]


def show(rows: list[dict]) -> None:
    width = max(len(one["name"]) for one in rows)
    print(f"{'name':{width}}  {'value':>12} {'unit':8}  {'baseline':>8}  {'ratio':>6}")
    for one in rows:
        value = f"{one['value']:,.2f}" if one["unit"] in ("ms", "us") else f"{one['value']:,}"
        baseline = "" if one["baseline"] is None else f"{one['baseline']:.2f}"
        ratio = "" if one["ratio"] is None else f"{one['ratio']:.3f}"
        print(f"{one['name']:{width}}  {value:>12} {one['unit']:8}  {baseline:>8}  {ratio:>6}")


def release_binaries() -> Path:
    """Where `make bench` builds them."""
    cache = os.environ.get("STREAMGATE_CACHE", REPOSITORY / ".cache")
    target = os.environ.get("CARGO_TARGET_DIR", Path(cache) / "target")
    return Path(target) / os.environ.get("CARGO_BUILD_TARGET", "x86_64-unknown-linux-gnu") / "release"


def main() -> int:
    parser = argparse.ArgumentParser(description="how quickly each function starts")
    parser.add_argument("--binaries", type=Path, default=release_binaries())
    parser.add_argument("--runs", type=int, default=40, help="measured starts of each (default 40)")
    parser.add_argument("--only", nargs="*", default=[], metavar="NAME", help="the starts of these functions only")
    parser.add_argument("--no-gate", action="store_true", help="without the gate's rows")
    parser.add_argument("--no-media", action="store_true", help="without the media's rows")
    parser.add_argument("--no-delivery", action="store_true", help="without delivery's rows that need a stack")
    arguments = parser.parse_args()
    if arguments.runs < 1:
        parser.error("--runs must be at least 1")
    try:
        rows = bench(arguments.binaries.resolve(), arguments.runs, arguments.only)
        say = lambda line: print(f"bench    {line}", file=sys.stderr, flush=True)  # noqa: E731
        # Before the gate's, whose stack would take processors from it.
        if not arguments.only and not arguments.no_media:
            rows += media_rows.rows(arguments.binaries.resolve(), row, say, keep=REPOSITORY / "target" / "bench")
            say("delivery: the edge function, and a session's cryptography")
            rows += edge_rows()
        if not arguments.only and not arguments.no_gate:
            rows += gate_rows.rows(arguments.binaries.resolve(), row, say)
        if not arguments.only and not arguments.no_delivery:
            rows += delivery_rows.rows(arguments.binaries.resolve(), row, say)
    except Broken as broken:
        print(f"bench failed: {broken}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    show(rows)
    if arguments.only or arguments.no_gate or arguments.no_media or arguments.no_delivery:
        # Part of the rows would pass for all of them.
        return 0
    results = REPOSITORY / "target" / "bench" / "results.json"
    results.parent.mkdir(parents=True, exist_ok=True)
    unfinished = results.with_suffix(".part")
    unfinished.write_text(json.dumps(rows, indent=1) + "\n")
    unfinished.replace(results)
    print(f"\nwritten to {results.relative_to(REPOSITORY)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
