-- Scripts, as the JSON-RPC door keeps them. `env` is sealed; a limit that is NULL is the default.
CREATE TABLE scripts (
  id          INTEGER PRIMARY KEY,
  number      INTEGER NOT NULL UNIQUE,
  name        TEXT NOT NULL UNIQUE,
  description TEXT,
  source      BLOB NOT NULL,
  route       TEXT UNIQUE,
  env         BLOB,
  clean_ms    INTEGER,
  run_ms      INTEGER,
  stack       INTEGER,
  heap        INTEGER,
  created_at  INTEGER NOT NULL,
  updated_at  INTEGER NOT NULL
) STRICT;

-- What became of their runs. `run_id`: the run in lane `script`, NULL for what another script has called. `ends_by`: its
-- process is over by then, whatever becomes of its node; NULL while it waits. `param` and `result` are JSON text, `env`
-- is the sealed one that it was started with, until it ends. Outlives the script.
CREATE TABLE script_results (
  number        INTEGER PRIMARY KEY,
  run_id        INTEGER UNIQUE,
  script_number INTEGER NOT NULL,
  script_name   TEXT NOT NULL,
  run_type      TEXT NOT NULL,
  start_time    INTEGER NOT NULL,
  ends_by       INTEGER,
  finish_time   INTEGER,
  param         TEXT NOT NULL,
  env           BLOB,
  result        TEXT,
  error         TEXT
) STRICT;

CREATE INDEX script_results_age ON script_results (start_time, number);
CREATE INDEX script_results_by_name ON script_results (script_name, start_time, number);
CREATE INDEX script_results_open ON script_results (ends_by) WHERE finish_time IS NULL;

INSERT INTO counters (name, value) VALUES ('scripts', 0), ('script_results', 0);
