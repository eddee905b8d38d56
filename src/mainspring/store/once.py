"""Idempotency inside the transaction of the effect: look the keys up, do the rest, keep their answers, and note in the
audit log what was done."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TypeVar

from mainspring.core.changes import Stale
from mainspring.core.errors import Refused
from mainspring.core.idempotency import Once, Replay, mismatch
from mainspring.core.limits import IDEMPOTENCY_WINDOW, SECRET_REPLAY_WINDOW
from mainspring.store import audit
from mainspring.store.db import Db, Row, Tx

T = TypeVar("T")
R = TypeVar("R")

Scope = tuple[str, str, str]


async def apply_once(
    tx: Tx,
    now: int,
    items: Sequence[T],
    once_of: Callable[[T], Once | None],
    effect: Callable[[Sequence[T]], Awaitable[list[R]]],
) -> list[R | Refused | Replay]:
    """Apply `effect` to the items whose key is new (or that have none); the others get the first answer or a refusal.

    A key that occurs twice in one batch takes effect once; the second gets the first one's answer. Refusals
    and stale edits are not kept: the same request may succeed later.
    """
    onces = [once_of(item) for item in items]
    if onces.count(None) == len(onces):
        return list(await effect(items))
    keyed = sorted({_scope(once) for once in onces if once is not None and once.key})
    if not keyed:
        made = await effect(items)
        await _note(tx, now, zip(onces, made, strict=True))
        return list(made)
    since = now - IDEMPOTENCY_WINDOW
    await tx.hold("hold_keys", keyed, now=now, since=since)
    known = {(row[0], row[1], row[2]): row for row in await tx.fetch_in("find_idempotency", keyed, since=since)}
    answers: list[R | Refused | Replay | None] = [None] * len(items)
    fresh: list[int] = []
    first: dict[Scope, int] = {}
    repeats: list[tuple[int, int]] = []
    for index, once in enumerate(onces):
        if once is None or not once.key:
            fresh.append(index)
        elif (row := known.get(_scope(once))) is not None:
            answers[index] = _replay(once.body_hash, row, now)
        elif (earlier := first.setdefault(_scope(once), index)) == index:
            fresh.append(index)
        else:
            repeats.append((index, earlier))
    results = await effect([items[index] for index in fresh]) if fresh else []
    kept: dict[int, Row] = {}
    for index, result in zip(fresh, results, strict=True):
        answers[index] = result
        once = onces[index]
        if once is not None and once.key and not isinstance(result, Refused | Stale):
            answer = once.answer(result)
            kept[index] = (*_scope(once), once.body_hash, answer.full, answer.bare, now)
    if kept:
        await tx.many("insert_idempotency", [row[:6] for row in kept.values()], now=now)
    for index, earlier in repeats:
        once = onces[index]
        assert once is not None
        refused = answers[earlier]
        answers[index] = _replay(once.body_hash, kept[earlier], now) if earlier in kept else refused
    await _note(tx, now, zip((onces[index] for index in fresh), results, strict=True))
    return [answer for answer in answers if answer is not None]


async def _note(tx: Tx, now: int, done: Iterable[tuple[Once | None, object]]) -> None:
    """Tell the audit log what has taken effect."""
    noted = [
        (once.note, result)
        for once, result in done
        if once is not None and once.note is not None and not isinstance(result, Refused | Stale)
    ]
    await audit.write(tx, now, noted)


async def recall(db: Db, now: int, scope: Scope, body_hash: bytes) -> Replay | None:
    """The answer kept under a scope, for whoever cannot come as far as the effect again: its object may be gone by now.

    None for a new key. Raises `Invalid` when the key came with another body.
    """
    found = await db.read_in("find_idempotency", [scope], since=now - IDEMPOTENCY_WINDOW)
    if not found:
        return None
    async with db.transaction() as tx:
        await tx.hold("hold_answer")
    answer = _replay(body_hash, found[0], now)
    if isinstance(answer, Refused):
        raise answer
    return answer


def _scope(once: Once) -> Scope:
    return once.project, once.operation, once.key


def _replay(sent: bytes, row: Row, now: int) -> Replay | Refused:
    _, _, _, body_hash, full, bare, created_at = row
    if body_hash != sent:
        return mismatch()
    return Replay(bare if bare is not None and now - created_at > SECRET_REPLAY_WINDOW else full)
