-- Where a project's events are sent. `target_id` is its present target (URL, sealed headers and secret), `earlier` the
-- sealed secrets before it, which sign beside it until `earlier_until`. `rate_milli`: thousandths of an attempt per second.
CREATE TABLE endpoints (
  id               bigint PRIMARY KEY,
  project          text COLLATE "C" NOT NULL,
  target_id        bigint NOT NULL,
  events           text NOT NULL,
  description      text NOT NULL,
  max_concurrency  bigint NOT NULL,
  rate_milli       bigint,
  ordered          bigint NOT NULL,
  earlier          bytea,
  earlier_until    bigint,
  version          bigint NOT NULL,
  created_at       bigint NOT NULL,
  updated_at       bigint NOT NULL,
  disabled_at      bigint,
  disabled_because text,
  deleted_at       bigint
) WITH (fillfactor = 90);

CREATE INDEX endpoints_by_project ON endpoints (project, id) WHERE deleted_at IS NULL;
CREATE INDEX endpoints_deleted ON endpoints (deleted_at) WHERE deleted_at IS NOT NULL;

-- How an endpoint is doing (under the endpoint's id), or an origin to which a project sends without one; the narrow row
-- that changes with every attempt. Deliveries wait in the lane `gate:<id>` until they are let through to the lane `http`;
-- `active` of them are. `next_at`: when to look whether another one may go. `ended`: nothing goes any more, and why.
CREATE TABLE circuits (
  id            bigint PRIMARY KEY,
  project       text COLLATE "C" NOT NULL,
  origin        text COLLATE "C",
  room          bigint NOT NULL,
  ordered       bigint NOT NULL,
  rate_milli    bigint,
  active        bigint NOT NULL DEFAULT 0,
  trusted       bigint NOT NULL DEFAULT 0,
  streak        bigint NOT NULL DEFAULT 0,
  last_failed   bigint,
  failing_since bigint,
  open_until    bigint NOT NULL DEFAULT 0,
  hold_until    bigint NOT NULL DEFAULT 0,
  rate_at       bigint NOT NULL DEFAULT 0,
  next_at       bigint,
  ended         text,
  updated_at    bigint NOT NULL
) WITH (
  fillfactor = 50,
  autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0,
  autovacuum_analyze_scale_factor = 0.1, autovacuum_analyze_threshold = 1000
);

CREATE UNIQUE INDEX circuits_by_origin ON circuits (project, origin) WHERE origin IS NOT NULL;
CREATE INDEX circuits_due ON circuits (trusted, next_at) WHERE next_at IS NOT NULL;
CREATE INDEX circuits_doubtful ON circuits (active) WHERE trusted = 0 AND active > 0;
CREATE INDEX circuits_idle ON circuits (updated_at) WHERE origin IS NOT NULL;

-- What is known of a run that is a delivery beyond what every run has. `webhook_id`: the delivery whose id the receiver
-- sees as the message's, the same for all replays. `uncounted`: attempts that were probes and cost no retry.
CREATE TABLE deliveries (
  run_id       bigint PRIMARY KEY,
  project      text COLLATE "C" NOT NULL,
  circuit_id   bigint NOT NULL,
  endpoint_id  bigint,
  event        text,
  webhook_id   bigint NOT NULL,
  replay_of    bigint,
  replayed_at  bigint,
  cancelled_at bigint,
  uncounted    bigint NOT NULL DEFAULT 0,
  probe        bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 85);

CREATE INDEX deliveries_by_project ON deliveries (project, run_id);
CREATE INDEX deliveries_by_endpoint ON deliveries (endpoint_id, run_id) WHERE endpoint_id IS NOT NULL;
CREATE INDEX runs_failed_deliveries ON runs (project, id) WHERE kind = 'webhook' AND state = 'failed';
CREATE INDEX runs_old_deliveries ON runs (finished_at) WHERE kind = 'webhook' AND finished_at IS NOT NULL;

-- Grows with every change of an endpoint, so that nodes know when what they remember is out of date.
INSERT INTO counters (name, value) VALUES ('endpoints', 0);
