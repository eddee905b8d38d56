-- The agents that a schedule is for, in the order in which they were given; each of them gets a run at each fire, one
-- that is there twice two.
CREATE TABLE schedule_agents (
  schedule_id bigint NOT NULL,
  nth         bigint NOT NULL,
  uuid        text COLLATE "C" NOT NULL,
  PRIMARY KEY (schedule_id, nth)
);

-- Looked for from now on, so compared byte by byte.
ALTER TABLE schedules ALTER COLUMN name TYPE text COLLATE "C";
CREATE INDEX schedules_by_name ON schedules (project, name, number) WHERE deleted_at IS NULL AND kind = 'cron';
CREATE INDEX schedules_of_lanes ON schedules (project, number) WHERE deleted_at IS NULL AND lane <> 'http';

-- What became of each fire, for each agent, as the JSON-RPC door shows it. `cron_id` is the schedule's number. Outlives
-- the schedule. `run_id`: written once for each run.
CREATE TABLE crontab_results (
  number      bigint PRIMARY KEY,
  run_id      bigint UNIQUE,
  cron_id     bigint NOT NULL,
  cron_name   text COLLATE "C" NOT NULL,
  relative_id bigint,
  run_time    bigint NOT NULL,
  success     bigint NOT NULL,
  message     text NOT NULL
);

CREATE INDEX crontab_results_age ON crontab_results (run_time, number);
CREATE INDEX crontab_results_by_name ON crontab_results (cron_name, run_time, number);
CREATE INDEX crontab_results_by_cron ON crontab_results (cron_id, run_time, number);

CREATE TABLE kv_namespaces (
  namespace  text COLLATE "C" PRIMARY KEY,
  created_at bigint NOT NULL
);

-- `value` is JSON text, as it was given.
CREATE TABLE kv (
  namespace  text COLLATE "C" NOT NULL,
  key        text COLLATE "C" NOT NULL,
  value      text NOT NULL,
  updated_at bigint NOT NULL,
  PRIMARY KEY (namespace, key)
);

INSERT INTO counters (name, value) VALUES ('crontab_results', 0);
