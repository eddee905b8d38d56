-- Instants and durations are integer milliseconds UTC. Row keys (`id`) are time-ordered 63-bit integers; `number` is
-- the small integer that some doors show instead. JSON columns hold JSON text. Sealed columns hold ciphertext.
--
-- Tables, columns and indexes are those of the embedded store (a test compares them); only `nodes` is here alone.
-- Text that is indexed is compared byte by byte (COLLATE "C"): faster, and a new version of the system's collations
-- cannot damage an index.

CREATE TABLE meta (
  name  text COLLATE "C" PRIMARY KEY,
  value text NOT NULL
);

-- One row per counter, changed by every create: old versions are removed on their own page.
CREATE TABLE counters (
  name  text COLLATE "C" PRIMARY KEY,
  value bigint NOT NULL
) WITH (fillfactor = 50);

INSERT INTO counters (name, value) VALUES ('schedules', 0), ('credentials', 0);

-- The processes that share this database. A number is part of every row key that its holder makes, so nobody else may
-- have it before the lease is over.
CREATE TABLE nodes (
  number      bigint PRIMARY KEY CHECK (number BETWEEN 0 AND 1023),
  name        text NOT NULL,
  incarnation text NOT NULL,
  started_at  bigint NOT NULL,
  seen_at     bigint NOT NULL,
  lease_until bigint NOT NULL
) WITH (fillfactor = 50);

-- One credential of any door. `digest` is how a REST key is found; `lookup` the public half of a key:secret token.
CREATE TABLE credentials (
  id            bigint PRIMARY KEY,
  number        bigint NOT NULL UNIQUE,
  project       text NOT NULL,
  kind          text NOT NULL CHECK (kind IN ('key', 'token', 'super')),
  name          text NOT NULL,
  lookup        text COLLATE "C" UNIQUE,
  digest        bytea NOT NULL UNIQUE,
  shown         text NOT NULL,
  scopes        text NOT NULL,
  limits        text,
  username      text COLLATE "C" UNIQUE,
  password      bytea,
  valid_from    bigint,
  valid_until   bigint,
  created_at    bigint NOT NULL,
  last_used_at  bigint,
  revoked_at    bigint,
  bootstrap     bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 90);

-- What a run is sent to. An edit never changes a row but inserts a new one and marks the old as replaced, so a run
-- keeps what it was fired with.
CREATE TABLE targets (
  id              bigint PRIMARY KEY,
  kind            text NOT NULL,
  address         text NOT NULL,
  origin          text NOT NULL,
  method          text NOT NULL,
  payload         bytea,
  headers         bytea,
  secret          bytea,
  signature_style text NOT NULL,
  timeout_ms      bigint NOT NULL,
  retry           bigint NOT NULL,
  retry_delays_ms text,
  expect          text,
  on_failure      text,
  schedule_id     bigint,
  replaced_at     bigint
);

CREATE INDEX targets_replaced ON targets (replaced_at) WHERE replaced_at IS NOT NULL;
CREATE INDEX targets_by_schedule ON targets (schedule_id) WHERE schedule_id IS NOT NULL;

CREATE TABLE schedules (
  id                bigint PRIMARY KEY,
  number            bigint NOT NULL UNIQUE,
  project           text COLLATE "C" NOT NULL,
  kind              text COLLATE "C" NOT NULL CHECK (kind IN ('cron', 'task')),
  name              text NOT NULL,
  cron_expr         text,
  run_at            bigint,
  dialect           text NOT NULL,
  timezone          text NOT NULL,
  anchor_at         bigint NOT NULL,
  overlap           text NOT NULL CHECK (overlap IN ('allow', 'skip', 'queue')),
  catchup           text NOT NULL CHECK (catchup IN ('latest', 'skip', 'all')),
  catchup_window_ms bigint,
  max_runs          bigint,
  retention_days    bigint NOT NULL,
  retention_runs    bigint NOT NULL,
  target_id         bigint NOT NULL,
  lane              text NOT NULL,
  origin            text NOT NULL,
  version           bigint NOT NULL,
  created_at        bigint NOT NULL,
  updated_at        bigint NOT NULL,
  deleted_at        bigint,
  CHECK ((cron_expr IS NULL) <> (run_at IS NULL))
) WITH (fillfactor = 90);

CREATE INDEX schedules_by_project ON schedules (project, kind, id) WHERE deleted_at IS NULL;
CREATE INDEX schedules_tasks ON schedules (id) WHERE kind = 'task';
CREATE INDEX schedules_deleted ON schedules (deleted_at) WHERE deleted_at IS NOT NULL;

-- The narrow row that changes with every fire, apart from the wide one that seldom does: a batch of fires dirties a
-- fifth of the pages. Its lock is also what keeps nodes apart that change the same schedule or count its runs.
--
-- Room on every page, and a vacuum that comes after a thousand changes without pausing: a finished run changes no
-- indexed column, so its new version stays on the page, and the index of what is due does not fill with dead entries.
CREATE TABLE progress (
  schedule_id  bigint PRIMARY KEY,
  next_due_at  bigint,
  paused_at    bigint,
  completed_at bigint,
  run_count    bigint NOT NULL DEFAULT 0,
  made         bigint NOT NULL DEFAULT 0,
  active       bigint NOT NULL DEFAULT 0,
  held         bigint NOT NULL DEFAULT 0,
  last_run_at  bigint,
  last_state   text,
  gap_id       bigint,
  gap_key      text
) WITH (
  fillfactor = 50,
  autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0,
  autovacuum_analyze_scale_factor = 0.1, autovacuum_analyze_threshold = 1000
);

CREATE INDEX progress_due ON progress (next_due_at, schedule_id) WHERE next_due_at IS NOT NULL;

CREATE TABLE runs (
  id                 bigint PRIMARY KEY,
  schedule_id        bigint,
  project            text COLLATE "C" NOT NULL,
  kind               text COLLATE "C" NOT NULL,
  lane               text COLLATE "C" NOT NULL,
  trigger            text COLLATE "C" NOT NULL CHECK (trigger IN ('schedule', 'manual', 'catchup', 'replay')),
  nth                bigint NOT NULL DEFAULT 0,
  scheduled_for      bigint NOT NULL,
  created_at         bigint NOT NULL,
  target_id          bigint NOT NULL,
  origin             text COLLATE "C" NOT NULL,
  payload            bytea,
  state              text COLLATE "C" NOT NULL
                     CHECK (state IN ('queued', 'running', 'retrying', 'succeeded', 'failed', 'cancelled')),
  due_at             bigint,
  attempt            bigint NOT NULL DEFAULT 0,
  lease_until        bigint,
  node               bigint,
  started_at         bigint NOT NULL,
  attempt_started_at bigint,
  sent_at            bigint,
  finished_at        bigint,
  status             bigint,
  body               bytea,
  error              text
) WITH (
  fillfactor = 85,
  autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0,
  autovacuum_vacuum_insert_scale_factor = 0.05,
  autovacuum_analyze_scale_factor = 0.05, autovacuum_analyze_threshold = 5000
);

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
  run_id     bigint NOT NULL,
  attempt    bigint NOT NULL,
  started_at bigint NOT NULL,
  sent_at    bigint,
  ended_at   bigint NOT NULL,
  status     bigint,
  body       bytea,
  error      text,
  PRIMARY KEY (run_id, attempt)
);

-- The part of the occurrence ledger in which nothing ran: consecutive instants share a row.
CREATE TABLE gaps (
  id          bigint PRIMARY KEY,
  schedule_id bigint NOT NULL,
  outcome     text NOT NULL CHECK (outcome IN ('skipped', 'missed')),
  reason      text NOT NULL,
  from_at     bigint NOT NULL,
  to_at       bigint NOT NULL,
  count       bigint NOT NULL
) WITH (fillfactor = 90);

CREATE INDEX gaps_by_schedule ON gaps (schedule_id, from_at);

-- A key is written first without its answer, to make other nodes wait, then with it: the second version stays on the
-- page of the first.
CREATE TABLE idempotency (
  project    text COLLATE "C" NOT NULL,
  operation  text COLLATE "C" NOT NULL,
  key        text COLLATE "C" NOT NULL,
  body_hash  bytea NOT NULL,
  answer     bytea NOT NULL,
  bare       bytea,
  created_at bigint NOT NULL,
  PRIMARY KEY (project, operation, key)
) WITH (fillfactor = 70);

CREATE INDEX idempotency_age ON idempotency (created_at);
