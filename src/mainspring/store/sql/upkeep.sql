-- name: get_meta
SELECT value FROM meta WHERE name = :name;

-- name: set_meta
INSERT INTO meta (name, value) VALUES (:name, :value)
ON CONFLICT (name) DO UPDATE SET value = excluded.value;

-- The first to write a value keeps it, whichever node that is.
-- name: keep_meta
INSERT INTO meta (name, value) VALUES (:name, :value) ON CONFLICT (name) DO NOTHING;

-- Of two nodes with one new key, the second waits here until the first has committed or given up. A row without an
-- answer is as good as none: its request was refused. A row that was there already is held, which makes a record in
-- the log: the commit of whoever repeats its answer then waits until a standby has it too. Keys come in order; an
-- advisory lock for each instead of a row would overflow the server's table of locks.
-- name: hold_keys [postgres only]
WITH @rows(v: project text, operation text, key text)
INSERT INTO idempotency AS i (project, operation, key, body_hash, answer, created_at)
SELECT project, operation, key, ''::bytea, ''::bytea, :now FROM v
ON CONFLICT (project, operation, key) DO UPDATE SET
  body_hash = excluded.body_hash, answer = excluded.answer, bare = NULL, created_at = excluded.created_at
WHERE i.created_at <= :since;

-- An answer that is given again for what was found done must not come from a primary whose standby never got it: with
-- a record of its own in the log, the commit waits for the standby to have everything before it.
-- name: hold_answer [postgres only]
SELECT pg_logical_emit_message(true, 'mainspring', '');

-- By the key, never by the age: `+ 0` keeps an index away that a plan made for a small table would go by.
-- name: find_idempotency
WITH @rows(v: project text, operation text, key text)
SELECT i.project, i.operation, i.key, i.body_hash, i.answer, i.bare, i.created_at
FROM v JOIN idempotency AS i ON i.project = v.project AND i.operation = v.operation AND i.key = v.key
WHERE i.created_at + 0 > :since AND length(i.answer) > 0;

-- A key whose window is over may still have its row; the new answer takes its place.
-- name: insert_idempotency
WITH @rows(v: project text, operation text, key text, body_hash bytea, answer bytea, bare bytea)
INSERT INTO idempotency (project, operation, key, body_hash, answer, bare, created_at)
SELECT project, operation, key, body_hash, answer, bare, :now FROM v WHERE true
ON CONFLICT (project, operation, key) DO UPDATE SET
  body_hash = excluded.body_hash, answer = excluded.answer, bare = excluded.bare, created_at = excluded.created_at;

-- name: prune_idempotency [sqlite]
DELETE FROM idempotency WHERE (project, operation, key) IN
  (SELECT project, operation, key FROM idempotency WHERE created_at <= :before LIMIT :limit)
RETURNING 1;

-- Held first: a row that a new request has just taken over is not the old one any more.
-- name: prune_idempotency [postgres]
WITH old AS MATERIALIZED (
  SELECT project, operation, key FROM idempotency WHERE created_at <= :before LIMIT :limit FOR UPDATE SKIP LOCKED)
DELETE FROM idempotency AS i USING old
WHERE i.project = old.project AND i.operation = old.operation AND i.key = old.key
RETURNING 1;

-- One janitor at a time. It removes by id what a read before has found: finished runs stay finished, gaps that are not
-- the newest of their schedule do not grow, and replaced targets are not taken up again.
-- name: hold_upkeep [postgres only]
SELECT pg_advisory_xact_lock(19795, 3);

-- By the age each schedule allows. The newest finished run of each schedule always stays.
-- name: find_old_runs
SELECT r.id FROM runs AS r JOIN schedules AS s ON s.id = r.schedule_id
WHERE r.id > :after AND r.finished_at < :now - s.retention_days * 86400000
  AND r.id <> (SELECT n.id FROM runs AS n
               WHERE n.schedule_id = r.schedule_id AND n.finished_at IS NOT NULL
               ORDER BY n.scheduled_for DESC, n.id DESC LIMIT 1)
ORDER BY r.id LIMIT :limit;

-- name: find_crowded
SELECT s.id, s.retention_runs FROM schedules AS s JOIN progress AS p ON p.schedule_id = s.id
WHERE s.id > :after AND p.made > s.retention_runs
ORDER BY s.id LIMIT :limit;

-- The oldest finished runs beyond the newest `keep`.
-- name: find_surplus_runs
SELECT id FROM (SELECT r.id, r.finished_at, r.scheduled_for FROM runs AS r
                WHERE r.schedule_id = :schedule_id
                ORDER BY r.scheduled_for DESC, r.id DESC LIMIT :limit OFFSET :keep) AS surplus
WHERE finished_at IS NOT NULL;

-- Not the one that the next skipped or missed instant may extend.
-- name: find_old_gaps
SELECT g.id FROM gaps AS g JOIN schedules AS s ON s.id = g.schedule_id JOIN progress AS p ON p.schedule_id = s.id
WHERE g.id > :after AND g.to_at < :now - s.retention_days * 86400000 AND g.id <> COALESCE(p.gap_id, 0)
ORDER BY g.id LIMIT :limit;

-- name: delete_gaps
WITH @rows(v: id bigint)
DELETE FROM gaps WHERE id IN (SELECT id FROM v);

-- name: find_old_apart
SELECT id, target_id FROM runs
WHERE schedule_id IS NULL AND finished_at IS NOT NULL AND finished_at < :before AND kind <> 'webhook'
ORDER BY finished_at LIMIT :limit;

-- name: delete_runs
WITH @rows(v: id bigint)
DELETE FROM runs WHERE id IN (SELECT id FROM v);

-- name: delete_attempts
WITH @rows(v: id bigint)
DELETE FROM attempts WHERE run_id IN (SELECT id FROM v);

-- name: find_gone_schedules
SELECT id FROM schedules WHERE deleted_at < :deleted_before
UNION ALL
SELECT s.id FROM schedules AS s JOIN progress AS p ON p.schedule_id = s.id
WHERE s.kind = 'task' AND p.completed_at < :now - s.retention_days * 86400000 AND p.active = 0 AND s.deleted_at IS NULL
UNION ALL
SELECT s.id FROM crontab_tasks AS c JOIN schedules AS s ON s.id = c.schedule_id JOIN progress AS p ON p.schedule_id = s.id
WHERE c.type = 1 AND p.completed_at < :now - s.retention_days * 86400000 AND p.active = 0 AND s.deleted_at IS NULL
LIMIT :limit;

-- The same question again, with their progress rows held: a task may have been run by hand meanwhile.
-- name: still_gone
WITH @rows(v: id bigint)
SELECT s.id FROM v JOIN schedules AS s ON s.id = v.id JOIN progress AS p ON p.schedule_id = s.id
WHERE s.deleted_at < :deleted_before
   OR ((s.kind = 'task' OR EXISTS (SELECT 1 FROM crontab_tasks AS c WHERE c.schedule_id = s.id AND c.type = 1))
       AND p.completed_at < :now - s.retention_days * 86400000 AND p.active = 0 AND s.deleted_at IS NULL);

-- name: delete_schedules
WITH @rows(v: id bigint)
DELETE FROM schedules WHERE id IN (SELECT id FROM v);

-- name: delete_progress
WITH @rows(v: id bigint)
DELETE FROM progress WHERE schedule_id IN (SELECT id FROM v);

-- name: delete_crontab
WITH @rows(v: id bigint)
DELETE FROM crontab_tasks WHERE schedule_id IN (SELECT id FROM v);

-- name: delete_gaps_of
DELETE FROM gaps WHERE schedule_id = :schedule_id;

-- name: find_runs_of
SELECT id FROM runs WHERE schedule_id = :schedule_id LIMIT :limit;

-- Targets that an edit replaced and no run refers to any more.
-- name: find_unused_targets
SELECT t.id FROM targets AS t
WHERE t.replaced_at < :before
  AND NOT EXISTS (SELECT 1 FROM runs AS r WHERE r.schedule_id = t.schedule_id AND r.target_id = t.id)
ORDER BY t.replaced_at LIMIT :limit;

-- name: delete_targets_of
DELETE FROM targets WHERE schedule_id = :schedule_id;

-- name: delete_targets
WITH @rows(v: id bigint)
DELETE FROM targets WHERE id IN (SELECT id FROM v);

-- name: count_runs
SELECT state, count(*) FROM runs WHERE state IN ('queued', 'running', 'retrying') GROUP BY state;

-- name: largest_key
SELECT max(id) FROM (SELECT max(id) AS id FROM runs UNION ALL SELECT max(id) FROM schedules
                     UNION ALL SELECT max(id) FROM targets UNION ALL SELECT max(id) FROM gaps
                     UNION ALL SELECT max(id) FROM credentials UNION ALL SELECT max(id) FROM queues
                     UNION ALL SELECT max(generation) FROM queues UNION ALL SELECT max(id) FROM messages
                     UNION ALL SELECT max(id) FROM circuits) AS keys;

-- name: ping
SELECT 1;
