-- The agents of schedules, and their names at the JSON-RPC door.

-- name: insert_agents
WITH @rows(v: schedule_id bigint, nth bigint, uuid text)
INSERT INTO schedule_agents (schedule_id, nth, uuid) SELECT schedule_id, nth, uuid FROM v;

-- name: delete_agents
DELETE FROM schedule_agents WHERE schedule_id = :id;

-- name: agents_of
WITH @rows(v: schedule_id bigint)
SELECT a.schedule_id, a.uuid FROM schedule_agents AS a
WHERE a.schedule_id IN (SELECT v.schedule_id FROM v) ORDER BY a.schedule_id, a.nth;

-- Who has these names: of live schedules, the oldest. Only after `take_numbers`, behind which creates of all nodes queue.
-- name: taken_names
WITH @rows(v: project text, name text)
SELECT v.project, v.name FROM v
WHERE EXISTS (SELECT 1 FROM schedules AS s
              WHERE s.project = v.project AND s.name = v.name AND s.deleted_at IS NULL AND s.kind = 'cron');

-- name: find_by_name
SELECT @entry_columns FROM @entry_tables
WHERE s.project = :project AND s.name = :name AND s.deleted_at IS NULL AND s.kind = 'cron'
ORDER BY s.number LIMIT 1;

-- name: find_by_number
SELECT @entry_columns FROM @entry_tables
WHERE s.project = :project AND s.number = :number AND s.deleted_at IS NULL AND s.kind = 'cron';

-- name: page_of_lanes
SELECT @entry_columns,
       CASE WHEN EXISTS (SELECT 1 FROM schedules AS o WHERE o.project = s.project AND o.name = s.name
                         AND o.number < s.number AND o.deleted_at IS NULL AND o.kind = 'cron') THEN 1 ELSE 0 END
FROM @entry_tables
WHERE s.project = :project AND s.lane <> 'http' AND s.deleted_at IS NULL AND s.number > :after
ORDER BY s.number LIMIT :limit;

-- name: known_agents
SELECT uuid FROM agents UNION
SELECT a.uuid FROM schedule_agents AS a JOIN schedules AS s ON s.id = a.schedule_id
WHERE s.deleted_at IS NULL ORDER BY uuid;

-- What became of each fire.

-- name: insert_crontab_results
WITH @rows(v: number bigint, run_id bigint, cron_id bigint, cron_name text, relative_id bigint, run_time bigint, success bigint, message text)
INSERT INTO crontab_results (number, run_id, cron_id, cron_name, relative_id, run_time, success, message)
SELECT number, run_id, cron_id, cron_name, relative_id, run_time, success, message FROM v WHERE true
ON CONFLICT (run_id) DO NOTHING;

-- fragment: results_asked
(CAST(:id AS bigint) IS NULL OR number = :id) AND (CAST(:cron_id AS bigint) IS NULL OR cron_id = :cron_id)
AND (CAST(:cron_name AS text) IS NULL OR cron_name = :cron_name) AND run_time >= :since AND run_time <= :until
AND (CAST(:success AS bigint) IS NULL OR success = :success)

-- name: page_crontab_results
SELECT number, cron_id, cron_name, relative_id, run_time, success, message FROM crontab_results
WHERE @results_asked
ORDER BY run_time DESC, number DESC LIMIT :limit;

-- name: delete_crontab_results
DELETE FROM crontab_results WHERE number IN (
  SELECT number FROM crontab_results WHERE @results_asked ORDER BY run_time DESC, number DESC LIMIT :limit)
RETURNING number;

-- name: newest_crontab_result
SELECT max(run_time) FROM crontab_results;

-- name: trim_crontab_results
DELETE FROM crontab_results WHERE number IN (
  SELECT number FROM crontab_results WHERE run_time < :before ORDER BY run_time LIMIT :limit)
RETURNING number;

-- Keys and values.

-- name: create_namespace
INSERT INTO kv_namespaces (namespace, created_at) VALUES (:namespace, :now) ON CONFLICT (namespace) DO NOTHING
RETURNING namespace;

-- name: has_namespace
SELECT namespace FROM kv_namespaces WHERE namespace = :namespace;

-- name: delete_namespace
DELETE FROM kv_namespaces WHERE namespace = :namespace RETURNING namespace;

-- name: empty_namespace
DELETE FROM kv WHERE namespace = :namespace;

-- name: list_namespaces
SELECT namespace FROM kv_namespaces ORDER BY namespace;

-- name: set_value
INSERT INTO kv (namespace, key, value, updated_at) VALUES (:namespace, :key, :value, :now)
ON CONFLICT (namespace, key) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at;

-- name: get_values
WITH @rows(v: namespace text, key text)
SELECT k.namespace, k.key, k.value FROM v JOIN kv AS k ON k.namespace = v.namespace AND k.key = v.key;

-- A range instead of LIKE: it uses the key, and no letter is special. `upto` is the first text after all that begin so.
-- name: get_values_from
SELECT namespace, key, value FROM kv
WHERE namespace = :namespace AND key >= :since AND (CAST(:upto AS text) IS NULL OR key < :upto)
ORDER BY key LIMIT :limit;

-- name: delete_value
DELETE FROM kv WHERE namespace = :namespace AND key = :key RETURNING key;

-- name: list_keys
SELECT key FROM kv WHERE namespace = :namespace ORDER BY key;

-- name: values_of_key
SELECT namespace, value FROM kv WHERE key = :key ORDER BY namespace;
