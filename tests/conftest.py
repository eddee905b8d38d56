"""The frame every test runs in; what a test needs beyond it lives beside that test."""

from __future__ import annotations

import pytest
from hypothesis import settings
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

from postgres import postgres

# A busy machine is not a failing test: no example is refused for having taken long.
settings.register_profile("mainspring", deadline=None)
settings.load_profile("mainspring")

__all__ = ["postgres"]  # a fixture for every folder; the server starts when the first test asks for it

PROCESSES = "tests/e2e/"


class FileByFile(LoadFileScheduling):
    """Gives each worker whole files, and all files that start processes to one and the same."""

    def _split_scope(self, nodeid: str) -> str:
        return PROCESSES if nodeid.startswith(PROCESSES) else str(super()._split_scope(nodeid))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> FileByFile:
    """Choose the scheduler for `pytest -n`, whatever `--dist` says."""
    return FileByFile(config, log)
