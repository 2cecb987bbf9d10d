"""The deployed stack that rows of the bench run on: ports 25560 and up, state in <cache>/state-bench."""

from __future__ import annotations

import io
import os
import sys
import zipfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PORT = 25560
PROXY_PORT = PORT + 2


def default(parameter: str) -> int:
    """A number of the template."""
    import yaml

    # Parameters are plain YAML; the tags are further down.
    text = (REPOSITORY / "template.yaml").read_text()
    start = text.index("\nParameters:")
    return int(yaml.safe_load(text[start : text.index("\nRules:", start)])["Parameters"][parameter]["Default"])


class BenchStack:
    """`with` starts it, and stops what was started. `start` is a subclass's: `self.stack.up()`, and what it needs."""

    def __init__(self, binaries: Path | None, say):
        """Without binaries the functions stay as they are deployed, which is the development build."""
        cache = Path(os.environ.get("STREAMGATE_CACHE", REPOSITORY / ".cache")).resolve()
        self.binaries, self.say = binaries, say
        self.ours, self.proxy = [], None
        # The second chain's is CHAIN and 2; the third's, of the gate's rows, is 6.
        ports = {"ENGINE": 0, "CHAIN": 1, "PROXY": 2, "EDGE": 4, "SOLANA": 5, "MEDIACONVERT": 7}
        os.environ.update({f"STREAMGATE_{name}_PORT": str(PORT + number) for name, number in ports.items()})
        os.environ.update({"STREAMGATE_STATE": str(cache / "state-bench"), "STREAMGATE_CHAIN_ID": "1"})
        for folder in (REPOSITORY, REPOSITORY / "localstack"):
            if str(folder) not in sys.path:
                sys.path.insert(0, str(folder))

    def __enter__(self):
        from stack import Stack

        self.stack = stack = Stack(say=self.say)
        self.ours = [stack.edge, stack.solana, stack.second_chain, stack.chain, stack.mediaconvert, stack.engine]
        try:
            self.start()
        except BaseException:
            # What was started must not outlive the bench.
            self.__exit__()
            raise
        return self

    def __exit__(self, *_) -> None:
        if self.proxy:
            self.proxy.stop()
        for process in self.ours:
            process.stop()

    def start(self) -> None:
        raise NotImplementedError

    def archive(self, binary: str) -> bytes:
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            entry = zipfile.ZipInfo("bootstrap")
            entry.external_attr = 0o755 << 16
            archive.writestr(entry, (self.binaries / binary).read_bytes())
        return packed.getvalue()

    def release(self, *logical_ids: str) -> None:
        """These functions run the release binaries from now on."""
        if not self.binaries:
            return
        from tests.kit import inside

        client, functions = self.stack.client("lambda"), inside.functions()
        for logical_id in logical_ids:
            name = self.stack.resource(logical_id)
            client.update_function_code(FunctionName=name, ZipFile=self.archive(functions[logical_id]["Binary"]))
            client.get_waiter("function_updated_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1})
