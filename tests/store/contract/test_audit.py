from __future__ import annotations

from functools import partial

import msgspec
import pytest

from mainspring.core.audit import PURPOSE, Asked, AuditEntry, Chain, Note, opened_anchor
from mainspring.core.errors import Invalid
from mainspring.core.idempotency import Once, noted
from mainspring.core.ids import KEY_MAX
from mainspring.core.limits import DAY
from mainspring.core.model import Entry, Key
from mainspring.store import audit
from mainspring.store.store import Store
from mainspring.store.vault import SealedVault
from store.making import PROJECT, START, new, new_key, once

MARK = partial(SealedVault("a secret key").mark, purpose=PURPOSE)


def object_of(made: Entry | Key | int) -> str:
    match made:
        case Entry():
            return f"cron {made.schedule.number}"
        case Key():
            return f"key {made.number}"
        case int():
            return f"key with id {made}"


def note(operation: str = "cron.create", project: str = PROJECT, key_id: int = 7) -> Note:
    return Note(project, key_id, "msk_…abcd", "192.0.2.1", operation, ("name", "task"), "a request", object_of, MARK)


def keyed(key: str, body: bytes = b"body") -> Once:
    return msgspec.structs.replace(once(key, body), note=note())


async def log(store: Store, **asked: object) -> list[AuditEntry]:
    whole = Asked(PROJECT, KEY_MAX, 500)
    return await store.audit.page(msgspec.structs.replace(whole, **asked))


async def problem(store: Store) -> str | None:
    """What is wrong with the whole chain."""
    anchor = opened_anchor(await store.upkeep.get_meta(audit.ANCHOR), MARK)
    chain = Chain(anchor, MARK)
    chain.follow(
        audit.from_row(row) for row in await store.db.scan("follow_audit", after=chain.last.number, limit=9999)
    )
    [(count,)] = await store.db.scan("count_audit")
    chain.end(count)
    return chain.problem


async def test_what_is_done_is_noted_with_it(store: Store) -> None:
    await store.schedules.create(START + 5, [new(once=noted(note()))])
    [entry] = await log(store)
    assert msgspec.structs.replace(entry, hash=b"") == AuditEntry(
        1, START + 5, PROJECT, 7, "msk_…abcd", "192.0.2.1", "cron.create", "cron 1", ("name", "task"), "a request", b""
    )
    assert await problem(store) is None


async def test_what_asks_for_no_note_gets_none(store: Store) -> None:
    await store.schedules.create(START, [new(), new(once=once("k"))])
    assert await log(store) == []


async def test_a_batch_is_noted_in_its_order(store: Store) -> None:
    await store.schedules.create(START, [new(once=noted(note())), new(), new(once=noted(note())), new(once=keyed("k"))])
    await store.credentials.create(START, [new_key(once=noted(note("account.keys.create")))])
    assert [(one.number, one.object) for one in await log(store)] == [
        (4, "key 1"),
        (3, "cron 4"),
        (2, "cron 3"),
        (1, "cron 1"),
    ]
    assert await problem(store) is None


async def test_a_repeat_and_a_refusal_are_not_noted(store: Store) -> None:
    first = await store.schedules.create(START, [new(once=keyed("k")), new(once=keyed("k"))])
    assert isinstance(first[0], Entry)
    await store.schedules.create(START, [new(once=keyed("k"))])
    [refused] = await store.schedules.create(START, [new(once=keyed("k", b"other"))])
    assert isinstance(refused, Invalid)
    assert [one.object for one in await log(store)] == ["cron 1"]


async def test_what_is_undone_leaves_no_note_and_no_gap(store: Store) -> None:
    await store.credentials.create(START, [new_key(b"d1", noted(note("account.keys.create")))])
    with pytest.raises(Exception, match=r"(?i)unique"):
        await store.credentials.create(START, [new_key(b"d1", noted(note("account.keys.create")))])
    await store.credentials.create(START, [new_key(b"d2", noted(note("account.keys.create")))])
    assert [one.number for one in await log(store)] == [2, 1]
    assert await problem(store) is None


async def test_a_revocation_is_noted_when_it_is_one(store: Store) -> None:
    [key] = await store.credentials.create(START, [new_key()])
    assert isinstance(key, Key)
    for _ in range(2):
        await store.credentials.revoke(PROJECT, key.id, START, note("account.keys.revoke"))
    assert [one.object for one in await log(store)] == [f"key with id {key.id}"]


async def test_a_project_sees_its_own_page_by_page(store: Store) -> None:
    for number in range(6):
        await store.schedules.create(START, [new(once=noted(note(project=(PROJECT, "other")[number % 2])))])
    assert [one.number for one in await log(store, project="other")] == [6, 4, 2]
    first = await log(store, limit=2)
    assert [one.number for one in first] == [5, 3]
    assert [one.number for one in await log(store, before=3)] == [1]


async def test_the_log_is_asked_by_operation_object_key_and_time(store: Store) -> None:
    await store.schedules.create(START, [new(once=noted(note()))])
    await store.schedules.create(START + 9, [new(once=noted(note("cron.import", key_id=8)))])
    assert [one.number for one in await log(store, operation="cron.import")] == [2]
    assert [one.number for one in await log(store, object="cron 1")] == [1]
    assert [one.number for one in await log(store, key_id=8)] == [2]
    assert [one.number for one in await log(store, since=START + 9)] == [2]
    assert await log(store, operation="cron.import", object="cron 1") == []


async def test_retention_takes_the_oldest_and_the_chain_goes_on(store: Store) -> None:
    for day in range(5):
        await store.schedules.create(START + day * DAY, [new(once=noted(note()))])
    assert await store.audit.prune(START + 10 * DAY, 10, MARK) == 0
    assert await store.audit.prune(START + 12 * DAY, 10, MARK) == 2
    assert [one.number for one in await log(store)] == [5, 4, 3]
    assert await problem(store) is None
    assert await store.audit.prune(START + 99 * DAY, 10, MARK) == 2
    assert [one.number for one in await log(store)] == [5]
    await store.schedules.create(START + 99 * DAY, [new(once=noted(note()))])
    assert await problem(store) is None
    anchor = opened_anchor(await store.upkeep.get_meta(audit.ANCHOR), MARK)
    assert anchor is not None
    assert anchor.number == 4


async def test_what_was_kept_before_its_time_is_missed(store: Store) -> None:
    for _ in range(3):
        await store.schedules.create(START, [new(once=noted(note()))])
    async with store.db.transaction() as tx:
        await tx.fetch("prune_audit", number=1)
    assert await problem(store) == "entries 1 to 1 are missing"
