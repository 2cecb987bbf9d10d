"""The check of what a run has exercised must come after that run."""

from __future__ import annotations

import pytest


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "after_flow: looks at what the flow tests of the same session did")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if any("/flow/" in item.path.as_posix() for item in items):
        # What an earlier run has seen says nothing of this one.
        from tests.kit.contract import coverage_path

        coverage_path().unlink(missing_ok=True)
    # A stable sort: everything else stays where it was.
    items.sort(key=lambda item: item.get_closest_marker("after_flow") is not None)
