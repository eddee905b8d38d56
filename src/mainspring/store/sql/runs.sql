-- fragment: run_columns
r.id, r.schedule_id, r.project, r.kind, r.lane, r.trigger, r.nth, r.scheduled_for, r.created_at, r.target_id,
r.origin, r.payload, r.state, r.due_at, r.attempt, r.lease_until, r.node, r.started_at, r.attempt_started_at,
r.sent_at, r.finished_at, r.status, r.body, r.error

-- Whoever changes runs in view of their schedule, or counts them, holds its progress row first, and takes the rows in
-- this order: progress by id, then runs by id. So nodes wait for each other instead of deadlocking. Claiming holds
-- runs alone and passes over what others hold.

-- A second node, or a clock that stepped back, finds the occurrence already there: a normal end, not an error. Two rows
-- under one key are an error all the same.
-- name: insert_runs
WITH @rows(v: id bigint, schedule_id bigint, project text, kind text, lane text, trigger text, nth bigint, scheduled_for bigint, created_at bigint, target_id bigint, origin text, payload bytea, due_at bigint)
INSERT INTO runs (id, schedule_id, project, kind, lane, trigger, nth, scheduled_for, created_at, target_id,
                  origin, payload, state, due_at, started_at)
SELECT id, schedule_id, project, kind, lane, trigger, nth, scheduled_for, created_at, target_id,
       origin, payload, 'queued', due_at, created_at
FROM v WHERE true
ON CONFLICT (scheduled_for, schedule_id, nth) WHERE trigger IN ('schedule', 'catchup') DO NOTHING
RETURNING id;

-- What is found is held until it is claimed; what another node holds is passed over.
-- name: find_waiting [sqlite]
WITH @rows(skipped: origin text)
SELECT id, origin, due_at FROM runs
WHERE lane = :lane AND (due_at, id) > (:since_at, :since_id) AND due_at <= :now
  AND id < :below AND origin NOT IN (SELECT origin FROM skipped)
ORDER BY due_at, id LIMIT :limit;

-- name: find_waiting [postgres]
WITH @rows(skipped: origin text)
SELECT id, origin, due_at FROM runs
WHERE lane = :lane AND (due_at, id) > (:since_at, :since_id) AND due_at <= :now
  AND id < :below AND origin NOT IN (SELECT origin FROM skipped)
ORDER BY due_at, id LIMIT :limit
FOR UPDATE SKIP LOCKED;

-- name: find_waiting_of_origin [sqlite]
SELECT id FROM runs
WHERE lane = :lane AND origin = :origin AND due_at <= :now AND id < :below
ORDER BY due_at LIMIT :limit;

-- name: find_waiting_of_origin [postgres]
SELECT id FROM runs
WHERE lane = :lane AND origin = :origin AND due_at <= :now AND id < :below
ORDER BY due_at LIMIT :limit
FOR UPDATE SKIP LOCKED;

-- Rows that are known by their id are found by it: with COALESCE around what a partial index is about, no plan begins
-- with all that wait, or all that run, and compares each of them with each row of the caller (measured: 225 ms instead
-- of 20 for 1,000 results).
-- name: claim_runs
WITH @rows(v: id bigint)
UPDATE runs SET
  state = 'running', due_at = NULL, attempt = runs.attempt + 1, lease_until = :lease_until, node = :node,
  started_at = CASE WHEN runs.attempt = 0 THEN :now ELSE runs.started_at END, attempt_started_at = :now
FROM v
WHERE runs.id = v.id AND COALESCE(runs.due_at, -1) >= 0
RETURNING runs.id, runs.schedule_id, runs.project, runs.kind, runs.trigger, runs.scheduled_for, runs.target_id,
          runs.origin, runs.payload, runs.attempt;

-- name: next_waiting
SELECT min(due_at) FROM runs WHERE lane = :lane AND due_at IS NOT NULL AND due_at > :after;

-- name: get_targets
WITH @rows(v: id bigint)
SELECT t.id, t.kind, t.address, t.origin, t.method, t.payload, t.headers, t.secret, t.signature_style,
       t.timeout_ms, t.retry, t.retry_delays_ms, t.expect, t.on_failure
FROM v JOIN targets AS t ON t.id = v.id;

-- Fenced by the attempt: a worker whose run was rescued meanwhile changes nothing. The condition is on the row itself,
-- so it holds for what another node has just written. Rows come in order of id.
-- name: finish_runs
WITH @rows(v: id bigint, attempt bigint, state text, due_at bigint, sent_at bigint, finished_at bigint, status bigint, body bytea, error text)
UPDATE runs SET
  state = v.state, due_at = v.due_at, lease_until = NULL, node = NULL, sent_at = COALESCE(runs.sent_at, v.sent_at),
  finished_at = v.finished_at, status = v.status, body = v.body, error = v.error
FROM v
WHERE runs.id = v.id AND runs.attempt = v.attempt AND COALESCE(runs.state, '') = 'running'
RETURNING runs.id;

-- name: insert_attempts
WITH @rows(v: run_id bigint, attempt bigint, started_at bigint, sent_at bigint, ended_at bigint, status bigint, body bytea, error text)
INSERT INTO attempts (run_id, attempt, started_at, sent_at, ended_at, status, body, error)
SELECT run_id, attempt, started_at, sent_at, ended_at, status, body, error FROM v WHERE true
ON CONFLICT DO NOTHING;

-- name: settle_progress
WITH @rows(v: schedule_id bigint, ended bigint, last_state text)
UPDATE progress SET active = progress.active - v.ended, last_state = v.last_state FROM v
WHERE progress.schedule_id = v.schedule_id
RETURNING progress.schedule_id, progress.active, progress.held;

-- Runs that nobody wants to be tried again. What was asked for by hand during a pause is wanted in spite of it. With
-- their progress rows held, a pause has cancelled what waited for a retry, or finds it waiting.
-- name: stopped_runs
WITH @rows(v: id bigint)
SELECT r.id,
       CASE WHEN s.deleted_at IS NOT NULL THEN 'deleted' WHEN p.paused_at IS NOT NULL THEN 'paused' ELSE 'cancelled' END
FROM v JOIN runs AS r ON r.id = v.id JOIN schedules AS s ON s.id = r.schedule_id
       JOIN progress AS p ON p.schedule_id = s.id
WHERE s.deleted_at IS NOT NULL
   OR (p.paused_at IS NOT NULL AND (r.trigger NOT IN ('manual', 'replay') OR r.created_at <= p.paused_at))
   OR (s.kind = 'task' AND p.last_state = 'cancelled');

-- With the progress rows held, nobody else changes held runs.
-- name: promote_held
WITH @rows(v: schedule_id bigint)
UPDATE runs SET due_at = :now FROM v
WHERE runs.id = (SELECT h.id FROM runs AS h
                 WHERE h.schedule_id = v.schedule_id AND h.state = 'queued' AND h.due_at IS NULL
                 ORDER BY h.id LIMIT 1)
RETURNING runs.schedule_id;

-- name: count_promoted
WITH @rows(v: schedule_id bigint)
UPDATE progress SET active = progress.active + 1, held = progress.held - 1 FROM v
WHERE progress.schedule_id = v.schedule_id;

-- name: count_manual
UPDATE progress SET active = active + :active, held = held + :held, made = made + 1, last_run_at = :now
WHERE schedule_id = :id;

-- Not those that another node has taken over: it has put itself in this one's place, perhaps under the number that this
-- one has lost meanwhile, but then with an attempt of its own.
-- name: renew_leases
WITH @rows(v: id bigint, attempt bigint)
UPDATE runs SET lease_until = :lease_until FROM v
WHERE runs.id = v.id AND runs.attempt = v.attempt AND COALESCE(runs.node, -1) = :node AND COALESCE(runs.state, '') = 'running';

-- Among nodes, looking is taking over: the run belongs to no node any more, so its late owner cannot renew a lease that
-- this decision is based on, and no second rescuer finds it unless the first one is gone for 30 s.
-- name: expired_runs [sqlite]
SELECT @run_columns FROM runs AS r WHERE r.state = 'running' AND (r.lease_until < :now OR :everything = 1)
LIMIT :limit;

-- name: expired_runs [postgres]
WITH found AS MATERIALIZED (
  SELECT id FROM runs
  WHERE state = 'running' AND (lease_until < :now::bigint OR :everything = 1)
  LIMIT :limit FOR UPDATE SKIP LOCKED)
UPDATE runs AS r SET node = NULL, lease_until = :now + 30000 FROM found WHERE r.id = found.id
RETURNING @run_columns;

-- Waiting retries and queued runs of the schedule itself; manual ones only when it is gone for good.
-- name: cancel_waiting [sqlite]
UPDATE runs SET state = 'cancelled', due_at = NULL, finished_at = :now, error = :reason
WHERE id IN (SELECT id FROM runs
             WHERE schedule_id = :id AND state IN ('queued', 'running', 'retrying')
               AND (state = 'retrying' OR (state = 'queued' AND (trigger NOT IN ('manual', 'replay') OR :manual = 1))))
RETURNING id;

-- Held before they are changed: a run that was claimed between the two would be cancelled under its sender's hands.
-- name: cancel_waiting [postgres]
WITH waiting AS MATERIALIZED (
  SELECT id FROM runs
  WHERE schedule_id = :id AND state IN ('queued', 'running', 'retrying')
    AND (state = 'retrying' OR (state = 'queued' AND (trigger NOT IN ('manual', 'replay') OR :manual = 1)))
  ORDER BY id FOR UPDATE)
UPDATE runs SET state = 'cancelled', due_at = NULL, finished_at = :now, error = :reason
FROM waiting WHERE runs.id = waiting.id
RETURNING runs.id;

-- name: count_unfinished
SELECT COALESCE(sum(CASE WHEN state = 'queued' AND due_at IS NULL THEN 0 ELSE 1 END), 0),
       COALESCE(sum(CASE WHEN state = 'queued' AND due_at IS NULL THEN 1 ELSE 0 END), 0)
FROM runs WHERE schedule_id = :id AND state IN ('queued', 'running', 'retrying');

-- name: set_unfinished
UPDATE progress SET active = :active, held = :held WHERE schedule_id = :id;

-- Kept until the end of the transaction, and with it what only this run still needs.
-- name: hold_run [postgres only]
SELECT id FROM runs WHERE id = :id FOR SHARE;

-- name: get_run
SELECT @run_columns FROM runs AS r WHERE r.id = :id AND r.project = :project;

-- name: get_attempts
SELECT run_id, attempt, started_at, sent_at, ended_at, status, body, error FROM attempts
WHERE run_id = :run_id ORDER BY attempt;

-- name: page_runs_of_schedule
SELECT @run_columns FROM runs AS r
WHERE r.schedule_id = :schedule_id AND r.kind IN ('cron', 'task')
  AND (r.scheduled_for, r.id) < (:before_at, :before_id) AND r.scheduled_for >= :since
  AND (r.state = :state OR :state IS NULL)
ORDER BY r.scheduled_for DESC, r.id DESC LIMIT :limit;

-- name: page_runs
SELECT @run_columns FROM runs AS r
WHERE r.project = :project AND r.kind IN ('cron', 'task') AND r.id < :before AND r.id >= :since
  AND (r.state = :state OR :state IS NULL) AND substr(r.lane, 1, 6) <> 'agent:'
ORDER BY r.id DESC LIMIT :limit;

-- Few among many: by their own index.
-- name: page_failed_runs
SELECT @run_columns FROM runs AS r
WHERE r.project = :project AND r.state = 'failed' AND r.kind IN ('cron', 'task')
  AND r.id < :before AND r.id >= :since AND substr(r.lane, 1, 6) <> 'agent:'
ORDER BY r.id DESC LIMIT :limit;

-- name: page_occurrence_runs
SELECT r.scheduled_for, r.trigger, r.id FROM runs AS r
WHERE r.schedule_id = :schedule_id AND r.trigger IN ('schedule', 'catchup') AND r.kind IN ('cron', 'task')
  AND r.scheduled_for < :before AND r.nth = 0
ORDER BY r.scheduled_for DESC LIMIT :limit;

-- Attempts begun, by whom they are kept: the last one of a run by the run itself, unless it was followed by another.
-- The number is that of the attempt's instant, 12 bits that tell those of one instant apart coming after it; of two that
-- are equal in spite of that, neither is passed over (`runs.attempts`).
-- fragment: attempts_begun
begun AS (
  SELECT r.id AS run_id, r.attempt, COALESCE(r.attempt_started_at, r.started_at) AS began_at
  FROM runs AS r
  WHERE r.schedule_id IN (SELECT id FROM asked) AND r.kind IN ('cron', 'task') AND r.attempt > 0
    AND (r.state = 'running' OR r.finished_at IS NOT NULL)
    AND NOT EXISTS (SELECT 1 FROM attempts AS a WHERE a.run_id = r.id AND a.attempt = r.attempt)
  UNION ALL
  SELECT a.run_id, a.attempt, a.started_at
  FROM runs AS r JOIN attempts AS a ON a.run_id = r.id
  WHERE r.schedule_id IN (SELECT id FROM asked) AND r.kind IN ('cron', 'task')
), numbered AS (
  SELECT run_id, attempt, began_at,
         (began_at - :epoch) * 4096 + (run_id % 4096 + run_id / 4194304 % 4096 * 1259 + attempt * 1021) % 4096 AS number
  FROM begun
), newest AS (
  SELECT run_id, attempt, began_at, number FROM numbered
  WHERE number < :before ORDER BY number DESC, run_id DESC LIMIT :limit
)
SELECT n.number, r.schedule_id, n.run_id, n.attempt, r.trigger, n.began_at,
       CASE WHEN a.run_id IS NOT NULL THEN a.ended_at ELSE r.finished_at END,
       CASE WHEN a.run_id IS NOT NULL THEN a.status WHEN r.finished_at IS NOT NULL THEN r.status END,
       CASE WHEN a.run_id IS NOT NULL THEN a.body WHEN r.finished_at IS NOT NULL THEN r.body END,
       CASE WHEN a.run_id IS NOT NULL THEN a.error WHEN r.finished_at IS NOT NULL THEN r.error END,
       t.kind, t.address, t.method, COALESCE(r.payload, t.payload)
FROM newest AS n JOIN runs AS r ON r.id = n.run_id JOIN targets AS t ON t.id = r.target_id
LEFT JOIN attempts AS a ON a.run_id = n.run_id AND a.attempt = n.attempt
ORDER BY n.number DESC, n.run_id DESC

-- A set of schedules in one parameter: this is asked beside the loops, where a table of rows is not.
-- name: page_attempts [sqlite]
WITH asked AS (SELECT value AS id FROM json_each(:schedules)), @attempts_begun;

-- name: page_attempts [postgres]
WITH asked AS MATERIALIZED (SELECT CAST(value AS bigint) AS id FROM jsonb_array_elements_text(CAST(CAST(:schedules AS text) AS jsonb))), @attempts_begun;
