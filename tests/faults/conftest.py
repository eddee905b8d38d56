"""Long trials tell at once what they have survived."""

from __future__ import annotations

from collections.abc import Callable

import pytest


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Print past pytest's capture."""

    def tell(text: str) -> None:
        with capsys.disabled():
            print(f"\n    {text}", end="", flush=True)

    return tell
