-- Scripts, and what became of their runs.

-- fragment: script_columns
id, number, name, description, source, route, env, clean_ms, run_ms, stack, heap, created_at, updated_at

-- name: insert_script
INSERT INTO scripts (@script_columns)
VALUES (:id, :number, :name, :description, :source, :route, :env, :clean_ms, :run_ms, :stack, :heap, :created_at,
        :updated_at)
ON CONFLICT DO NOTHING
RETURNING id;

-- Another one that has the name or the route, whatever the caller is called.
-- name: script_in_the_way
SELECT name, route FROM scripts WHERE (name = :name OR route = :route) AND id <> :id ORDER BY name = :name DESC LIMIT 1;

-- name: update_script
UPDATE scripts SET description = :description, source = :source, route = :route, env = :env, clean_ms = :clean_ms,
                   run_ms = :run_ms, stack = :stack, heap = :heap, updated_at = :updated_at
WHERE name = :name RETURNING id;

-- Before the update, so that two scripts that want one route do so one after the other.
-- name: hold_scripts [postgres only]
LOCK TABLE scripts IN SHARE ROW EXCLUSIVE MODE;

-- name: delete_script
DELETE FROM scripts WHERE name = :name RETURNING id;

-- name: script_by_name
SELECT @script_columns FROM scripts WHERE name = :name;

-- name: script_by_route
SELECT @script_columns FROM scripts WHERE route = :route;

-- name: script_names
SELECT name FROM scripts ORDER BY number;

-- name: insert_script_result
INSERT INTO script_results (number, run_id, script_number, script_name, run_type, start_time, ends_by, param, env)
VALUES (:number, :run_id, :script_number, :script_name, :run_type, :start_time, :ends_by, :param, :env)
ON CONFLICT (run_id) DO NOTHING
RETURNING number;

-- name: waiting_scripts
WITH @rows(v: run_id bigint)
SELECT s.run_id, s.number, s.script_name, s.run_type, s.param, s.env
FROM v JOIN script_results AS s ON s.run_id = v.run_id;

-- name: begin_script
UPDATE script_results SET ends_by = :ends_by WHERE number = :number;

-- name: finish_script
UPDATE script_results SET finish_time = :now, result = :result, error = :error, env = NULL WHERE number = :number;

-- What was under way when the only node went.
-- name: abandon_scripts
UPDATE script_results SET finish_time = :now, error = :error, env = NULL
WHERE finish_time IS NULL AND ends_by IS NOT NULL;

-- Of a run whose node is gone the end was never written: it is over when its process must be.
-- fragment: ended_at
COALESCE(finish_time, CASE WHEN ends_by < :now THEN ends_by END)

-- fragment: scripts_asked
(CAST(:id AS bigint) IS NULL OR number = :id)
AND (CAST(:script_number AS bigint) IS NULL OR script_number = :script_number)
AND (CAST(:script_name AS text) IS NULL OR script_name = :script_name)
AND (CAST(:run_type AS text) IS NULL OR run_type = :run_type)
AND start_time >= :since AND start_time <= :until
AND (CAST(:finished_since AS bigint) IS NULL OR COALESCE(finish_time, CASE WHEN ends_by < :now THEN ends_by END) >= :finished_since)
AND (CAST(:finished_until AS bigint) IS NULL OR COALESCE(finish_time, CASE WHEN ends_by < :now THEN ends_by END) <= :finished_until)
AND (CAST(:state AS text) IS NULL
     OR :state = CASE WHEN COALESCE(finish_time, CASE WHEN ends_by < :now THEN ends_by END) IS NULL THEN 'running'
                      WHEN result IS NULL THEN 'failure' ELSE 'success' END)

-- name: page_script_results
SELECT number, script_number, script_name, run_type, start_time, @ended_at, param, result,
       CASE WHEN finish_time IS NULL AND ends_by < :now THEN CAST(:lost AS text) ELSE error END
FROM script_results WHERE @scripts_asked
ORDER BY start_time DESC, number DESC LIMIT :limit;

-- name: delete_script_results
DELETE FROM script_results WHERE number IN (
  SELECT number FROM script_results WHERE @scripts_asked ORDER BY start_time DESC, number DESC LIMIT :limit)
RETURNING number;

-- name: prune_script_results
DELETE FROM script_results WHERE number IN (
  SELECT number FROM script_results WHERE start_time < :before ORDER BY start_time, number LIMIT :limit)
RETURNING number;

-- name: schedule_called
SELECT number, name FROM schedules WHERE id = :id;
