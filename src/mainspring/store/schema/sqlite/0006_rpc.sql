-- The agents that a schedule is for, in the order in which they were given; each of them gets a run at each fire, one
-- that is there twice two.
CREATE TABLE schedule_agents (
  schedule_id INTEGER NOT NULL,
  nth         INTEGER NOT NULL,
  uuid        TEXT NOT NULL,
  PRIMARY KEY (schedule_id, nth)
) STRICT, WITHOUT ROWID;

CREATE INDEX schedules_by_name ON schedules (project, name, number) WHERE deleted_at IS NULL AND kind = 'cron';
CREATE INDEX schedules_of_lanes ON schedules (project, number) WHERE deleted_at IS NULL AND lane <> 'http';

-- What became of each fire, for each agent, as the JSON-RPC door shows it. `cron_id` is the schedule's number. Outlives
-- the schedule. `run_id`: written once for each run.
CREATE TABLE crontab_results (
  number      INTEGER PRIMARY KEY,
  run_id      INTEGER UNIQUE,
  cron_id     INTEGER NOT NULL,
  cron_name   TEXT NOT NULL,
  relative_id INTEGER,
  run_time    INTEGER NOT NULL,
  success     INTEGER NOT NULL,
  message     TEXT NOT NULL
) STRICT;

CREATE INDEX crontab_results_age ON crontab_results (run_time, number);
CREATE INDEX crontab_results_by_name ON crontab_results (cron_name, run_time, number);
CREATE INDEX crontab_results_by_cron ON crontab_results (cron_id, run_time, number);

CREATE TABLE kv_namespaces (
  namespace  TEXT PRIMARY KEY,
  created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- `value` is JSON text, as it was given.
CREATE TABLE kv (
  namespace  TEXT NOT NULL,
  key        TEXT NOT NULL,
  value      TEXT NOT NULL,
  updated_at INTEGER NOT NULL,
  PRIMARY KEY (namespace, key)
) STRICT, WITHOUT ROWID;

INSERT INTO counters (name, value) VALUES ('crontab_results', 0);
