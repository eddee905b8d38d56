"""How commands print: tables and times for people, JSON for programs."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any


def as_json(value: Any) -> None:
    """One JSON document on standard output."""
    print(json.dumps(value, indent=2, ensure_ascii=False))


def table(heads: Sequence[str], rows: Iterable[Sequence[object]], nothing: str) -> None:
    """Aligned columns, or one line saying that there is nothing."""
    lines = [[clean(cell) for cell in row] for row in rows]
    if not lines:
        print(nothing)
        return
    widths = [max(_width(line[at]) for line in [list(heads), *lines]) for at in range(len(heads))]
    for line in [[head.upper() for head in heads], *lines]:
        print("  ".join(cell + " " * (width - _width(cell)) for cell, width in zip(line, widths, strict=True)).rstrip())


def record(value: dict[str, Any], fields: Sequence[str]) -> None:
    """One thing, a field a line."""
    width = max(len(field) for field in fields)
    for field in fields:
        shown = value.get(field)
        if isinstance(shown, dict | list):
            shown = json.dumps(shown, ensure_ascii=False)
        print(f"{field:{width}}  {clean('-' if shown is None else shown)}")


def local(instant: str | None) -> str:
    """An ISO instant in this machine's zone, to the second."""
    if not instant:
        return "-"
    return datetime.fromisoformat(instant).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def clean(cell: object) -> str:
    """Text without control characters, so that no stored name can drive the terminal."""
    text = "-" if cell is None else str(cell)
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)
