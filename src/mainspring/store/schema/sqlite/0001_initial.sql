-- Instants and durations are integer milliseconds UTC. Row keys (`id`) are time-ordered 63-bit integers; `number` is
-- the small integer that some doors show instead. JSON columns hold JSON text. Sealed columns hold ciphertext.

CREATE TABLE meta (
  name  TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE counters (
  name  TEXT PRIMARY KEY,
  value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO counters (name, value) VALUES ('schedules', 0), ('credentials', 0);

-- One credential of any door. `digest` is how a REST key is found; `lookup` the public half of a key:secret token.
CREATE TABLE credentials (
  id            INTEGER PRIMARY KEY,
  number        INTEGER NOT NULL UNIQUE,
  project       TEXT NOT NULL,
  kind          TEXT NOT NULL CHECK (kind IN ('key', 'token', 'super')),
  name          TEXT NOT NULL,
  lookup        TEXT UNIQUE,
  digest        BLOB NOT NULL UNIQUE,
  shown         TEXT NOT NULL,
  scopes        TEXT NOT NULL,
  limits        TEXT,
  username      TEXT UNIQUE,
  password      BLOB,
  valid_from    INTEGER,
  valid_until   INTEGER,
  created_at    INTEGER NOT NULL,
  last_used_at  INTEGER,
  revoked_at    INTEGER,
  bootstrap     INTEGER NOT NULL DEFAULT 0
) STRICT;

-- What a run is sent to. An edit never changes a row but inserts a new one and marks the old as replaced, so a run
-- keeps what it was fired with.
CREATE TABLE targets (
  id              INTEGER PRIMARY KEY,
  kind            TEXT NOT NULL,
  address         TEXT NOT NULL,
  origin          TEXT NOT NULL,
  method          TEXT NOT NULL,
  payload         BLOB,
  headers         BLOB,
  secret          BLOB,
  signature_style TEXT NOT NULL,
  timeout_ms      INTEGER NOT NULL,
  retry           INTEGER NOT NULL,
  retry_delays_ms TEXT,
  expect          TEXT,
  on_failure      TEXT,
  schedule_id     INTEGER,
  replaced_at     INTEGER
) STRICT;

CREATE INDEX targets_replaced ON targets (replaced_at) WHERE replaced_at IS NOT NULL;
CREATE INDEX targets_by_schedule ON targets (schedule_id) WHERE schedule_id IS NOT NULL;

CREATE TABLE schedules (
  id                INTEGER PRIMARY KEY,
  number            INTEGER NOT NULL UNIQUE,
  project           TEXT NOT NULL,
  kind              TEXT NOT NULL CHECK (kind IN ('cron', 'task')),
  name              TEXT NOT NULL,
  cron_expr         TEXT,
  run_at            INTEGER,
  dialect           TEXT NOT NULL,
  timezone          TEXT NOT NULL,
  anchor_at         INTEGER NOT NULL,
  overlap           TEXT NOT NULL CHECK (overlap IN ('allow', 'skip', 'queue')),
  catchup           TEXT NOT NULL CHECK (catchup IN ('latest', 'skip', 'all')),
  catchup_window_ms INTEGER,
  max_runs          INTEGER,
  retention_days    INTEGER NOT NULL,
  retention_runs    INTEGER NOT NULL,
  target_id         INTEGER NOT NULL,
  lane              TEXT NOT NULL,
  origin            TEXT NOT NULL,
  version           INTEGER NOT NULL,
  created_at        INTEGER NOT NULL,
  updated_at        INTEGER NOT NULL,
  deleted_at        INTEGER,
  CHECK ((cron_expr IS NULL) <> (run_at IS NULL))
) STRICT;

CREATE INDEX schedules_by_project ON schedules (project, kind, id) WHERE deleted_at IS NULL;
CREATE INDEX schedules_tasks ON schedules (id) WHERE kind = 'task';
CREATE INDEX schedules_deleted ON schedules (deleted_at) WHERE deleted_at IS NOT NULL;

-- The narrow row that changes with every fire, apart from the wide one that seldom does: a batch of fires dirties a
-- fifth of the pages.
CREATE TABLE progress (
  schedule_id  INTEGER PRIMARY KEY,
  next_due_at  INTEGER,
  paused_at    INTEGER,
  completed_at INTEGER,
  run_count    INTEGER NOT NULL DEFAULT 0,
  made         INTEGER NOT NULL DEFAULT 0,
  active       INTEGER NOT NULL DEFAULT 0,
  held         INTEGER NOT NULL DEFAULT 0,
  last_run_at  INTEGER,
  last_state   TEXT,
  gap_id       INTEGER,
  gap_key      TEXT
) STRICT;

CREATE INDEX progress_due ON progress (next_due_at, schedule_id) WHERE next_due_at IS NOT NULL;

CREATE TABLE runs (
  id                 INTEGER PRIMARY KEY,
  schedule_id        INTEGER,
  project            TEXT NOT NULL,
  kind               TEXT NOT NULL,
  lane               TEXT NOT NULL,
  trigger            TEXT NOT NULL CHECK (trigger IN ('schedule', 'manual', 'catchup', 'replay')),
  nth                INTEGER NOT NULL DEFAULT 0,
  scheduled_for      INTEGER NOT NULL,
  created_at         INTEGER NOT NULL,
  target_id          INTEGER NOT NULL,
  origin             TEXT NOT NULL,
  payload            BLOB,
  state              TEXT NOT NULL
                     CHECK (state IN ('queued', 'running', 'retrying', 'succeeded', 'failed', 'cancelled')),
  due_at             INTEGER,
  attempt            INTEGER NOT NULL DEFAULT 0,
  lease_until        INTEGER,
  node               INTEGER,
  started_at         INTEGER NOT NULL,
  attempt_started_at INTEGER,
  sent_at            INTEGER,
  finished_at        INTEGER,
  status             INTEGER,
  body               BLOB,
  error              TEXT
) STRICT;

-- At most one run per (schedule, instant, n), whatever nodes and clocks do. The instant leads so that new entries are
-- appended to the index instead of landing on a random page each.
CREATE UNIQUE INDEX runs_occurrence ON runs (scheduled_for, schedule_id, nth)
  WHERE trigger IN ('schedule', 'catchup');
-- What may be claimed, in order; and the same by origin, for origins whose seats were all taken a moment ago.
CREATE INDEX runs_waiting ON runs (lane, due_at, id, origin) WHERE due_at IS NOT NULL;
CREATE INDEX runs_waiting_by_origin ON runs (lane, origin, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX runs_running ON runs (node) WHERE state = 'running';
CREATE INDEX runs_unfinished ON runs (schedule_id, id) WHERE state IN ('queued', 'running', 'retrying');
CREATE INDEX runs_held ON runs (schedule_id, id) WHERE state = 'queued' AND due_at IS NULL;
CREATE INDEX runs_by_schedule ON runs (schedule_id, scheduled_for, id) WHERE schedule_id IS NOT NULL;
CREATE INDEX runs_by_project ON runs (project, id) WHERE kind IN ('cron', 'task');
CREATE INDEX runs_failed ON runs (project, id) WHERE state = 'failed' AND kind IN ('cron', 'task');
CREATE INDEX runs_apart ON runs (finished_at) WHERE schedule_id IS NULL AND finished_at IS NOT NULL;

-- Ended attempts of runs that needed more than one; the only attempt of the others is on the run's own row.
CREATE TABLE attempts (
  run_id     INTEGER NOT NULL,
  attempt    INTEGER NOT NULL,
  started_at INTEGER NOT NULL,
  sent_at    INTEGER,
  ended_at   INTEGER NOT NULL,
  status     INTEGER,
  body       BLOB,
  error      TEXT,
  PRIMARY KEY (run_id, attempt)
) STRICT, WITHOUT ROWID;

-- The part of the occurrence ledger in which nothing ran: consecutive instants share a row.
CREATE TABLE gaps (
  id          INTEGER PRIMARY KEY,
  schedule_id INTEGER NOT NULL,
  outcome     TEXT NOT NULL CHECK (outcome IN ('skipped', 'missed')),
  reason      TEXT NOT NULL,
  from_at     INTEGER NOT NULL,
  to_at       INTEGER NOT NULL,
  count       INTEGER NOT NULL
) STRICT;

CREATE INDEX gaps_by_schedule ON gaps (schedule_id, from_at);

CREATE TABLE idempotency (
  project    TEXT NOT NULL,
  operation  TEXT NOT NULL,
  key        TEXT NOT NULL,
  body_hash  BLOB NOT NULL,
  answer     BLOB NOT NULL,
  bare       BLOB,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (project, operation, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX idempotency_age ON idempotency (created_at);
