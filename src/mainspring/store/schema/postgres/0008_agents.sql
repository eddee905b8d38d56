-- Agents that are known: they have said something, or something was asked of them.
CREATE TABLE agents (
  uuid     text COLLATE "C" PRIMARY KEY,
  known_at bigint NOT NULL
);

-- Which node holds an agent's socket. `session` tells one registration from the next; one that has not been seen for
-- 15 s is none.
CREATE TABLE agent_sessions (
  uuid    text COLLATE "C" PRIMARY KEY,
  node    bigint NOT NULL,
  session bigint NOT NULL,
  seen_at bigint NOT NULL
);

CREATE INDEX agent_sessions_by_node ON agent_sessions (node);

-- The last report of each kind; `data` is JSON text, as it was given.
CREATE TABLE agent_reports (
  uuid text COLLATE "C" NOT NULL,
  kind text COLLATE "C" NOT NULL,
  time bigint NOT NULL,
  data text NOT NULL,
  PRIMARY KEY (uuid, kind)
);

-- What agents were asked to do: each row is of one run in the lane of its agent, made before it is handed over. Outlives
-- the run. `ended_at` is by the agent's clock, 4611686018427387904 until then, `success` NULL until then; `task` and
-- `result` are JSON text.
CREATE TABLE agent_tasks (
  number      bigint PRIMARY KEY,
  run_id      bigint NOT NULL UNIQUE,
  uuid        text COLLATE "C" NOT NULL,
  token       text NOT NULL,
  cron_source text,
  kind        text COLLATE "C" NOT NULL,
  task        text NOT NULL,
  ended_at    bigint NOT NULL,
  success     bigint,
  error       text,
  result      text
);

CREATE INDEX agent_tasks_age ON agent_tasks (ended_at, number);
CREATE INDEX agent_tasks_by_agent ON agent_tasks (uuid, ended_at, number);

INSERT INTO counters (name, value) VALUES ('agent_tasks', 0);
