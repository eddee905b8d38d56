-- fragment: queue_columns
q.id, q.project, q.name, q.type, q.dead_letter_id, q.last_resort, q.holds_dead, q.max_retries, q.retention_ms,
q.visibility_ms, q.enable_priority, q.paused_at, q.generation, q.version, q.created_at, q.updated_at,
(SELECT d.name FROM queues AS d WHERE d.id = q.dead_letter_id)

-- name: find_queues
WITH @rows(v: project text, name text)
SELECT @queue_columns FROM v JOIN queues AS q ON q.project = v.project AND q.name = v.name AND q.deleted_at IS NULL;

-- name: get_queues
WITH @rows(v: id bigint)
SELECT @queue_columns FROM v JOIN queues AS q ON q.id = v.id AND q.deleted_at IS NULL;

-- name: find_queues_by_generation
WITH @rows(v: generation bigint)
SELECT @queue_columns FROM v JOIN queues AS q ON q.generation = v.generation AND q.deleted_at IS NULL;

-- Whoever acts on what it remembers of a queue asks first whether that still holds.
-- name: current_versions
WITH @rows(v: id bigint)
SELECT q.id, q.version FROM v JOIN queues AS q ON q.id = v.id AND q.deleted_at IS NULL;

-- Whoever changes a queue, or makes one, holds its row.
-- name: hold_queues [postgres only]
WITH @rows(v: id bigint)
SELECT q.id FROM queues AS q JOIN v ON q.id = v.id ORDER BY q.id FOR UPDATE OF q;

-- Another node may have made it a moment ago: then this does nothing, and it is read again.
-- name: insert_queues
WITH @rows(v: id bigint, project text, name text, type text, dead_letter_id bigint, last_resort bigint, holds_dead bigint, max_retries bigint, retention_ms bigint, visibility_ms bigint, enable_priority bigint, generation bigint, now bigint)
INSERT INTO queues (id, project, name, type, dead_letter_id, last_resort, holds_dead, max_retries, retention_ms,
                    visibility_ms, enable_priority, generation, version, created_at, updated_at)
SELECT id, project, name, type, dead_letter_id, last_resort, holds_dead, max_retries, retention_ms,
       visibility_ms, enable_priority, generation, 1, now, now
FROM v WHERE true
ON CONFLICT (project, name) WHERE deleted_at IS NULL DO NOTHING
RETURNING id;

-- name: update_queue
UPDATE queues SET dead_letter_id = :dead_letter_id, last_resort = :last_resort, max_retries = :max_retries,
       retention_ms = :retention_ms, visibility_ms = :visibility_ms, enable_priority = :enable_priority,
       paused_at = :paused_at, generation = :generation, deleted_at = :deleted_at, updated_at = :now,
       version = version + 1
WHERE id = :id AND version = :version AND deleted_at IS NULL
RETURNING id;

-- name: mark_holds_dead
UPDATE queues SET holds_dead = 1, version = version + 1 WHERE id = :id AND holds_dead = 0;

-- name: insert_leftover
INSERT INTO leftovers (generation, left_at) VALUES (:generation, :now);

-- Those whose dead letters go to a queue: all of them, or those of a subscription.
-- name: find_dependents
SELECT q.name FROM queues AS q
WHERE q.deleted_at IS NULL AND q.id IN (
  SELECT d.id FROM queues AS d WHERE d.dead_letter_id = :id AND d.deleted_at IS NULL
  UNION ALL
  SELECT s.queue_id FROM subscriptions AS s WHERE s.dead_letter_id = :id AND s.ended_at IS NULL)
LIMIT 1;

-- The names of the queues to which the dead letters of a queue would go, one after the other: of the queue named for
-- them, or of the one of its own, which need not be there yet, and of those named by its subscriptions.
-- name: follow_dead_letters
WITH RECURSIVE chain(project, name) AS (
  SELECT q.project, q.name FROM queues AS q WHERE q.id = :id
  UNION
  SELECT chain.project, grave.name FROM chain JOIN (
    SELECT q.project, q.name AS source,
           COALESCE((SELECT d.name FROM queues AS d WHERE d.id = q.dead_letter_id), q.name || '.dlq') AS name
    FROM queues AS q WHERE q.deleted_at IS NULL AND (q.dead_letter_id IS NOT NULL OR q.last_resort = 0)
    UNION ALL
    SELECT q.project, q.name, d.name FROM subscriptions AS s JOIN queues AS q ON q.id = s.queue_id
           JOIN queues AS d ON d.id = s.dead_letter_id
    WHERE s.ended_at IS NULL) AS grave ON grave.project = chain.project AND grave.source = chain.name)
SELECT name FROM chain;

-- name: end_subscriptions_of
UPDATE subscriptions SET ended_at = :now, ended_because = 'the queue was deleted'
WHERE queue_id = :id AND ended_at IS NULL;

-- name: page_queues
SELECT @queue_columns FROM queues AS q
WHERE q.project = :project AND q.deleted_at IS NULL AND q.id < :before
ORDER BY q.id DESC LIMIT :limit;

-- name: was_queue_deleted
SELECT 1 FROM queues WHERE project = :project AND name = :name AND deleted_at IS NOT NULL LIMIT 1;

-- name: add_counts
WITH @rows(v: generation bigint, ready bigint, leased bigint, postponed bigint, blocked bigint)
INSERT INTO queue_counts (generation, writer, ready, leased, postponed, blocked)
SELECT generation, :writer, ready, leased, postponed, blocked FROM v WHERE true
ON CONFLICT (generation, writer) DO UPDATE SET
  ready = queue_counts.ready + excluded.ready, leased = queue_counts.leased + excluded.leased,
  postponed = queue_counts.postponed + excluded.postponed, blocked = queue_counts.blocked + excluded.blocked;

-- name: sum_counts
WITH @rows(v: generation bigint)
SELECT c.generation, CAST(sum(c.ready) AS bigint), CAST(sum(c.leased) AS bigint), CAST(sum(c.postponed) AS bigint),
       CAST(sum(c.blocked) AS bigint)
FROM v JOIN queue_counts AS c ON c.generation = v.generation GROUP BY c.generation;

-- Leases that have ended and delays that are over, but that nobody has looked at yet.
-- name: count_overdue
SELECT (SELECT count(*) FROM leased WHERE lease_until <= :now AND generation = :generation),
       (SELECT count(*) FROM postponed WHERE visible_at <= :now AND generation = :generation);

-- name: count_blocked_until
SELECT count(*) FROM blocked WHERE generation = :generation AND visible_at > :now;

-- name: count_dead
SELECT count(*) FROM dead AS d JOIN queues AS q ON q.id = d.queue_id AND q.generation = d.generation
WHERE d.source_id = :source_id AND q.deleted_at IS NULL;

-- The oldest of each rank, one look into the index each, and of those behind the head of their group.
-- name: oldest_available
WITH RECURSIVE ranks(rank) AS (SELECT 0 UNION ALL SELECT rank + 1 FROM ranks WHERE rank < 9)
SELECT (SELECT min(o.id) FROM (
          SELECT (SELECT r.id FROM ready AS r WHERE r.generation = :generation AND r.rank = ranks.rank
                  ORDER BY r.id LIMIT 1) AS id
          FROM ranks) AS o),
       (SELECT b.id FROM blocked AS b
        WHERE b.generation = :generation AND (b.visible_at IS NULL OR b.visible_at <= :now) ORDER BY b.id LIMIT 1);

-- name: take_leftover
SELECT generation FROM leftovers WHERE left_at < :before ORDER BY generation LIMIT 1;

-- name: empty_ready [sqlite]
DELETE FROM ready WHERE (generation, rank, id) IN (
  SELECT generation, rank, id FROM ready WHERE generation = :generation LIMIT :limit)
RETURNING id;

-- name: empty_ready [postgres]
DELETE FROM ready WHERE ctid = ANY (ARRAY(SELECT ctid FROM ready WHERE generation = :generation LIMIT :limit))
RETURNING id;

-- name: empty_blocked [sqlite]
DELETE FROM blocked WHERE (generation, place, id) IN (
  SELECT generation, place, id FROM blocked WHERE generation = :generation LIMIT :limit)
RETURNING id;

-- name: empty_blocked [postgres]
DELETE FROM blocked WHERE ctid = ANY (ARRAY(SELECT ctid FROM blocked WHERE generation = :generation LIMIT :limit))
RETURNING id;

-- name: empty_groups [sqlite]
DELETE FROM message_groups WHERE (generation, group_key) IN (
  SELECT generation, group_key FROM message_groups WHERE generation = :generation LIMIT :limit)
RETURNING group_key;

-- name: empty_groups [postgres]
DELETE FROM message_groups
WHERE ctid = ANY (ARRAY(SELECT ctid FROM message_groups WHERE generation = :generation LIMIT :limit))
RETURNING group_key;

-- name: empty_dead [sqlite]
DELETE FROM dead WHERE id IN (SELECT id FROM dead WHERE generation = :generation LIMIT :limit) RETURNING id;

-- name: empty_dead [postgres]
DELETE FROM dead WHERE ctid = ANY (ARRAY(SELECT ctid FROM dead WHERE generation = :generation LIMIT :limit))
RETURNING id;

-- name: drop_counts
DELETE FROM queue_counts WHERE generation = :generation;

-- name: drop_leftover
DELETE FROM leftovers WHERE generation = :generation;
