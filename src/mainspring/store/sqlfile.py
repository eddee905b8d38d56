"""Named queries in .sql files, compiled once for one database.

    -- name: finish_runs                    a query for both databases
    -- name: claim_runs [sqlite]            one of two variants, side by side, where the databases differ
    -- name: hold_progress [postgres only]  what only one of them has a use for
    -- fragment: run_columns                text that `@run_columns` stands for

`:name` is a parameter. `@rows(v: id bigint, state text)` in a WITH list stands for a table `v` of the caller's rows:
`VALUES` on SQLite, `unnest` of one array per column on PostgreSQL.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from importlib.resources import files
from typing import Literal

import msgspec

Dialect = Literal["sqlite", "postgres"]
DIALECTS: tuple[Dialect, ...] = ("sqlite", "postgres")
ONLY = {f"{dialect} only": dialect for dialect in DIALECTS}

_HEADER = re.compile(r"^-- (name|fragment): (\w+)(?: \[(\w+(?: only)?)\])?\s*$")
_ROWS = re.compile(r"@rows\((\w+): ([^)]*)\)")
_FRAGMENT = re.compile(r"@(\w+)(?!\w|\()")
_PARAM = re.compile(r"(?<![:\w]):([a-z_][a-z0-9_]*)")


class Query(msgspec.Struct, frozen=True):
    """One compiled query. `params` are its scalars in order; `columns` the columns of its rows table, if it has one.

    For PostgreSQL the text is complete: scalars are $1..$s, and one array per column of the rows table follows.
    """

    name: str
    text: str
    params: tuple[str, ...]
    columns: tuple[tuple[str, str], ...]
    table: str | None

    def with_rows(self, count: int) -> str:
        """The SQLite text for `count` rows (0 allowed): scalars are ?1..?s, cells follow row by row."""
        names = ", ".join(name for name, _ in self.columns)
        if count == 0:
            body = "SELECT " + ", ".join("NULL" for _ in self.columns) + " WHERE 0"
        else:
            first = len(self.params) + 1
            width = len(self.columns)
            tuples = (
                "(" + ", ".join(f"?{first + row * width + cell}" for cell in range(width)) + ")" for row in range(count)
            )
            body = "VALUES " + ", ".join(tuples)
        return _ROWS.sub(lambda _: f"{self.table}({names}) AS ({body})", self.text)


def load(dialect: Dialect) -> dict[str, Query]:
    """Every query, compiled for `dialect`. Raises ValueError for a missing or unequal twin or an unknown fragment."""
    return _load(dialect)


@lru_cache
def _load(dialect: Dialect) -> dict[str, Query]:
    fragments: dict[str, str] = {}
    variants: dict[str, dict[str, str]] = {}
    for entry in sorted(files("mainspring.store").joinpath("sql").iterdir(), key=lambda item: item.name):
        for kind, name, variant, text in _split(entry.read_text("utf-8")):
            if kind == "fragment":
                fragments[name] = text
            elif variant in variants.setdefault(name, {}):
                raise ValueError(f"query {name} is written twice")
            else:
                variants[name][variant] = text
    queries = {}
    for name, texts in variants.items():
        only = next((ONLY[variant] for variant in texts if variant in ONLY), None)
        if set(texts) not in ({""}, {f"{only} only"}, set(DIALECTS)):
            raise ValueError(f"query {name} needs one shared text or one for each of {DIALECTS}")
        twins = {variant: _compile(name, text, fragments, dialect) for variant, text in texts.items()}
        if len({(frozenset(twin.params), twin.columns) for twin in twins.values()}) > 1:
            raise ValueError(f"the variants of query {name} take different parameters")
        if only is None or only == dialect:
            queries[name] = twins.get("") or twins.get(f"{only} only") or twins[dialect]
    return queries


def _split(source: str) -> Iterator[tuple[str, str, str, str]]:
    header: re.Match[str] | None = None
    lines: list[str] = []
    for line in [*source.splitlines(), None]:
        match = _HEADER.match(line) if line is not None else None
        if line is None or match:
            if header:
                yield header[1], header[2], header[3] or "", "\n".join(lines).strip().rstrip(";")
            header, lines = match, []
        elif not line.startswith("--"):
            lines.append(line)


def _compile(name: str, text: str, fragments: dict[str, str], dialect: Dialect) -> Query:
    def expand(match: re.Match[str]) -> str:
        if match[1] not in fragments:
            raise ValueError(f"query {name} names an unknown fragment @{match[1]}")
        return fragments[match[1]]

    text = _FRAGMENT.sub(expand, text)
    rows = _ROWS.findall(text)
    if len(rows) > 1:
        raise ValueError(f"query {name} has more than one rows table")
    columns: tuple[tuple[str, str], ...] = ()
    if rows:
        pairs = (pair.split() for pair in rows[0][1].split(","))
        columns = tuple((column, kind) for column, kind in pairs)
    outside = _ROWS.sub("", text)
    params: list[str] = []
    for param in _PARAM.findall(outside):
        if param not in params:
            params.append(param)
    mark = "$" if dialect == "postgres" else "?"
    numbered = _PARAM.sub(lambda m: f"{mark}{params.index(m[1]) + 1}" if m[1] in params else m[0], text)
    table = rows[0][0] if rows else None
    if table and dialect == "postgres":
        numbered = _ROWS.sub(lambda _: _unnested(table, columns, len(params) + 1), numbered)
    return Query(name=name, text=numbered, params=tuple(params), columns=columns, table=table)


def _unnested(table: str, columns: tuple[tuple[str, str], ...], first: int) -> str:
    names = ", ".join(column for column, _ in columns)
    arrays = ", ".join(f"${at}::{kind}[]" for at, (_, kind) in enumerate(columns, first))
    return f"{table}({names}) AS (SELECT * FROM unnest({arrays}))"  # noqa: S608  # names from our own .sql files
