"""What the deployed functions use that AWS sends a bill for, counted from what they really do.

    with Meter(stack, "PlaybackGrant", "GrantRenew") as meter:
        with meter.measure() as spent:
            ...
        spent["dynamodb_read"]        units of whatever tests/load/prices.json has a price for, by its name there

These functions are given another endpoint for the services that are counted, a `Tap` in front of the engine. It asks
DynamoDB for the capacity that each call consumes, and comes as the engine's root, as the request that it changes is no
longer signed: for so long the functions' own roles are not what is enforced there. Times are of the engine's REPORT
lines: milliseconds on this machine, at least one, of whatever build is deployed, starts included.
"""

from __future__ import annotations

import collections
import contextlib
import http.client
import http.server
import json
import re
import threading
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

from template import read as read_template

from . import inside

# What CloudWatch adds to each line.
LOG_EVENT_BYTES = 26
# Lambda's own, which a SystemLogLevel of WARN leaves out where all went well. The engine writes them always.
PLATFORM = re.compile(r"(START|END|REPORT|INIT_START) ")
REPORT = re.compile(r"Billed Duration: (\d+) ms\tMemory Size: (\d+) MB")
TAPPED = ("DYNAMODB", "S3", "SQS")
DYNAMODB_READS = {"GetItem", "BatchGetItem", "Query", "Scan", "TransactGetItems"}


class Spent(collections.Counter):
    """So many units of each priced thing."""

    def times(self, number: float) -> Spent:
        return Spent({name: units * number for name, units in self.items()})

    def __add__(self, other: collections.Counter) -> Spent:
        return Spent(super().__add__(other))

    def dollars(self, prices: dict[str, float]) -> dict[str, float]:
        """By thing, the costliest first."""
        each = {name: units * prices[name] for name, units in self.items() if units}
        return dict(sorted(each.items(), key=lambda pair: -pair[1]))


class Tap:
    """An endpoint that passes AWS calls on to the engine and counts them."""

    def __init__(self, engine: str):
        self.counted = Spent()
        # Units by what was called: where to look when a cost is too high.
        self.calls: collections.Counter[str] = collections.Counter()
        self.lock = threading.Lock()
        tap, (host, port) = self, (urlsplit(engine).hostname, urlsplit(engine).port)

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True
            wbufsize = -1

            def pass_on(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                headers, body = tap.changed(dict(self.headers.items()), body)
                upstream = http.client.HTTPConnection(host, port, timeout=60)
                try:
                    upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
                    for name, value in headers.items():
                        upstream.putheader(name, value)
                    upstream.endheaders(body)
                    answer = upstream.getresponse()
                    content = answer.read()
                finally:
                    upstream.close()
                tap.count(headers, self.command, self.path, body, answer.status, content)
                self.send_response_only(answer.status, answer.reason)
                for name, value in answer.getheaders():
                    if name.lower() not in ("transfer-encoding", "connection", "content-length"):
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = pass_on

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    @staticmethod
    def service(headers: dict[str, str]) -> str:
        """By the signature's scope."""
        authorization = next((value for name, value in headers.items() if name.lower() == "authorization"), "")
        found = re.search(r"Credential=[^/]+/\d+/(?:[a-z0-9-]+/)?([a-z0-9-]+)/aws4_request", authorization)
        return found.group(1) if found else "-"

    @classmethod
    def changed(cls, headers: dict[str, str], body: bytes) -> tuple[dict[str, str], bytes]:
        """The request as it is passed on."""
        if cls.service(headers) != "dynamodb":
            return headers, body
        body = json.dumps(json.loads(body) | {"ReturnConsumedCapacity": "TOTAL"}).encode()
        gone = ("content-length", "authorization", "x-amz-security-token", "x-amz-content-sha256")
        kept = {name: value for name, value in headers.items() if name.lower() not in gone}
        scope = f"test/{time.strftime('%Y%m%d', time.gmtime())}/us-east-1/dynamodb/aws4_request"
        kept["Authorization"] = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=00"
        return kept | {"Content-Length": str(len(body))}, body

    def count(self, headers: dict, method: str, path: str, body: bytes, status: int, content: bytes) -> None:
        service = self.service(headers)
        target = next((value for name, value in headers.items() if name.lower() == "x-amz-target"), "")
        action = target.rpartition(".")[2]
        spent = Spent()
        if service == "dynamodb" and status == 200:
            consumed = json.loads(content).get("ConsumedCapacity", [])
            units = sum(each["CapacityUnits"] for each in (consumed if isinstance(consumed, list) else [consumed]))
            spent["dynamodb_read" if action in DYNAMODB_READS else "dynamodb_write"] += max(units, least(action, body))
        elif service == "s3":
            spent["s3_get" if method in ("GET", "HEAD") else "s3_put"] += 1
        elif service == "sqs" and action.startswith("SendMessage"):
            # Sent, and then received and deleted by whoever it is for.
            spent["sqs_fifo_request" if b".fifo" in body else "sqs_request"] += 3
        with self.lock:
            self.counted.update(spent)
            self.calls[what(service, action or method, body)] += sum(spent.values())


def what(service: str, action: str, body: bytes) -> str:
    """A call, in a reader's words: a table's name tells more than a service's."""
    asked = json.loads(body) if service == "dynamodb" else {}
    return " ".join([action, asked.get("TableName") or " ".join(asked.get("RequestItems", {})) or service])


def least(action: str, body: bytes) -> float:
    """What a call takes though it finds nothing: the engine leaves such keys of a BatchGetItem out, AWS does not."""
    if action != "BatchGetItem":
        return 0.0
    tables = json.loads(body)["RequestItems"].values()
    return sum(len(table["Keys"]) * (1.0 if table.get("ConsistentRead") else 0.5) for table in tables)


class Meter:
    """Counts what these functions use while something is measured."""

    def __init__(self, stack, *logical_ids: str):
        self.stack, self.logical_ids = stack, logical_ids
        self.tap = Tap(stack.engine_url)
        self.quiet = {
            name
            for name, function in inside.functions().items()
            if function["LoggingConfig"].get("SystemLogLevel") == "WARN"
        }
        self.exit = contextlib.ExitStack()

    def __enter__(self) -> Meter:
        self.exit.callback(self.tap.stop)
        for logical_id in self.logical_ids:
            # One by one: the engine itself sets the endpoint of all.
            endpoints = {f"AWS_ENDPOINT_URL_{service}": self.tap.url for service in TAPPED}
            self.exit.enter_context(inside.environment(self.stack, logical_id, **endpoints))
        return self

    def __exit__(self, *_) -> None:
        self.exit.close()

    @contextlib.contextmanager
    def measure(self) -> Iterator[Spent]:
        """What is used until the block ends is in what the block was given, afterwards."""
        spent, before, lines = Spent(), Spent(self.tap.counted), self._lines()
        yield spent
        # Lines come when an invocation has ended, a moment after its answer.
        time.sleep(0.5)
        spent.update(self.tap.counted)
        spent.subtract(before)
        for logical_id, now in self._lines().items():
            new = now[len(lines[logical_id]) :]
            for line in new:
                if not (logical_id in self.quiet and PLATFORM.match(line)):
                    spent["log_gb"] += (len(line.encode()) + LOG_EVENT_BYTES) / 1e9
                if found := REPORT.search(line):
                    milliseconds, megabytes = int(found.group(1)), int(found.group(2))
                    spent["lambda_request"] += 1
                    spent["lambda_gb_second"] += max(1, milliseconds) / 1000 * megabytes / 1024

    def _lines(self) -> dict[str, list[str]]:
        return {name: self.stack.log_lines(name) for name in self.logical_ids}


def access_log_line() -> int:
    """Bytes of the API's access log for one request, by the template's format."""
    settings = read_template()["Resources"]["Api"]["Properties"]["AccessLogSettings"]
    shown = {
        "requestId": "JKJaXmPLvHcESHA=",
        "routeKey": "POST /v1/videos/{id}/playback",
        "status": "200",
        "responseLatency": "20",
        "integrationErrorMessage": "-",
    }
    line = re.sub(r"\$context\.(\w+)", lambda found: shown[found.group(1)], settings["Format"])
    return len(line) + LOG_EVENT_BYTES
