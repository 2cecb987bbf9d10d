"""A chain for tests that need no stack."""

from __future__ import annotations

import os

import httpx
import pytest

from tests.kit.ports import free_port
from tests.kit.chain import Chain


@pytest.fixture(scope="session")
def scratch_chain(tmp_path_factory) -> Chain:
    """An anvil of this session's own, as Ethereum, with what the local stack places on its chains."""
    from processes import Process
    from stack import Stack, place_contracts

    port = free_port()
    node = Process("scratch-chain", tmp_path_factory.mktemp("chain"))
    command = [Stack().anvil(), "--host", "127.0.0.1", "--port", str(port), "--chain-id", "1"]
    node.start(command, dict(os.environ))
    try:
        chain = Chain(f"http://127.0.0.1:{port}")

        def answers() -> bool:
            try:
                return chain.id() == 1
            except httpx.TransportError:
                return False

        node.wait_ready(answers)
        place_contracts(chain.url)
        yield chain
    finally:
        node.stop()
