-- Which subscriptions have something to do and room for it.
-- fragment: push_work
FROM subscriptions AS s JOIN queues AS q ON q.id = s.queue_id AND q.deleted_at IS NULL AND q.paused_at IS NULL
WHERE s.ended_at IS NULL AND s.resting_until <= :now
  AND EXISTS (SELECT 1 FROM ready AS r WHERE r.generation = q.generation)
  AND (SELECT count(*) FROM leased AS l WHERE l.holder = -s.id AND l.holder < 0 AND l.lease_until > :now)
      < CASE WHEN s.streak >= :streak_max THEN 1 ELSE s.max_concurrency END

-- name: push_wanted
SELECT s.id @push_work;

-- name: push_wanted_in
WITH @rows(v: queue_id bigint)
SELECT s.id @push_work AND s.queue_id IN (SELECT queue_id FROM v);

-- With its row held, a subscription is claimed for by one node at a time, so what all of them have in flight is no more
-- than it may be.
-- name: take_subscriptions [sqlite]
WITH @rows(v: id bigint)
SELECT @subscription_columns FROM v JOIN subscriptions AS s ON s.id = v.id;

-- name: take_subscriptions [postgres]
WITH @rows(v: id bigint)
SELECT @subscription_columns FROM v JOIN subscriptions AS s ON s.id = v.id
ORDER BY s.id FOR NO KEY UPDATE OF s;

-- name: count_in_flight
WITH @rows(v: holder bigint)
SELECT v.holder, (SELECT count(*) FROM leased AS l WHERE l.holder = v.holder AND l.holder < 0 AND l.lease_until > :now)
FROM v;

-- Of messages that a purge took away while they were posted: the lease would take up room to its end.
-- name: drop_purged_leases [sqlite]
WITH @rows(v: id bigint, token bigint)
DELETE FROM leased WHERE id IN (
  SELECT l.id FROM v JOIN leased AS l ON l.id = v.id AND l.token = v.token
  WHERE NOT EXISTS (SELECT 1 FROM queues AS q WHERE q.generation = l.generation))
RETURNING id;

-- name: drop_purged_leases [postgres]
WITH @rows(v: id bigint, token bigint)
DELETE FROM leased USING v
WHERE leased.id = v.id AND leased.token = v.token
  AND NOT EXISTS (SELECT 1 FROM queues AS q WHERE q.generation = leased.generation)
RETURNING leased.id;

-- name: calm_subscriptions
WITH @rows(v: id bigint)
UPDATE subscriptions SET streak = 0 WHERE streak > 0 AND id IN (SELECT id FROM v);

-- name: trouble_subscriptions
WITH @rows(v: id bigint, streak bigint, resting_until bigint, ended_at bigint, ended_because text)
UPDATE subscriptions SET streak = v.streak, resting_until = v.resting_until, ended_at = v.ended_at,
       ended_because = v.ended_because
FROM v WHERE subscriptions.id = v.id;

-- name: insert_pushes
WITH @rows(v: id bigint, subscription_id bigint, queue_id bigint, message_id bigint, attempt bigint, started_at bigint, sent_at bigint, ended_at bigint, outcome text, status bigint, body bytea, error text)
INSERT INTO pushes (id, subscription_id, queue_id, message_id, attempt, started_at, sent_at, ended_at, outcome, status,
                    body, error)
SELECT id, subscription_id, queue_id, message_id, attempt, started_at, sent_at, ended_at, outcome, status, body, error
FROM v;

-- fragment: push_columns
p.id, p.subscription_id, p.message_id, p.attempt, p.started_at, p.sent_at, p.ended_at, p.outcome, p.status, p.body,
p.error

-- name: page_pushes
SELECT @push_columns FROM pushes AS p
WHERE p.queue_id = :queue_id AND p.id < :before ORDER BY p.id DESC LIMIT :limit;

-- name: page_pushes_of
SELECT @push_columns FROM pushes AS p
WHERE p.queue_id = :queue_id AND p.id < :before AND p.subscription_id = :subscription_id
ORDER BY p.id DESC LIMIT :limit;

-- name: prune_pushes [sqlite]
DELETE FROM pushes WHERE rowid IN (SELECT rowid FROM pushes WHERE ended_at < :before ORDER BY ended_at LIMIT :limit)
RETURNING id;

-- name: prune_pushes [postgres]
DELETE FROM pushes
WHERE ctid = ANY (ARRAY(SELECT ctid FROM pushes WHERE ended_at < :before ORDER BY ended_at LIMIT :limit))
RETURNING id;

-- The queues that have pushes, a few at a time.
-- name: pushed_queues
WITH RECURSIVE q(id) AS (
  SELECT min(queue_id) FROM pushes WHERE queue_id > :after
  UNION ALL
  SELECT (SELECT min(p.queue_id) FROM pushes AS p WHERE p.queue_id > q.id) FROM q WHERE q.id IS NOT NULL)
SELECT id FROM q WHERE id IS NOT NULL LIMIT :limit;

-- The newest of those that are too many.
-- name: find_surplus_push
SELECT p.id FROM pushes AS p WHERE p.queue_id = :queue_id ORDER BY p.id DESC LIMIT 1 OFFSET :keep;

-- name: prune_surplus_pushes [sqlite]
DELETE FROM pushes WHERE rowid IN (
  SELECT rowid FROM pushes WHERE queue_id = :queue_id AND id <= :newest ORDER BY id LIMIT :limit)
RETURNING id;

-- name: prune_surplus_pushes [postgres]
DELETE FROM pushes WHERE ctid = ANY (ARRAY(
  SELECT ctid FROM pushes WHERE queue_id = :queue_id AND id <= :newest ORDER BY id LIMIT :limit))
RETURNING id;
