-- What a database says about its tables, for moving a store.

-- Every table's columns in order. `place`: 1, 2 … in the primary key, 0 outside of it; what is computed is left out.
-- name: list_columns [sqlite]
SELECT m.name, c.name, c.type, c.pk AS place
FROM sqlite_schema AS m JOIN pragma_table_xinfo(m.name) AS c
WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite\_%' ESCAPE '\' AND c.hidden = 0
ORDER BY m.name, c.cid;

-- name: list_columns [postgres]
SELECT t.relname::text, c.attname::text, format_type(c.atttypid, NULL),
       COALESCE(array_position(k.indkey::int[], c.attnum::int), -1) + 1 AS place
FROM pg_class AS t JOIN pg_attribute AS c ON c.attrelid = t.oid
     LEFT JOIN pg_index AS k ON k.indrelid = t.oid AND k.indisprimary
WHERE t.relnamespace = current_schema()::regnamespace AND t.relkind IN ('r', 'p') AND NOT t.relispartition
  AND c.attnum > 0 AND NOT c.attisdropped AND c.attgenerated = ''
ORDER BY t.relname, c.attnum;

-- Numbers that the database gives out by itself go on after the largest one that was copied.
-- name: list_sequences [postgres only]
SELECT t.relname::text, c.attname::text, pg_get_serial_sequence(quote_ident(t.relname), c.attname)
FROM pg_class AS t JOIN pg_attribute AS c ON c.attrelid = t.oid
WHERE t.relnamespace = current_schema()::regnamespace AND t.relkind IN ('r', 'p') AND c.attnum > 0
  AND NOT c.attisdropped AND pg_get_serial_sequence(quote_ident(t.relname), c.attname) IS NOT NULL;

-- name: list_live_nodes [postgres only]
SELECT name FROM nodes WHERE lease_until > @database_now ORDER BY number;

-- One move at a time; kept until the session ends.
-- name: take_moving_turn [postgres only]
SELECT pg_try_advisory_lock(19795, 4);

-- name: delete_meta
DELETE FROM meta WHERE name = :name;

-- FIFO groups are not copied: each database keeps them in its own way, and they follow from the messages.
-- name: make_groups [postgres only]
INSERT INTO message_groups (generation, group_key, tail, waiting)
SELECT generation, group_key, max(place), CAST(sum(waits) AS bigint) FROM (
  SELECT generation, group_key, 0 AS place, 0 AS waits FROM ready WHERE group_key IS NOT NULL
  UNION ALL SELECT generation, group_key, 0, 0 FROM leased WHERE group_key IS NOT NULL
  UNION ALL SELECT generation, group_key, 0, 0 FROM postponed WHERE group_key IS NOT NULL
  UNION ALL SELECT generation, group_key, place, 1 FROM blocked) AS everywhere
GROUP BY generation, group_key
ON CONFLICT (generation, group_key) DO UPDATE SET tail = excluded.tail, waiting = excluded.waiting;
