"""The files of others that the console serves, from the list beside them."""

from __future__ import annotations

import re
from functools import cache

import msgspec

from mainspring.doors.console.render import STATIC

_ROW = re.compile(r"^\| (\S+) \| (\S+?), \S+ \| (\S+) \| (\S+), (\S+) \| ([0-9a-f]{64}) \|$", re.MULTILINE)


class Vendored(msgspec.Struct, frozen=True):
    """One file. `terms`: the file with its licence, beside it; `digest`: its SHA-256 in hex."""

    file: str
    package: str
    version: str
    licence: str
    terms: str
    digest: str


@cache
def vendored() -> tuple[Vendored, ...]:
    """All of them."""
    return tuple(Vendored(*row) for row in _ROW.findall((STATIC / "VENDOR.md").read_text("utf-8")))
