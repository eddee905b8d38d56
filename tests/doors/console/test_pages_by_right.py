from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from doors.console.stored import QUEUE, Stored, fill
from doors.console.visitor import Visitor
from doors.live import Live, serving
from mainspring.core import tokens
from mainspring.doors.console.session import Sessions
from mainspring.store.tables import COPIED

SAID, NAME = "what-was-said", "what-it-is-called"
# The first part of a page's path → the scopes of which any lets its data be seen.
READS: dict[str, tuple[str, ...]] = {
    "": ("cron:read", "cron:write", "queue:consume", "queue:publish", "webhook:read", "webhook:write"),
    "overview": ("cron:read", "cron:write"),
    "schedules": ("cron:read", "cron:write"),
    "runs": ("cron:read", "cron:write"),
    "queues": ("queue:consume", "queue:publish"),
    "webhooks": ("webhook:read", "webhook:write"),
    "agents": (),
    "scripts": (),
    "settings": (),
}
OPEN = "/console/settings"
# Whatever a form may ask for, so that an action that is not refused would do something.
FIELDS = {
    "do": "delete",
    "action": "delete",
    "what": "delete",
    "name": "made",
    "scope": "cron:read",
    "grace_hours": "1",
    "scopes": "global",
    "permission": "crontab:read",
    "source": "export default {}",
    "kind": "ip",
    "payload": "{}",
    "body": "{}",
    "event": "order.paid",
    "events": "order.*",
    "expr": "* * * * *",
    "cron_expr": "* * * * *",
    "when": "cron",
    "task": "http://127.0.0.1:9/x",
    "confirm": QUEUE,
    "url": "http://127.0.0.1:9/x",
    "enabled": "no",
    "since": "2020-01-01T00:00:00Z",
}


# After these there is less to do something with.
ENDING = ("delete", "bulk", "cancel", "revoke", "remove", "settings", "switch", "pause", "plain", NAME)


@pytest_asyncio.fixture
async def place(tmp_path: Path) -> AsyncIterator[tuple[Live, Stored]]:
    """A server with something of everything in it."""
    async with serving(tmp_path) as live:
        yield live, await fill(live, SAID, NAME)


async def somebody(live: Live, *scopes: str, project: str = tokens.BOOTSTRAP_PROJECT) -> Visitor:
    visitor = Visitor(live)
    await visitor.sign_in(await live.key(*scopes, project=project))
    return visitor


def csrf_of(visitor: Visitor) -> str:
    session = Sessions(visitor.live.core).read(visitor.cookies["mainspring_session"])
    assert session is not None
    return session.csrf


def filled(stored: Stored, path: str) -> dict[str, str]:
    """Fields with which the form of that page would do something."""
    noun = path.removeprefix("/console")
    picked = [value for prefix, value in stored.examples.items() if noun.startswith(prefix.partition("/{")[0])]
    return FIELDS | {"pick": picked[-1] if picked else "", "target": stored.token}


def contents(live: Live) -> dict[str, str]:
    """A mark of each table, which changes with any change in it."""
    found = {}
    connection: Any = live.store.db.connection  # type: ignore[attr-defined]  # on SQLite
    for table in COPIED:
        rows = sorted(repr(tuple(row)) for row in connection.execute(f"SELECT * FROM {table}"))  # ours
        found[table] = hashlib.sha256("\n".join(rows).encode()).hexdigest()
    return found


@pytest.mark.parametrize("scope", tokens.SCOPES)
async def test_a_page_shows_what_the_key_may_see_or_says_that_it_may_not(
    place: tuple[Live, Stored], scope: str
) -> None:
    live, stored = place
    visitor = await somebody(live, scope)
    wrong = []
    for path in stored.pages():
        answer = await visitor.get(path)
        reads = READS[path.removeprefix("/console").split("/")[1] if path != "/console" else ""]
        page = answer.raw.decode().replace(path, "")
        if answer.status not in (200, 303, 403):
            wrong.append(f"{path}: {answer.status}")
        if answer.status == 403 and "lacks the scope" not in page:
            wrong.append(f"{path}: does not say what is missing")
        if scope == "admin" and answer.status == 403:
            wrong.append(f"{path}: refused to an admin")
        if scope == "admin" or scope in reads:
            continue
        if SAID in page or NAME in page:
            wrong.append(f"{path}: shows what it should not")
        if answer.status not in (303, 403) and path not in (OPEN, "/console"):
            wrong.append(f"{path}: is there for nobody")
    assert not wrong, "\n".join(wrong)


async def test_nothing_of_one_project_is_shown_in_another(place: tuple[Live, Stored]) -> None:
    live, stored = place
    visitor = await somebody(live, *tokens.SCOPES, project="other")
    wrong = []
    for path in stored.pages():
        answer = await visitor.get(path)
        page = answer.raw.decode().replace(path, "")
        if answer.status not in (200, 303, 403, 404):
            wrong.append(f"{path}: {answer.status}")
        if SAID in page or NAME in page or (f">{QUEUE}<" in page and answer.status == 200):
            wrong.append(f"{path}: shows what is of another project")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("scopes", [("metrics:read",), ("cron:read", "webhook:read", "metrics:read")])
async def test_no_action_does_anything_for_a_key_that_only_reads(
    place: tuple[Live, Stored], scopes: tuple[str, ...]
) -> None:
    live, stored = place
    visitor = await somebody(live, *scopes)
    wrong, before = [], contents(live)
    for path in stored.pages("POST"):
        sent = filled(stored, path) | {"csrf": csrf_of(visitor)}
        answer = await visitor.send(path, **sent)
        if answer.status not in (200, 303, 403, 404, 409, 422):
            wrong.append(f"{path}: {answer.status}")
        after = contents(live)
        if after != before:
            changed = [table for table in after if after[table] != before[table]]
            wrong.append(f"{path}: changes {', '.join(changed)}")
            before = after
    assert not wrong, "\n".join(wrong)


async def test_the_same_actions_do_something_for_a_key_that_may(place: tuple[Live, Stored]) -> None:
    live, stored = place
    visitor = await somebody(live, "admin")
    doing, before = [], contents(live)
    for path in sorted(stored.pages("POST"), key=lambda path: path.endswith(ENDING)):
        sent = filled(stored, path) | {"csrf": csrf_of(visitor)}
        answer = await visitor.send(path, **sent)
        assert answer.status < 500, path
        after = contents(live)
        doing += [path] if after != before else []
        before = after
    idle = sorted(set(stored.pages("POST")) - set(doing))
    assert len(doing) >= 20, "\n".join(idle)


async def test_no_action_is_done_without_the_token_of_the_session(place: tuple[Live, Stored]) -> None:
    live, stored = place
    visitor = await somebody(live, "admin")
    of_another = csrf_of(await somebody(live, "admin"))
    before = contents(live)
    for path in stored.pages("POST"):
        for token in (None, "", "x" * 24, of_another):
            assert (await visitor.send(path, csrf=token, **FIELDS)).status == 403, path
    assert contents(live) == before


async def test_a_stranger_sees_no_page_and_does_nothing(place: tuple[Live, Stored]) -> None:
    live, stored = place
    visitor, before = Visitor(live), contents(live)
    for path in stored.pages():
        answer = await visitor.get(path)
        assert answer.status == (200 if path == "/console" else 401), path
        page = answer.raw.decode().replace(path.removeprefix("/console"), "")
        assert SAID not in page
        assert NAME not in page
    for path in stored.pages("POST"):
        assert (await visitor.send(path, csrf="x", **FIELDS)).status == 401, path
    assert contents(live) == before
