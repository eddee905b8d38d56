from __future__ import annotations

from pathlib import Path

import pytest

from mainspring.store.checkup import examine
from mainspring.store.sqlite import SqliteDb, connect
from mainspring.store.store import Store
from store.making import START, claim, create, fire, manual, schedule


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
