-- Pages of runs as people look for them. A filter may fit few runs among very many, so no more than `most` are looked at
-- in one step; where that ends, the `…_end` query of the same name says.

-- fragment: run_row
SELECT r.id, r.schedule_id, r.kind, s.name, CASE WHEN s.deleted_at IS NULL THEN 0 ELSE 1 END, r.trigger, r.state,
       r.scheduled_for, r.started_at, r.sent_at, r.finished_at, r.attempt, r.status, substr(r.error, 1, 400)
FROM chosen JOIN runs AS r ON r.id = chosen.id LEFT JOIN schedules AS s ON s.id = r.schedule_id

-- fragment: run_wanted
(state = :state OR :state IS NULL) AND (trigger = :trigger OR :trigger IS NULL)

-- fragment: runs_newest
SELECT id, state, trigger, schedule_id FROM runs
WHERE project = :project AND kind IN ('cron', 'task') AND id < :before AND id >= :since ORDER BY id DESC

-- fragment: runs_newest_failed
SELECT id, state, trigger, schedule_id FROM runs
WHERE project = :project AND state = 'failed' AND kind IN ('cron', 'task') AND id < :before AND id >= :since
ORDER BY id DESC

-- fragment: runs_newest_of
SELECT id, scheduled_for, state, trigger FROM runs
WHERE schedule_id = :schedule_id AND COALESCE(project, '') = :project AND kind IN ('cron', 'task')
  AND (scheduled_for, id) < (:before, :before_id) AND scheduled_for >= :since
ORDER BY scheduled_for DESC, id DESC

-- name: view_runs
WITH seen AS MATERIALIZED (@runs_newest LIMIT :most),
chosen AS MATERIALIZED (SELECT id FROM seen WHERE @run_wanted ORDER BY id DESC LIMIT :limit)
@run_row ORDER BY r.id DESC;

-- name: view_runs_end
SELECT id, 0 FROM (@runs_newest LIMIT 1 OFFSET :most) AS last;

-- name: view_failed_runs
WITH seen AS MATERIALIZED (@runs_newest_failed LIMIT :most),
chosen AS MATERIALIZED (SELECT id FROM seen WHERE @run_wanted ORDER BY id DESC LIMIT :limit)
@run_row ORDER BY r.id DESC;

-- name: view_failed_runs_end
SELECT id, 0 FROM (@runs_newest_failed LIMIT 1 OFFSET :most) AS last;

-- name: view_runs_of
WITH seen AS MATERIALIZED (@runs_newest_of LIMIT :most),
chosen AS MATERIALIZED (SELECT id FROM seen WHERE @run_wanted ORDER BY scheduled_for DESC, id DESC LIMIT :limit)
@run_row ORDER BY r.scheduled_for DESC, r.id DESC;

-- name: view_runs_of_end
SELECT scheduled_for, id FROM (@runs_newest_of LIMIT 1 OFFSET :most) AS last;

-- name: view_runs_of_several_end
SELECT id, 0 FROM (@runs_newest LIMIT 1 OFFSET :most) AS last;

-- name: view_failed_runs_of_several_end
SELECT id, 0 FROM (@runs_newest_failed LIMIT 1 OFFSET :most) AS last;

-- A set of schedules in one parameter, as for `page_attempts`.
-- name: view_runs_of_several [sqlite]
WITH seen AS MATERIALIZED (@runs_newest LIMIT :most),
chosen AS MATERIALIZED (
  SELECT id FROM seen WHERE @run_wanted AND schedule_id IN (SELECT value FROM json_each(:schedules))
  ORDER BY id DESC LIMIT :limit)
@run_row ORDER BY r.id DESC;

-- name: view_runs_of_several [postgres]
WITH seen AS MATERIALIZED (@runs_newest LIMIT :most),
asked AS MATERIALIZED (SELECT CAST(value AS bigint) AS id FROM jsonb_array_elements_text(CAST(CAST(:schedules AS text) AS jsonb))),
chosen AS MATERIALIZED (
  SELECT id FROM seen WHERE @run_wanted AND schedule_id IN (SELECT id FROM asked) ORDER BY id DESC LIMIT :limit)
@run_row ORDER BY r.id DESC;

-- name: view_failed_runs_of_several [sqlite]
WITH seen AS MATERIALIZED (@runs_newest_failed LIMIT :most),
chosen AS MATERIALIZED (
  SELECT id FROM seen WHERE @run_wanted AND schedule_id IN (SELECT value FROM json_each(:schedules))
  ORDER BY id DESC LIMIT :limit)
@run_row ORDER BY r.id DESC;

-- name: view_failed_runs_of_several [postgres]
WITH seen AS MATERIALIZED (@runs_newest_failed LIMIT :most),
asked AS MATERIALIZED (SELECT CAST(value AS bigint) AS id FROM jsonb_array_elements_text(CAST(CAST(:schedules AS text) AS jsonb))),
chosen AS MATERIALIZED (
  SELECT id FROM seen WHERE @run_wanted AND schedule_id IN (SELECT id FROM asked) ORDER BY id DESC LIMIT :limit)
@run_row ORDER BY r.id DESC;

-- Few as a rule, and then nothing else has to be looked at. With COALESCE around what other indexes are about, the one
-- of what is not over is used.
-- name: view_count_unfinished
SELECT count(*) FROM (SELECT id FROM runs WHERE state IN ('queued', 'running', 'retrying') AND schedule_id IS NOT NULL
                      LIMIT :most) AS few;

-- name: view_unfinished_runs
WITH seen AS MATERIALIZED (
  SELECT id, state, trigger FROM runs
  WHERE state IN ('queued', 'running', 'retrying') AND schedule_id IS NOT NULL
    AND COALESCE(project, '') = :project AND COALESCE(kind, '') IN ('cron', 'task')
    AND COALESCE(id, 0) < :before AND COALESCE(id, 0) >= :since),
chosen AS MATERIALIZED (SELECT id FROM seen WHERE @run_wanted ORDER BY id DESC LIMIT :limit)
@run_row ORDER BY r.id DESC;

-- name: view_schedules_named
SELECT s.id, s.kind, s.name, 0, p.last_state
FROM (SELECT id, kind, name FROM (SELECT id, kind, name FROM schedules
                                  WHERE project = :project AND kind = 'cron' AND deleted_at IS NULL
                                  ORDER BY id DESC LIMIT 100000) AS crons
      UNION ALL
      SELECT id, kind, name FROM (SELECT id, kind, name FROM schedules
                                  WHERE project = :project AND kind = 'task' AND deleted_at IS NULL
                                  ORDER BY id DESC LIMIT 20000) AS tasks) AS s
JOIN progress AS p ON p.schedule_id = s.id
WHERE lower(s.name) LIKE lower(:pattern) ESCAPE '\'
ORDER BY s.id DESC LIMIT :limit;

-- name: view_schedule_of_runs
SELECT s.id, s.kind, s.name, CASE WHEN s.deleted_at IS NULL THEN 0 ELSE 1 END, p.last_state
FROM schedules AS s JOIN progress AS p ON p.schedule_id = s.id
WHERE s.id = :id AND s.project = :project;

-- name: view_run_before
SELECT id FROM runs
WHERE schedule_id = :schedule_id AND kind IN ('cron', 'task') AND (scheduled_for, id) < (:at, :id)
ORDER BY scheduled_for DESC, id DESC LIMIT 1;

-- name: view_run_after
SELECT id FROM runs
WHERE schedule_id = :schedule_id AND kind IN ('cron', 'task') AND (scheduled_for, id) > (:at, :id)
ORDER BY scheduled_for, id LIMIT 1;
