-- Joins of these are written in the order in which they are to be made: what is due or has failed first, its schedule
-- after it. Asked otherwise, SQLite reads all schedules of the project (100,000: 13 ms instead of 1).

-- name: view_schedule_counts
SELECT count(*), COALESCE(sum(CASE WHEN p.paused_at IS NULL AND p.completed_at IS NULL THEN 1 ELSE 0 END), 0)
FROM (SELECT s.id FROM schedules AS s
      WHERE s.project = :project AND s.kind = 'cron' AND s.deleted_at IS NULL LIMIT :rows) AS s
JOIN progress AS p ON p.schedule_id = s.id;

-- name: view_failing_count
SELECT count(*) FROM (SELECT schedule_id FROM progress WHERE last_state = 'failed' LIMIT :rows) AS p CROSS JOIN schedules AS s
WHERE s.id = p.schedule_id AND s.project = :project AND s.kind = 'cron' AND s.deleted_at IS NULL;

-- name: view_run_counts
SELECT COALESCE(sum(CASE WHEN r.state <> 'running' THEN 1 ELSE 0 END), 0),
       COALESCE(sum(CASE WHEN r.state = 'queued' AND r.due_at < :late THEN 1 ELSE 0 END), 0),
       COALESCE(sum(CASE WHEN r.state = 'running' THEN 1 ELSE 0 END), 0)
FROM (SELECT u.project, u.state, u.due_at FROM runs AS u
      WHERE u.state IN ('queued', 'running', 'retrying') AND u.schedule_id > 0
      ORDER BY u.schedule_id, u.id LIMIT :rows) AS r
WHERE r.project = :project;

-- name: view_message_counts
SELECT count(DISTINCT q.generation),
       CAST(COALESCE(sum(CASE WHEN q.last_resort = 0 THEN c.ready + c.blocked END), 0) AS bigint),
       CAST(COALESCE(sum(CASE WHEN q.last_resort = 0 THEN c.postponed END), 0) AS bigint),
       CAST(COALESCE(sum(CASE WHEN q.last_resort = 0 THEN c.leased END), 0) AS bigint),
       CAST(COALESCE(sum(CASE WHEN q.last_resort = 1 THEN c.ready + c.blocked + c.postponed + c.leased END), 0) AS bigint)
FROM (SELECT n.last_resort, n.generation FROM queues AS n
      WHERE n.project = :project AND n.deleted_at IS NULL LIMIT :rows) AS q
LEFT JOIN queue_counts AS c ON c.generation = q.generation;

-- Dead letters in queues that have messages of their own, too.
-- name: view_dead_among_others
SELECT count(*) FROM (
  SELECT 1 FROM queues AS q CROSS JOIN dead AS d
  WHERE q.project = :project AND q.deleted_at IS NULL AND q.last_resort = 0 AND q.holds_dead = 1
    AND d.generation = q.generation
  LIMIT :rows) AS found;

-- name: view_endpoint_counts
SELECT count(*), COALESCE(sum(CASE WHEN e.disabled_at IS NOT NULL THEN 1 ELSE 0 END), 0),
       COALESCE(sum(CASE WHEN e.disabled_at IS NULL AND c.open_until > :now THEN 1 ELSE 0 END), 0)
FROM endpoints AS e LEFT JOIN circuits AS c ON c.id = e.id
WHERE e.project = :project AND e.deleted_at IS NULL;

-- name: view_agents_online
SELECT count(*) FROM agent_sessions WHERE seen_at >= :seen;

-- name: view_failing
WITH failing AS (
  SELECT s.id, s.name, t.kind, p.paused_at, p.next_due_at, p.last_run_at,
         (SELECT r.id FROM runs AS r WHERE r.schedule_id = s.id AND r.state = 'failed'
          ORDER BY r.scheduled_for DESC, r.id DESC LIMIT 1) AS run_id
  FROM progress AS p CROSS JOIN schedules AS s CROSS JOIN targets AS t
  WHERE s.id = p.schedule_id AND t.id = s.target_id AND p.last_state = 'failed' AND s.project = :project AND s.kind = 'cron' AND s.deleted_at IS NULL
  ORDER BY p.last_run_at DESC, p.schedule_id DESC LIMIT :limit)
SELECT f.id, f.name, f.kind, f.paused_at IS NOT NULL, f.next_due_at, f.run_id, r.finished_at, r.status, r.error
FROM failing AS f LEFT JOIN runs AS r ON r.id = f.run_id
ORDER BY f.last_run_at DESC, f.id DESC;

-- name: view_upcoming
SELECT s.id, s.kind = 'task', s.name, s.cron_expr, s.dialect, s.timezone, s.anchor_at, p.next_due_at
FROM progress AS p CROSS JOIN schedules AS s
WHERE s.id = p.schedule_id AND p.next_due_at < :until AND s.project = :project AND s.deleted_at IS NULL
ORDER BY p.next_due_at, p.schedule_id LIMIT :limit;

-- name: view_alike
SELECT s.cron_expr, s.dialect, s.timezone, min(s.anchor_at), count(*)
FROM (SELECT n.id, n.cron_expr, n.dialect, n.timezone, n.anchor_at FROM schedules AS n
      WHERE n.project = :project AND n.kind = 'cron' AND n.deleted_at IS NULL ORDER BY n.id DESC LIMIT :rows) AS s
JOIN progress AS p ON p.schedule_id = s.id
WHERE p.next_due_at < :until AND s.cron_expr IS NOT NULL
GROUP BY s.cron_expr, s.dialect, s.timezone
ORDER BY 5 DESC, 1, 2, 3;

-- name: view_once
SELECT CASE WHEN p.next_due_at > :since THEN (p.next_due_at - :since) / 3600000 ELSE 0 END, count(*)
FROM (SELECT d.schedule_id, d.next_due_at FROM progress AS d
      WHERE d.next_due_at < :until ORDER BY d.next_due_at, d.schedule_id LIMIT :rows) AS p
CROSS JOIN schedules AS s
WHERE s.id = p.schedule_id AND s.project = :project AND s.cron_expr IS NULL AND s.deleted_at IS NULL
GROUP BY 1;

-- name: view_fires
SELECT :since + (s.at - :since) / :step * :step, CAST(sum(s.fires) AS bigint), CAST(sum(s.failed) AS bigint),
       CAST(sum(s.took_ms) AS bigint), max(s.took_max_ms),
       CAST(sum(s.late_00) AS bigint), CAST(sum(s.late_01) AS bigint), CAST(sum(s.late_02) AS bigint),
       CAST(sum(s.late_03) AS bigint), CAST(sum(s.late_04) AS bigint), CAST(sum(s.late_05) AS bigint),
       CAST(sum(s.late_06) AS bigint), CAST(sum(s.late_07) AS bigint), CAST(sum(s.late_08) AS bigint),
       CAST(sum(s.late_09) AS bigint), CAST(sum(s.late_10) AS bigint), CAST(sum(s.late_11) AS bigint),
       CAST(sum(s.late_12) AS bigint), CAST(sum(s.late_13) AS bigint), CAST(sum(s.late_14) AS bigint),
       CAST(sum(s.late_15) AS bigint), CAST(sum(s.late_16) AS bigint), CAST(sum(s.late_17) AS bigint)
FROM samples AS s WHERE s.project = :project AND s.at >= :since
GROUP BY 1 ORDER BY 1;

-- name: view_queue_series
SELECT :since + (s.at - :since) / :step * :step, max(s.available), max(s.delayed), max(s.in_flight), max(s.dead),
       max(s.oldest_ms)
FROM queue_samples AS s WHERE s.queue_id = :queue_id AND s.at >= :since
GROUP BY 1 ORDER BY 1;

-- name: view_deepest
SELECT q.name, q.available, q.postponed, q.leased, q.paused_at IS NOT NULL
FROM (SELECT n.name, n.paused_at, CAST(sum(c.ready + c.blocked) AS bigint) AS available,
             CAST(sum(c.postponed) AS bigint) AS postponed, CAST(sum(c.leased) AS bigint) AS leased
      FROM queues AS n JOIN queue_counts AS c ON c.generation = n.generation
      WHERE n.project = :project AND n.deleted_at IS NULL AND n.last_resort = 0
      GROUP BY n.name, n.paused_at) AS q
WHERE q.available > 0 ORDER BY q.available DESC, q.name LIMIT :limit;
