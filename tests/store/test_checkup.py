from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from mainspring.core.audit import PURPOSE, Note
from mainspring.core.idempotency import noted
from mainspring.store.checkup import examine
from mainspring.store.sqlite import SqliteDb, connect
from mainspring.store.store import Store
from mainspring.store.vault import SealedVault, check_canary
from store.making import START, claim, create, driver, fire, manual, new, schedule


def problems(path: Path) -> dict[str, str]:
    return {finding.subject: finding.problem for finding in examine(path) if finding.problem is not None}


async def test_a_sound_store_in_use_shows_no_problem(store: Store, tmp_path: Path) -> None:
    entry = await create(store, START, schedule(overlap="queue"))
    await store.runs.trigger(START, [manual(entry.schedule.id)] * 3)
    await fire(store, START)
    await claim(store, START)
    assert problems(tmp_path / "store.db") == {}
    assert "schema" in [finding.subject for finding in examine(tmp_path / "store.db")]


@pytest.mark.parametrize(
    ("damage", "subject"),
    [
        ("DELETE FROM progress", "schedules without their timer"),
        ("DELETE FROM targets", "schedules without their target"),
        ("UPDATE runs SET lease_until = NULL", "runs marked running without a lease"),
        ("UPDATE progress SET active = active + 1", "schedules that miscount their unfinished runs"),
        ("UPDATE migrations SET sha256 = 'x'", "schema"),
        ("DELETE FROM migrations", "schema"),
    ],
)
async def test_what_is_wrong_is_named(store: Store, tmp_path: Path, damage: str, subject: str) -> None:
    await create(store, START)
    await fire(store, START)
    await claim(store, START)
    assert isinstance(store.db, SqliteDb)
    store.db.connection.execute(damage)
    assert list(problems(tmp_path / "store.db")) == [subject]


def test_a_store_without_its_tables_waits_for_its_migrations(tmp_path: Path) -> None:
    connect(tmp_path / "empty.db").close()
    assert problems(tmp_path / "empty.db") == {"schema": "run `mainspring migrate`"}


VAULT = SealedVault("a secret key")


async def noted_store(store: Store) -> None:
    """Four entries in the log of a store with a key."""
    await check_canary(VAULT, store.upkeep)
    mark = partial(VAULT.mark, purpose=PURPOSE)
    note = Note("default", 1, "shown", "192.0.2.1", "cron.create", (), "a request", lambda _: "a job", mark)
    for _ in range(4):
        await store.schedules.create(START, [new(once=noted(note))])


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        ("DELETE FROM audit WHERE number = 2", "entries 2 to 2 are missing"),
        ("DELETE FROM audit WHERE number = 1", "entries 1 to 1 are missing"),
        ("DELETE FROM audit WHERE number = 4", "entries 4 to 4 are missing"),
        ("DELETE FROM audit", "entries 1 to 4 are missing"),
        ("UPDATE audit SET key_id = 2 WHERE number = 3", "entry 3 was changed"),
        ("INSERT INTO meta VALUES ('audit_anchor', '1 00 00')", "where it begins was not written by this server"),
    ],
)
async def test_a_log_that_somebody_touched_is_found_out(store: Store, tmp_path: Path, damage: str, says: str) -> None:
    await noted_store(store)
    path = tmp_path / "store.db"
    [log] = [finding for finding in examine(path, VAULT) if finding.subject == "audit log"]
    assert log.problem is None
    assert log.detail.startswith("4 entries, the newest is 4 ")
    driver(store).execute(damage)
    assert [one.subject for one in examine(path, VAULT) if one.problem] == ["audit log"]
    assert says in next(one.problem for one in examine(path, VAULT) if one.problem)


async def test_another_key_is_told_from_a_damaged_log(store: Store, tmp_path: Path) -> None:
    await noted_store(store)
    findings = examine(tmp_path / "store.db", SealedVault("another key"))
    assert [one.subject for one in findings if one.problem] == ["secret key"]
    assert problems(tmp_path / "store.db") == {}
