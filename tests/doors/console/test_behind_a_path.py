from __future__ import annotations

import re
from collections.abc import AsyncIterator
from html import unescape
from pathlib import Path

import pytest_asyncio

from doors.console.stored import Stored, fill
from doors.console.visitor import Visitor
from doors.live import KEY, serving

ROOT = "/tools/ms"
LINK = re.compile(r'\s(?:src|href|action|hx-get|hx-post|hx-put|hx-delete|data-pulse|formaction)="([^"]*)"')
# What is in the page itself, or on no page at all.
ELSEWHERE = ("#", "?", "data:", "mailto:")


@pytest_asyncio.fixture
async def stored(tmp_path: Path) -> AsyncIterator[tuple[Visitor, Stored]]:
    """A server behind a path, with something of everything in it."""
    async with serving(tmp_path, root_path=ROOT) as live:
        visitor = Visitor(live)
        answer = await visitor.send("/console/sign-in", credential=KEY)
        assert (answer.status, answer.headers["location"]) == (303, f"{ROOT}/console")
        assert f"Path={ROOT}/console" in answer.headers["set-cookie"]
        yield visitor, await fill(live)


async def test_every_address_begins_with_the_path(stored: tuple[Visitor, Stored]) -> None:
    visitor, things = stored
    wrong, seen = [], 0
    for path in things.pages():
        answer = await visitor.get(path)
        assert answer.status in (200, 303), path
        links = [unescape(link) for link in LINK.findall(answer.raw.decode())]
        links += [answer.headers["location"]] if answer.status == 303 else []
        seen += len(links)
        wrong += [
            f"{path}: {link}"
            for link in links
            if not link.startswith((f"{ROOT}/", *ELSEWHERE)) and link not in things.foreign
        ]
    assert not wrong, "\n".join(wrong)
    assert seen > 500


async def test_an_action_leads_back_below_the_path(stored: tuple[Visitor, Stored]) -> None:
    visitor, _ = stored
    sent = [("name", "mine"), ("back", f"{ROOT}/console/settings/keys?cursor="), ("grace_hours", "x")]
    answer = await visitor.submit_all("/console/settings/keys", "/console/settings/keys/key_0000000000000/rotate", sent)
    assert (answer.status, answer.headers["location"]) == (303, f"{ROOT}/console/settings/keys?cursor=")


async def test_the_front_page_and_the_files_are_below_it(stored: tuple[Visitor, Stored]) -> None:
    visitor, _ = stored
    answer = await visitor.get("/")
    assert (answer.status, answer.headers["location"]) == (303, f"{ROOT}/console")
    for name in ("console.css", "console.js"):
        assert (await visitor.get(f"/console/static/{name}")).status == 200
