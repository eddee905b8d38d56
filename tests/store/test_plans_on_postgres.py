"""On PostgreSQL too, what is asked all the time goes by an index: in the plan that is kept for every argument."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import asyncpg
import pytest
import pytest_asyncio

from mainspring.store.postgres import PostgresDb
from mainspring.store.sessions import SCAN, WORK
from mainspring.store.sqlfile import load
from postgres import Postgres
from store.making import PROJECT, START, Clock, create
from store.sharing import node

MANY = 5_000
# Of each hundred runs of a schedule twenty wait, one is running, one is held, one has failed, the others succeeded.
GROW = f"""
INSERT INTO schedules SELECT s.id + n, s.number + n, project, kind, name, cron_expr, run_at, dialect, timezone,
  anchor_at, overlap, catchup, catchup_window_ms, max_runs, retention_days, retention_runs, target_id, lane, origin,
  version, created_at, updated_at, deleted_at FROM schedules AS s, generate_series(1, {MANY}) AS n;
INSERT INTO progress (schedule_id, next_due_at) SELECT id, {START} + number FROM schedules ON CONFLICT DO NOTHING;
INSERT INTO runs (id, schedule_id, project, kind, lane, trigger, scheduled_for, created_at, target_id, origin, state,
                  due_at, lease_until, node, started_at, finished_at)
SELECT s.id + 1000000 + n, s.id + n / 100, '{PROJECT}', 'cron', 'http', 'schedule', {START} + n % 100, {START},
  s.target_id, 'http://' || n / 100 || ':80',
  CASE WHEN n % 100 < 20 THEN 'queued' WHEN n % 100 = 20 THEN 'running' WHEN n % 100 = 21 THEN 'queued'
       WHEN n % 100 = 22 THEN 'failed' ELSE 'succeeded' END,
  CASE WHEN n % 100 < 20 THEN {START} + n END, CASE WHEN n % 100 = 20 THEN {START} + n END,
  CASE WHEN n % 100 = 20 THEN n % 9 END, {START}, CASE WHEN n % 100 > 21 THEN {START} END
FROM (SELECT id, target_id FROM schedules ORDER BY id LIMIT 1) AS s, generate_series(1, 10 * {MANY}) AS n;
INSERT INTO idempotency SELECT '{PROJECT}', 'cron.create', n::text, '', '', NULL, {START} + n
FROM generate_series(1, {MANY}) AS n;
ANALYZE;
"""

# query → the indexes that its plan has to name
QUESTIONS = {
    "hold_due": ["progress_due"],
    "take_due": ["progress_pkey", "schedules_pkey"],
    "advance": ["progress_pkey"],
    "next_due": ["progress_due"],
    "hold_progress": ["progress_pkey"],
    "find_waiting": ["runs_waiting"],
    "find_waiting_of_origin": ["runs_waiting_by_origin"],
    "claim_runs": ["runs_pkey"],
    "next_waiting": ["runs_waiting"],
    "finish_runs": ["runs_pkey"],
    "settle_progress": ["progress_pkey"],
    "stopped_runs": ["runs_pkey", "progress_pkey", "schedules_pkey"],
    "promote_held": ["runs_held", "runs_pkey"],
    "renew_leases": ["runs_pkey"],
    "expired_runs": ["runs_running", "runs_pkey"],
    "cancel_waiting": ["runs_unfinished", "runs_pkey"],
    "count_unfinished": ["runs_unfinished"],
    "get_entries": ["schedules_pkey", "progress_pkey", "targets_pkey"],
    "get_targets": ["targets_pkey"],
    "hold_keys": ["idempotency_pkey"],
    "find_idempotency": ["idempotency_pkey"],
    "prune_idempotency": ["idempotency_age"],
    "delete_runs": ["runs_pkey"],
    "key_by_digest": ["credentials_digest_key"],
}

# list → the index by which a small project's part of it is found among the rows of a large one
LISTS = {
    "page_entries": "schedules_by_project",
    "page_runs": "runs_by_project",
    "page_failed_runs": "runs_failed",
    "page_runs_of_schedule": "runs_by_schedule",
    "page_occurrence_runs": "runs_by_schedule",
}
ASKED = {"project": "'small'", "kind": "'cron'", "schedule_id": "7", "state": "NULL", "since": "0", "limit": "50"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def grown(postgres: Postgres) -> AsyncIterator[PostgresDb]:
    url = postgres.url(await postgres.fresh())
    async with node(url, Clock()) as store:
        await create(store, START)
        connection = await asyncpg.connect(url)
        await connection.execute(GROW)
        await connection.close()
        assert isinstance(store.db, PostgresDb)
        yield store.db


async def plan(db: PostgresDb, name: str) -> list[str]:
    """The plan in which a session that writes runs a query again and again."""
    arguments = ["NULL"] * max(map(int, re.findall(r"\$(\d+)", load("postgres")[name].text)), default=0)
    return await explained(db, WORK | {"plan_cache_mode": "force_generic_plan"}, name, arguments)


async def explained(db: PostgresDb, settings: dict[str, str], name: str, arguments: list[str]) -> list[str]:
    connection = await db.connect(settings)
    try:
        await connection.execute(f"PREPARE question AS {load('postgres')[name].text}")
        call = f"question({', '.join(arguments)})" if arguments else "question"
        return [row[0] for row in await connection.fetch(f"EXPLAIN EXECUTE {call}")]
    finally:
        await connection.close()


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", QUESTIONS)
async def test_a_frequent_question_goes_by_its_index(grown: PostgresDb, name: str) -> None:
    lines = await plan(grown, name)
    told = "\n".join(lines)
    for index in QUESTIONS[name]:
        assert re.search(rf"using {index}\b|Index Scan on {index}\b|Indexes: {index}\b", told), told
    assert not re.search(r"Seq Scan|Hash Join|Merge Join", told), told


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", LISTS)
async def test_a_list_of_a_small_project_does_not_read_the_rows_of_a_large_one(grown: PostgresDb, name: str) -> None:
    arguments = [ASKED.get(param, "9223372036854775807") for param in load("postgres")[name].params]
    told = "\n".join(await explained(grown, SCAN, name, arguments))
    assert f"using {LISTS[name]} " in told, told


@pytest.mark.asyncio(loop_scope="module")
async def test_rows_that_are_known_by_their_id_are_found_by_it(grown: PostgresDb) -> None:
    """Also when next to nothing waits or runs at the moment: a plan made then is used when much does."""
    connection = await grown.connect(WORK | {"plan_cache_mode": "force_generic_plan"})
    quiet = connection.transaction()
    await quiet.start()
    try:
        await connection.execute("UPDATE runs SET state = 'succeeded', due_at = NULL WHERE id % 997 > 0")
        await connection.execute("ANALYZE runs")
        for name in ("claim_runs", "finish_runs", "renew_leases"):
            await connection.execute(f"PREPARE {name} AS {load('postgres')[name].text}")
            count = max(map(int, re.findall(r"\$(\d+)", load("postgres")[name].text)))
            lines = await connection.fetch(f"EXPLAIN EXECUTE {name} ({', '.join(['NULL'] * count)})")
            told = "\n".join(row[0] for row in lines)
            assert re.findall(r"Scan using (\w+)", told) == ["runs_pkey"], told
    finally:
        await quiet.rollback()
        await connection.close()


@pytest.mark.asyncio(loop_scope="module")
async def test_what_two_nodes_may_both_lock_is_locked_in_one_order(grown: PostgresDb) -> None:
    """Rows that are updated by a list are visited in the order of the list; rows that are only locked are sorted."""
    for name in ("finish_runs", "renew_leases", "settle_progress", "advance", "move_due"):
        lines = await plan(grown, name)
        assert re.search(r"Function Scan on unnest", next(line for line in lines if "Scan" in line)), "\n".join(lines)
    held = "\n".join(await plan(grown, "hold_progress"))
    assert re.search(r"LockRows.*\n *->  Sort.*\n *Sort Key: progress.schedule_id", held), held
