"""Runs groups of tests beside one another, each on a stack of its own: tests that wait for chains and for films leave
processors idle.

    python tests/side_by_side.py "contract flow" "fault browser" [-- what pytest is given as well]

What the first says is shown as it comes, what the others say when they are done. Fails if one does.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent


def start(number: int, group: str, further: list[str], output) -> subprocess.Popen:
    """conftest.py gives each number ports and a state of its own."""
    folders = [str(TESTS / folder) for folder in group.split()]
    command = [sys.executable, "-m", "pytest", "-c", str(TESTS / "pytest.ini"), *folders, *further]
    return subprocess.Popen(command, env=os.environ | {"STREAMGATE_RUN": str(number)}, stdout=output, stderr=subprocess.STDOUT)


def main(arguments: list[str]) -> int:
    split = arguments.index("--") if "--" in arguments else len(arguments)
    groups, further = arguments[:split], arguments[split + 1 :]
    if any(re.fullmatch("STREAMGATE_(STATE|KEEP|[A-Z]+_PORT)", name) for name in os.environ):
        # Chosen for one stack.
        groups = [" ".join(groups)]
    with tempfile.TemporaryDirectory() as folder:
        outputs = [None, *(open(Path(folder) / str(number), "w+") for number in range(1, len(groups)))]  # noqa: SIM115
        runs = [start(number, group, further, output) for number, (group, output) in enumerate(zip(groups, outputs, strict=True))]
        try:
            for number, (run, output) in enumerate(zip(runs, outputs, strict=True)):
                run.wait()
                if output:
                    output.seek(0)
                    print(f"---- {groups[number]}\n{output.read()}", flush=True)
                elif len(groups) > 1:
                    print(f"---- waiting for {', '.join(groups[1:])}", flush=True)
        except KeyboardInterrupt:
            # It reached them as well; each takes its stack down.
            for run in runs:
                run.wait()
    # A group may have nothing of what was asked for (pytest's 5), but not all of them.
    codes = {run.returncode for run in runs} - {pytest.ExitCode.NO_TESTS_COLLECTED} or {pytest.ExitCode.NO_TESTS_COLLECTED}
    return max(abs(code) for code in codes)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
