-- Subscriptions hold leases under their id made negative, so that a holder is never both a credential and one of them.

-- fragment: subscription_columns
s.id, s.queue_id, s.url, s.secret, s.headers, s.signature_style, s.format, s.max_retries,
(SELECT d.name FROM queues AS d WHERE d.id = s.dead_letter_id), s.visibility_ms, s.timeout_ms, s.max_concurrency,
s.dead_letter_id, s.streak, s.resting_until, s.created_at, s.updated_at, s.ended_at, s.ended_because

-- name: find_push_limits
WITH @rows(v: holder bigint)
SELECT v.holder, s.max_retries, s.dead_letter_id FROM v JOIN subscriptions AS s ON s.id = -v.holder;

-- name: find_subscriptions
WITH @rows(v: queue_id bigint, id bigint)
SELECT @subscription_columns FROM v JOIN subscriptions AS s ON s.id = v.id AND s.queue_id = v.queue_id;

-- name: find_subscription_by_url
SELECT @subscription_columns FROM subscriptions AS s
WHERE s.queue_id = :queue_id AND s.url = :url AND s.ended_at IS NULL;

-- name: page_subscriptions
SELECT @subscription_columns FROM subscriptions AS s
WHERE s.queue_id = :queue_id AND s.id < :before ORDER BY s.id DESC LIMIT :limit;

-- name: count_subscriptions
SELECT count(*) FROM subscriptions WHERE queue_id = :queue_id AND ended_at IS NULL;

-- name: subscribed_queues
SELECT DISTINCT queue_id FROM subscriptions WHERE ended_at IS NULL;

-- The queue's row is held. The same URL again takes the new settings, and is tried at once.
-- name: put_subscriptions
WITH @rows(v: id bigint, project text, queue_id bigint, url text, secret bytea, headers bytea, signature_style text, format text, max_retries bigint, dead_letter_id bigint, visibility_ms bigint, timeout_ms bigint, max_concurrency bigint)
INSERT INTO subscriptions (id, project, queue_id, url, secret, headers, signature_style, format, max_retries,
                           dead_letter_id, visibility_ms, timeout_ms, max_concurrency, streak, resting_until,
                           created_at, updated_at)
SELECT id, project, queue_id, url, secret, headers, signature_style, format, max_retries, dead_letter_id,
       visibility_ms, timeout_ms, max_concurrency, 0, 0, :now, :now
FROM v WHERE true
ON CONFLICT (queue_id, url) WHERE ended_at IS NULL DO UPDATE SET
  secret = excluded.secret, headers = excluded.headers, signature_style = excluded.signature_style,
  format = excluded.format, max_retries = excluded.max_retries, dead_letter_id = excluded.dead_letter_id,
  visibility_ms = excluded.visibility_ms, timeout_ms = excluded.timeout_ms,
  max_concurrency = excluded.max_concurrency, streak = 0, resting_until = 0, updated_at = excluded.updated_at;

-- name: end_subscriptions
WITH @rows(v: queue_id bigint, id bigint)
UPDATE subscriptions SET ended_at = :now, ended_because = :reason, updated_at = :now
WHERE ended_at IS NULL AND (queue_id, id) IN (SELECT queue_id, id FROM v);

-- name: prune_subscriptions [sqlite]
DELETE FROM subscriptions WHERE id IN (SELECT id FROM subscriptions WHERE ended_at < :before LIMIT :limit)
RETURNING id;

-- name: prune_subscriptions [postgres]
DELETE FROM subscriptions
WHERE ctid = ANY (ARRAY(SELECT ctid FROM subscriptions WHERE ended_at < :before LIMIT :limit))
RETURNING id;
