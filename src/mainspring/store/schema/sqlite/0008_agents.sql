-- Agents that are known: they have said something, or something was asked of them.
CREATE TABLE agents (
  uuid     TEXT PRIMARY KEY,
  known_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Which node holds an agent's socket. `session` tells one registration from the next; one that has not been seen for
-- 15 s is none.
CREATE TABLE agent_sessions (
  uuid    TEXT PRIMARY KEY,
  node    INTEGER NOT NULL,
  session INTEGER NOT NULL,
  seen_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX agent_sessions_by_node ON agent_sessions (node);

-- The last report of each kind; `data` is JSON text, as it was given.
CREATE TABLE agent_reports (
  uuid TEXT NOT NULL,
  kind TEXT NOT NULL,
  time INTEGER NOT NULL,
  data TEXT NOT NULL,
  PRIMARY KEY (uuid, kind)
) STRICT, WITHOUT ROWID;

-- What agents were asked to do: each row is of one run in the lane of its agent, made before it is handed over. Outlives
-- the run. `ended_at` is by the agent's clock, 4611686018427387904 until then, `success` NULL until then; `task` and
-- `result` are JSON text.
CREATE TABLE agent_tasks (
  number      INTEGER PRIMARY KEY,
  run_id      INTEGER NOT NULL UNIQUE,
  uuid        TEXT NOT NULL,
  token       TEXT NOT NULL,
  cron_source TEXT,
  kind        TEXT NOT NULL,
  task        TEXT NOT NULL,
  ended_at    INTEGER NOT NULL,
  success     INTEGER,
  error       TEXT,
  result      TEXT
) STRICT;

CREATE INDEX agent_tasks_age ON agent_tasks (ended_at, number);
CREATE INDEX agent_tasks_by_agent ON agent_tasks (uuid, ended_at, number);

INSERT INTO counters (name, value) VALUES ('agent_tasks', 0);
