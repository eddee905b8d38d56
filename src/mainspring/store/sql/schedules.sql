-- fragment: entry_columns
s.id, s.number, s.project, s.kind, s.name, s.cron_expr, s.run_at, s.dialect, s.timezone, s.anchor_at,
s.overlap, s.catchup, s.catchup_window_ms, s.max_runs, s.retention_days, s.retention_runs,
s.target_id, s.lane, s.origin, s.version, s.created_at, s.updated_at,
p.next_due_at, p.paused_at, p.completed_at, p.run_count, p.active, p.held, p.last_run_at, p.last_state,
p.gap_id, p.gap_key,
t.id, t.kind, t.address, t.origin, t.method, t.payload, t.headers, t.secret, t.signature_style,
t.timeout_ms, t.retry, t.retry_delays_ms, t.expect, t.on_failure,
c.name, c.module, c.type, c.start_time, c.starts_at, c.superseded_at

-- fragment: entry_tables
schedules AS s JOIN progress AS p ON p.schedule_id = s.id JOIN targets AS t ON t.id = s.target_id
LEFT JOIN crontab_tasks AS c ON c.schedule_id = s.id

-- name: insert_targets
WITH @rows(v: id bigint, kind text, address text, origin text, method text, payload bytea, headers bytea, secret bytea, signature_style text, timeout_ms bigint, retry bigint, retry_delays_ms text, expect text, on_failure text, schedule_id bigint)
INSERT INTO targets (id, kind, address, origin, method, payload, headers, secret, signature_style,
                     timeout_ms, retry, retry_delays_ms, expect, on_failure, schedule_id)
SELECT id, kind, address, origin, method, payload, headers, secret, signature_style,
       timeout_ms, retry, retry_delays_ms, expect, on_failure, schedule_id
FROM v;

-- name: replace_target
UPDATE targets SET replaced_at = :now WHERE id = :id;

-- The row stays held until the end of the transaction, so numbers are given in the order of the commits.
-- name: take_numbers
UPDATE counters SET value = value + :count WHERE name = :name RETURNING value;

-- name: insert_schedules
WITH @rows(v: id bigint, number bigint, project text, kind text, name text, cron_expr text, run_at bigint, dialect text, timezone text, anchor_at bigint, overlap text, catchup text, catchup_window_ms bigint, max_runs bigint, retention_days bigint, retention_runs bigint, target_id bigint, lane text, origin text, version bigint, created_at bigint, updated_at bigint)
INSERT INTO schedules (id, number, project, kind, name, cron_expr, run_at, dialect, timezone, anchor_at,
                       overlap, catchup, catchup_window_ms, max_runs, retention_days, retention_runs,
                       target_id, lane, origin, version, created_at, updated_at)
SELECT id, number, project, kind, name, cron_expr, run_at, dialect, timezone, anchor_at,
       overlap, catchup, catchup_window_ms, max_runs, retention_days, retention_runs,
       target_id, lane, origin, version, created_at, updated_at
FROM v;

-- name: insert_progress
WITH @rows(v: schedule_id bigint, next_due_at bigint, paused_at bigint)
INSERT INTO progress (schedule_id, next_due_at, paused_at) SELECT schedule_id, next_due_at, paused_at FROM v;

-- Who has these names, and whether they are to be had: of what was deleted, and of what was to be done once and is.
-- Only after `take_numbers`, behind which creates of all nodes queue.
-- name: crontab_holders
WITH @rows(v: project text, name text)
SELECT c.project, c.name, c.schedule_id, s.number,
       CASE WHEN s.id IS NULL OR s.deleted_at IS NOT NULL THEN 1
            WHEN c.type = 1 AND p.completed_at IS NOT NULL AND p.last_state = 'succeeded' AND p.active = 0 AND p.held = 0
              THEN 1 ELSE 0 END
FROM v JOIN crontab_tasks AS c ON c.project = v.project AND c.name = v.name
LEFT JOIN schedules AS s ON s.id = c.schedule_id LEFT JOIN progress AS p ON p.schedule_id = c.schedule_id
WHERE c.superseded_at IS NULL;

-- name: supersede_crontab
WITH @rows(v: schedule_id bigint)
UPDATE crontab_tasks SET superseded_at = :now WHERE schedule_id IN (SELECT v.schedule_id FROM v);

-- name: insert_crontab
WITH @rows(v: schedule_id bigint, project text, name text, module bigint, type bigint, start_time text, starts_at bigint)
INSERT INTO crontab_tasks (schedule_id, project, name, module, type, start_time, starts_at)
SELECT schedule_id, project, name, module, type, start_time, starts_at FROM v;

-- name: update_crontab
WITH @rows(v: schedule_id bigint, module bigint, type bigint, start_time text, starts_at bigint)
UPDATE crontab_tasks SET module = v.module, type = v.type, start_time = v.start_time, starts_at = v.starts_at
FROM v WHERE crontab_tasks.schedule_id = v.schedule_id;

-- name: crontab_by_number
WITH @rows(v: number bigint)
SELECT @entry_columns FROM @entry_tables
WHERE s.number IN (SELECT v.number FROM v) AND s.project = :project AND c.schedule_id IS NOT NULL
  AND s.deleted_at IS NULL;

-- name: crontab_by_name
WITH @rows(v: name text)
SELECT @entry_columns FROM @entry_tables
WHERE s.id IN (SELECT n.schedule_id FROM crontab_tasks AS n
               WHERE n.project = :project AND n.name IN (SELECT v.name FROM v))
  AND s.deleted_at IS NULL;

-- name: get_entries
WITH @rows(v: id bigint)
SELECT @entry_columns FROM @entry_tables JOIN v ON v.id = s.id
WHERE s.deleted_at IS NULL;

-- name: page_entries
SELECT @entry_columns FROM @entry_tables
WHERE s.project = :project AND s.kind = :kind AND s.deleted_at IS NULL AND s.id < :before
ORDER BY s.id DESC LIMIT :limit;

-- name: get_deleted
SELECT id FROM schedules
WHERE id = :id AND project = :project AND kind = :kind AND deleted_at IS NOT NULL;

-- Compare-and-set on the version: zero rows means somebody edited it first.
-- name: update_schedules
WITH @rows(v: id bigint, seen bigint, name text, cron_expr text, run_at bigint, dialect text, timezone text, anchor_at bigint, overlap text, catchup text, catchup_window_ms bigint, max_runs bigint, retention_days bigint, retention_runs bigint, target_id bigint, lane text, origin text, updated_at bigint)
UPDATE schedules SET
  name = v.name, cron_expr = v.cron_expr, run_at = v.run_at, dialect = v.dialect, timezone = v.timezone,
  anchor_at = v.anchor_at, overlap = v.overlap, catchup = v.catchup, catchup_window_ms = v.catchup_window_ms,
  max_runs = v.max_runs, retention_days = v.retention_days, retention_runs = v.retention_runs,
  target_id = v.target_id, lane = v.lane, origin = v.origin, updated_at = v.updated_at,
  version = schedules.version + 1
FROM v
WHERE schedules.id = v.id AND schedules.version = v.seen AND schedules.deleted_at IS NULL
RETURNING schedules.id;

-- Keeps other nodes from firing, editing, triggering or finishing runs of these schedules; in order of id, because
-- batches of two nodes that took them in different orders would wait for each other. A statement of its own: what
-- follows must see what the node before has written.
-- name: hold_progress [postgres only]
WITH @rows(v: schedule_id bigint)
SELECT schedule_id FROM progress WHERE schedule_id IN (SELECT v.schedule_id FROM v)
ORDER BY schedule_id FOR UPDATE;

-- The timer that an edit is about to replace.
-- name: get_timer
SELECT next_due_at, completed_at FROM progress WHERE schedule_id = :id;

-- name: retime
UPDATE progress SET next_due_at = :next_due_at, paused_at = :paused_at, completed_at = :completed_at
WHERE schedule_id = :id;

-- name: delete_schedule
UPDATE schedules SET deleted_at = :now, version = version + 1 WHERE id = :id AND deleted_at IS NULL;

-- A state that is there already is that of a task whose run ended first.
-- name: stop_progress
UPDATE progress SET next_due_at = NULL, completed_at = COALESCE(completed_at, :now),
       last_state = COALESCE(last_state, :last_state)
WHERE schedule_id = :id;

-- Nodes share the work instead of queueing on it: what another node holds is skipped. The key on (instant, schedule, n)
-- is the net under the lock.
-- name: hold_due [postgres only]
SELECT schedule_id FROM progress WHERE next_due_at <= :now ORDER BY next_due_at LIMIT :limit
FOR UPDATE SKIP LOCKED;

-- Among nodes a step of its own after `hold_due`: a row that is held as another node has just left it would be joined
-- with its schedule as it was before that, and an expression would fire that an edit has replaced.
-- name: take_due [sqlite]
WITH @rows(held: schedule_id bigint)
SELECT s.id, s.project, s.kind, s.lane, s.origin, s.target_id, s.cron_expr, s.run_at, s.dialect, s.timezone,
       s.anchor_at, s.overlap, s.catchup, s.catchup_window_ms, s.max_runs,
       p.next_due_at, p.run_count, p.active, p.held, p.gap_id, p.gap_key
FROM progress AS p JOIN schedules AS s ON s.id = p.schedule_id
WHERE p.next_due_at <= :now
ORDER BY p.next_due_at LIMIT :limit;

-- name: take_due [postgres]
WITH @rows(held: schedule_id bigint)
SELECT s.id, s.project, s.kind, s.lane, s.origin, s.target_id, s.cron_expr, s.run_at, s.dialect, s.timezone,
       s.anchor_at, s.overlap, s.catchup, s.catchup_window_ms, s.max_runs,
       p.next_due_at, p.run_count, p.active, p.held, p.gap_id, p.gap_key
FROM held JOIN progress AS p ON p.schedule_id = held.schedule_id JOIN schedules AS s ON s.id = p.schedule_id
WHERE p.next_due_at <= :now
ORDER BY p.next_due_at LIMIT :limit;

-- name: advance
WITH @rows(v: schedule_id bigint, next_due_at bigint, completed_at bigint, run_count bigint, active bigint, held bigint, last_run_at bigint, gap_id bigint, gap_key text)
UPDATE progress SET
  next_due_at = v.next_due_at, completed_at = v.completed_at, run_count = v.run_count,
  made = progress.made + v.run_count - progress.run_count,
  active = v.active, held = v.held, last_run_at = COALESCE(v.last_run_at, progress.last_run_at),
  gap_id = v.gap_id, gap_key = v.gap_key
FROM v WHERE progress.schedule_id = v.schedule_id;

-- name: insert_gaps
WITH @rows(v: id bigint, schedule_id bigint, outcome text, reason text, from_at bigint, to_at bigint, count bigint)
INSERT INTO gaps (id, schedule_id, outcome, reason, from_at, to_at, count)
SELECT id, schedule_id, outcome, reason, from_at, to_at, count FROM v;

-- name: extend_gaps
WITH @rows(v: id bigint, to_at bigint, more bigint)
UPDATE gaps SET to_at = v.to_at, count = gaps.count + v.more FROM v WHERE gaps.id = v.id;

-- name: next_due
SELECT min(next_due_at) FROM progress WHERE next_due_at IS NOT NULL;

-- name: page_gaps
SELECT id, schedule_id, outcome, reason, from_at, to_at, count FROM gaps
WHERE schedule_id = :schedule_id AND from_at < :before
ORDER BY from_at DESC LIMIT :limit;

-- name: zoned_schedules
SELECT s.id, s.cron_expr, s.dialect, s.timezone, s.anchor_at, s.version, p.next_due_at
FROM schedules AS s JOIN progress AS p ON p.schedule_id = s.id
WHERE s.id > :after AND s.deleted_at IS NULL AND s.cron_expr IS NOT NULL AND s.timezone <> 'UTC'
  AND p.next_due_at > :now
  AND NOT EXISTS (SELECT 1 FROM crontab_tasks AS c WHERE c.schedule_id = s.id AND c.starts_at > :now)
ORDER BY s.id LIMIT :limit;

-- Only where nobody has fired or edited the schedule since it was read.
-- name: move_due
WITH @rows(v: schedule_id bigint, version bigint, seen bigint, next_due_at bigint)
UPDATE progress SET next_due_at = v.next_due_at FROM v
WHERE progress.schedule_id = v.schedule_id AND progress.next_due_at = v.seen
  AND EXISTS (SELECT 1 FROM schedules AS s WHERE s.id = v.schedule_id AND s.version = v.version);

-- name: count_schedules
SELECT count(*), COALESCE(sum(CASE WHEN p.next_due_at IS NOT NULL THEN 1 ELSE 0 END), 0)
FROM schedules AS s JOIN progress AS p ON p.schedule_id = s.id
WHERE s.deleted_at IS NULL;
