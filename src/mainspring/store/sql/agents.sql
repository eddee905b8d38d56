-- Agents, their sockets, their reports.

-- name: know_agents
WITH @rows(v: uuid text)
INSERT INTO agents (uuid, known_at) SELECT uuid, :now FROM v WHERE true ON CONFLICT (uuid) DO NOTHING;

-- name: attach_agents
WITH @rows(v: uuid text, session bigint)
INSERT INTO agent_sessions (uuid, node, session, seen_at) SELECT uuid, :node, session, :now FROM v WHERE true
ON CONFLICT (uuid) DO UPDATE SET node = excluded.node, session = excluded.session, seen_at = excluded.seen_at;

-- Not those that have registered anew, here or with another node.
-- name: beat_agents
WITH @rows(v: uuid text, session bigint)
UPDATE agent_sessions SET seen_at = :now, node = :node FROM v
WHERE agent_sessions.uuid = v.uuid AND agent_sessions.session = v.session
RETURNING agent_sessions.uuid;

-- name: detach_agents
WITH @rows(v: session bigint)
DELETE FROM agent_sessions WHERE node = :node AND session IN (SELECT v.session FROM v);

-- name: forget_agents_of_node
DELETE FROM agent_sessions WHERE node = :node;

-- name: agent_seen
SELECT 1 FROM agent_sessions WHERE uuid = :uuid AND seen_at > :stale;

-- name: keep_reports
WITH @rows(v: uuid text, kind text, time bigint, data text)
INSERT INTO agent_reports (uuid, kind, time, data) SELECT uuid, kind, time, data FROM v WHERE true
ON CONFLICT (uuid, kind) DO UPDATE SET time = excluded.time, data = excluded.data;

-- name: get_reports
WITH @rows(v: uuid text)
SELECT r.uuid, r.time, r.data FROM v JOIN agent_reports AS r ON r.uuid = v.uuid AND r.kind = :kind;

-- What is to be handed to agents.

-- By what waits, which is little, not by the agents, which are many.
-- fragment: taken_here
r.lane >= 'agent:' AND r.lane < 'agent;' AND r.due_at <= :now AND r.id < :below
AND EXISTS (SELECT 1 FROM agent_sessions AS s
            WHERE s.uuid = substr(r.lane, 7) AND s.node = :node AND s.seen_at > :stale)

-- Due, and nobody there to take it; or made before `before` and still not taken.
-- fragment: taken_nowhere
r.lane >= 'agent:' AND r.lane < 'agent;' AND r.due_at <= :now AND r.id < :below
AND (r.id < :before OR NOT EXISTS (
  SELECT 1 FROM agent_sessions AS s WHERE s.uuid = substr(r.lane, 7) AND s.seen_at > :stale))

-- name: look_for_agent_runs
SELECT 1 FROM runs AS r WHERE @taken_here LIMIT 1;

-- name: look_for_lost_agent_runs
SELECT 1 FROM runs AS r WHERE @taken_nowhere LIMIT 1;

-- name: find_agent_runs [sqlite]
SELECT r.id FROM runs AS r WHERE @taken_here ORDER BY r.due_at, r.id LIMIT :limit;

-- name: find_agent_runs [postgres]
SELECT r.id FROM runs AS r WHERE @taken_here ORDER BY r.due_at, r.id LIMIT :limit
FOR UPDATE OF r SKIP LOCKED;

-- name: find_lost_agent_runs [sqlite]
SELECT r.id FROM runs AS r WHERE @taken_nowhere LIMIT :limit;

-- name: find_lost_agent_runs [postgres]
SELECT r.id FROM runs AS r WHERE @taken_nowhere LIMIT :limit
FOR UPDATE OF r SKIP LOCKED;

-- name: describe_agent_runs
WITH @rows(v: id bigint)
SELECT r.id, substr(r.lane, 7), s.number, s.name, a.number, a.token, a.task, a.success
FROM v JOIN runs AS r ON r.id = v.id
LEFT JOIN schedules AS s ON s.id = r.schedule_id LEFT JOIN agent_tasks AS a ON a.run_id = r.id;

-- Apart from the runs, many of which have the same one: for a thousand agents it names a thousand.
-- name: payloads_of
WITH @rows(v: id bigint)
SELECT t.id, t.payload FROM v JOIN targets AS t ON t.id = v.id;

-- name: insert_agent_tasks
WITH @rows(v: number bigint, run_id bigint, uuid text, token text, cron_source text, kind text, task text, ended_at bigint)
INSERT INTO agent_tasks (number, run_id, uuid, token, cron_source, kind, task, ended_at)
SELECT number, run_id, uuid, token, cron_source, kind, task, ended_at FROM v;

-- name: drop_agent_tasks
WITH @rows(v: run_id bigint)
DELETE FROM agent_tasks WHERE run_id IN (SELECT v.run_id FROM v) AND success IS NULL;

-- What came of it.

-- The first result stays.
-- name: end_agent_tasks
WITH @rows(v: number bigint, ended_at bigint, success bigint, error text, result text)
UPDATE agent_tasks SET ended_at = v.ended_at, success = v.success, error = v.error, result = v.result FROM v
WHERE agent_tasks.number = v.number AND agent_tasks.success IS NULL
RETURNING agent_tasks.number;

-- fragment: task_columns
number, uuid, token, cron_source, kind, task, ended_at, success, error, result

-- fragment: tasks_asked
ended_at >= :since AND ended_at <= :until
AND (CAST(:success AS bigint) IS NULL OR COALESCE(success, 2) = :success)
AND (CAST(:kind AS text) IS NULL OR kind = :kind) AND kind NOT IN (:hidden1, :hidden2, :hidden3)
AND (CAST(:cron_source AS text) IS NULL OR cron_source = :cron_source)
AND (CAST(:number AS bigint) IS NULL OR number = :number)

-- name: get_agent_task
SELECT @task_columns FROM agent_tasks WHERE number = :number;

-- name: oldest_agent_tasks
SELECT @task_columns FROM agent_tasks WHERE @tasks_asked AND (CAST(:uuid AS text) IS NULL OR uuid = :uuid)
ORDER BY ended_at, number LIMIT :limit;

-- name: newest_agent_tasks
SELECT @task_columns FROM agent_tasks WHERE @tasks_asked AND (CAST(:uuid AS text) IS NULL OR uuid = :uuid)
ORDER BY ended_at DESC, number DESC LIMIT :limit;

-- Of one agent, by its own index.
-- name: oldest_tasks_of_agent
SELECT @task_columns FROM agent_tasks WHERE uuid = :uuid AND @tasks_asked ORDER BY ended_at, number LIMIT :limit;

-- name: newest_tasks_of_agent
SELECT @task_columns FROM agent_tasks WHERE uuid = :uuid AND @tasks_asked
ORDER BY ended_at DESC, number DESC LIMIT :limit;

-- name: delete_agent_tasks
DELETE FROM agent_tasks WHERE number IN (
  SELECT number FROM agent_tasks WHERE @tasks_asked AND (CAST(:uuid AS text) IS NULL OR uuid = :uuid)
  ORDER BY ended_at DESC, number DESC LIMIT :limit)
RETURNING number;

-- name: newest_ended_task
SELECT max(ended_at) FROM agent_tasks WHERE uuid = :uuid AND ended_at < :running;

-- name: trim_agent_tasks
DELETE FROM agent_tasks WHERE number IN (
  SELECT number FROM agent_tasks WHERE uuid = :uuid AND ended_at < :before ORDER BY ended_at LIMIT :limit)
RETURNING number;

-- name: prune_agent_tasks
DELETE FROM agent_tasks WHERE run_id IN (
  SELECT run_id FROM agent_tasks WHERE run_id < :below ORDER BY run_id LIMIT :limit)
RETURNING number;
