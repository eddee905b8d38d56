-- Who changed which setting or right. `number` counts up without gaps over all projects; `hash` is keyed and covers the
-- entry and the hash before it. Nothing here is ever changed, and nothing removed but the oldest, by retention.
CREATE TABLE audit (
  number     bigint PRIMARY KEY,
  at         bigint NOT NULL,
  project    text COLLATE "C" NOT NULL,
  key_id     bigint NOT NULL,
  shown      text NOT NULL,
  ip         text NOT NULL,
  operation  text NOT NULL,
  object     text NOT NULL,
  fields     text NOT NULL,
  request_id text NOT NULL,
  hash       bytea NOT NULL
);

CREATE INDEX audit_by_project ON audit (project, number);

INSERT INTO counters (name, value) VALUES ('audit', 0);
