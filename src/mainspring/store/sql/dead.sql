-- A dead letter waits in its queue like any other message; its row here says where it came from.

-- name: insert_dead
WITH @rows(v: id bigint, source_id bigint, queue_id bigint, generation bigint, dead_at bigint, reason text, attempt bigint, failures bigint)
INSERT INTO dead (id, source_id, queue_id, generation, dead_at, reason, attempt, failures)
SELECT id, source_id, queue_id, generation, dead_at, reason, attempt, failures FROM v WHERE true
ON CONFLICT (id) DO UPDATE SET source_id = excluded.source_id, queue_id = excluded.queue_id,
  generation = excluded.generation, dead_at = excluded.dead_at, reason = excluded.reason, attempt = excluded.attempt,
  failures = excluded.failures;

-- name: move_messages
WITH @rows(v: id bigint, generation bigint)
UPDATE messages SET generation = v.generation FROM v WHERE messages.id = v.id;

-- name: delete_dead
WITH @rows(v: id bigint)
DELETE FROM dead WHERE id IN (SELECT id FROM v);

-- A message that has gone back is kept from then on; its row, now nobody's, says since when.
-- name: mark_redriven
WITH @rows(v: id bigint)
UPDATE dead SET source_id = 0, queue_id = 0, generation = 0, dead_at = :now WHERE id IN (SELECT id FROM v);

-- name: prune_redriven [sqlite]
DELETE FROM dead WHERE id IN (SELECT id FROM dead WHERE generation = 0 AND dead_at < :before LIMIT :limit) RETURNING id;

-- name: prune_redriven [postgres]
DELETE FROM dead
WHERE ctid = ANY (ARRAY(SELECT ctid FROM dead WHERE generation = 0 AND dead_at < :before LIMIT :limit))
RETURNING id;

-- name: page_dead_by_source
SELECT d.id, s.name, d.dead_at, d.reason, d.attempt, d.failures, m.payload, m.headers, m.group_id
FROM dead AS d JOIN queues AS q ON q.id = d.queue_id AND q.generation = d.generation AND q.deleted_at IS NULL
     JOIN queues AS s ON s.id = d.source_id JOIN messages AS m ON m.id = d.id
WHERE d.source_id = :queue_id AND (d.dead_at, d.id) < (:before_at, :before_id)
ORDER BY d.dead_at DESC, d.id DESC LIMIT :limit;

-- name: page_dead_by_queue
SELECT d.id, s.name, d.dead_at, d.reason, d.attempt, d.failures, m.payload, m.headers, m.group_id
FROM dead AS d JOIN queues AS s ON s.id = d.source_id JOIN messages AS m ON m.id = d.id
WHERE d.generation = :generation AND (d.dead_at, d.id) < (:before_at, :before_id)
ORDER BY d.dead_at DESC, d.id DESC LIMIT :limit;

-- fragment: redrivable
SELECT d.id, d.source_id, d.generation, m.group_id
FROM dead AS d JOIN messages AS m ON m.id = d.id JOIN queues AS q ON q.id = d.queue_id AND q.generation = d.generation AND q.deleted_at IS NULL
     JOIN queues AS s ON s.id = d.source_id AND s.deleted_at IS NULL

-- Oldest first, as they are to go back; those that somebody has leased stay.
-- name: find_redrivable_of_source
@redrivable
WHERE d.source_id = :queue_id AND d.dead_at >= :since AND NOT EXISTS (SELECT 1 FROM leased AS l WHERE l.id = d.id)
ORDER BY d.dead_at, d.id LIMIT :limit;

-- name: find_redrivable_in_queue
@redrivable
WHERE d.generation = :generation AND d.dead_at >= :since AND NOT EXISTS (SELECT 1 FROM leased AS l WHERE l.id = d.id)
ORDER BY d.dead_at, d.id LIMIT :limit;

-- name: find_redrivable
@redrivable
WHERE d.id = :id AND (d.source_id = :queue_id OR d.queue_id = :queue_id)
  AND NOT EXISTS (SELECT 1 FROM leased AS l WHERE l.id = d.id);

-- name: find_old_dead
SELECT d.id FROM dead AS d
WHERE d.generation = :generation AND d.dead_at < :before
  AND NOT EXISTS (SELECT 1 FROM leased AS l WHERE l.id = d.id)
ORDER BY d.dead_at, d.id LIMIT :limit;

-- Out of wherever they wait.
-- name: take_out_ready
WITH @rows(v: generation bigint, id bigint)
DELETE FROM ready WHERE (generation, rank, id) IN (
  SELECT r.generation, r.rank, r.id FROM v JOIN ready AS r ON r.generation = v.generation
   AND r.rank IN (0, 1, 2, 3, 4, 5, 6, 7, 8, 9) AND r.id = v.id)
RETURNING id, generation, rank, attempt, failures, group_key;

-- name: take_out_postponed
WITH @rows(v: generation bigint, id bigint)
DELETE FROM postponed WHERE (visible_at, id) IN (
  SELECT p.visible_at, p.id FROM v JOIN postponed AS p ON p.id = v.id AND p.generation = v.generation)
RETURNING id, generation, rank, attempt, failures, group_key;

-- name: take_out_blocked
WITH @rows(v: generation bigint, id bigint)
DELETE FROM blocked WHERE (generation, place, id) IN (
  SELECT b.generation, b.place, b.id FROM v JOIN blocked AS b ON b.id = v.id AND b.generation = v.generation)
RETURNING id, generation, rank, attempt, failures, group_key;

-- The first of each rank are the oldest: what has outlived the queue's retention is among them. Dead letters have
-- another clock. A cross join, for SQLite would begin with all that is ready.
-- name: find_old_ready
WITH RECURSIVE ranks(rank) AS (SELECT 0 UNION ALL SELECT rank + 1 FROM ranks WHERE rank < 9)
SELECT r.id FROM ranks CROSS JOIN ready AS r
WHERE r.generation = :generation AND r.rank = ranks.rank AND r.id < :before
  AND NOT EXISTS (SELECT 1 FROM dead AS d WHERE d.id = r.id AND (d.generation <> 0 OR d.dead_at >= :cutoff))
LIMIT :limit;

-- name: queues_after
SELECT id FROM queues WHERE id > :after AND deleted_at IS NULL ORDER BY id LIMIT :limit;
