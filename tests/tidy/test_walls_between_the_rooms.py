"""The contracts of import-linter hold on the tree (`make imports`); here each of them is shown to have teeth."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tidy.sources import ROOT

# file → what is planted there, and the line that import-linter has to print for it
TRESPASSES = {
    "core/errors.py": [
        ("import time", "mainspring.core.errors -> time"),
        ("import random", "mainspring.core.errors -> random"),
        ("import asyncio", "mainspring.core.errors -> asyncio"),
        ("import socket", "mainspring.core.errors -> socket"),
        ("import os.path", "mainspring.core.errors -> os"),
        ("import secrets", "mainspring.core.errors -> secrets"),
        ("import msgspec, apsw", "mainspring.core.errors -> apsw"),
        ("import mainspring.store.fold", "mainspring.core.errors -> mainspring.store.fold"),
    ],
    "core/runs.py": [("import mainspring.core.schedules", "mainspring.core.runs -> mainspring.core.schedules")],
    "observe/__init__.py": [("import mainspring.loops", "mainspring.observe -> mainspring.loops")],
    "outbound/__init__.py": [("import mainspring.store", "mainspring.outbound -> mainspring.store")],
    "loops/__init__.py": [
        ("import mainspring.cli", "mainspring.loops -> mainspring.cli"),
        ("import aiohttp", "mainspring.loops -> aiohttp"),
    ],
    "store/fold.py": [
        ("from apsw import Connection", "mainspring.store.fold -> apsw"),
        ("import asyncpg", "mainspring.store.fold -> asyncpg"),
    ],
    "attic.py": [("", "- mainspring.attic")],
    "../mainspring_agent/failure.py": [
        ("import mainspring.core.errors", "mainspring_agent.failure -> mainspring.core.errors")
    ],
}
CONTRACTS_BROKEN = 6


def test_every_trespass_is_caught(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for name, trespasses in TRESPASSES.items():
        with (tmp_path / "src" / "mainspring" / name).open("a") as file:
            file.writelines(f"\n{line}\n" for line, _ in trespasses)
    tool = Path(sys.executable).with_name("lint-imports")
    answer = subprocess.run(
        [tool, "--no-cache", "--no-logo"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path / "src"), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )
    expected = [line for trespasses in TRESPASSES.values() for _, line in trespasses]
    assert [line for line in expected if line not in answer.stdout] == [], answer.stdout + answer.stderr
    assert f"{CONTRACTS_BROKEN} broken" in answer.stdout
    assert answer.returncode == 1
