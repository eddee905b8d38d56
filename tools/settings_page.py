"""Write docs/settings.md from the table in settings.py."""

from __future__ import annotations

import sys
from pathlib import Path

from mainspring.settings import ENV_PREFIX, SETTINGS

_HEAD = """# Settings

Each setting is an option of `mainspring serve` (`--allow-targets`), a variable of the environment
(`MAINSPRING_ALLOW_TARGETS`) or a key of `mainspring.toml` (`allow_targets`). Options win over the environment, the
environment wins over the file. Lists are comma-separated in the environment, repeatable as options, arrays in the
file. Secrets have no option, so that they never appear in a process list.

| setting | default | unit | bound | meaning |
|---|---|---|---|---|
"""


def page() -> str:
    """The whole page."""
    rows = (
        f"| `{ENV_PREFIX}{item.name}` | {f'`{item.default}`' if item.default else 'not set'} | {item.unit or '–'} "
        f"| {item.bound or '–'} | {item.meaning} |\n"
        for item in SETTINGS
    )
    return _HEAD + "".join(rows)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), "utf-8")
