"""What agents say of their machines, as tables: any JSON, its units guessed from the names."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from mainspring.core.instants import iso
from mainspring.doors.console import shown

VALUES_MAX = 500
DEPTH_MAX = 6
_BYTES = re.compile(r"memory|swap|space|(?:^|_)ram(?:_|$)|received|transmitted|speed|bytes")
_INSTANTS = re.compile(r"(?:^|_)time$")
_SECONDS = re.compile(r"(?:^|_)uptime$")


class Figure(msgspec.Struct, frozen=True):
    """One of the main figures; `share`: 0 to 100 where it is a part of something. `label`: in English."""

    label: str
    text: str
    share: float | None = None


class Group(msgspec.Struct, frozen=True):
    """One part of a report: values by where they are in it."""

    name: str
    values: tuple[tuple[str, str], ...]


TEXTS = ("CPU", "Memory", "Load", "Disk")


def figures_of(summary: str | None) -> tuple[Figure, ...]:
    """Load of processor, memory and disk, as far as a summary has them."""
    said = _object(summary)
    found = []
    if (cpu := _number(said, "cpu_usage", "cpu")) is not None:
        found.append(Figure("CPU", f"{cpu:.0f} %", min(100.0, max(0.0, cpu))))
    for label, used, total in (("Memory", "used_memory", "total_memory"), ("Disk", "used_space", "total_space")):
        part, whole = _number(said, used), _number(said, total)
        left = _number(said, used.replace("used", "available"))
        if part is None and whole is not None and left is not None:
            part = whole - left
        if part is not None and whole:
            text = f"{shown.size(int(part))} / {shown.size(int(whole))}"
            found.append(Figure(label, text, min(100.0, max(0.0, part * 100 / whole))))
    if (load := _number(said, "load_one", "load")) is not None:
        found.append(Figure("Load", f"{load:.2f}"))
    return tuple(found)


def groups_of(report: str) -> list[Group]:
    """The members of a report, each flattened into names and values; at most `VALUES_MAX` of them."""
    groups, left = [], VALUES_MAX
    loose: list[tuple[str, str]] = []
    for name, value in _object(report).items():
        if name in ("uuid", "time", "timestamp") or left <= 0:
            continue
        values: list[tuple[str, str]] = []
        _flatten(value, "", name, values, left, 0)
        left -= len(values)
        if isinstance(value, dict | list):
            groups.append(Group(name, tuple(values)))
        else:
            loose += [(name, text) for _, text in values]
    return [Group("", tuple(loose)), *groups] if loose else groups


def _flatten(value: Any, path: str, name: str, into: list[tuple[str, str]], most: int, depth: int) -> None:
    if len(into) >= most:
        return
    if isinstance(value, dict | list) and value and depth < DEPTH_MAX:
        members = value.items() if isinstance(value, dict) else enumerate(value, 1)
        for key, inner in members:
            where = f"{path} {key}".strip()
            _flatten(inner, where, str(key) if isinstance(value, dict) else name, into, most, depth + 1)
        return
    into.append((path, _text(value, name)))


def _text(value: Any, name: str) -> str:
    match value:
        case None:
            return "–"
        case list() | dict() if not value:
            return "–"
        case bool():
            return "true" if value else "false"
        case int() | float() if _BYTES.search(name.lower()) and value >= 1024:
            return shown.size(int(value))
        case int() if _INSTANTS.search(name.lower()) and 10**9 <= value < 4 * 10**9:
            return iso(value * 1000)
        case int() | float() if _SECONDS.search(name.lower()):
            return shown.duration(value * 1000)
        case int() | float():
            return f"{value:,}" if abs(value) < 1 << 53 else str(value)
        case str():
            return value
        case _:
            return msgspec.json.encode(value).decode()


def _number(said: dict[str, Any], *names: str) -> float | None:
    found = next((said[name] for name in names if isinstance(said.get(name), int | float)), None)
    return None if found is None or isinstance(found, bool) else float(found)


def _object(text: str | None) -> dict[str, Any]:
    try:
        said = msgspec.json.decode(text or "null")
    except (msgspec.DecodeError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}
