"""The whole stack on this machine: engine, chain and edge as background processes, and the real template in the engine.

    python localstack/stack.py up        build what changed, start everything, deploy
    python localstack/stack.py down      stop everything, also after a crash; state is kept
    python localstack/stack.py status    what runs, and where
    python localstack/stack.py reset     down, and throw the state away

The demo and the tests import it:

    stack = Stack()
    stack.up()
    stack.output("MediaBucketName"); stack.client("s3"); stack.edge_origin

Variables: STREAMGATE_CACHE (default <repository>/.cache), STREAMGATE_STATE (default <cache>/state),
STREAMGATE_ENGINE_PORT 4566, STREAMGATE_CHAIN_PORT 8545, STREAMGATE_CHAIN_ID 31337, STREAMGATE_EDGE_PORT 8088,
STREAMGATE_SOLANA_PORT 8899, STREAMGATE_MEDIACONVERT_PORT (the engine's and 3),
STREAMGATE_TRANSCODER (ffmpeg, or mediaconvert: by the stand-in),
STREAMGATE_CREATORS (default: the chain's first account), CARGO_TARGET_DIR (default <cache>/target). For other engines:
STREAMGATE_ENGINE=external (use what answers on the engine's port), STREAMGATE_CHAIN_RPC (the chain as functions see it).
"""

import argparse
import contextlib
import datetime
import fcntl
import functools
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import boto3
import botocore.config

sys.path.insert(0, str(Path(__file__).resolve().parent))
import deploy  # noqa: E402
from processes import Process, StackError, require_port  # noqa: E402

REPOSITORY = Path(__file__).resolve().parent.parent
REGION = "us-east-1"
# The engine's root; see launcher.py.
ROOT_KEY = "test"
# anvil's first account: everybody knows its key, so it is good for a local chain and for nothing else.
FIRST_ACCOUNT = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"
# The tests' second EVM chain; its port is the first one's and two.
SECOND_CHAIN_ID = 137
# What real chains have at these addresses, and anvil has not: Multicall3, and delegate.xyz's registry.
PLACED = {
    "0xcA11bde05977b3631167028862bE2a173976CA11": "multicall3.hex",
    "0x00000000000000447e69651d841bD8D104Bed493": "Delegations.json",
}
# The local Solana chain's CAIP-2 id: the start of the genesis hash that solana/ledger.mjs gives it, on every machine.
SOLANA = "solana:5WueacX9EoKpnyA1W2GCEkjN7U4Paaue"
# What the build's result depends on.
BUILD_INPUTS = ["template.yaml", "Cargo.toml", "Cargo.lock", "rust-toolchain.toml", ".cargo", "functions", "shared", "web",
                "infra/layers", "localstack/edge"]


def _number(name: str, default: int) -> int:
    text = os.environ.get(name, str(default))
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise StackError(f"{name} must be a port or a chain id from 1 to 65535, not {text!r}")
    return int(text)


class Stack:
    def __init__(self, name: str = "streamgate", say=lambda line: print(line, file=sys.stderr, flush=True)):
        self.name = name
        self.say = say
        self.cache = Path(os.environ.get("STREAMGATE_CACHE", REPOSITORY / ".cache")).resolve()
        self.state = Path(os.environ.get("STREAMGATE_STATE", self.cache / "state")).resolve()
        self.target = Path(os.environ.get("CARGO_TARGET_DIR", self.cache / "target")).resolve()
        self.template = Path(os.environ.get("STREAMGATE_TEMPLATE", REPOSITORY / "template.yaml")).resolve()
        self.engine_port = _number("STREAMGATE_ENGINE_PORT", 4566)
        self.chain_port = _number("STREAMGATE_CHAIN_PORT", 8545)
        self.chain_id = _number("STREAMGATE_CHAIN_ID", 31337)
        self.second_chain_port = self.chain_port + 2
        self.edge_port = _number("STREAMGATE_EDGE_PORT", 8088)
        self.solana_port = _number("STREAMGATE_SOLANA_PORT", 8899)
        self.mediaconvert_port = _number("STREAMGATE_MEDIACONVERT_PORT", self.engine_port + 3)
        self.engine_url = f"http://127.0.0.1:{self.engine_port}"
        self.chain_url = f"http://127.0.0.1:{self.chain_port}"
        self.second_chain_url = f"http://127.0.0.1:{self.second_chain_port}"
        self.edge_origin = f"http://127.0.0.1:{self.edge_port}"
        self.solana_url = f"http://127.0.0.1:{self.solana_port}"
        self.mediaconvert_url = f"http://127.0.0.1:{self.mediaconvert_port}"
        # Another engine than ours, started by somebody else: compose.yaml.
        self.external = os.environ.get("STREAMGATE_ENGINE") == "external"
        self.engine = Process("engine", self.state)
        self.chain = Process("chain", self.state)
        self.second_chain = Process("second-chain", self.state)
        self.edge = Process("edge", self.state)
        self.solana = Process("solana", self.state)
        self.mediaconvert = Process("mediaconvert", self.state)

    # ---- AWS as the engine has it ----------------------------------------------------------------------------------

    @property
    def aws_environment(self) -> dict[str, str]:
        """For an SDK, as the engine's root. The user's own profiles and keys stay out of it."""
        return {
            "AWS_ENDPOINT_URL": self.engine_url,
            "AWS_ENDPOINT_URL_MEDIACONVERT": self.mediaconvert_url,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": ROOT_KEY,
            "AWS_SECRET_ACCESS_KEY": ROOT_KEY,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    @property
    def plain_environment(self) -> dict[str, str]:
        """This process's environment without anything of AWS: what the engine is given reaches every function."""
        return {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "SAM_", "LAMBDA_"))}

    @functools.lru_cache(maxsize=None)  # noqa: B019 - one Stack per process
    def client(self, service: str, access_key: str = ROOT_KEY, secret_key: str = ROOT_KEY, token: str | None = None):
        return boto3.session.Session(
            aws_access_key_id=access_key, aws_secret_access_key=secret_key, aws_session_token=token, region_name=REGION
        ).client(
            service,
            endpoint_url=self.mediaconvert_url if service == "mediaconvert" else self.engine_url,
            config=botocore.config.Config(
                s3={"addressing_style": "path"}, retries={"max_attempts": 2}, max_pool_connections=32, read_timeout=120
            ),
        )

    def outputs(self) -> dict[str, str]:
        described = self.client("cloudformation").describe_stacks(StackName=self.name)["Stacks"][0]
        return {output["OutputKey"]: output["OutputValue"] for output in described.get("Outputs", [])}

    def output(self, key: str) -> str:
        return self.outputs()[key]

    def resource(self, logical_id: str) -> str:
        """The physical id of a resource: a function's name, a table's, a role's."""
        described = self.client("cloudformation").describe_stack_resource(StackName=self.name, LogicalResourceId=logical_id)
        return described["StackResourceDetail"]["PhysicalResourceId"]

    def invoke(self, logical_id: str, event) -> dict:
        answer = self.client("lambda").invoke(FunctionName=self.resource(logical_id), Payload=json.dumps(event).encode())
        return {"error": answer.get("FunctionError"), "payload": json.loads(answer["Payload"].read() or b"null")}

    def log_lines(self, logical_id: str) -> list[str]:
        """A function's log, oldest first."""
        logs = self.client("logs")
        group = self.resource(f"{logical_id}Logs")
        # In order, and a line that two pages have in common once.
        found: dict[tuple[int, str], None] = {}
        since = 0
        with contextlib.suppress(logs.exceptions.ResourceNotFoundException):
            while True:
                # The engine's pages have no next one: 10,000 events are all it tells at a time.
                events = logs.filter_log_events(logGroupName=group, startTime=since)["events"]
                news = {(event["timestamp"], event["message"]): None for event in events}
                if not news.keys() - found.keys():
                    break
                found |= news
                since = events[-1]["timestamp"]
        return [message for _, message in sorted(found, key=lambda line: line[0])]

    @property
    def api_url(self) -> str:
        """The API without the edge, by path, because names under .localhost don't resolve everywhere."""
        return f"{self.engine_url}/_aws/execute-api/{self.output('ApiId')}/$default"

    @property
    def api_origin(self) -> str:
        """The API as an origin: host and port. A name under .localhost means this machine (RFC 6761)."""
        return f"http://{self.output('ApiId')}.execute-api.localhost:{self.engine_port}"

    # ---- Processes -------------------------------------------------------------------------------------------------

    def engine_environment(self) -> dict[str, str]:
        temporary = self.state / "engine" / "tmp"
        temporary.mkdir(parents=True, exist_ok=True)
        return {
            **self.plain_environment,
            # Functions are processes here and inherit all this. The endpoint is how their SDK finds the engine.
            **self.aws_environment,
            # The layer's /opt/bin does not exist here.
            # Where tools.sh links to what the layer is made from.
            "FFMPEG_DIRECTORY": str(self.cache / "bin"),
            "GATEWAY_PORT": str(self.engine_port),
            "BIND_HOST": "127.0.0.1",
            "MINISTACK_REGION": REGION,
            "AUTH": "true",
            "PERSIST_STATE": "1",
            "STATE_DIR": str(self.state / "engine" / "state"),
            "S3_PERSIST": "1",
            "S3_DATA_DIR": str(self.state / "engine" / "s3"),
            "TMPDIR": str(temporary),
            # Listeners that nothing here uses, on ports that somebody else may.
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            # No container is ever wanted: a Docker that happens to be there must not be swept at start-up.
            "DOCKER_HOST": "unix:///nonexistent",
            "PYTHONUNBUFFERED": "1",
        }

    def start_engine(self) -> None:
        if self.external:
            if not _answers(f"{self.engine_url}/_localstack/health"):
                raise StackError(f"no engine answers on {self.engine_url}; see localstack/compose.yaml")
            return
        if self.engine.pid():
            return
        self.engine.stop()  # What a crash left behind.
        require_port(self.engine_port, "STREAMGATE_ENGINE_PORT", "AWS engine")
        self.engine.start([sys.executable, str(Path(__file__).parent / "launcher.py")], self.engine_environment())
        self.engine.wait_ready(lambda: _answers(f"{self.engine_url}/_ministack/health"))

    def start_chain(self) -> None:
        self._start_anvil(self.chain, self.chain_port, self.chain_id)

    def start_second_chain(self) -> None:
        """Not part of `up`: the demo has one chain, tests want two."""
        self._start_anvil(self.second_chain, self.second_chain_port, SECOND_CHAIN_ID)

    def _start_anvil(self, process: Process, port: int, chain_id: int) -> None:
        if process.pid():
            return
        process.stop()
        require_port(port, "STREAMGATE_CHAIN_PORT", process.name)
        command = [
            self.anvil(), "--host", "127.0.0.1", "--port", str(port), "--chain-id", str(chain_id),
            "--state", str(self.state / f"{process.name}.json"), "--state-interval", "5",
            # A block a minute, beside one for each transaction: functions take a chain whose head is old for a stuck one.
            "--block-time", "60", "--mixed-mining",
        ]  # fmt: skip
        process.start(command, self.plain_environment)
        url = f"http://127.0.0.1:{port}"
        process.wait_ready(lambda: _rpc(url, "eth_chainId") == hex(chain_id))
        place_contracts(url)
        # The head that was kept may be of yesterday.
        _rpc(url, "evm_mine")

    def start_solana(self) -> None:
        if self.solana.pid():
            return
        self.solana.stop()
        require_port(self.solana_port, "STREAMGATE_SOLANA_PORT", "Solana chain")
        environment = {
            **self.plain_environment,
            "STREAMGATE_CACHE": str(self.cache),
            "STREAMGATE_SOLANA_PORT": str(self.solana_port),
            "STREAMGATE_SOLANA_STATE": str(self.state / "solana.state"),
        }
        self.solana.start(["node", str(Path(__file__).parent / "solana" / "server.mjs")], environment)
        self.solana.wait_ready(lambda: (_rpc(self.solana_url, "getGenesisHash") or "").startswith(SOLANA.split(":")[1]))

    def start_mediaconvert(self) -> None:
        """The stand-in for MediaConvert. Its client is the engine, for CloudFormation, and one function."""
        if self.external or self.mediaconvert.pid():
            return
        self.mediaconvert.stop()
        require_port(self.mediaconvert_port, "STREAMGATE_MEDIACONVERT_PORT", "stand-in for MediaConvert")
        environment = {
            **self.plain_environment,
            **self.aws_environment,
            "FFMPEG_DIRECTORY": str(self.cache / "bin"),
            "MEDIACONVERT_PORT": str(self.mediaconvert_port),
            "MEDIACONVERT_STATE": str(self.state / "mediaconvert.json"),
        }
        self.mediaconvert.start([sys.executable, "-m", "mediaconvert.server"], environment, Path(__file__).parent)
        self.mediaconvert.wait_ready(lambda: _answers(self.mediaconvert_url))

    def anvil(self) -> Path:
        machine = "arm64" if platform.machine() in ("aarch64", "arm64") else "amd64"
        path = Path(f"npm/node_modules/@foundry-rs/anvil-linux-{machine}/bin/anvil")
        found = Path(os.environ["STREAMGATE_ANVIL"]) if "STREAMGATE_ANVIL" in os.environ else self.cache / path
        if not found.exists():
            raise StackError(f"there is no anvil at {found}; the Makefile installs it, or set STREAMGATE_ANVIL")
        return found

    def edge_environment(self) -> dict[str, str]:
        return {
            **self.plain_environment,
            **self.aws_environment,
            "EDGE_LISTEN": f"127.0.0.1:{self.edge_port}",
            "EDGE_DISTRIBUTION": self.output("DistributionId"),
            # The distribution names <id>.execute-api.<region>.amazonaws.com, as on AWS; here it is served under this.
            "EDGE_API_ORIGIN": self.api_origin,
        }

    def start_edge(self) -> None:
        if self.edge.pid():
            return
        self.edge.stop()
        require_port(self.edge_port, "STREAMGATE_EDGE_PORT", "edge")
        binary = Path(os.environ.get("STREAMGATE_EDGE_BINARY", self.binaries / "edge"))
        if not binary.exists():
            raise StackError(f"there is no edge at {binary}; `stack.py up` builds it, or set STREAMGATE_EDGE_BINARY")
        self.edge.start([str(binary)], self.edge_environment())
        self.edge.wait_ready(lambda: _answers(f"{self.edge_origin}/"))

    # ---- Build and deploy ------------------------------------------------------------------------------------------

    @property
    def triple(self) -> str:
        return f"{'aarch64' if platform.machine() in ('aarch64', 'arm64') else 'x86_64'}-unknown-linux-gnu"

    @property
    def binaries(self) -> Path:
        """Where cargo puts what it builds: functions, edge."""
        return self.target / self.triple / "debug"

    @property
    def built(self) -> Path:
        return self.cache / "build" / "template.yaml"

    @property
    def build_stamp(self) -> Path:
        return self.cache / "build.stamp"

    def build_environment(self) -> dict[str, str]:
        return {
            **self.plain_environment,
            **self.aws_environment,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
            # Debug, and by plain cargo: then functions and tests are compiled from the same dependencies once.
            "SAM_BUILD_MODE": "debug",
            "CARGO_LAMBDA_COMPILER": "cargo",
            "CARGO_TARGET_DIR": str(self.target),
            # cargo-lambda names the target, and cargo keeps what is built for a named target apart. So name it always:
            # whoever runs cargo on its own (tests, clippy) sets this too, or everything is compiled twice.
            "CARGO_BUILD_TARGET": self.triple,
            "SAM_CLI_TELEMETRY": "0",
            "SAM_CLI_POLL_DELAY": "1",
            # The engine ignores layers of provided runtimes; see FFMPEG_DIRECTORY above.
            "FFMPEG_LAYER": os.environ.get("FFMPEG_LAYER", "empty"),
        }

    def build(self, force: bool = False) -> bool:
        """Builds functions and edge if anything they are made from changed. True if it built."""
        digest = _digest(REPOSITORY, BUILD_INPUTS + [os.path.relpath(self.template, REPOSITORY)])
        stamp = self.build_stamp
        if not force and self.built.exists() and stamp.exists() and stamp.read_text() == digest:
            return False
        stamp.unlink(missing_ok=True)
        # One cargo run over all crates uses both cores well; `sam build` then finds everything compiled, and packs it.
        self._run(["cargo", "build", "--workspace", "--bins"], "cargo")
        self._run(
            ["sam", "build", "--beta-features", "--template-file", str(self.template), "--base-dir", str(REPOSITORY),
             "--build-dir", str(self.built.parent), "--region", REGION],
            "sam-build",
        )  # fmt: skip
        stamp.write_text(digest)
        return True

    def chains(self) -> list[dict]:
        """The chains that functions read here. One provider of each is all there is, so a quorum of one is said."""
        rpc = os.environ.get("STREAMGATE_CHAIN_RPC", self.chain_url)
        return [
            {"chain": f"eip155:{self.chain_id}", "rpc": [rpc], "quorum": 1},
            {"chain": SOLANA, "rpc": [self.solana_url], "quorum": 1},
        ]

    def parameters(self, **changes: str) -> dict[str, str]:
        return {
            "Creators": os.environ.get("STREAMGATE_CREATORS", FIRST_ACCOUNT),
            "Chains": json.dumps(self.chains(), separators=(",", ":")),
            # What is shown on one machine is short: cut finely, it can be watched soon, and progress is seen.
            "ChunkSeconds": "8",
            "SegmentSeconds": "4",
            # Said always: a deploy that leaves a parameter out keeps its last value.
            "Transcoder": os.environ.get("STREAMGATE_TRANSCODER", "ffmpeg"),
            **changes,
        }

    def status_of_stack(self) -> str | None:
        cloudformation = self.client("cloudformation")
        try:
            return cloudformation.describe_stacks(StackName=self.name)["Stacks"][0]["StackStatus"]
        except cloudformation.exceptions.ClientError:
            return None

    def deploy(self, force: bool = False, template: Path | None = None, **changes: str) -> bool:
        """`sam deploy` and the post-deploy step, unless the same thing is deployed already. True if it deployed."""
        template = template or self.built
        parameters = self.parameters(**changes)
        # The build's stamp stands for what was built: reading a gigabyte of debug binaries again would take seconds.
        content = self.build_stamp.read_text() if template == self.built else _digest(template.parent, ["."])
        digest = hashlib.sha256((content + json.dumps(parameters, sort_keys=True)).encode()).hexdigest()
        status = self.status_of_stack()
        done = status in ("CREATE_COMPLETE", "UPDATE_COMPLETE") and self._deployed() == digest
        if not done or force:
            if status in ("ROLLBACK_COMPLETE", "CREATE_FAILED", "ROLLBACK_FAILED", "DELETE_FAILED", "REVIEW_IN_PROGRESS"):
                # Such a stack takes no update.
                self.client("cloudformation").delete_stack(StackName=self.name)
                self.client("cloudformation").get_waiter("stack_delete_complete").wait(
                    StackName=self.name, WaiterConfig={"Delay": 1}
                )
            artifacts = f"{self.name}-artifacts"
            self.client("s3").create_bucket(Bucket=artifacts)
            overrides = [f'{key}="{_escaped(value)}"' for key, value in parameters.items()]
            started = datetime.datetime.now(datetime.UTC)
            self._run(
                ["sam", "deploy", "--template-file", str(template), "--stack-name", self.name, "--s3-bucket", artifacts,
                 "--region", REGION, "--capabilities", "CAPABILITY_IAM", "--no-confirm-changeset",
                 "--no-fail-on-empty-changeset", "--parameter-overrides", " ".join(overrides)],
                "sam-deploy",
                lambda: self._deploy_failures(started),
            )  # fmt: skip
        deploy.after(self)
        # Kept in the engine, not in a file: after a crash the engine is back at its last saved state, and so is this.
        self.client("ssm").put_parameter(Name=f"/{self.name}/deployed", Value=digest, Type="String", Overwrite=True)
        return not done

    def _deployed(self) -> str | None:
        parameters = self.client("ssm")
        try:
            return parameters.get_parameter(Name=f"/{self.name}/deployed")["Parameter"]["Value"]
        except parameters.exceptions.ParameterNotFound:
            return None

    def _deploy_failures(self, since: datetime.datetime) -> str:
        """Why resources failed: in the tool's log that is lost among a hundred lines."""
        events = self.client("cloudformation").describe_stack_events(StackName=self.name)["StackEvents"]
        return "\n".join(
            f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason', '')}"
            for event in events
            if event["ResourceStatus"].endswith("_FAILED") and event["Timestamp"] >= since
        )

    def _run(self, command: list[str], log: str, explain=lambda: "") -> None:
        """Runs a tool with its output in a log file; a failure shows what `explain` finds, or the log's end."""
        self.state.mkdir(parents=True, exist_ok=True)
        path = self.state / f"{log}.log"
        with open(path, "wb") as output:
            done = subprocess.run(
                command, cwd=REPOSITORY, env=self.build_environment(), stdin=subprocess.DEVNULL, stdout=output,
                stderr=subprocess.STDOUT, check=False,
            )  # fmt: skip
        if done.returncode:
            lines = [line for line in path.read_text(errors="replace").splitlines() if line.strip()]
            end = "\n".join(line for line in lines if "skipping upload" not in line)[-4000:]
            raise StackError(f"`{' '.join(command[:2])}` failed; see {path}:\n{explain() or end}")

    # ---- All of it -------------------------------------------------------------------------------------------------

    def up(self, **changes: str) -> None:
        self.state.mkdir(parents=True, exist_ok=True)
        # Ports first: a taken one should not cost a build.
        for process, port, variable, what in (
            (self.engine, self.engine_port, "STREAMGATE_ENGINE_PORT", "AWS engine"),
            (self.chain, self.chain_port, "STREAMGATE_CHAIN_PORT", "chain"),
            (self.edge, self.edge_port, "STREAMGATE_EDGE_PORT", "edge"),
            (self.solana, self.solana_port, "STREAMGATE_SOLANA_PORT", "Solana chain"),
            (self.mediaconvert, self.mediaconvert_port, "STREAMGATE_MEDIACONVERT_PORT", "stand-in for MediaConvert"),
        ):
            if not process.pid() and not (process in (self.engine, self.mediaconvert) and self.external):
                process.stop()
                require_port(port, variable, what)
        # One at a time per cache: a demo and a test run share what is built, `sam build` empties its directory first, and
        # a deployment meanwhile would ship half-written packages.
        self.cache.mkdir(parents=True, exist_ok=True)
        with open(self.cache / "build.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._step("build", self.build, "built", "unchanged")
            self._step("engine", self.start_engine, f"on {self.engine_url}")
            self._step("convert", self.start_mediaconvert, f"on {self.mediaconvert_url}")
            self._step("chain", self.start_chain, f"on {self.chain_url}, eip155:{self.chain_id}")
            self._step("solana", self.start_solana, f"on {self.solana_url}, {SOLANA}")
            changed = self._step("deploy", lambda: self.deploy(**changes), "deployed", "unchanged")
        if changed:
            self.edge.stop()  # It reads the distribution when it starts.
        self._step("edge", self.start_edge, f"on {self.edge_origin}")

    def _step(self, name: str, action, done: str, unchanged: str | None = None):
        start = time.monotonic()
        result = action()
        self.say(f"{name:<8} {done if result is not False or unchanged is None else unchanged} ({time.monotonic() - start:.1f} s)")
        return result

    def down(self) -> None:
        for process in (self.edge, self.solana, self.second_chain, self.chain, self.mediaconvert, self.engine):
            if process.stop():
                self.say(f"{process.name:<8} stopped")

    def status(self) -> dict:
        running = {process.name: process.pid() for process in (self.engine, self.mediaconvert, self.chain, self.solana, self.edge)}
        stack = self.status_of_stack() if running["engine"] else None
        return {
            "processes": running,
            "stack": stack,
            "addresses": {"engine": self.engine_url, "chain": self.chain_url, "solana": self.solana_url, "edge": self.edge_origin},
            "outputs": self.outputs() if stack else {},
        }


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')


def _answers(url: str) -> bool:
    """Whether anything but a refused connection comes back."""
    try:
        urllib.request.urlopen(url, timeout=2).close()
    except urllib.error.HTTPError:
        return True
    except (OSError, ValueError):
        return False
    return True


def place_contracts(url: str) -> None:
    """Puts what is missing of `PLACED` on an anvil, by the node's own cheat. A kept chain has it already."""
    contracts = Path(__file__).resolve().parent / "contracts"
    for address, name in PLACED.items():
        text = (contracts / name).read_text()
        code = json.loads(text)["deployedBytecode"] if name.endswith(".json") else f"0x{text.strip()}"
        if _rpc(url, "eth_getCode", address, "latest") != code:
            _rpc(url, "anvil_setCode", address, code)
        if _rpc(url, "eth_getCode", address, "latest") != code:
            raise StackError(f"{name} could not be placed at {address} on {url}")


def _rpc(url: str, method: str, *parameters):
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters}
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=2) as answer:
            return json.load(answer).get("result")
    except (OSError, ValueError):
        return None


def _digest(base: Path, names: list[str]) -> str:
    digest = hashlib.sha256()
    for name in names:
        path = base / name
        files = sorted(path.rglob("*")) if path.is_dir() else [path]
        for file in files:
            if file.is_file() and "target" not in file.relative_to(base).parts and "__pycache__" not in file.parts:
                digest.update(f"{file.relative_to(base)}\0".encode())
                with open(file, "rb") as content:
                    digest.update(hashlib.file_digest(content, "sha256").digest())
    return digest.hexdigest()


def main() -> int:
    parser = argparse.ArgumentParser(description="StreamGate's stack on this machine")
    parser.add_argument("command", choices=["up", "down", "status", "reset"])
    command = parser.parse_args().command
    try:
        stack = Stack()
        if command == "up":
            stack.up()
        elif command == "status":
            print(json.dumps(stack.status(), indent=2))
        else:
            stack.down()
            if command == "reset":
                shutil.rmtree(stack.state, ignore_errors=True)
    except StackError as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
