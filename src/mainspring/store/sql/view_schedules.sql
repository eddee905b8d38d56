-- fragment: listed_columns
s.id, s.number, s.kind, s.name, s.cron_expr, s.run_at, s.dialect, s.timezone, p.next_due_at, p.last_run_at, p.last_state,
CASE WHEN s.kind = 'task' THEN
       CASE WHEN p.active > 0 OR p.held > 0 THEN 'running'
            WHEN p.last_state IN ('succeeded', 'failed', 'cancelled') THEN p.last_state
            WHEN p.completed_at IS NULL THEN 'scheduled' ELSE 'cancelled' END
     WHEN p.completed_at IS NOT NULL THEN 'completed' WHEN p.paused_at IS NOT NULL THEN 'paused'
     WHEN p.last_state = 'failed' THEN 'failing' ELSE 'active' END,
t.kind, t.address

-- Whatever is not asked for is NULL. The target is looked up only where the name does not decide.
-- fragment: listed_matches
(CAST(:pattern AS text) IS NULL OR lower(s.name) LIKE lower(CAST(:pattern AS text)) ESCAPE '!'
     OR EXISTS (SELECT 1 FROM targets AS a WHERE a.id = s.target_id
                AND lower(a.address) LIKE lower(CAST(:pattern AS text)) ESCAPE '!'))
AND (CAST(:target AS text) IS NULL OR CAST(:target AS text) =
     CASE WHEN s.lane = 'agents' THEN 'agent' WHEN s.lane <> 'http' THEN s.lane
          WHEN substr(s.origin, 1, 6) = 'queue:' THEN 'queue' ELSE 'http' END)
AND (CAST(:state AS text) IS NULL OR CAST(:state AS text) =
     CASE WHEN s.kind = 'task' THEN
            CASE WHEN p.active > 0 OR p.held > 0 THEN 'running'
                 WHEN p.last_state IN ('succeeded', 'failed', 'cancelled') THEN p.last_state
                 WHEN p.completed_at IS NULL THEN 'scheduled' ELSE 'cancelled' END
          WHEN p.completed_at IS NOT NULL THEN 'completed' WHEN p.paused_at IS NOT NULL THEN 'paused'
          WHEN p.last_state = 'failed' THEN 'failing' ELSE 'active' END)

-- name: view_schedules_newest
SELECT @listed_columns
FROM schedules AS s CROSS JOIN progress AS p CROSS JOIN targets AS t
WHERE s.project = :project AND s.kind = :kind AND s.deleted_at IS NULL AND s.id < :before
  AND p.schedule_id = s.id AND t.id = s.target_id AND @listed_matches
ORDER BY s.id DESC LIMIT :limit;

-- name: view_schedules_due
SELECT @listed_columns
FROM progress AS p CROSS JOIN schedules AS s CROSS JOIN targets AS t
WHERE p.next_due_at IS NOT NULL AND (p.next_due_at, p.schedule_id) > (:after_at, :after_id)
  AND s.id = p.schedule_id AND s.project = :project AND s.kind = :kind AND s.deleted_at IS NULL AND t.id = s.target_id
ORDER BY p.next_due_at, p.schedule_id LIMIT :limit;

-- name: view_schedules_not_due
SELECT @listed_columns
FROM schedules AS s CROSS JOIN progress AS p CROSS JOIN targets AS t
WHERE s.project = :project AND s.kind = :kind AND s.deleted_at IS NULL AND s.id < :before
  AND p.schedule_id = s.id AND p.next_due_at IS NULL AND t.id = s.target_id AND @listed_matches
ORDER BY s.id DESC LIMIT :limit;

-- The index of names is one of schedules alone.
-- name: view_schedules_by_name
SELECT @listed_columns
FROM schedules AS s CROSS JOIN progress AS p CROSS JOIN targets AS t
WHERE s.project = :project AND s.kind = 'cron' AND s.deleted_at IS NULL
  AND (s.name, s.number) > (:after_name, :after_number)
  AND p.schedule_id = s.id AND t.id = s.target_id
ORDER BY s.name, s.number LIMIT :limit;

-- With filters in their way, indexes that lead to one row here and one there cost more than all rows in their own order
-- and a sort (measured with 100,000: 830 ms by name, 230 by what is due; so 90). What is no column has no index.
-- name: view_schedules_due_sorted
SELECT @listed_columns
FROM schedules AS s CROSS JOIN progress AS p CROSS JOIN targets AS t
WHERE s.project = :project AND s.kind = :kind AND s.deleted_at IS NULL AND p.schedule_id = s.id
  AND (p.next_due_at, s.id) > (:after_at, :after_id) AND t.id = s.target_id AND @listed_matches
ORDER BY p.next_due_at, s.id LIMIT :limit;

-- name: view_schedules_by_name_sorted
SELECT @listed_columns
FROM schedules AS s CROSS JOIN progress AS p CROSS JOIN targets AS t
WHERE s.project = :project AND s.kind = :kind AND s.deleted_at IS NULL
  AND (s.name || '', s.number) > (:after_name, :after_number)
  AND p.schedule_id = s.id AND t.id = s.target_id AND @listed_matches
ORDER BY s.name || '', s.number LIMIT :limit;

-- name: view_schedule_matches
SELECT s.id, s.number, s.name, p.next_due_at FROM schedules AS s CROSS JOIN progress AS p
WHERE s.project = :project AND s.kind = :kind AND s.deleted_at IS NULL AND s.id < :before
  AND p.schedule_id = s.id AND @listed_matches
ORDER BY s.id DESC LIMIT :limit;

-- name: view_schedule_count
SELECT count(*) FROM (
  SELECT s.id FROM schedules AS s WHERE s.project = :project AND s.kind = :kind AND s.deleted_at IS NULL
  LIMIT :limit) AS found;

-- name: view_schedules_among [sqlite]
SELECT @listed_columns FROM json_each(:ids) AS asked CROSS JOIN schedules AS s CROSS JOIN progress AS p CROSS JOIN targets AS t
WHERE s.id = asked.value AND p.schedule_id = s.id AND t.id = s.target_id AND s.deleted_at IS NULL;

-- name: view_schedules_among [postgres]
SELECT @listed_columns
FROM jsonb_array_elements_text(CAST(CAST(:ids AS text) AS jsonb)) AS asked(value)
JOIN schedules AS s ON s.id = CAST(asked.value AS bigint)
JOIN progress AS p ON p.schedule_id = s.id JOIN targets AS t ON t.id = s.target_id
WHERE s.deleted_at IS NULL;

-- fragment: past_run_columns
r.id, r.schedule_id, r.state, r.trigger, r.scheduled_for, r.started_at, r.finished_at, r.attempt, r.status, r.error

-- name: view_past_runs [sqlite]
SELECT @past_run_columns FROM json_each(:schedules) AS asked CROSS JOIN runs AS r
WHERE r.id IN (SELECT n.id FROM runs AS n WHERE n.schedule_id = asked.value AND n.kind IN ('cron', 'task')
               ORDER BY n.scheduled_for DESC, n.id DESC LIMIT :limit)
ORDER BY r.schedule_id, r.scheduled_for, r.id;

-- name: view_past_runs [postgres]
SELECT @past_run_columns
FROM jsonb_array_elements_text(CAST(CAST(:schedules AS text) AS jsonb)) AS asked(value)
CROSS JOIN LATERAL (SELECT n.* FROM runs AS n
                    WHERE n.schedule_id = CAST(asked.value AS bigint) AND n.kind IN ('cron', 'task')
                    ORDER BY n.scheduled_for DESC, n.id DESC LIMIT :limit) AS r
ORDER BY r.schedule_id, r.scheduled_for, r.id;

-- name: view_past_attempts [sqlite]
SELECT a.run_id, a.attempt, a.started_at, a.ended_at, a.status, a.error
FROM attempts AS a WHERE a.run_id IN (SELECT value FROM json_each(:runs))
ORDER BY a.run_id, a.attempt;

-- name: view_past_attempts [postgres]
SELECT a.run_id, a.attempt, a.started_at, a.ended_at, a.status, a.error
FROM attempts AS a
WHERE a.run_id IN (SELECT CAST(value AS bigint)
                   FROM jsonb_array_elements_text(CAST(CAST(:runs AS text) AS jsonb)) AS asked(value))
ORDER BY a.run_id, a.attempt;

-- name: view_schedule_days
SELECT day, state, count(*) FROM (
  SELECT r.scheduled_for / 86400000 AS day, r.state FROM runs AS r
  WHERE r.schedule_id = :schedule_id AND r.scheduled_for >= :since AND r.kind IN ('cron', 'task')
    AND r.trigger IN ('schedule', 'catchup')
  ORDER BY r.scheduled_for DESC, r.id DESC LIMIT :limit) AS newest
GROUP BY day, state ORDER BY day, state;

-- name: view_stretches
SELECT outcome, reason, from_at, to_at, count FROM gaps
WHERE schedule_id = :schedule_id AND from_at >= :since - 31622400000 AND to_at >= :since
ORDER BY from_at DESC LIMIT :limit;
