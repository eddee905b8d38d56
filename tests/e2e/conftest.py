"""One server and one target for the tests that do not harm them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from e2e.harness import ServerProcess, Target, server


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with server(tmp_path_factory.mktemp("running") / "data") as process:
        yield process


@pytest.fixture
def target() -> Iterator[Target]:
    started = Target()
    yield started
    started.close()
