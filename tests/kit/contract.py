"""Holds every answer of the API to infra/openapi.yaml.

`ContractTransport` wraps the transport of the kit's client, so that each request of each flow test is also a contract
test, and notes which operation answered with which status (read by tests/contract/test_openapi.py).

The rules: an answer must be one the contract lists for that operation, with the body and headers it describes. A
request the contract calls invalid must not be answered with success (many tests send such requests on purpose). A path
the contract does not know must be answered with 404, or 405 when only the method is unknown.
"""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from urllib.parse import parse_qsl

import httpx
import yaml
from openapi_core import Config, OpenAPI
from openapi_core.datatypes import RequestParameters
from openapi_core.templating.paths.exceptions import OperationNotFound, PathNotFound, PathsNotFound
from openapi_core.templating.paths.finders import APICallPathFinder
from openapi_core.templating.security.exceptions import SecurityNotFound
from werkzeug.datastructures import Headers, ImmutableMultiDict

REPOSITORY = Path(__file__).resolve().parents[2]
CONTRACT = REPOSITORY / "infra" / "openapi.yaml"
POLICY_SCHEMA = REPOSITORY / "infra" / "policy.schema.json"


class ContractViolation(AssertionError):
    """The running API and infra/openapi.yaml disagree."""


def coverage_path() -> Path:
    """Where the operations and statuses that were seen are kept, one JSON line each."""
    chosen = os.environ.get("STREAMGATE_CONTRACT_LOG")
    return Path(chosen) if chosen else REPOSITORY / "target" / "test-output" / "contract-seen.jsonl"


def load() -> dict:
    """The contract, with the policy schema that it refers to as a part of it: openapi-core would read the file anew
    for each reference of each request."""
    policy = json.loads(POLICY_SCHEMA.read_text())
    document = moved(yaml.safe_load(CONTRACT.read_text()), POLICY_SCHEMA.name)
    parts = {f"policy-{name}": moved(part, "") for name, part in policy.pop("$defs").items()}
    del policy["$schema"]
    document["components"]["schemas"] |= parts | {"policy": moved(policy, "")}
    return document


def moved(value, file: str):
    """The same with references to the policy schema, as they are written in the contract or in the schema itself."""
    if isinstance(value, list):
        return [moved(inner, file) for inner in value]
    if not isinstance(value, dict):
        return value
    value = {name: moved(inner, file) for name, inner in value.items()}
    target = value.get("$ref")
    if isinstance(target, str) and target.startswith(f"{file}#/$defs/"):
        value["$ref"] = f"#/components/schemas/policy-{target.rpartition('/')[2]}"
    elif file and target == file:
        value["$ref"] = "#/components/schemas/policy"
    return value


def operations(document: dict) -> list[tuple[str, str, dict]]:
    """(METHOD, path, operation) of every operation of the contract."""
    methods = ("get", "put", "post", "delete", "options", "head", "patch")
    return [
        (method.upper(), path, item[method])
        for path, item in document["paths"].items()
        for method in methods
        if method in item
    ]


class SeenRequest:
    """An httpx request in the shape openapi-core reads."""

    def __init__(self, request: httpx.Request):
        self.method = request.method.lower()
        self.host_url = f"{request.url.scheme}://{request.url.netloc.decode()}"
        self.path = request.url.raw_path.decode().partition("?")[0]
        self.content_type = request.headers.get("content-type", "").lower()
        self.body = request.content or None
        self.parameters = RequestParameters(
            query=ImmutableMultiDict(parse_qsl(request.url.query.decode(), keep_blank_values=True)),
            header=Headers(list(request.headers.items())),
            cookie=ImmutableMultiDict(),
        )


class SeenResponse:
    """An httpx response in the shape openapi-core reads."""

    def __init__(self, response: httpx.Response):
        self.status_code = response.status_code
        self.headers = Headers(list(response.headers.items()))
        self.content_type = response.headers.get("content-type", "").lower()
        self.data = response.content or None


class Contract:
    """infra/openapi.yaml, ready to judge."""

    def __init__(self):
        as_text = lambda content: content.decode()  # noqa: E731
        self.document = load()
        self.openapi = OpenAPI.from_dict(
            self.document,
            config=Config(
                extra_media_type_deserializers={
                    "application/problem+json": json.loads,
                    "application/vnd.apple.mpegurl": as_text,
                    "application/dash+xml": as_text,
                    "text/vtt": as_text,
                }
            ),
        )
        self.seen: set[tuple[str, int, str]] = set()
        # openapi-core keeps no promise about threads, and some tests ask in parallel.
        self.lock = threading.Lock()

    def check(self, request: httpx.Request, response: httpx.Response) -> None:
        """Raises ContractViolation. `response` must have been read."""
        with self.lock:
            self._check(request, response)

    def _check(self, request: httpx.Request, response: httpx.Response) -> None:
        asked, answered = SeenRequest(request), SeenResponse(response)
        name = f"{request.method} {asked.path} -> {response.status_code}"
        try:
            finder = APICallPathFinder(self.openapi.spec)
            operation = finder.find(asked.method, asked.host_url + asked.path).operation
        except (PathNotFound, PathsNotFound):
            if response.status_code == 404:
                return
            raise ContractViolation(f"{name}: infra/openapi.yaml has no such path") from None
        except OperationNotFound:
            if response.status_code in (404, 405):
                return
            raise ContractViolation(f"{name}: infra/openapi.yaml has no such method") from None
        operation_id = operation.read_value()["operationId"]
        problems = [explain(error) for error in self.openapi.iter_response_errors(asked, answered)]
        if response.is_success:
            problems += [f"request: {explain(error)}" for error in self.openapi.iter_request_errors(asked)]
        # What openapi-core lets pass: a body where the contract describes none.
        documented = operation.read_value()["responses"].get(str(response.status_code), {})
        if "$ref" not in documented and "content" not in documented and response.content and not problems:
            problems.append("a body, where the contract has none")
        if problems:
            body = "" if response.is_success else f"\n  answered: {response.text[:600]}"
            raise ContractViolation(f"{name} ({operation_id}) breaks the contract:\n  " + "\n  ".join(problems) + body)
        self._note(operation_id, response)

    def _note(self, operation_id: str, response: httpx.Response) -> None:
        problem = ""
        if response.headers.get("content-type", "").startswith("application/problem+json"):
            problem = str(response.json().get("type", "")).rpartition("/")[2]
        entry = (operation_id, response.status_code, problem)
        if entry in self.seen:
            return
        self.seen.add(entry)
        path = coverage_path()
        path.parent.mkdir(parents=True, exist_ok=True)
        # One short write in append mode: processes that run side by side do not mix their lines.
        with path.open("a") as log:
            log.write(json.dumps(dict(zip(("operation", "status", "problem"), entry))) + "\n")


def explain(error: BaseException) -> str:
    """The useful part of openapi-core's nested errors: what was wrong, and where."""
    parts, cause = [], error
    while cause is not None:
        for schema_error in getattr(cause, "schema_errors", None) or ():
            parts += [line for line in leaves(schema_error)]
        if isinstance(cause, SecurityNotFound):
            parts.append("no session was sent")
        cause = cause.__cause__ or cause.__context__
    return f"{error}: " + "; ".join(dict.fromkeys(parts)) if parts else str(error) or repr(error)


def leaves(error, depth: int = 0):
    """The innermost messages of a JSON Schema error, without the values (they may be tokens)."""
    if getattr(error, "context", None) and depth < 6:
        for inner in error.context:
            yield from leaves(inner, depth + 1)
        return
    where = "/".join(str(step) for step in error.absolute_path) or "(root)"
    wanted = error.validator_value if error.validator in ("type", "pattern", "const", "enum", "required", "format") else ""
    found = ""
    if error.validator in ("additionalProperties", "required") and isinstance(error.instance, dict):
        found = f" (it has {', '.join(sorted(error.instance))})"
    yield f"at {where}: {error.validator} {wanted}{found}".strip()


# Called with each request and its answer, e.g. to collect the secrets in them.
observers: list = []

_contract: Contract | None = None


def contract() -> Contract:
    """The one contract of this process: reading it takes a moment."""
    global _contract
    if _contract is None:
        _contract = Contract()
    return _contract


class ContractTransport(httpx.BaseTransport):
    """Passes requests on and checks what comes back."""

    def __init__(self, inner: httpx.BaseTransport | None = None):
        self.inner = inner or httpx.HTTPTransport()
        self.contract = contract()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.read()
        response = self.inner.handle_request(request)
        response.read()
        # The transport's response does not know its request; it is only lent for the check.
        response.request = request
        for observe in observers:
            observe(request, response)
        if request.url.path.startswith("/v1/"):
            self.contract.check(request, response)
        return response

    def close(self) -> None:
        self.inner.close()
