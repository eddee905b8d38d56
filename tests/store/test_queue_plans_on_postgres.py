"""On PostgreSQL too, what queues ask all the time goes by an index: in the plan that is kept for every argument."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import asyncpg
import pytest
import pytest_asyncio

from mainspring.store.postgres import PostgresDb
from mainspring.store.sessions import WORK
from postgres import Postgres
from store.making import START, Clock
from store.queueing import Hand
from store.sharing import node
from store.test_plans_on_postgres import plan

MANY = 20_000
GROW = f"""
INSERT INTO messages (id, generation, rank, payload) SELECT i, 100, 9, '1' FROM generate_series(1, {MANY}) AS i;
INSERT INTO ready SELECT 100, i % 10, i, 0, 0, NULL FROM generate_series(1, {MANY}) AS i;
INSERT INTO leased SELECT {MANY} + i, 100, 9, 1, 0, NULL, i, 7, {START}, {START} + i
FROM generate_series(1, {MANY}) AS i;
INSERT INTO postponed SELECT {START} + i, {2 * MANY} + i, 100, 9, 0, 0, NULL FROM generate_series(1, {MANY}) AS i;
INSERT INTO blocked SELECT 100, CASE WHEN i % 2 = 0 THEN 1 ELSE i END, i, {3 * MANY} + i, 9, 0, 0,
  CASE WHEN i % 100 = 0 THEN {START} END FROM generate_series(1, {MANY}) AS i;
INSERT INTO message_groups SELECT 100, i, i, 1 FROM generate_series(1, {MANY}) AS i;
INSERT INTO dead SELECT i, i % 3, 1, 100, {START} + i, 'rejected', 1, 1 FROM generate_series(1, {MANY}) AS i;
INSERT INTO dedup SELECT i % 5, i::text::bytea, i, {START} + i FROM generate_series(1, {MANY}) AS i;
INSERT INTO receives SELECT i % 5, 7, i::text, 1, '[]', {START} + i FROM generate_series(1, {MANY}) AS i;
INSERT INTO queue_counts SELECT i, 1, 1, 1, 1, 1 FROM generate_series(1, {MANY}) AS i;
INSERT INTO queues SELECT i, 'p', 'q' || i, 'standard', CASE WHEN i % 2 = 0 THEN i + 1 END, 0, 0, 5, 1, 1, 1, NULL, i,
  1, 1, 1, CASE WHEN i % 3 = 0 THEN 1 END FROM generate_series(1, {MANY}) AS i;
ANALYZE;
"""

# query → the indexes that its plan has to name
QUESTIONS = {
    "find_queues": ["queues_by_name"],
    "get_queues": ["queues_pkey"],
    "find_queues_by_generation": ["queues_generation_key"],
    "current_versions": ["queues_pkey"],
    "find_dependents": ["queues_by_dead_letters"],
    "was_queue_deleted": ["queues_deleted"],
    "add_counts": ["queue_counts_pkey"],
    "sum_counts": ["queue_counts_pkey"],
    "count_overdue": ["leased_until", "postponed_pkey"],
    "count_blocked_until": ["blocked_until"],
    "count_dead": ["dead_by_source"],
    "oldest_available": ["ready_pkey", "blocked_by_id"],
    "take_ready": ["ready_pkey"],
    "read_messages": ["messages_pkey"],
    "take_leased": ["leased_pkey"],
    "extend_leased": ["leased_pkey"],
    "find_messages": ["messages_pkey"],
    "delete_messages": ["messages_pkey"],
    "still_leased": ["leased_pkey"],
    "take_expired": ["leased_until", "leased_pkey"],
    "take_surfacing": ["postponed_pkey"],
    "next_turn": ["leased_until", "postponed_pkey"],
    "join_groups": ["message_groups_pkey"],
    "leave_groups": ["message_groups_pkey"],
    "drop_groups": ["message_groups_pkey"],
    "take_blocked": ["blocked_by_group"],
    "find_dedup": ["dedup_pkey"],
    "prune_dedup": ["dedup_age"],
    "find_receives": ["receives_pkey"],
    "prune_receives": ["receives_until"],
    "find_redrivable_of_source": ["dead_by_source"],
    "find_redrivable_in_queue": ["dead_by_queue"],
    "find_redrivable": ["dead_pkey"],
    "find_old_dead": ["dead_by_queue"],
    "find_old_ready": ["ready_pkey"],
    "mark_redriven": ["dead_pkey"],
    "prune_redriven": ["dead_by_queue"],
    "take_out_ready": ["ready_pkey"],
    "take_out_blocked": ["blocked_by_id"],
    "delete_dead": ["dead_pkey"],
    "move_messages": ["messages_pkey"],
    "empty_ready": ["ready_pkey"],
    "empty_blocked": ["blocked_(?:pkey|by_id|by_group)"],
}
ARBITERS = {"add_counts", "join_groups"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def grown(postgres: Postgres) -> AsyncIterator[PostgresDb]:
    url = postgres.url(await postgres.fresh())
    async with node(url, Clock()) as store:
        connection = await asyncpg.connect(url)
        await connection.execute(GROW)
        await connection.close()
        assert isinstance(store.db, PostgresDb)
        yield store.db


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", QUESTIONS)
async def test_a_frequent_question_about_queues_goes_by_its_index(grown: PostgresDb, name: str) -> None:
    told = "\n".join(await plan(grown, name))
    for index in QUESTIONS[name]:
        assert re.search(rf"using {index}\b|Index Scan on {index}\b|Indexes: {index}\b", told), told
    assert not re.search(r"Seq Scan on (?!leftovers)|Hash Join|Merge Join", told), told


@pytest.mark.asyncio(loop_scope="module")
async def test_rows_that_two_nodes_may_both_settle_are_visited_in_the_order_of_the_list(grown: PostgresDb) -> None:
    for name in ("take_leased", "extend_leased", "leave_groups", "delete_messages", "move_messages"):
        lines = await plan(grown, name)
        first = next(line for line in lines if "Scan" in line)
        assert re.search(r"Function Scan on unnest", first), "\n".join(lines)


BUFFERS = {
    "claim": "DELETE FROM ready WHERE (generation, rank, id) IN (SELECT generation, rank, id FROM ready "
    "WHERE generation = 100 ORDER BY rank, id LIMIT 10)",
    "next turn": "SELECT (SELECT min(lease_until) FROM leased), (SELECT min(visible_at) FROM postponed)",
    "nothing due": f"SELECT id FROM leased WHERE lease_until <= {START} ORDER BY lease_until LIMIT 500",
    "oldest of a rank": "SELECT id FROM ready WHERE generation = 100 AND rank = 3 ORDER BY id LIMIT 1",
}


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", BUFFERS)
async def test_rule_03_an_instant_that_is_an_argument_bounds_what_is_read(grown: PostgresDb, name: str) -> None:
    connection = await grown.connect(WORK)
    try:
        transaction = connection.transaction()
        await transaction.start()
        lines = [row[0] for row in await connection.fetch(f"EXPLAIN (ANALYZE, BUFFERS, COSTS OFF) {BUFFERS[name]}")]
        await transaction.rollback()
    finally:
        await connection.close()
    [told] = re.findall(r"Buffers: shared (.*)", next(line for line in lines if "Buffers" in line))
    assert sum(map(int, re.findall(r"(?:hit|read)=(\d+)", told))) <= 60, "\n".join(lines)


async def test_an_operation_reads_no_more_rows_in_a_store_of_twenty_thousand(postgres: Postgres) -> None:
    """What the server says it read, for a hundred messages published, consumed and acknowledged."""
    read = []
    for large in (False, True):
        url = postgres.url(await postgres.blank())
        clock = Clock()
        async with node(url, clock) as store:
            connection = await asyncpg.connect(url)
            if large:
                await connection.execute(GROW)
            hand = Hand(store, clock)
            await hand.make()
            before = await _tuples(connection)
            for _ in range(10):
                await hand.publish(*[b"x"] * 10)
                await hand.ack(*(await hand.consume(10)))
        read.append(await _tuples(connection, past=before) - before)
        await connection.close()
    small, grown = read
    assert grown <= small * 2 + 500, read


async def _tuples(connection: asyncpg.Connection, past: int = -1) -> int:
    """Rows read in this database so far; sessions report when they end."""
    while True:
        await connection.execute("SELECT pg_stat_clear_snapshot()")
        told = await connection.fetchval(
            "SELECT sum(seq_tup_read + COALESCE(idx_tup_fetch, 0))::bigint FROM pg_stat_user_tables"
        )
        if told is not None and int(told) > past:
            return int(told)
