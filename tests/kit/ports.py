"""Ports for servers of a test's own."""

from __future__ import annotations

import random
import socket

# Below what systems give outgoing connections (32,768 on Linux), which take a port that its server lets go for a moment.
CHOICE = range(10_000, 20_000)


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    while True:
        port = random.choice(CHOICE)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
