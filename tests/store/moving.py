"""A move for tests: rows that no converter should be trusted with, and a process that is killed in the middle.

As a program: `moving.py FROM TO CHUNK KILL_AT`; it kills itself at that report, or at the first one of a
stage; at 0 never, and then it prints the rows.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from pathlib import Path
from typing import Any

import apsw

from mainspring.store import move
from mainspring.store.migrate import migrations
from mainspring.store.move import Copied, Report, Step
from mainspring.store.places import fresh, opened
from mainspring.store.sqlite import connect
from store.making import START
from store.sharing import query

Rows = dict[str, list[tuple[Any, ...]]]

INTEGERS = [-(2**63), -1, 0, 1, 42, 2**53 + 1, 2**63 - 1]
TEXTS = ["", " \t\r\n", "\x01\x7f", "'\"\\;--$1?", "NULL", "\uffff", "\U0010ffff äß中"]
BLOBS = [b"", b"\0", b"\xff\xfe\0", b"\\x00", b"NULL", bytes(range(256)), b"\n" * 100_000]
REALS = [0.0, -0.5, 1e308, 5e-324, 0.1, 3.0, -1e-300]
AWKWARD: dict[str, list[Any]] = {"INTEGER": INTEGERS, "TEXT": TEXTS, "BLOB": BLOBS, "REAL": REALS}
# What one of two columns has the other one has not.
WITHOUT = {("schedules", "run_at")}


def where(text: str) -> Path | str:
    """A store as the program is told of it."""
    return text if text.startswith("postgresql:") else Path(text)


def allowed() -> dict[tuple[str, str], str]:
    """A value for each column that takes only some, from the schema's own words."""
    found = {}
    for one in migrations("sqlite"):
        for table, body in re.findall(r"CREATE TABLE (\w+) \((.*?)\n\)", one.text, re.DOTALL):
            for column, value in re.findall(r"CHECK \((\w+) IN \('(\w+)'", body):
                found[table, column] = value
    return found


async def fill(path: Path, gaps: int = 0) -> None:
    """Every table of the store at `path` gets a row for each awkward value and one with every NULL it may have; and
    `gaps` ordinary rows go into one of the tables."""
    connection = connect(path)
    only = allowed()
    for name, table in (await fresh().tables()).items():
        info = {row[1]: row for row in connection.execute(f'PRAGMA table_info("{name}")')}
        rows = []
        for at in range(len(INTEGERS) + 1):
            row: list[Any] = []
            for column in table.columns:
                optional = not info[column.name][3] and not info[column.name][5]
                if (name, column.name) in WITHOUT or (at == len(INTEGERS) and optional and column.name != "cron_expr"):
                    row.append(None)
                elif at == len(INTEGERS):
                    row.append(only.get((name, column.name), {"INTEGER": 7, "TEXT": "x", "BLOB": b"x"}[column.kind]))
                else:
                    row.append(only.get((name, column.name), AWKWARD[column.kind][at]))
            rows.append(row)
        marks = ", ".join("?" * len(table.columns))
        connection.executemany(f'INSERT INTO "{name}" VALUES ({marks})', rows)
    connection.execute(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) "
        "INSERT INTO gaps SELECT 1000 + i, i % 7, 'missed', 'r' || i, i, i, i FROM n",
        (gaps,),
    ) if gaps else None
    connection.close()


async def content(place: Path | str, *, leases_ended: bool = False) -> Rows:
    """Everything that moves, read without the code that moves it. `leases_ended`: with the leases of runs let go."""
    found: Rows = {}
    for name, table in (await fresh().tables()).items():
        kept = " WHERE name NOT LIKE 'moving_%'" if name == "meta" else ""
        key = ", ".join(f'"{table.names[at]}"' for at in table.key)
        text = f'SELECT {", ".join(map(chr(34).__add__, (one + chr(34) for one in table.names)))} FROM "{name}"{kept}'
        if isinstance(place, Path):
            connection = apsw.Connection(str(place), flags=apsw.SQLITE_OPEN_READONLY)
            rows = [tuple(row) for row in connection.execute(f"{text} ORDER BY {key}")]
            connection.close()
        else:
            rows = [tuple(row) for row in await query(place, f"{text} ORDER BY {key}")]
        if leases_ended and name == "runs":
            until, node = table.names.index("lease_until"), table.names.index("node")
            rows = [
                tuple(
                    None if at == node else 0 if at == until and cell is not None else cell
                    for at, cell in enumerate(row)
                )
                for row in rows
            ]
        found[name] = rows
    return found


async def moved(
    source: Path | str, target: Path | str, report: Report = lambda _: None, *, chunk: int = move.CHUNK_ROWS
) -> list[Copied]:
    """A move from its beginning, or from where it was, to its end."""
    async with opened(source, START) as old:
        what = await move.plan(old, nul_kept=isinstance(target, Path))
        async with opened(target, START, make=True) as new:
            earlier = await move.check(old, new, what)
            token = os.urandom(8).hex()
            return await move.move(old, new, what, earlier, now=START, token=token, report=report, chunk_rows=chunk)


def main(source: str, target: str, chunk: str, kill_at: str) -> None:
    """See above."""
    reports = 0

    def report(step: Step) -> None:
        nonlocal reports
        reports += 1
        if kill_at in (step.stage, str(reports)):
            os.kill(os.getpid(), signal.SIGKILL)

    print(sum(one.rows for one in asyncio.run(moved(where(source), where(target), report, chunk=int(chunk)))))


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    main(*sys.argv[1:])
