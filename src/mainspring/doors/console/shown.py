"""How values look: instants, durations, numbers, JSON; and text of others, which must not play tricks on the page."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from typing import Any

import msgspec
from markupsafe import Markup, escape

from mainspring.core.errors import Invalid
from mainspring.core.instants import iso, parse_iso

TEXT_SHOWN = 64 * 1024
# C0 and C1 controls but tab and line feed, then what turns the direction of text around or has no width (Unicode UAX
# 9, 2.1-2.8): each shown as its own picture or number, so that nothing can pass for something else.
_TRICKS = {code: chr(0x2400 + code) for code in range(0x20) if code not in (0x09, 0x0A)}
_TRICKS |= {
    code: f"⟨U+{code:04X}⟩" for code in (*range(0x7F, 0xA0), 0x061C, 0x2028, 0x2029, 0xFEFF, 0xFFF9, 0xFFFA, 0xFFFB)
}
_TRICKS |= {
    code: f"⟨U+{code:04X}⟩" for code in (*range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x2070))
}
_TRICKS |= {code: f"⟨U+{code:04X}⟩" for code in (*range(0xD800, 0xE000), *range(0xE0000, 0xE0080))}


def harmless(value: Any) -> Any:
    """Text with everything visible in it made visible; applied to every value that a page shows."""
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    return value.translate(_TRICKS)


def exactly(value: str | None) -> Markup:
    """Text for a form field, in which it must come back unchanged: only escaped."""
    return escape(value or "")


def cut(text: str, most: int = 80) -> str:
    """At most so many characters, with a sign that there is more."""
    return text if len(text) <= most else text[: most - 1] + "…"


def json_text(value: Any) -> str:
    """JSON over several lines, as it was accepted: numbers and order stay; what is no JSON stays as it is."""
    if value is None:
        return ""
    raw = bytes(value) if isinstance(value, (bytes, bytearray, msgspec.Raw)) else str(value).encode("utf-8", "replace")
    if len(raw) > TEXT_SHOWN:
        return raw[:TEXT_SHOWN].decode("utf-8", "replace") + "…"
    try:
        return msgspec.json.format(raw, indent=2).decode("utf-8", "replace")
    except msgspec.DecodeError:
        return raw.decode("utf-8", "replace")


def number(value: float | None) -> str:
    """1,234,567."""
    return "–" if value is None else f"{value:,}"


def duration(ms: float | None) -> str:
    """Milliseconds in the two units that matter: `340 ms`, `2.4 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`."""
    if ms is None:
        return "–"
    if abs(ms) < 1000:
        return f"{ms:.0f} ms"
    seconds = ms / 1000
    if abs(seconds) < 60:
        return f"{seconds:.1f} s"
    for low, high, size in (("s", "min", 60), ("min", "h", 3600), ("h", "d", 86_400)):
        if abs(seconds) < size * (60 if size < 3600 else 24) or high == "d":
            whole, rest = divmod(round(seconds), size)
            part = rest * 60 // size if size < 86_400 else rest // 3600
            return f"{whole} {high} {part} {low}" if part else f"{whole} {high}"
    raise AssertionError("days are without bound")


def size(count: int | None) -> str:
    """Bytes: `12 B`, `4.0 KiB`, `3.2 MiB`."""
    if count is None:
        return "–"
    amount = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024 or unit == "GiB":
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    raise AssertionError("GiB are without bound")


def instant(value: str | int | None, zone: tzinfo | None) -> Markup:
    """An instant as `<time>`: in the given zone, else in UTC, which the browser turns into its own time."""
    if value is None or value == "":
        return Markup('<span class="none">–</span>')
    text = iso(value) if isinstance(value, int) else value
    try:
        ms = parse_iso(text, "instant")
    except Invalid:
        return escape(text)
    moment = datetime.fromtimestamp(ms / 1000, UTC if zone is None else zone)
    shown = moment.strftime("%Y-%m-%d %H:%M:%S") + (" UTC" if moment.tzinfo is UTC else moment.strftime(" %Z"))
    mark = Markup(" data-here") if zone is None else Markup("")
    return Markup('<time datetime="{}" title="{}"{}>{}</time>').format(text, text, mark, shown)


def distance(value: str | None, now: int, coming: str, gone: str) -> Markup:
    """How far an instant is from now, kept up to date by the page. `coming`, `gone`: `in {time}`, `{time} ago`."""
    if not value:
        return Markup('<span class="none">–</span>')
    away = parse_iso(value, "instant") - now
    text = duration(abs(away)) if abs(away) >= 60_000 else f"{abs(away) // 1000} s"
    said = (coming if away >= 0 else gone).format(time=text)
    return Markup('<time datetime="{}" title="{}" data-distance>{}</time>').format(value, value, said)
