-- Where a project's events are sent. `target_id` is its present target (URL, sealed headers and secret), `earlier` the
-- sealed secrets before it, which sign beside it until `earlier_until`. `rate_milli`: thousandths of an attempt per second.
CREATE TABLE endpoints (
  id               INTEGER PRIMARY KEY,
  project          TEXT NOT NULL,
  target_id        INTEGER NOT NULL,
  events           TEXT NOT NULL,
  description      TEXT NOT NULL,
  max_concurrency  INTEGER NOT NULL,
  rate_milli       INTEGER,
  ordered          INTEGER NOT NULL,
  earlier          BLOB,
  earlier_until    INTEGER,
  version          INTEGER NOT NULL,
  created_at       INTEGER NOT NULL,
  updated_at       INTEGER NOT NULL,
  disabled_at      INTEGER,
  disabled_because TEXT,
  deleted_at       INTEGER
) STRICT;

CREATE INDEX endpoints_by_project ON endpoints (project, id) WHERE deleted_at IS NULL;
CREATE INDEX endpoints_deleted ON endpoints (deleted_at) WHERE deleted_at IS NOT NULL;

-- How an endpoint is doing (under the endpoint's id), or an origin to which a project sends without one; the narrow row
-- that changes with every attempt. Deliveries wait in the lane `gate:<id>` until they are let through to the lane `http`;
-- `active` of them are. `next_at`: when to look whether another one may go. `ended`: nothing goes any more, and why.
CREATE TABLE circuits (
  id            INTEGER PRIMARY KEY,
  project       TEXT NOT NULL,
  origin        TEXT,
  room          INTEGER NOT NULL,
  ordered       INTEGER NOT NULL,
  rate_milli    INTEGER,
  active        INTEGER NOT NULL DEFAULT 0,
  trusted       INTEGER NOT NULL DEFAULT 0,
  streak        INTEGER NOT NULL DEFAULT 0,
  last_failed   INTEGER,
  failing_since INTEGER,
  open_until    INTEGER NOT NULL DEFAULT 0,
  hold_until    INTEGER NOT NULL DEFAULT 0,
  rate_at       INTEGER NOT NULL DEFAULT 0,
  next_at       INTEGER,
  ended         TEXT,
  updated_at    INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX circuits_by_origin ON circuits (project, origin) WHERE origin IS NOT NULL;
CREATE INDEX circuits_due ON circuits (trusted, next_at) WHERE next_at IS NOT NULL;
CREATE INDEX circuits_doubtful ON circuits (active) WHERE trusted = 0 AND active > 0;
CREATE INDEX circuits_idle ON circuits (updated_at) WHERE origin IS NOT NULL;

-- What is known of a run that is a delivery beyond what every run has. `webhook_id`: the delivery whose id the receiver
-- sees as the message's, the same for all replays. `uncounted`: attempts that were probes and cost no retry.
CREATE TABLE deliveries (
  run_id       INTEGER PRIMARY KEY,
  project      TEXT NOT NULL,
  circuit_id   INTEGER NOT NULL,
  endpoint_id  INTEGER,
  event        TEXT,
  webhook_id   INTEGER NOT NULL,
  replay_of    INTEGER,
  replayed_at  INTEGER,
  cancelled_at INTEGER,
  uncounted    INTEGER NOT NULL DEFAULT 0,
  probe        INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE INDEX deliveries_by_project ON deliveries (project, run_id);
CREATE INDEX deliveries_by_endpoint ON deliveries (endpoint_id, run_id) WHERE endpoint_id IS NOT NULL;
CREATE INDEX runs_failed_deliveries ON runs (project, id) WHERE kind = 'webhook' AND state = 'failed';
CREATE INDEX runs_old_deliveries ON runs (finished_at) WHERE kind = 'webhook' AND finished_at IS NOT NULL;

-- Grows with every change of an endpoint, so that nodes know when what they remember is out of date.
INSERT INTO counters (name, value) VALUES ('endpoints', 0);
