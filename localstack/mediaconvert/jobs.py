"""The jobs, their queue, what they do one after the other, and what EventBridge is told of it."""

from __future__ import annotations

import copy
import hashlib
import json
import os
import random
import shutil
import string
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import boto3
import botocore.config
import botocore.exceptions

from . import Refused, encode, model, settings

REGION = os.environ.get("AWS_REGION", "us-east-1")
ACCOUNT = "000000000000"
# The service keeps a token for one minute: docs.aws.amazon.com/mediaconvert/latest/apireference/idempotency.html
TOKEN_SECONDS = 60
# Finished jobs that are kept; the service keeps them for 90 days.
KEPT = 200
LIVE = ("SUBMITTED", "PROGRESSING")
TYPES = {".cmfv": "video/mp4", ".cmfa": "audio/mp4", ".m3u8": "application/x-mpegURL", ".mpd": "application/dash+xml"}


class Canceled(Exception):
    """The job was canceled while it ran."""


class Jobs:
    """All jobs of the account, one of which is worked on at a time. What is not over when the stand-in stops starts again."""

    def __init__(self, state: Path, hurry: float = 1.0):
        self.state = state
        # How many times quicker than asked status updates come: test films are short.
        self.hurry = hurry
        self.lock = threading.RLock()
        self.wake = threading.Condition(self.lock)
        self.process = None
        kept = json.loads(state.read_text()) if state.exists() else {"jobs": {}, "queues": {}}
        self.jobs: dict[str, dict] = kept["jobs"]
        self.queues: dict[str, dict] = kept["queues"]
        self.queues.setdefault("Default", _queue("Default"))
        for job in self.jobs.values():
            if job["status"] == "PROGRESSING":
                job["status"] = "SUBMITTED"
        threading.Thread(target=self._work, daemon=True).start()

    def _save(self) -> None:
        over = [identifier for identifier, job in self.jobs.items() if job["status"] not in LIVE]
        for identifier in over[:-KEPT]:
            del self.jobs[identifier]
        partial = self.state.with_suffix(".partial")
        partial.write_text(json.dumps({"jobs": self.jobs, "queues": self.queues}))
        partial.replace(self.state)

    # ---- The API

    def create(self, request: dict) -> dict:
        model.check("CreateJob", request)
        settings.read(request)
        queue = request.get("queue", "Default").rpartition("/")[2]
        digest = hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()
        token = request.get("clientRequestToken", "")
        if len(token) > 64 or not token.isascii():
            raise Refused("BadRequestException", "clientRequestToken: at most 64 ASCII characters")
        with self.lock:
            if queue not in self.queues:
                raise Refused("NotFoundException", f"queue: there is no queue {queue}")
            for job in self.jobs.values():
                if token and job["clientRequestToken"] == token and time.time() - job["createdAt"] < TOKEN_SECONDS:
                    if job["digest"] != digest:
                        raise Refused("ConflictException", "clientRequestToken: it was used a moment ago for another request")
                    return _shown(job)
            now = time.time()
            suffix = "".join(random.choices(string.ascii_lowercase + string.digits, k=6))
            identifier = f"{int(now * 1000)}-{suffix}"
            job = {
                "id": identifier,
                "arn": f"arn:aws:mediaconvert:{REGION}:{ACCOUNT}:jobs/{identifier}",
                "createdAt": int(now),
                "queue": self.queues[queue]["arn"],
                "role": request["role"],
                "status": "SUBMITTED",
                "settings": request["settings"],
                "userMetadata": request.get("userMetadata", {}),
                "clientRequestToken": token,
                "statusUpdateInterval": request.get("statusUpdateInterval", "SECONDS_60"),
                "timing": {"submitTime": int(now)},
                "retryCount": 0,
                "digest": digest,
            }
            self.jobs[identifier] = job
            self._save()
            self.wake.notify_all()
            return _shown(job)

    def get(self, identifier: str) -> dict:
        with self.lock:
            if identifier not in self.jobs:
                raise Refused("NotFoundException", f"there is no job {identifier}")
            return _shown(self.jobs[identifier])

    def list(self, queue: str | None = None, status: str | None = None) -> list[dict]:
        """The newest first, at most 20."""
        with self.lock:
            found = [
                _shown(job)
                for job in self.jobs.values()
                if status in (None, job["status"]) and (not queue or job["queue"].rpartition("/")[2] == queue.rpartition("/")[2])
            ]
        return found[::-1][:20]

    def cancel(self, identifier: str) -> None:
        with self.lock:
            if identifier not in self.jobs:
                raise Refused("NotFoundException", f"there is no job {identifier}")
            job = self.jobs[identifier]
            if job["status"] not in LIVE:
                raise Refused("ConflictException", f"job {identifier} is {job['status']}: only jobs that wait or run can be canceled")
            was = job["status"]
            self._finish(job, "CANCELED")
            if was == "PROGRESSING" and self.process:
                self.process.kill()
            # One that runs says so when it has stopped.
            if was == "SUBMITTED":
                self._emit(job, "CANCELED")

    def put_queue(self, name: str, status: str) -> dict:
        with self.lock:
            self.queues[name] = _queue(name) | {"status": status}
            self._save()
            self.wake.notify_all()
            return self.queues[name]

    def get_queue(self, name: str) -> dict:
        with self.lock:
            if name not in self.queues:
                raise Refused("NotFoundException", f"there is no queue {name}")
            return self.queues[name]

    def delete_queue(self, name: str) -> None:
        with self.lock:
            self.queues.pop(name, None)
            self._save()

    # ---- The work

    def _work(self) -> None:
        while True:
            with self.lock:
                while not (job := self._next()):
                    self.wake.wait()
                job["status"] = "PROGRESSING"
                job["timing"]["startTime"] = int(time.time())
                self._save()
            folder = Path(tempfile.mkdtemp(prefix="mediaconvert-"))
            try:
                self._emit(job, "PROGRESSING")
                details = self._run(job, folder)
                with self.lock:
                    self._unless_canceled(job)
                    self._finish(job, "COMPLETE", outputGroupDetails=_described(details), jobPercentComplete=100)
                self._emit(job, "COMPLETE", outputGroupDetails=details, warnings=[])
            except Canceled:
                self._emit(job, "CANCELED")
            except Exception as problem:  # noqa: BLE001 - whatever goes wrong ends the job, as it does there
                if job["status"] == "CANCELED":
                    self._emit(job, "CANCELED")
                    continue
                code, message = (problem.code, str(problem)) if isinstance(problem, encode.Failed) else (1999, repr(problem))
                with self.lock:
                    self._finish(job, "ERROR", errorCode=code, errorMessage=message)
                self._emit(job, "ERROR", errorCode=code, errorMessage=message)
            finally:
                self.process = None
                shutil.rmtree(folder, ignore_errors=True)

    def _next(self) -> dict | None:
        for job in self.jobs.values():
            queue = self.queues.get(job["queue"].rpartition("/")[2])
            if job["status"] == "SUBMITTED" and queue and queue["status"] == "ACTIVE":
                return job
        return None

    def _finish(self, job: dict, status: str, **more) -> None:
        job.update(more)
        job["status"] = status
        job["timing"]["finishTime"] = int(time.time())
        self._save()

    def _unless_canceled(self, job: dict) -> None:
        if job["status"] == "CANCELED":
            raise Canceled

    def _run(self, job: dict, folder: Path) -> list[dict]:
        order = settings.read({"settings": job["settings"], "role": job["role"]})
        storage = self._storage(job["role"])
        source = folder / "input"
        try:
            storage.download_file(order.bucket, order.key, str(source))
        except botocore.exceptions.ClientError as problem:
            raise _denied(problem, f"s3://{order.bucket}/{order.key}") from problem
        seen = encode.probe(source)
        self._unless_canceled(job)
        self._emit(job, "INPUT_INFORMATION", inputDetails=[_input(f"s3://{order.bucket}/{order.key}", seen)])

        interval = int(job["statusUpdateInterval"].removeprefix("SECONDS_")) / self.hurry
        told = time.monotonic()

        def started(process) -> None:
            with self.lock:
                self.process = process
                if job["status"] == "CANCELED":
                    process.kill()

        def progress(part: float, frames: int) -> None:
            nonlocal told
            job["jobPercentComplete"] = 5 + int(part * 85)
            job["currentPhase"] = "TRANSCODING"
            if time.monotonic() - told >= interval:
                told = time.monotonic()
                self._update(job, frames, part)

        work = folder / "output"
        work.mkdir()
        tracks = encode.encode(order, source, work, seen, started, progress)
        self._unless_canceled(job)
        job["currentPhase"] = "UPLOADING"
        manifests = [work / f"{order.name}{suffix}" for suffix in (".m3u8", ".mpd")]
        for track in tracks:
            track.files.append(work / f"{order.name}{track.output.modifier}.m3u8")
        base = order.out_base.removesuffix(order.name)

        def upload(path: Path) -> None:
            if job["status"] == "CANCELED":
                raise Canceled
            try:
                kind = TYPES[path.suffix]
                storage.upload_file(str(path), order.out_bucket, base + path.name, ExtraArgs={"ContentType": kind})
            except boto3.exceptions.S3UploadFailedError as problem:
                raise encode.Failed(1401, f"Unable to write s3://{order.out_bucket}/{base}{path.name}: access denied") from problem

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(upload, [file for track in tracks for file in track.files]))
        for path in manifests:
            upload(path)
        shown = [f"s3://{order.out_bucket}/{base}{path.name}" for path in reversed(manifests)]
        outputs = []
        for track in tracks:
            output = {"outputFilePaths": [f"s3://{order.out_bucket}/{base}{order.name}{track.output.modifier}.m3u8"],
                      "durationInMs": int(track.seconds * 1000)}  # fmt: skip
            if track.is_video:
                output["videoDetails"] = {"widthInPx": track.output.width, "heightInPx": track.output.height}
            outputs.append(output)
        return [{"outputDetails": outputs, "playlistFilePaths": shown, "type": "CMAF_GROUP"}]

    def _storage(self, role: str):
        """S3 with what the job's role may, no more."""
        try:
            session = _client("sts").assume_role(RoleArn=role, RoleSessionName="mediaconvert")["Credentials"]
        except botocore.exceptions.ClientError as problem:
            raise encode.Failed(1432, f"Unable to assume role [{role}]") from problem
        return _client("s3", session["AccessKeyId"], session["SecretAccessKey"], session["SessionToken"])

    # ---- EventBridge

    def _update(self, job: dict, frames: int, part: float) -> None:
        def phase(status: str, percent: int) -> dict:
            return {"status": status, "percentComplete": percent}

        phases = {
            "PROBING": phase("COMPLETE", 100),
            "TRANSCODING": phase("PROGRESSING", int(part * 100)),
            "UPLOADING": phase("PENDING", 0),
        }
        done = {"phaseProgress": phases, "jobPercentComplete": job["jobPercentComplete"], "currentPhase": "TRANSCODING", "retryCount": 0}
        self._emit(job, "STATUS_UPDATE", framesDecoded=frames, jobProgress=done)

    def _emit(self, job: dict, status: str, **more) -> None:
        detail = {
            "timestamp": int(time.time() * 1000),
            "accountId": ACCOUNT,
            "queue": job["queue"],
            "jobId": job["id"],
            "status": status,
            "userMetadata": job["userMetadata"],
            **more,
        }
        entry = {"Source": "aws.mediaconvert", "DetailType": "MediaConvert Job State Change", "Detail": json.dumps(detail),
                 "Resources": [job["arn"]]}  # fmt: skip
        # The service tells at least once; an engine that restarts is waited for.
        for pause in (0.2, 1, 3, 10, None):
            try:
                answer = _client("events").put_events(Entries=[entry])
                if not answer["FailedEntryCount"]:
                    return
                problem = answer["Entries"]
            except botocore.exceptions.BotoCoreError as error:
                problem = error
            if pause is None:
                print(f"the event {status} of {job['id']} was lost: {problem}", flush=True)
            else:
                time.sleep(pause)


def _client(service: str, key: str | None = None, secret: str | None = None, token: str | None = None):
    return boto3.session.Session(key, secret, token, region_name=REGION).client(
        service, config=botocore.config.Config(s3={"addressing_style": "path"}, max_pool_connections=16)
    )


def _queue(name: str) -> dict:
    arn = f"arn:aws:mediaconvert:{REGION}:{ACCOUNT}:queues/{name}"
    return {"name": name, "arn": arn, "status": "ACTIVE", "type": "SYSTEM" if name == "Default" else "CUSTOM", "pricingPlan": "ON_DEMAND"}


def _shown(job: dict) -> dict:
    shown = copy.deepcopy(job)
    del shown["digest"]
    return shown


def _described(details: list[dict]) -> list[dict]:
    """As GetJob has it: less than the event has."""
    known = ("durationInMs", "videoDetails")
    return [
        {"outputDetails": [{key: output[key] for key in known if key in output} for output in group["outputDetails"]]} for group in details
    ]


def _denied(problem: botocore.exceptions.ClientError, address: str) -> encode.Failed:
    if problem.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
        return encode.Failed(1404, f"Unable to open input file [{address}]: [File not found]")
    return encode.Failed(1401, f"Unable to open input file [{address}]: [Access denied]")


def _input(address: str, seen: list[dict]) -> dict:
    audio, video = [], []
    for stream in seen:
        if stream["codec_type"] == "audio":
            audio.append({"channels": stream["channels"], "codec": stream["codec_name"].upper(), "language": "UND",
                          "sampleRate": int(stream["sample_rate"]), "streamId": stream["index"] + 1})  # fmt: skip
        elif stream["codec_type"] == "video":
            upper, lower = map(int, stream["avg_frame_rate"].split("/"))
            video.append({"bitDepth": int(stream.get("bits_per_raw_sample") or 8), "codec": stream["codec_name"].upper(),
                          "frameRate": round(upper / lower, 3) if lower else 0, "height": stream["height"], "width": stream["width"],
                          "interlaceMode": "PROGRESSIVE" if stream.get("field_order", "progressive") == "progressive" else "INTERLACED",
                          "sar": stream.get("sample_aspect_ratio", "1:1"), "streamId": stream["index"] + 1})  # fmt: skip
    return {"id": 1, "uri": address, "audio": audio, "video": video}
