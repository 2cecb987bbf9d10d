"""MediaConvert's API over HTTP (rest-json), as far as it is used: jobs, and queues for CloudFormation and for tests.

Variables: MEDIACONVERT_PORT, MEDIACONVERT_STATE (a file), MEDIACONVERT_HURRY (1: how many times quicker than asked status updates
come), FFMPEG_DIRECTORY, AWS_ENDPOINT_URL and root's credentials. Signatures and the callers' IAM rights are not checked.
"""

from __future__ import annotations

import json
import os
import re
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from . import Refused, model
from .jobs import Jobs

PREFIX = "/2017-08-29"
# Far more than a job of a hundred outputs.
MOST_BYTES = 1 << 20


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body of an answer are written apart.
    disable_nagle_algorithm = True
    jobs: Jobs

    def _dispatch(self) -> None:
        address = urlsplit(self.path)
        query = dict(parse_qsl(address.query))
        found = re.fullmatch(rf"{PREFIX}/(jobs|queues)(?:/([^/]+))?", address.path)
        try:
            length = int(self.headers.get("Content-Length") or 0)
            if length > MOST_BYTES:
                self.close_connection = True
                raise Refused("BadRequestException", "the body is too large")
            body = self.rfile.read(length)
            if not found:
                raise Refused("NotFoundException", f"{self.command} {address.path}: the stand-in has no such operation")
            name = unquote(found[2]) if found[2] else None
            status, answer = self._answer(f"{self.command} {found[1]}", name, query, body)
        except Refused as refused:
            status, answer = refused.status, {"message": str(refused)}
            self._send(status, answer, refused.name)
            return
        self._send(status, answer)

    do_GET = do_POST = do_PUT = do_DELETE = _dispatch  # noqa: N815

    def _answer(self, what: str, name: str | None, query: dict, body: bytes) -> tuple[int, dict]:
        jobs = self.jobs
        match what, name:
            case "POST jobs", None:
                return 201, {"job": jobs.create(_json(body))}
            case "GET jobs", None:
                return 200, {"jobs": jobs.list(query.get("queue"), query.get("status"))}
            case "GET jobs", str():
                return 200, {"job": jobs.get(name)}
            case "DELETE jobs", str():
                jobs.cancel(name)
                return 202, {}
            case "POST queues", None:
                request = _json(body)
                model.check("CreateQueue", request)
                if set(request) - {"name", "status", "description", "pricingPlan", "tags"}:
                    raise Refused("BadRequestException", "the stand-in makes on-demand queues only")
                return 201, {"queue": jobs.put_queue(request["name"], request.get("status", "ACTIVE"))}
            case "GET queues", str():
                return 200, {"queue": jobs.get_queue(name)}
            case "PUT queues", str():
                request = _json(body)
                model.check("UpdateQueue", request)
                status = request.get("status", jobs.get_queue(name)["status"])
                return 200, {"queue": jobs.put_queue(name, status)}
            case "DELETE queues", str():
                jobs.delete_queue(name)
                return 202, {}
        raise Refused("NotFoundException", f"{what}: the stand-in has no such operation")

    def _send(self, status: int, answer: dict, error: str | None = None) -> None:
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if error:
            self.send_header("x-amzn-ErrorType", error)
        self.end_headers()
        self.wfile.write(body)


def _json(body: bytes) -> dict:
    try:
        value = json.loads(body)
    except ValueError as problem:
        raise Refused("BadRequestException", f"the body is no JSON: {problem}") from problem
    if not isinstance(value, dict):
        raise Refused("BadRequestException", "the body must be an object")
    return value


def main() -> None:
    Handler.jobs = Jobs(Path(os.environ["MEDIACONVERT_STATE"]), float(os.environ.get("MEDIACONVERT_HURRY", "1")))
    server = ThreadingHTTPServer(("127.0.0.1", int(os.environ["MEDIACONVERT_PORT"])), Handler)
    server.daemon_threads = True
    server.serve_forever()


if __name__ == "__main__":
    main()
