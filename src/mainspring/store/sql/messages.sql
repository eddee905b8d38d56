-- A message is where exactly one of ready, leased, postponed and blocked says. Whoever takes it away from there has it.
-- Nodes take rows in this order: leased by id, then groups by key; so they wait for each other instead of deadlocking.
-- What takes messages out of the middle (redrive, retention) cannot, and is run again when it loses.

-- name: insert_messages
WITH @rows(v: id bigint, generation bigint, rank bigint, payload bytea, headers bytea, group_id text)
INSERT INTO messages (id, generation, rank, payload, headers, group_id)
SELECT id, generation, rank, payload, headers, group_id FROM v;

-- Messages that can be had at once are the bulk of all. Their narrow rows are made from those just written (measured:
-- 1 us less for each than by binding its values again).
-- name: show_plain [sqlite only]
INSERT INTO ready (generation, rank, id, attempt, failures)
SELECT generation, rank, id, 0, 0 FROM messages WHERE id >= :first AND id <= :last;

-- The whole of a publish to one queue in one statement, which may be its own transaction: no round trip but this one.
-- Answers with nothing, and writes nothing, when the queue is not as it was any more. (Measured, 64 rows: 0.7 of
-- inserting into messages alone; for several queues at a time 0.6; looking first, in a transaction, 0.4.)
-- name: publish_plain [postgres only]
WITH @rows(v: id bigint, rank bigint, payload bytea, headers bytea, group_id text),
shown AS (
  INSERT INTO ready (generation, rank, id, attempt, failures)
  SELECT :generation, rank, id, 0, 0 FROM v
  WHERE EXISTS (SELECT 1 FROM queues WHERE id = :queue_id AND version = :version AND deleted_at IS NULL)),
counted AS (
  INSERT INTO queue_counts (generation, writer, ready, leased, postponed, blocked)
  SELECT :generation, :writer, :count, 0, 0, 0
  WHERE EXISTS (SELECT 1 FROM queues WHERE id = :queue_id AND version = :version AND deleted_at IS NULL)
  ON CONFLICT (generation, writer) DO UPDATE SET ready = queue_counts.ready + excluded.ready),
written AS (
  INSERT INTO messages (id, generation, rank, payload, headers, group_id)
  SELECT id, :generation, rank, payload, headers, group_id FROM v
  WHERE EXISTS (SELECT 1 FROM queues WHERE id = :queue_id AND version = :version AND deleted_at IS NULL))
SELECT id FROM queues WHERE id = :queue_id AND version = :version AND deleted_at IS NULL;

-- name: insert_ready
WITH @rows(v: generation bigint, rank bigint, id bigint, attempt bigint, failures bigint, group_key bigint)
INSERT INTO ready (generation, rank, id, attempt, failures, group_key)
SELECT generation, rank, id, attempt, failures, group_key FROM v;

-- name: insert_postponed
WITH @rows(v: visible_at bigint, id bigint, generation bigint, rank bigint, attempt bigint, failures bigint, group_key bigint)
INSERT INTO postponed (visible_at, id, generation, rank, attempt, failures, group_key)
SELECT visible_at, id, generation, rank, attempt, failures, group_key FROM v;

-- name: insert_blocked
WITH @rows(v: generation bigint, group_key bigint, place bigint, id bigint, rank bigint, attempt bigint, failures bigint, visible_at bigint)
INSERT INTO blocked (generation, group_key, place, id, rank, attempt, failures, visible_at)
SELECT generation, group_key, place, id, rank, attempt, failures, visible_at FROM v;

-- `count` messages come to the end of a group. A group that was empty answers with one less waiting than came. Places
-- are given with the group's row held, so they are in the order in which publishers return.
-- name: join_groups
WITH @rows(v: generation bigint, group_key bigint, count bigint, place bigint)
INSERT INTO message_groups (generation, group_key, tail, waiting)
SELECT generation, group_key, place + count - 1, count - 1 FROM v WHERE true
ON CONFLICT (generation, group_key) DO UPDATE SET
  tail = CASE WHEN message_groups.tail > excluded.tail - excluded.waiting - 1
              THEN message_groups.tail + excluded.waiting + 1 ELSE excluded.tail END,
  waiting = message_groups.waiting + excluded.waiting + 1
RETURNING generation, group_key, tail, waiting;

-- name: leave_groups
WITH @rows(v: generation bigint, group_key bigint)
UPDATE message_groups SET waiting = message_groups.waiting - 1 FROM v
WHERE message_groups.generation = v.generation AND message_groups.group_key = v.group_key
RETURNING message_groups.generation, message_groups.group_key, message_groups.waiting;

-- name: drop_groups
WITH @rows(v: generation bigint, group_key bigint)
DELETE FROM message_groups WHERE (generation, group_key) IN (SELECT generation, group_key FROM v);

-- name: take_blocked [sqlite]
WITH @rows(v: generation bigint, group_key bigint)
DELETE FROM blocked WHERE (generation, place, id) IN (
  SELECT l.generation, l.place, l.id FROM v JOIN line AS l ON l.generation = v.generation AND l.group_key = v.group_key
   AND l.place = (SELECT min(m.place) FROM line AS m WHERE m.generation = v.generation AND m.group_key = v.group_key))
RETURNING id, generation, rank, attempt, failures, group_key, visible_at;

-- The groups' rows are held.
-- name: take_blocked [postgres]
WITH @rows(v: generation bigint, group_key bigint)
DELETE FROM blocked WHERE (generation, group_key, place) IN (
  SELECT v.generation, v.group_key,
         (SELECT min(b.place) FROM blocked AS b WHERE b.generation = v.generation AND b.group_key = v.group_key)
  FROM v)
RETURNING id, generation, rank, attempt, failures, group_key, visible_at;

-- name: take_ready [sqlite]
WITH @rows(v: generation bigint, wanted bigint)
DELETE FROM ready WHERE (generation, rank, id) IN (
  SELECT r.generation, r.rank, r.id FROM ready AS r WHERE r.generation = (SELECT generation FROM v)
  ORDER BY r.rank, r.id LIMIT (SELECT wanted FROM v))
RETURNING id, generation, rank, attempt, failures, group_key;

-- name: take_ready [postgres]
WITH @rows(v: generation bigint, wanted bigint),
picked AS MATERIALIZED (
  SELECT r.generation, r.rank, r.id FROM v CROSS JOIN LATERAL (
    SELECT generation, rank, id FROM ready WHERE ready.generation = v.generation
    ORDER BY rank, id LIMIT v.wanted FOR UPDATE SKIP LOCKED) AS r)
DELETE FROM ready USING picked
WHERE ready.generation = picked.generation AND ready.rank = picked.rank AND ready.id = picked.id
RETURNING ready.id, ready.generation, ready.rank, ready.attempt, ready.failures, ready.group_key;

-- name: insert_leased
WITH @rows(v: id bigint, generation bigint, rank bigint, attempt bigint, failures bigint, group_key bigint, token bigint, holder bigint, lease_until bigint)
INSERT INTO leased (id, generation, rank, attempt, failures, group_key, token, holder, leased_at, lease_until)
SELECT id, generation, rank, attempt, failures, group_key, token, holder, :now, lease_until FROM v;

-- name: read_messages
WITH @rows(v: id bigint)
SELECT m.id, m.payload, m.headers, m.group_id FROM v JOIN messages AS m ON m.id = v.id;

-- Fenced: by the token, or by the holder for those who have none. The conditions are on the row itself, so they hold
-- for what another node has just written.
-- name: take_leased [sqlite]
WITH @rows(v: id bigint, generation bigint, token bigint, holder bigint)
DELETE FROM leased WHERE id IN (
  SELECT l.id FROM v JOIN leased AS l ON l.id = v.id
  WHERE l.generation = v.generation AND l.lease_until > :now
    AND (l.token = v.token OR (v.token = -1 AND l.holder = v.holder)))
RETURNING id, generation, rank, attempt, failures, group_key, token, holder;

-- name: take_leased [postgres]
WITH @rows(v: id bigint, generation bigint, token bigint, holder bigint)
DELETE FROM leased USING v
WHERE leased.id = v.id AND leased.generation = v.generation AND leased.lease_until > :now
  AND (leased.token = v.token OR (v.token = -1 AND leased.holder = v.holder))
RETURNING leased.id, leased.generation, leased.rank, leased.attempt, leased.failures, leased.group_key, leased.token,
          leased.holder;

-- The whole of a lease ends 12 hours after it began, however often it is extended.
-- name: extend_leased
WITH @rows(v: id bigint, generation bigint, token bigint, holder bigint, lease_until bigint)
UPDATE leased SET lease_until = CASE WHEN v.lease_until < leased.leased_at + 43200000 THEN v.lease_until
                                     ELSE leased.leased_at + 43200000 END
FROM v
WHERE leased.id = v.id AND leased.generation = v.generation AND leased.lease_until > :now
  AND (leased.token = v.token OR (v.token = -1 AND leased.holder = v.holder))
RETURNING leased.id, leased.generation, leased.token, leased.holder, leased.lease_until;

-- name: find_messages
WITH @rows(v: id bigint)
SELECT m.id, m.generation FROM v JOIN messages AS m ON m.id = v.id;

-- name: delete_messages [sqlite]
WITH @rows(v: id bigint)
DELETE FROM messages WHERE id IN (SELECT id FROM v);

-- name: delete_messages [postgres]
WITH @rows(v: id bigint)
DELETE FROM messages USING v WHERE messages.id = v.id;

-- name: take_expired [sqlite]
DELETE FROM leased WHERE id IN (SELECT id FROM leased WHERE lease_until <= :now ORDER BY lease_until LIMIT :limit)
RETURNING id, generation, rank, attempt, failures, group_key, holder;

-- name: take_expired [postgres]
WITH ended AS MATERIALIZED (
  SELECT id FROM leased WHERE lease_until <= :now ORDER BY lease_until LIMIT :limit FOR UPDATE SKIP LOCKED)
DELETE FROM leased USING ended WHERE leased.id = ended.id
RETURNING leased.id, leased.generation, leased.rank, leased.attempt, leased.failures, leased.group_key, leased.holder;

-- name: take_surfacing [sqlite]
DELETE FROM postponed WHERE (visible_at, id) IN (
  SELECT visible_at, id FROM postponed WHERE visible_at <= :now ORDER BY visible_at, id LIMIT :limit)
RETURNING id, generation, rank, attempt, failures, group_key;

-- name: take_surfacing [postgres]
WITH due AS MATERIALIZED (
  SELECT visible_at, id FROM postponed WHERE visible_at <= :now ORDER BY visible_at, id LIMIT :limit
  FOR UPDATE SKIP LOCKED)
DELETE FROM postponed USING due WHERE postponed.visible_at = due.visible_at AND postponed.id = due.id
RETURNING postponed.id, postponed.generation, postponed.rank, postponed.attempt, postponed.failures, postponed.group_key;

-- name: next_turn
SELECT (SELECT min(lease_until) FROM leased), (SELECT min(visible_at) FROM postponed);

-- name: peek_ready
SELECT r.id, m.payload, m.headers, m.group_id, r.rank, r.attempt, r.failures
FROM ready AS r JOIN messages AS m ON m.id = r.id
WHERE r.generation = :generation ORDER BY r.rank, r.id LIMIT :limit;

-- A key of the last five minutes stands; an older one is taken over. Whoever gets it back is the first.
-- name: claim_dedup
WITH @rows(v: queue_id bigint, key bytea, message_id bigint)
INSERT INTO dedup (queue_id, key, message_id, created_at)
SELECT queue_id, key, message_id, :now FROM v WHERE true
ON CONFLICT (queue_id, key) DO UPDATE SET message_id = excluded.message_id, created_at = excluded.created_at
WHERE dedup.created_at <= :since
RETURNING message_id;

-- name: find_dedup
WITH @rows(v: queue_id bigint, key bytea)
SELECT d.queue_id, d.key, d.message_id FROM v JOIN dedup AS d ON d.queue_id = v.queue_id AND d.key = v.key;

-- name: prune_dedup [sqlite]
DELETE FROM dedup WHERE (queue_id, key) IN (SELECT queue_id, key FROM dedup WHERE created_at <= :before LIMIT :limit)
RETURNING 1;

-- name: prune_dedup [postgres]
DELETE FROM dedup WHERE ctid = ANY (ARRAY(SELECT ctid FROM dedup WHERE created_at <= :before LIMIT :limit))
RETURNING 1;

-- Of two nodes that are asked the same at once, the second waits for what the first hands out.
-- name: hold_receives [postgres only]
WITH @rows(v: queue_id bigint, holder bigint, key text)
INSERT INTO receives (queue_id, holder, key, token, ids, lease_until)
SELECT queue_id, holder, key, 0, '[]', 0 FROM v
ON CONFLICT (queue_id, holder, key) DO UPDATE SET lease_until = receives.lease_until;

-- name: find_receives
WITH @rows(v: queue_id bigint, holder bigint, key text)
SELECT r.queue_id, r.holder, r.key, r.token, r.ids
FROM v JOIN receives AS r ON r.queue_id = v.queue_id AND r.holder = v.holder AND r.key = v.key
WHERE r.lease_until > :now;

-- name: insert_receives
WITH @rows(v: queue_id bigint, holder bigint, key text, token bigint, ids text, lease_until bigint)
INSERT INTO receives (queue_id, holder, key, token, ids, lease_until)
SELECT queue_id, holder, key, token, ids, lease_until FROM v WHERE true
ON CONFLICT (queue_id, holder, key) DO UPDATE SET token = excluded.token, ids = excluded.ids,
  lease_until = excluded.lease_until;

-- name: still_leased
WITH @rows(v: id bigint, token bigint)
SELECT l.id, l.generation, l.rank, l.attempt, l.failures, l.group_key, l.lease_until
FROM v JOIN leased AS l ON l.id = v.id AND l.token = v.token AND l.lease_until > :now;

-- name: prune_receives
DELETE FROM receives WHERE lease_until <= :now;
