from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from doors.console.stored import Stored, fill
from doors.console.visitor import Visitor
from doors.live import serving

MARKUP = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'&lt;<!--]]></textarea></pre>{{7919*7907}}"
# Controls, marks that turn the direction of text, what has no width, what separates lines, a tag.
TRICKS = "".join(map(chr, (1, 7, 8, 11, 12, 27, 127, 0x85, 0x9B, 0x61C, 0xFEFF, 0xFFF9, 0xE0041)))
TRICKS += "".join(map(chr, (*range(0x200B, 0x2010), 0x2028, 0x2029, *range(0x202A, 0x202F), *range(0x2060, 0x206A))))
SAID = f"{MARKUP}{TRICKS} {'w' * 5_000}"
NAME = (MARKUP + TRICKS + "w" * 200)[:255]
# What somebody is to get back unchanged stands in fields: a value, or between the marks of a text area.
FIELDS = re.compile(r'<textarea\b[^>]*>.*?</textarea>|\svalue="[^"]*"', re.DOTALL)


@pytest_asyncio.fixture
async def hostile(tmp_path: Path) -> AsyncIterator[tuple[Visitor, Stored]]:
    """A server that holds nothing but traps, and somebody who looks at it."""
    async with serving(tmp_path) as live:
        stored = await fill(live, SAID, NAME)
        visitor = Visitor(live)
        await visitor.sign_in()
        yield visitor, stored


async def test_no_page_is_made_of_what_it_shows(hostile: tuple[Visitor, Stored]) -> None:
    visitor, stored = hostile
    wrong, seen = [], 0
    for path in stored.pages():
        answer = await visitor.get(path)
        if answer.status == 303:
            continue
        page = answer.raw.decode()
        seen += page.count("alert(1)")
        if answer.status != 200:
            wrong.append(f"{path}: {answer.status}")
        if "<script>" in page or "<img src=x" in page:
            wrong.append(f"{path}: markup gets through")
        if str(7919 * 7907) in page:
            wrong.append(f"{path}: a template in the data is carried out")
        bare = FIELDS.sub("", page)
        wrong += [f"{path}: U+{ord(one):04X}" for one in set(TRICKS) if one in bare]
    assert not wrong, "\n".join(wrong)
    assert seen > 30


async def test_a_note_shows_what_it_is_about_harmlessly(hostile: tuple[Visitor, Stored]) -> None:
    visitor, stored = hostile
    schedule = f"/console/schedules/{stored.examples['/schedules/{id}']}"
    await visitor.submit(schedule, f"{schedule}/pause")
    page = await visitor.page(schedule)
    assert 'class="note done"' in page
    assert "<script>" not in page
    assert not set(TRICKS) & set(FIELDS.sub("", page))


async def test_a_form_gives_back_exactly_what_is_stored(hostile: tuple[Visitor, Stored]) -> None:
    visitor, stored = hostile
    page = await visitor.page(f"/console/schedules/{stored.examples['/schedules/{id}']}/edit")
    kept = FIELDS.findall(page)
    assert any(NAME[200:220] in field or "\u202e" in field for field in kept)
