-- Scripts, as the JSON-RPC door keeps them. `env` is sealed; a limit that is NULL is the default.
CREATE TABLE scripts (
  id          bigint PRIMARY KEY,
  number      bigint NOT NULL UNIQUE,
  name        text COLLATE "C" NOT NULL UNIQUE,
  description text,
  source      bytea NOT NULL,
  route       text COLLATE "C" UNIQUE,
  env         bytea,
  clean_ms    bigint,
  run_ms      bigint,
  stack       bigint,
  heap        bigint,
  created_at  bigint NOT NULL,
  updated_at  bigint NOT NULL
);

-- What became of their runs. `run_id`: the run in lane `script`, NULL for what another script has called. `ends_by`: its
-- process is over by then, whatever becomes of its node; NULL while it waits. `param` and `result` are JSON text, `env`
-- is the sealed one that it was started with, until it ends. Outlives the script.
CREATE TABLE script_results (
  number        bigint PRIMARY KEY,
  run_id        bigint UNIQUE,
  script_number bigint NOT NULL,
  script_name   text COLLATE "C" NOT NULL,
  run_type      text NOT NULL,
  start_time    bigint NOT NULL,
  ends_by       bigint,
  finish_time   bigint,
  param         text NOT NULL,
  env           bytea,
  result        text,
  error         text
);

CREATE INDEX script_results_age ON script_results (start_time, number);
CREATE INDEX script_results_by_name ON script_results (script_name, start_time, number);
CREATE INDEX script_results_open ON script_results (ends_by) WHERE finish_time IS NULL;

INSERT INTO counters (name, value) VALUES ('scripts', 0), ('script_results', 0);
