"""One log for all nodes: its entries follow each other, whoever writes them at the same time."""

from __future__ import annotations

import asyncio
from functools import partial

from mainspring.core.audit import PURPOSE, Asked, Note
from mainspring.core.idempotency import noted
from mainspring.core.ids import KEY_MAX
from mainspring.store.checkup import examine_shared
from mainspring.store.postgres import PostgresDb
from mainspring.store.store import Store
from mainspring.store.vault import SealedVault, check_canary
from store.making import PROJECT, new, new_key

VAULT = SealedVault("a secret key")


def note(operation: str) -> Note:
    mark = partial(VAULT.mark, purpose=PURPOSE)
    return Note(PROJECT, 1, "shown", "192.0.2.1", operation, (), "a request", lambda made: type(made).__name__, mark)


async def problems(store: Store, vault: SealedVault | None = VAULT) -> dict[str, str]:
    assert isinstance(store.db, PostgresDb)
    return {one.subject: one.problem for one in await examine_shared(store.db, vault) if one.problem is not None}


async def test_nodes_that_write_at_the_same_time_write_one_chain(pair: tuple[Store, Store]) -> None:
    await check_canary(VAULT, pair[0].upkeep)

    async def write(store: Store, name: str) -> None:
        for number in range(15):
            await asyncio.gather(
                store.create_schedule(new(once=noted(note("cron.create")))),
                store.create_schedule(new(once=noted(note("cron.create")))),
                store.create_key(new_key(f"{name} {number}".encode(), noted(note("account.keys.create")))),
            )

    await asyncio.gather(*(write(store, name) for store, name in zip(pair, ("one", "other"), strict=True)))
    entries = await pair[0].audit.page(Asked(PROJECT, KEY_MAX, 500))
    assert [one.number for one in entries] == list(range(90, 0, -1))
    assert await problems(pair[0]) == {}
    async with pair[1].db.transaction() as tx:
        await tx.fetch("prune_audit", number=40)
    assert "entries 1 to 40 are missing" in (await problems(pair[0]))["audit log"]


async def test_another_key_is_told_from_a_damaged_log(store_on_postgres: Store) -> None:
    await check_canary(VAULT, store_on_postgres.upkeep)
    await store_on_postgres.create_schedule(new(once=noted(note("cron.create"))))
    assert list(await problems(store_on_postgres, SealedVault("another"))) == ["secret key"]
    assert await problems(store_on_postgres, None) == {}
