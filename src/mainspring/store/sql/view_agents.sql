-- What the screens show of agents.

-- The page first, then what belongs to its few rows.
-- fragment: seen_agents
SELECT p.uuid, p.known_at, p.node, p.seen_at,
       (SELECT max(r.time) FROM agent_reports AS r WHERE r.uuid = p.uuid),
       (SELECT r.data FROM agent_reports AS r WHERE r.uuid = p.uuid AND r.kind = 'dynamic_summary'),
       (SELECT l.result FROM (SELECT n.kind, n.success, n.result FROM agent_tasks AS n
                              WHERE n.uuid = p.uuid AND n.ended_at < :running
                              ORDER BY n.ended_at DESC, n.number DESC LIMIT :back) AS l
        WHERE l.kind = 'version' AND l.success = 1 LIMIT 1),
       t.kind, t.run_id, t.ended_at, t.success
FROM page AS p
LEFT JOIN agent_tasks AS t ON t.number = (
  SELECT n.number FROM agent_tasks AS n WHERE n.uuid = p.uuid AND n.ended_at < :running
  ORDER BY n.ended_at DESC, n.number DESC LIMIT 1)
ORDER BY p.uuid

-- name: view_agents
WITH page AS (
  SELECT a.uuid, a.known_at, s.node, s.seen_at
  FROM agents AS a LEFT JOIN agent_sessions AS s ON s.uuid = a.uuid AND s.seen_at > :stale
  WHERE a.uuid > :after
    AND (CAST(:search AS text) = '' OR replace(a.uuid, CAST(:search AS text), '') <> a.uuid)
    AND (CAST(:online AS bigint) IS NULL OR :online = CASE WHEN s.uuid IS NULL THEN 0 ELSE 1 END)
  ORDER BY a.uuid LIMIT :limit)
@seen_agents;

-- name: view_agent
WITH page AS (
  SELECT a.uuid, a.known_at, s.node, s.seen_at
  FROM agents AS a LEFT JOIN agent_sessions AS s ON s.uuid = a.uuid AND s.seen_at > :stale
  WHERE a.uuid = :uuid)
@seen_agents;

-- name: count_agents
SELECT (SELECT count(*) FROM agents), (SELECT count(*) FROM agent_sessions WHERE seen_at > :stale);

-- Of those for agents, which are few beside those that call URLs.
-- name: view_schedules_of_agent
SELECT s.id, s.name, s.cron_expr, CASE WHEN p.paused_at IS NULL THEN 0 ELSE 1 END
FROM schedules AS s JOIN progress AS p ON p.schedule_id = s.id
WHERE s.project = :project AND s.deleted_at IS NULL AND s.lane <> 'http' AND s.lane = 'agents'
  AND EXISTS (SELECT 1 FROM schedule_agents AS a WHERE a.schedule_id = s.id AND a.uuid = :uuid)
ORDER BY s.number LIMIT :limit;
