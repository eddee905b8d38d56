-- Whoever lets deliveries through, or ends their attempts, holds the circuit's row first and the runs' rows after it;
-- who also holds progress rows took those before.

-- fragment: circuit_columns
c.id, c.project, c.origin, c.room, c.ordered, c.rate_milli, c.active, c.trusted, c.streak, c.last_failed,
c.failing_since, c.open_until, c.hold_until, c.rate_at, c.next_at, c.ended

-- fragment: delivery_columns
d.endpoint_id, d.event, d.webhook_id, d.replay_of, d.replayed_at, d.cancelled_at, COALESCE(t.address, '')

-- Of a delivery to an endpoint, the endpoint's present target.
-- fragment: delivery_joins
JOIN runs AS r ON r.id = d.run_id LEFT JOIN endpoints AS e ON e.id = d.endpoint_id
LEFT JOIN targets AS t ON t.id = COALESCE(e.target_id, r.target_id)

-- name: take_circuits [sqlite]
WITH @rows(v: id bigint)
SELECT @circuit_columns FROM v JOIN circuits AS c ON c.id = v.id;

-- name: take_circuits [postgres]
WITH @rows(v: id bigint)
SELECT @circuit_columns FROM v JOIN circuits AS c ON c.id = v.id ORDER BY c.id FOR NO KEY UPDATE OF c;

-- name: hold_circuits [postgres only]
WITH @rows(v: id bigint)
SELECT c.id FROM v JOIN circuits AS c ON c.id = v.id ORDER BY c.id FOR NO KEY UPDATE OF c;

-- name: find_circuits_of_origins
WITH @rows(v: project text, origin text)
SELECT c.project, c.origin, c.id FROM v
JOIN circuits AS c ON c.project = v.project AND c.origin = v.origin AND c.origin IS NOT NULL;

-- name: insert_circuits
WITH @rows(v: id bigint, project text, origin text, room bigint, ordered bigint, rate_milli bigint, ended text)
INSERT INTO circuits (id, project, origin, room, ordered, rate_milli, ended, updated_at)
SELECT id, project, origin, room, ordered, rate_milli, ended, :now FROM v WHERE true
ON CONFLICT DO NOTHING;

-- name: save_circuits
WITH @rows(v: id bigint, room bigint, ordered bigint, rate_milli bigint, active bigint, trusted bigint, streak bigint, last_failed bigint, failing_since bigint, open_until bigint, hold_until bigint, rate_at bigint, next_at bigint, ended text)
UPDATE circuits SET
  room = v.room, ordered = v.ordered, rate_milli = v.rate_milli, active = v.active, trusted = v.trusted,
  streak = v.streak, last_failed = v.last_failed, failing_since = v.failing_since, open_until = v.open_until,
  hold_until = v.hold_until, rate_at = v.rate_at, next_at = v.next_at, ended = v.ended, updated_at = :now
FROM v WHERE circuits.id = v.id;

-- name: next_circuits
SELECT (SELECT min(next_at) FROM circuits WHERE trusted = 1 AND next_at IS NOT NULL),
       (SELECT min(next_at) FROM circuits WHERE trusted = 0 AND next_at IS NOT NULL);

-- name: count_doubtful
SELECT COALESCE(sum(active), 0) FROM circuits WHERE trusted = 0 AND active > 0;

-- name: take_due_circuits [sqlite]
SELECT @circuit_columns FROM circuits AS c
WHERE c.trusted = :trusted AND c.next_at <= :now ORDER BY c.next_at LIMIT :limit;

-- name: take_due_circuits [postgres]
SELECT @circuit_columns FROM circuits AS c
WHERE c.trusted = :trusted AND c.next_at <= :now ORDER BY c.next_at LIMIT :limit
FOR NO KEY UPDATE SKIP LOCKED;

-- What may be let through, for a circuit whose row is held; never what may not be on disk yet.
-- name: find_gated [sqlite]
WITH @rows(v: lane text, now bigint, below bigint, wanted bigint)
SELECT lane, id, origin FROM runs
WHERE lane = (SELECT lane FROM v) AND due_at <= (SELECT now FROM v) AND id < (SELECT below FROM v)
ORDER BY due_at, id LIMIT (SELECT wanted FROM v);

-- name: find_gated [postgres]
WITH @rows(v: lane text, now bigint, below bigint, wanted bigint)
SELECT v.lane, r.id, r.origin FROM v CROSS JOIN LATERAL (
  SELECT id, origin FROM runs WHERE runs.lane = v.lane AND runs.due_at <= v.now AND runs.id < v.below
  ORDER BY due_at, id LIMIT v.wanted) AS r;

-- name: first_gated
WITH @rows(v: lane text)
SELECT v.lane, (SELECT min(r.due_at) FROM runs AS r WHERE r.lane = v.lane AND r.due_at IS NOT NULL) FROM v;

-- name: let_through
WITH @rows(v: id bigint)
UPDATE runs SET lane = 'http', due_at = :now FROM v WHERE runs.id = v.id AND COALESCE(runs.due_at, -1) >= 0;

-- name: mark_probes
WITH @rows(v: id bigint)
UPDATE deliveries SET probe = 1 FROM v WHERE deliveries.run_id = v.id;

-- name: send_back_to_gate
WITH @rows(v: id bigint, lane text, due_at bigint)
UPDATE runs SET lane = v.lane, due_at = v.due_at FROM v WHERE runs.id = v.id AND COALESCE(runs.state, '') = 'retrying';

-- name: end_probes
WITH @rows(v: id bigint, uncounted bigint)
UPDATE deliveries SET probe = 0, uncounted = deliveries.uncounted + v.uncounted FROM v WHERE deliveries.run_id = v.id;

-- What was let through and not taken yet when the circuit opened waits with the others.
-- name: pull_back
UPDATE runs SET lane = :lane
WHERE COALESCE(due_at, -1) >= 0
  AND id IN (SELECT r.id FROM runs AS r JOIN deliveries AS d ON d.run_id = r.id
             WHERE r.lane = 'http' AND r.origin = :origin AND r.due_at IS NOT NULL AND d.circuit_id = :circuit_id)
RETURNING id;

-- name: drop_gated
UPDATE runs SET state = :state, due_at = NULL, finished_at = :now, error = :reason
WHERE COALESCE(due_at, -1) >= 0
  AND id IN (SELECT r.id FROM runs AS r WHERE r.lane = :lane AND r.due_at IS NOT NULL AND r.id < :below
             ORDER BY r.due_at, r.id LIMIT :limit)
RETURNING id;

-- name: cancelled_deliveries
WITH @rows(v: id bigint)
SELECT d.run_id FROM v JOIN deliveries AS d ON d.run_id = v.id WHERE d.cancelled_at IS NOT NULL;

-- name: mark_cancelled
UPDATE deliveries SET cancelled_at = COALESCE(cancelled_at, :now) WHERE run_id = :id;

-- name: cancel_delivery
UPDATE runs SET state = 'cancelled', due_at = NULL, finished_at = :now, error = 'cancelled'
WHERE id = :id AND COALESCE(due_at, -1) >= 0
RETURNING lane;

-- name: insert_deliveries
WITH @rows(v: run_id bigint, project text, circuit_id bigint, endpoint_id bigint, event text, webhook_id bigint, replay_of bigint)
INSERT INTO deliveries (run_id, project, circuit_id, endpoint_id, event, webhook_id, replay_of)
SELECT run_id, project, circuit_id, endpoint_id, event, webhook_id, replay_of FROM v;

-- name: mark_replayed
WITH @rows(v: id bigint)
UPDATE deliveries SET replayed_at = :now FROM v WHERE deliveries.run_id = v.id;

-- name: copy_targets
WITH @rows(v: id bigint, original bigint)
INSERT INTO targets (id, kind, address, origin, method, payload, headers, secret, signature_style,
                     timeout_ms, retry, retry_delays_ms, expect, on_failure, schedule_id)
SELECT v.id, t.kind, t.address, t.origin, t.method, t.payload, t.headers, t.secret, t.signature_style,
       t.timeout_ms, t.retry, t.retry_delays_ms, t.expect, t.on_failure, t.schedule_id
FROM v JOIN targets AS t ON t.id = v.original;

-- name: outgoing
WITH @rows(v: id bigint)
SELECT d.run_id, d.circuit_id, d.endpoint_id, COALESCE(e.target_id, r.target_id), d.webhook_id, e.earlier,
       e.earlier_until, d.probe, d.uncounted,
       CASE WHEN d.endpoint_id IS NULL THEN NULL
            WHEN e.id IS NULL OR e.deleted_at IS NOT NULL THEN 'the endpoint was deleted'
            WHEN e.disabled_at IS NOT NULL THEN 'the endpoint is disabled' END,
       COALESCE(c.trusted, 0)
FROM v JOIN deliveries AS d ON d.run_id = v.id JOIN runs AS r ON r.id = d.run_id
       LEFT JOIN circuits AS c ON c.id = d.circuit_id LEFT JOIN endpoints AS e ON e.id = d.endpoint_id;

-- name: circuit_of_delivery
SELECT circuit_id FROM deliveries WHERE run_id = :id AND project = :project;

-- name: get_deliveries
WITH @rows(v: id bigint)
SELECT @run_columns, @delivery_columns FROM v JOIN deliveries AS d ON d.run_id = v.id @delivery_joins;

-- fragment: delivery_filter
d.run_id < :before AND d.run_id >= :since AND (d.event = :event OR :event IS NULL)
AND (d.replayed_at IS NULL OR :unreplayed = 0)

-- name: page_deliveries
SELECT @run_columns, @delivery_columns FROM deliveries AS d @delivery_joins
WHERE d.project = :project AND @delivery_filter AND (r.state = :state OR :state IS NULL)
  AND (d.endpoint_id = :endpoint_id OR :endpoint_id = 0)
ORDER BY d.run_id DESC LIMIT :limit;

-- name: page_deliveries_of
SELECT @run_columns, @delivery_columns FROM deliveries AS d @delivery_joins
WHERE d.endpoint_id = :endpoint_id AND d.project = :project AND @delivery_filter
  AND (r.state = :state OR :state IS NULL)
ORDER BY d.run_id DESC LIMIT :limit;

-- Few among many: by their own index. The state is written out, for the index is about it alone.
-- name: page_failed_deliveries
SELECT @run_columns, @delivery_columns FROM runs AS f JOIN deliveries AS d ON d.run_id = f.id @delivery_joins
WHERE f.project = :project AND f.kind = 'webhook' AND f.state = 'failed' AND f.id < :before AND f.id >= :since
  AND @delivery_filter AND (r.state = :state OR :state IS NULL)
  AND (d.endpoint_id = :endpoint_id OR :endpoint_id = 0)
ORDER BY f.id DESC LIMIT :limit;

-- Oldest first.
-- name: find_replayable
SELECT d.run_id FROM deliveries AS d JOIN runs AS r ON r.id = d.run_id
LEFT JOIN endpoints AS e ON e.id = d.endpoint_id
WHERE d.project = :project AND @delivery_filter AND r.state = :state
  AND (d.endpoint_id = :endpoint_id OR :endpoint_id = 0)
  AND (d.endpoint_id IS NULL OR (e.deleted_at IS NULL AND e.disabled_at IS NULL))
ORDER BY d.run_id LIMIT :limit;

-- name: find_replayable_failed
SELECT d.run_id FROM runs AS f JOIN deliveries AS d ON d.run_id = f.id JOIN runs AS r ON r.id = d.run_id
LEFT JOIN endpoints AS e ON e.id = d.endpoint_id
WHERE f.project = :project AND f.kind = 'webhook' AND f.state = 'failed' AND f.id < :before AND f.id >= :since
  AND @delivery_filter AND r.state = :state
  AND (d.endpoint_id = :endpoint_id OR :endpoint_id = 0)
  AND (d.endpoint_id IS NULL OR (e.deleted_at IS NULL AND e.disabled_at IS NULL))
ORDER BY f.id LIMIT :limit;

-- name: count_replayable
SELECT count(*) FROM deliveries AS d JOIN runs AS r ON r.id = d.run_id
LEFT JOIN endpoints AS e ON e.id = d.endpoint_id
WHERE d.project = :project AND @delivery_filter AND r.state = :state
  AND (d.endpoint_id = :endpoint_id OR :endpoint_id = 0)
  AND (d.endpoint_id IS NULL OR (e.deleted_at IS NULL AND e.disabled_at IS NULL));

-- name: find_old_deliveries
SELECT r.id, r.target_id, d.endpoint_id FROM runs AS r JOIN deliveries AS d ON d.run_id = r.id
WHERE r.kind = 'webhook' AND r.finished_at IS NOT NULL AND r.finished_at < :before
ORDER BY r.finished_at LIMIT :limit;

-- name: delete_deliveries
WITH @rows(v: id bigint)
DELETE FROM deliveries WHERE run_id IN (SELECT id FROM v);

-- Nothing waits there, and nothing is under way. Whoever is about to use one holds its row.
-- name: prune_circuits [sqlite]
DELETE FROM circuits WHERE id IN (
  SELECT id FROM circuits
  WHERE origin IS NOT NULL AND updated_at < :before AND active = 0 AND next_at IS NULL LIMIT :limit)
RETURNING id;

-- name: prune_circuits [postgres]
DELETE FROM circuits WHERE id IN (
  SELECT id FROM circuits
  WHERE origin IS NOT NULL AND updated_at < :before AND active = 0 AND next_at IS NULL LIMIT :limit
  FOR UPDATE SKIP LOCKED)
RETURNING id;

-- name: find_gone_endpoints
SELECT e.id, e.target_id FROM endpoints AS e JOIN circuits AS c ON c.id = e.id
WHERE e.deleted_at < :before AND c.active = 0 AND c.next_at IS NULL LIMIT :limit;

-- name: delete_endpoints
WITH @rows(v: id bigint)
DELETE FROM endpoints WHERE id IN (SELECT id FROM v);

-- name: delete_circuits
WITH @rows(v: id bigint)
DELETE FROM circuits WHERE id IN (SELECT id FROM v);

-- fragment: endpoint_columns
e.id, e.project, e.target_id, e.events, e.description, e.max_concurrency, e.rate_milli, e.ordered, e.earlier,
e.earlier_until, e.version, e.created_at, e.updated_at, e.disabled_at, e.disabled_because,
t.id, t.kind, t.address, t.origin, t.method, t.payload, t.headers, t.secret, t.signature_style,
t.timeout_ms, t.retry, t.retry_delays_ms, t.expect, t.on_failure

-- fragment: endpoint_joins
JOIN targets AS t ON t.id = e.target_id JOIN circuits AS c ON c.id = e.id

-- name: get_endpoints
WITH @rows(v: id bigint)
SELECT @endpoint_columns, @circuit_columns FROM v JOIN endpoints AS e ON e.id = v.id @endpoint_joins
WHERE e.deleted_at IS NULL;

-- name: page_endpoints
SELECT @endpoint_columns, @circuit_columns FROM endpoints AS e @endpoint_joins
WHERE e.project = :project AND e.deleted_at IS NULL AND e.id < :before
ORDER BY e.id DESC LIMIT :limit;

-- name: was_endpoint_deleted
SELECT 1 FROM endpoints WHERE id = :id AND project = :project AND deleted_at IS NOT NULL;

-- name: count_endpoints
SELECT count(*) FROM endpoints WHERE project = :project AND deleted_at IS NULL;

-- name: insert_endpoints
WITH @rows(v: id bigint, project text, target_id bigint, events text, description text, max_concurrency bigint, rate_milli bigint, ordered bigint, disabled_at bigint, disabled_because text)
INSERT INTO endpoints (id, project, target_id, events, description, max_concurrency, rate_milli, ordered, disabled_at,
                       disabled_because, version, created_at, updated_at)
SELECT id, project, target_id, events, description, max_concurrency, rate_milli, ordered, disabled_at,
       disabled_because, 1, :now, :now
FROM v WHERE true;

-- name: update_endpoints
WITH @rows(v: id bigint, seen bigint, target_id bigint, events text, description text, max_concurrency bigint, rate_milli bigint, ordered bigint, earlier bytea, earlier_until bigint, disabled_at bigint, disabled_because text)
UPDATE endpoints SET
  target_id = v.target_id, events = v.events, description = v.description, max_concurrency = v.max_concurrency,
  rate_milli = v.rate_milli, ordered = v.ordered, earlier = v.earlier, earlier_until = v.earlier_until,
  disabled_at = v.disabled_at, disabled_because = v.disabled_because, version = v.seen + 1, updated_at = :now
FROM v
WHERE endpoints.id = v.id AND endpoints.version = v.seen AND COALESCE(endpoints.deleted_at, -1) < 0
RETURNING endpoints.id;

-- name: delete_endpoint
UPDATE endpoints SET deleted_at = :now, earlier = NULL WHERE id = :id;

-- name: disable_endpoints
WITH @rows(v: id bigint, reason text)
UPDATE endpoints SET disabled_at = :now, disabled_because = v.reason, version = endpoints.version + 1, updated_at = :now
FROM v
WHERE endpoints.id = v.id AND COALESCE(endpoints.disabled_at, -1) < 0 AND COALESCE(endpoints.deleted_at, -1) < 0
RETURNING endpoints.id;

-- name: find_listeners
SELECT e.project, e.id, e.target_id, t.origin, e.events
FROM endpoints AS e JOIN targets AS t ON t.id = e.target_id
WHERE e.project = :project AND e.deleted_at IS NULL AND e.disabled_at IS NULL
ORDER BY e.id;

-- name: find_listener
SELECT e.project, e.id, e.target_id, t.origin, e.events
FROM endpoints AS e JOIN targets AS t ON t.id = e.target_id
WHERE e.id = :id AND e.project = :project AND e.deleted_at IS NULL AND e.disabled_at IS NULL;

-- name: endpoints_changed
SELECT value FROM counters WHERE name = 'endpoints';

-- name: last_states
WITH @rows(v: schedule_id bigint)
SELECT p.schedule_id, p.last_state FROM v JOIN progress AS p ON p.schedule_id = v.schedule_id;
