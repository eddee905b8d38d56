-- What people see of endpoints and deliveries. As for runs, no more than `most` deliveries are looked at in one step.

-- name: view_endpoints
WITH page AS MATERIALIZED (
  SELECT e.id, t.address, e.events, e.description,
         CASE WHEN e.disabled_at IS NOT NULL THEN 'disabled' WHEN c.open_until > :now THEN 'resting'
              WHEN c.failing_since IS NULL THEN 'active' ELSE 'failing' END AS state,
         e.disabled_because, c.failing_since, c.open_until, c.streak, c.active, e.max_concurrency, e.rate_milli, e.ordered
  FROM endpoints AS e JOIN targets AS t ON t.id = e.target_id JOIN circuits AS c ON c.id = e.id
  WHERE e.project = :project AND e.deleted_at IS NULL AND e.id < :before
    AND (lower(t.address) LIKE lower(:pattern) ESCAPE '\' OR lower(e.description) LIKE lower(:pattern) ESCAPE '\')
    AND (CAST(:state AS text) IS NULL
         OR CAST(:state AS text) = CASE WHEN e.disabled_at IS NOT NULL THEN 'disabled' WHEN c.open_until > :now THEN 'resting'
                          WHEN c.failing_since IS NULL THEN 'active' ELSE 'failing' END)
  ORDER BY e.id DESC LIMIT :limit)
SELECT page.id, page.address, page.events, page.description, page.state, page.disabled_because, page.failing_since,
       page.open_until, page.streak, page.active, page.max_concurrency, page.rate_milli, page.ordered,
       r.id, r.state, r.attempt_started_at, r.status, substr(r.error, 1, 400)
FROM page LEFT JOIN runs AS r
  ON r.id = (SELECT max(d.run_id) FROM deliveries AS d WHERE d.endpoint_id = page.id)
ORDER BY page.id DESC;

-- fragment: delivery_row
SELECT r.id, d.endpoint_id, d.event, d.replay_of, COALESCE(t.address, ''), r.state, r.attempt, r.due_at,
       r.attempt_started_at, r.finished_at, r.status, substr(r.error, 1, 400)
FROM chosen JOIN deliveries AS d ON d.run_id = chosen.id

-- fragment: deliveries_chosen
chosen AS MATERIALIZED (
  SELECT seen.id FROM seen JOIN runs AS c ON c.id = seen.id
  WHERE (c.state = :state OR :state IS NULL) AND (seen.event = :event OR :event IS NULL)
  ORDER BY seen.id DESC LIMIT :limit)

-- fragment: deliveries_newest
SELECT run_id AS id, event FROM deliveries
WHERE project = :project AND run_id < :before AND run_id >= :since ORDER BY run_id DESC

-- fragment: deliveries_newest_of
SELECT run_id AS id, event FROM deliveries
WHERE endpoint_id = :endpoint_id AND COALESCE(project, '') = :project AND run_id < :before AND run_id >= :since ORDER BY run_id DESC

-- fragment: deliveries_newest_failed
SELECT f.id, d.event FROM runs AS f JOIN deliveries AS d ON d.run_id = f.id
WHERE f.project = :project AND f.kind = 'webhook' AND f.state = 'failed' AND f.id < :before AND f.id >= :since
ORDER BY f.id DESC

-- name: view_deliveries
WITH seen AS MATERIALIZED (@deliveries_newest LIMIT :most), @deliveries_chosen
@delivery_row @delivery_joins ORDER BY r.id DESC;

-- name: view_deliveries_end
SELECT id, 0 FROM (@deliveries_newest LIMIT 1 OFFSET :most) AS last;

-- name: view_deliveries_of
WITH seen AS MATERIALIZED (@deliveries_newest_of LIMIT :most), @deliveries_chosen
@delivery_row @delivery_joins ORDER BY r.id DESC;

-- name: view_deliveries_of_end
SELECT id, 0 FROM (@deliveries_newest_of LIMIT 1 OFFSET :most) AS last;

-- name: view_failed_deliveries
WITH seen AS MATERIALIZED (@deliveries_newest_failed LIMIT :most), @deliveries_chosen
@delivery_row @delivery_joins ORDER BY r.id DESC;

-- name: view_failed_deliveries_end
SELECT id, 0 FROM (@deliveries_newest_failed LIMIT 1 OFFSET :most) AS last;

-- Few as a rule. With COALESCE around what other indexes are about, the one of what is not over is used.
-- name: view_count_pending
SELECT count(*) FROM (SELECT id FROM runs WHERE state IN ('queued', 'running', 'retrying') AND schedule_id IS NULL
                      LIMIT :most) AS few;

-- name: view_pending_deliveries
WITH seen AS MATERIALIZED (
  SELECT r.id, d.event FROM runs AS r JOIN deliveries AS d ON d.run_id = r.id
  WHERE r.state IN ('queued', 'running', 'retrying') AND r.schedule_id IS NULL
    AND COALESCE(r.project, '') = :project AND COALESCE(r.kind, '') = 'webhook'
    AND COALESCE(r.id, 0) < :before AND COALESCE(r.id, 0) >= :since), @deliveries_chosen
@delivery_row @delivery_joins ORDER BY r.id DESC;

-- name: view_count_replayable
WITH seen AS MATERIALIZED (
  SELECT run_id, event FROM deliveries
  WHERE endpoint_id = :endpoint_id AND COALESCE(project, '') = :project AND run_id >= :since AND run_id < :before
    AND replayed_at IS NULL
  ORDER BY run_id LIMIT :most)
SELECT (SELECT count(*) FROM seen JOIN runs AS r ON r.id = seen.run_id
        WHERE r.state = :state AND (seen.event = :event OR :event IS NULL)),
       (SELECT count(*) FROM seen);
