"""A fault test that fails must not fail the next one too."""

from __future__ import annotations

import pytest

from tests.kit import inside


@pytest.fixture(autouse=True)
def empty_queues(stack):
    yield
    inside.purge(stack)
