"""Background processes with pid files: started once, and stopped by whoever comes later, also after a crash."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import time
from pathlib import Path


class StackError(Exception):
    """Something a person can mend; its text says how."""


def _stat(pid: int) -> list[str] | None:
    """The fields of /proc/<pid>/stat after the name: 0 is the state, 2 the group, 3 the session, 19 the start time."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = text.rsplit(")", 1)[1].split()
    return None if fields[0] in "ZX" else fields


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


class Process:
    """One background process. Its pid file and its log lie in `directory`."""

    def __init__(self, name: str, directory: Path):
        self.name = name
        self.pid_file = directory / f"{name}.pid"
        self.log = directory / f"{name}.log"

    def _record(self) -> dict | None:
        try:
            record = json.loads(self.pid_file.read_text())
        except (OSError, ValueError):
            return None
        return record if record.get("boot") == _boot() else None

    def pid(self) -> int | None:
        """The pid, if that process runs and is the one that was started here: pids are used again."""
        record = self._record()
        fields = _stat(record["pid"]) if record else None
        return record["pid"] if fields and int(fields[19]) == record["started"] else None

    def _group(self) -> list[int]:
        """What still runs of the session that the process was started in: its children outlive a crash."""
        record = self._record()
        if not record:
            return []
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and (fields := _stat(int(entry.name))):
                if int(fields[3]) == record["pid"] and int(fields[19]) >= record["started"]:
                    found.append(int(entry.name))
        return found

    def start(self, command: list[str], environment: dict[str, str], directory: Path | None = None) -> int:
        self.pid_file.parent.mkdir(parents=True, exist_ok=True)
        with open(self.log, "ab") as log:
            child = subprocess.Popen(
                [str(part) for part in command],
                env=environment,
                cwd=directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # A session of its own: Ctrl-C in the terminal does not reach it before `down` stops it in order.
                start_new_session=True,
            )
        fields = _stat(child.pid)
        started = int(fields[19]) if fields else 0
        self.pid_file.write_text(json.dumps({"pid": child.pid, "started": started, "boot": _boot(), "command": command[0]}, default=str))
        self._child = child
        return child.pid

    def wait_ready(self, ready, seconds: float = 30) -> None:
        """Waits until `ready()` is true, and fails early with the log's end when the process ends."""
        deadline = time.monotonic() + seconds
        while not ready():
            if self.pid() is None:
                raise StackError(f"{self.name} ended while starting. The end of {self.log}:\n{self.tail()}")
            if time.monotonic() > deadline:
                raise StackError(f"{self.name} was not ready after {seconds:.0f} s. The end of {self.log}:\n{self.tail()}")
            time.sleep(0.05)

    def tail(self, lines: int = 15) -> str:
        try:
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
        except OSError:
            return "(no log)"

    def stop(self, seconds: float = 20) -> bool:
        """Asks, waits, and then makes sure of the whole session. True if anything ran."""
        pid = self.pid()
        if pid:
            os.kill(pid, signal.SIGTERM)
            deadline = time.monotonic() + seconds
            while self.pid() and time.monotonic() < deadline:
                self._reap()
                time.sleep(0.05)
        left = self._group()
        for member in left:
            try:
                os.kill(member, signal.SIGKILL)
            except ProcessLookupError:
                pass
        if child := getattr(self, "_child", None):
            # Its first thread may be gone, and its port still be held by the others.
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(timeout=10)
        self.pid_file.unlink(missing_ok=True)
        return bool(pid or left)

    def _reap(self) -> None:
        child = getattr(self, "_child", None)
        if child:
            child.poll()


def port_is_taken(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def require_port(port: int, variable: str, what: str) -> None:
    if port_is_taken(port):
        raise StackError(f"port {port} for the {what} is taken; stop what uses it, or set {variable} to another port")
