"""What must hold of the rows of all queues at every moment, on every database: nothing lost, nothing twice."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from mainspring.store.postgres import PostgresDb
from mainspring.store.sqlite import SqliteDb
from mainspring.store.store import Store

Ask = Callable[[str], Awaitable[list[Any]]]

PLACES = """
SELECT id, generation, group_key, 'ready' AS place FROM ready
UNION ALL SELECT id, generation, group_key, 'leased' FROM leased
UNION ALL SELECT id, generation, group_key, 'postponed' FROM postponed
UNION ALL SELECT id, generation, group_key, 'blocked' FROM blocked
"""
TWICE = f"SELECT id, count(*) FROM ({PLACES}) AS p GROUP BY id HAVING count(*) > 1"
NOWHERE = f"""
SELECT m.id FROM messages AS m JOIN queues AS q ON q.generation = m.generation AND q.deleted_at IS NULL
WHERE NOT EXISTS (SELECT 1 FROM ({PLACES}) AS p WHERE p.id = m.id AND p.generation = m.generation)
"""
WITHOUT_PAYLOAD = f"""
SELECT p.id, p.place FROM ({PLACES}) AS p JOIN queues AS q ON q.generation = p.generation AND q.deleted_at IS NULL
WHERE NOT EXISTS (SELECT 1 FROM messages AS m WHERE m.id = p.id AND m.generation = p.generation)
"""
MISCOUNTED = f"""
SELECT q.name, c.ready, r.ready, c.leased, r.leased, c.postponed, r.postponed, c.blocked, r.blocked
FROM queues AS q
LEFT JOIN (SELECT generation, sum(ready) AS ready, sum(leased) AS leased, sum(postponed) AS postponed,
                  sum(blocked) AS blocked FROM queue_counts GROUP BY generation) AS c ON c.generation = q.generation
LEFT JOIN (SELECT generation, sum(CASE place WHEN 'ready' THEN 1 ELSE 0 END) AS ready,
                  sum(CASE place WHEN 'leased' THEN 1 ELSE 0 END) AS leased,
                  sum(CASE place WHEN 'postponed' THEN 1 ELSE 0 END) AS postponed,
                  sum(CASE place WHEN 'blocked' THEN 1 ELSE 0 END) AS blocked
           FROM ({PLACES}) AS p GROUP BY generation) AS r ON r.generation = q.generation
WHERE q.deleted_at IS NULL
  AND (COALESCE(c.ready, 0) <> COALESCE(r.ready, 0) OR COALESCE(c.leased, 0) <> COALESCE(r.leased, 0)
    OR COALESCE(c.postponed, 0) <> COALESCE(r.postponed, 0) OR COALESCE(c.blocked, 0) <> COALESCE(r.blocked, 0))
"""
GROUPS = f"""
SELECT g.generation, g.group_key, g.waiting,
       (SELECT count(*) FROM blocked AS b WHERE b.generation = g.generation AND b.group_key = g.group_key),
       (SELECT count(*) FROM ({PLACES}) AS p
        WHERE p.generation = g.generation AND p.group_key = g.group_key AND p.place <> 'blocked')
FROM message_groups AS g JOIN queues AS q ON q.generation = g.generation AND q.deleted_at IS NULL
"""
UNGROUPED = f"""
SELECT p.id, p.place FROM ({PLACES}) AS p JOIN queues AS q ON q.generation = p.generation AND q.deleted_at IS NULL
WHERE (p.group_key IS NOT NULL) <> (q.type = 'fifo') OR (p.group_key IS NOT NULL AND NOT EXISTS (
  SELECT 1 FROM message_groups AS g WHERE g.generation = p.generation AND g.group_key = p.group_key))
"""
STRAY_LETTERS = """
SELECT d.id FROM dead AS d JOIN queues AS q ON q.generation = d.generation AND q.deleted_at IS NULL
WHERE q.holds_dead = 0 OR NOT EXISTS (SELECT 1 FROM messages AS m WHERE m.id = d.id AND m.generation = d.generation)
"""
PLACED = f"""
SELECT count(*) FROM ({PLACES}) AS p JOIN queues AS q ON q.generation = p.generation AND q.deleted_at IS NULL
"""


@asynccontextmanager
async def asking(store: Store) -> AsyncIterator[Ask]:
    """Questions to the database of a store, past all its methods."""
    match store.db:
        case SqliteDb():
            driver = store.db.connection

            async def ask(text: str) -> list[Any]:
                return list(driver.execute(text))

            yield ask
        case PostgresDb():
            connection = await store.db.connect({"enable_seqscan": "on"})

            async def ask_server(text: str) -> list[Any]:
                return [tuple(row) for row in await connection.fetch(text)]

            try:
                yield ask_server
            finally:
                await connection.close()
        case _:
            raise AssertionError(store.db)


def asker(store: Store) -> Ask:
    """One question at a time, each for itself."""

    async def ask(text: str) -> list[Any]:
        async with asking(store) as asked:
            return await asked(text)

    return ask


async def wrong(ask: Ask) -> list[str]:
    """What is wrong with the rows right now."""
    questions = {
        "in two places": TWICE,
        "nowhere": NOWHERE,
        "a place without its message": WITHOUT_PAYLOAD,
        "miscounted": MISCOUNTED,
        "in no group, or in one it should not be in": UNGROUPED,
        "a dead letter without its message": STRAY_LETTERS,
    }
    found = [f"{what}: {row}" for what, question in questions.items() for row in await ask(question)]
    for generation, group, waiting, blocked, first in await ask(GROUPS):
        if waiting != blocked or first != 1:
            found.append(f"group {generation}/{group} says {waiting} wait, {blocked} do, behind {first}")
    return found


async def present(ask: Ask) -> int:
    """How many messages there are in all queues together."""
    [(count,)] = await ask(PLACED)
    return int(count)
