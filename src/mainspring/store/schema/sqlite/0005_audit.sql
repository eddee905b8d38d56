-- Who changed which setting or right. `number` counts up without gaps over all projects; `hash` is keyed and covers the
-- entry and the hash before it. Nothing here is ever changed, and nothing removed but the oldest, by retention.
CREATE TABLE audit (
  number     INTEGER PRIMARY KEY,
  at         INTEGER NOT NULL,
  project    TEXT NOT NULL,
  key_id     INTEGER NOT NULL,
  shown      TEXT NOT NULL,
  ip         TEXT NOT NULL,
  operation  TEXT NOT NULL,
  object     TEXT NOT NULL,
  fields     TEXT NOT NULL,
  request_id TEXT NOT NULL,
  hash       BLOB NOT NULL
) STRICT;

CREATE INDEX audit_by_project ON audit (project, number);

INSERT INTO counters (name, value) VALUES ('audit', 0);
