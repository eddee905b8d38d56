"""What people read, in their language: English is written in the pages, every other language is a table from it."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import msgspec

LANGUAGES = {"en": "English", "zh": "中文"}
_FOLDER = Path(__file__).with_name("words")


@cache
def table(language: str) -> dict[str, str]:
    """English to that language; empty for English. The files are words/<language>/<noun>.json."""
    words: dict[str, str] = {}
    for path in sorted((_FOLDER / language).glob("*.json")):
        words.update(msgspec.json.decode(path.read_bytes(), type=dict[str, str]))
    return words


def say(language: str, text: str, **values: Any) -> str:
    """The text in that language, `{name}` replaced by values; English where the table has no words for it."""
    said = table(language).get(text, text)
    return said.format(**values) if values else said


def preferred(accept_language: str) -> str:
    """The language that a browser asks for: the first of `Accept-Language` that there is, else English."""
    wanted = []
    for part in accept_language.split(",")[:20]:
        tag, _, weight = part.strip().partition(";")
        try:
            quality = float(weight.strip().removeprefix("q=") or 1)
        except ValueError:
            quality = 0.0
        wanted.append((-quality, tag.partition("-")[0].lower()))
    return next((tag for _, tag in sorted(wanted, key=lambda one: one[0]) if tag in LANGUAGES), "en")
