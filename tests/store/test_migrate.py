from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mainspring.core.errors import Conflict, Unavailable
from mainspring.store import migrate as migrating
from mainspring.store.migrate import Migration, copy, migrate, migrations, pending
from mainspring.store.sqlite import Connection, connect
from store.making import START

Ship = Callable[..., None]

FIRST = "CREATE TABLE a (x INTEGER) STRICT; INSERT INTO a VALUES (1);"
SECOND = "ALTER TABLE a ADD COLUMN y INTEGER; UPDATE a SET y = x + 1;"


def file(number: int, text: str) -> Migration:
    return Migration(number, f"step{number}", text, hashlib.sha256(text.encode()).hexdigest())


@pytest.fixture
def ship(monkeypatch: pytest.MonkeyPatch) -> Ship:
    """Pretend to be a version that ships these migrations."""

    def version(*texts: str) -> None:
        shipped = [file(number, text) for number, text in enumerate(texts, 1)]
        monkeypatch.setattr(migrating, "migrations", lambda dialect: shipped)

    return version


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
def connection(path: Path) -> Iterator[Connection]:
    opened = connect(path)
    yield opened
    opened.close()


def quiet(line: str) -> None:
    """Nobody listens."""


def applied(connection: Connection) -> list[tuple[int, str]]:
    return list(connection.execute("SELECT number, name FROM migrations ORDER BY number"))


def rows(connection: Connection, table: str = "a") -> list[tuple[object, ...]]:
    return list(connection.execute(f"SELECT * FROM {table}"))


def test_a_new_store_gets_every_migration_and_no_backup(ship: Ship, connection: Connection, path: Path) -> None:
    ship(FIRST, SECOND)
    said: list[str] = []
    assert [one.number for one in migrate(connection, path, START, said.append)] == [1, 2]
    assert (applied(connection), rows(connection)) == ([(1, "step1"), (2, "step2")], [(1, 2)])
    assert said == ["migrating: 0001 step1", "migrating: 0002 step2"]
    assert not list(path.parent.glob("*.bak"))


def test_a_store_that_is_up_to_date_is_left_alone(ship: Ship, connection: Connection, path: Path) -> None:
    ship(FIRST)
    migrate(connection, path, START, quiet)
    assert pending(connection) == []
    assert migrate(connection, path, START, pytest.fail) == []


def test_a_store_with_content_is_backed_up_before_a_later_migration(
    ship: Ship, connection: Connection, path: Path
) -> None:
    ship(FIRST)
    migrate(connection, path, START, quiet)
    ship(FIRST, SECOND)
    assert [one.name for one in pending(connection)] == ["step2"]
    assert [one.number for one in migrate(connection, path, START, quiet)] == [2]
    [backup] = path.parent.glob("*.bak")
    assert backup.name == "store.db.before-0002-2025-11-20T090000.bak"
    assert backup.stat().st_mode & 0o777 == 0o600
    old = connect(backup)
    assert (rows(old), applied(old)) == ([(1,)], [(1, "step1")])
    old.close()
    assert rows(connection) == [(1, 2)]


def test_a_store_made_by_a_newer_version_is_refused(ship: Ship, connection: Connection, path: Path) -> None:
    ship(FIRST, SECOND)
    migrate(connection, path, START, quiet)
    ship(FIRST)
    with pytest.raises(Conflict, match="migration 2, this version knows 1"):
        migrate(connection, path, START, quiet)


def test_a_store_whose_applied_migration_is_another_one_is_refused(
    ship: Ship, connection: Connection, path: Path
) -> None:
    ship(FIRST)
    migrate(connection, path, START, quiet)
    ship(FIRST + " ", SECOND)
    with pytest.raises(Conflict, match=r"migration 1 \(step1\)"):
        pending(connection)


def test_of_a_failed_migration_nothing_is_kept_and_of_those_before_it_all(
    ship: Ship, connection: Connection, path: Path
) -> None:
    ship(FIRST, "CREATE TABLE b (x INTEGER); INSERT INTO nowhere VALUES (1);")
    with pytest.raises(Unavailable, match="migration 0002 step2 failed"):
        migrate(connection, path, START, quiet)
    assert not connection.in_transaction
    assert applied(connection) == [(1, "step1")]
    assert list(connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'b'")) == []
    ship(FIRST, SECOND)
    assert [one.number for one in migrate(connection, path, START + 1000, quiet)] == [2]


def test_no_migration_without_its_backup(ship: Ship, connection: Connection, path: Path) -> None:
    ship(FIRST)
    migrate(connection, path, START, quiet)
    ship(FIRST, SECOND)
    path.with_name("store.db.before-0002-2025-11-20T090000.bak").write_text("an earlier one")
    with pytest.raises(Conflict, match="exists"):
        migrate(connection, path, START, quiet)
    assert applied(connection) == [(1, "step1")]


def test_a_copy_is_whole_private_and_never_overwrites(ship: Ship, connection: Connection, path: Path) -> None:
    ship(FIRST)
    migrate(connection, path, START, quiet)
    to = path.with_name("copy.db")
    copy(connection, to)
    assert to.stat().st_mode & 0o777 == 0o600
    copied = connect(to)
    assert rows(copied) == [(1,)]
    copied.close()
    before = to.read_bytes()
    with pytest.raises(Conflict):
        copy(connection, to)
    assert to.read_bytes() == before


def test_a_copy_that_cannot_be_written_leaves_no_file_behind(ship: Ship, connection: Connection, path: Path) -> None:
    ship(FIRST)
    migrate(connection, path, START, quiet)
    connection.execute("BEGIN")
    to = path.with_name("copy.db")
    with pytest.raises(Unavailable):
        copy(connection, to)
    connection.execute("ROLLBACK")
    assert not to.exists()


def test_the_shipped_migrations_are_numbered_from_one_without_a_gap() -> None:
    shipped = migrations("sqlite")
    assert [one.number for one in shipped] == list(range(1, len(shipped) + 1))
    assert all(hashlib.sha256(one.text.encode()).hexdigest() == one.sha256 for one in shipped)
