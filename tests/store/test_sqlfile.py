from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mainspring.store import sqlfile
from mainspring.store.sqlfile import DIALECTS, Dialect, Query, load


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder whose .sql files are loaded instead of the package's."""
    (tmp_path / "sql").mkdir()
    monkeypatch.setattr(sqlfile, "files", lambda _: tmp_path)
    sqlfile._load.cache_clear()
    yield tmp_path / "sql"
    sqlfile._load.cache_clear()


def queries(written: Path, text: str, dialect: Dialect = "sqlite") -> dict[str, Query]:
    (written / "some.sql").write_text(text, "utf-8")
    return load(dialect)


def test_a_query_is_its_text_with_numbered_parameters(written: Path) -> None:
    text = "-- name: find\nSELECT a::text FROM t WHERE b = :b AND c > :a AND d = :b;\n"
    assert queries(written, text)["find"] == Query(
        name="find",
        text="SELECT a::text FROM t WHERE b = ?1 AND c > ?2 AND d = ?1",
        params=("b", "a"),
        columns=(),
        table=None,
    )


def test_comments_between_queries_belong_to_nobody(written: Path) -> None:
    text = "-- why\n-- name: one\n-- because\nSELECT 1;\n-- and why\n\n-- name: two\nSELECT 2;\n"
    assert {name: query.text for name, query in queries(written, text).items()} == {
        "one": "SELECT 1",
        "two": "SELECT 2",
    }


def test_a_fragment_stands_for_its_text_in_every_file(written: Path) -> None:
    (written / "a.sql").write_text("-- name: find\nSELECT @columns FROM t;\n", "utf-8")
    assert queries(written, "-- fragment: columns\na, b\n")["find"].text == "SELECT a, b FROM t"


def test_a_rows_table_is_written_out_for_any_number_of_rows(written: Path) -> None:
    text = "-- name: put\nWITH @rows(v: id bigint, name text)\nUPDATE t SET x = :x FROM v WHERE t.id = v.id;\n"
    query = queries(written, text)["put"]
    assert (query.params, query.columns, query.table) == (("x",), (("id", "bigint"), ("name", "text")), "v")
    assert query.with_rows(0).splitlines()[0] == "WITH v(id, name) AS (SELECT NULL, NULL WHERE 0)"
    assert query.with_rows(2).splitlines()[0] == "WITH v(id, name) AS (VALUES (?2, ?3), (?4, ?5))"
    assert query.with_rows(2).splitlines()[1] == "UPDATE t SET x = ?1 FROM v WHERE t.id = v.id"


def test_on_postgres_a_rows_table_is_one_array_per_column(written: Path) -> None:
    text = "-- name: put\nWITH @rows(v: id bigint, name text)\nUPDATE t SET x = :x FROM v WHERE t.id = v.id;\n"
    query = queries(written, text, "postgres")["put"]
    assert query.text.splitlines() == [
        "WITH v(id, name) AS (SELECT * FROM unnest($2::bigint[], $3::text[]))",
        "UPDATE t SET x = $1 FROM v WHERE t.id = v.id",
    ]
    assert (query.params, query.table) == (("x",), "v")


def test_what_only_postgres_needs_is_not_there_elsewhere(written: Path) -> None:
    text = "-- name: lock [postgres only]\nSELECT 1 FOR UPDATE;\n-- name: ask\nSELECT 1;\n"
    assert set(queries(written, text)) == {"ask"}
    sqlfile._load.cache_clear()
    assert set(queries(written, text, "postgres")) == {"ask", "lock"}


TWINS = "-- name: take [sqlite]\nSELECT {a};\n-- name: take [postgres]\nSELECT {b} FOR UPDATE;\n"


def test_each_database_gets_its_own_variant(written: Path) -> None:
    texts = {dialect: queries(written, TWINS.format(a=":x", b=":x"), dialect)["take"].text for dialect in DIALECTS}
    assert texts == {"sqlite": "SELECT ?1", "postgres": "SELECT $1 FOR UPDATE"}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("-- name: take [sqlite]\nSELECT 1;\n", "take needs one shared text or one for each"),
        ("-- name: take [postgres]\nSELECT 1;\n", "take needs one shared text or one for each"),
        ("-- name: take\nSELECT 1;\n-- name: take [postgres]\nSELECT 1;\n", "take needs one shared text"),
        ("-- name: take [oracle]\nSELECT 1;\n", "take needs one shared text"),
        ("-- name: take\nSELECT 1;\n-- name: take\nSELECT 2;\n", "take is written twice"),
        (TWINS.format(a=":x", b=":y"), "variants of query take take different parameters"),
        (TWINS.format(a=":x", b=":x, :y"), "variants of query take take different parameters"),
        (
            "-- name: take [sqlite]\nWITH @rows(v: id bigint) SELECT 1 FROM v;\n"
            "-- name: take [postgres]\nWITH @rows(v: id text) SELECT 1 FROM v;\n",
            "variants of query take take different parameters",
        ),
        ("-- name: find\nSELECT @columns FROM t;\n", "find names an unknown fragment @columns"),
        (
            "-- name: find\nWITH @rows(v: id bigint), @rows(w: id bigint) SELECT 1;\n",
            "find has more than one rows table",
        ),
    ],
)
def test_what_would_fail_on_one_of_the_databases_fails_at_once(written: Path, text: str, complaint: str) -> None:
    for dialect in DIALECTS:
        sqlfile._load.cache_clear()
        with pytest.raises(ValueError, match=complaint):
            queries(written, text, dialect)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_queries_of_the_package_load_for_every_database(dialect: Dialect) -> None:
    loaded = load(dialect)
    assert len(loaded) > 50
    assert not [
        query.name for query in loaded.values() if "@" in query.text.replace("@rows(", "") and query.table is None
    ]
