-- `generation`: what the rows of a queue's messages carry. A purge gives the queue a new one, so all that waited, was
-- delayed or leased is gone at once; what carried the old one is removed little by little.
-- `last_resort`: made for dead letters, without dead letters of its own. `holds_dead`: some have come. `version` grows
-- with every change.
CREATE TABLE queues (
  id              INTEGER PRIMARY KEY,
  project         TEXT NOT NULL,
  name            TEXT NOT NULL,
  type            TEXT NOT NULL CHECK (type IN ('standard', 'fifo')),
  dead_letter_id  INTEGER,
  last_resort     INTEGER NOT NULL DEFAULT 0,
  holds_dead      INTEGER NOT NULL DEFAULT 0,
  max_retries     INTEGER NOT NULL,
  retention_ms    INTEGER NOT NULL,
  visibility_ms   INTEGER NOT NULL,
  enable_priority INTEGER NOT NULL,
  paused_at       INTEGER,
  generation      INTEGER NOT NULL UNIQUE,
  version         INTEGER NOT NULL,
  created_at      INTEGER NOT NULL,
  updated_at      INTEGER NOT NULL,
  deleted_at      INTEGER
) STRICT;

CREATE UNIQUE INDEX queues_by_name ON queues (project, name) WHERE deleted_at IS NULL;
CREATE INDEX queues_by_dead_letters ON queues (dead_letter_id) WHERE dead_letter_id IS NOT NULL;
CREATE INDEX queues_deleted ON queues (project, name) WHERE deleted_at IS NOT NULL;

-- Generations that a purge or a delete has left behind.
CREATE TABLE leftovers (
  generation INTEGER PRIMARY KEY,
  left_at    INTEGER NOT NULL
) STRICT;

-- What was published, only appended to; `rank` 0 is the highest priority. Where a message is, is said by exactly one narrow row in `ready`, `leased`,
-- `postponed` or `blocked`: those change, this one does not. The id is the instant of publishing.
CREATE TABLE messages (
  id         INTEGER PRIMARY KEY,
  generation INTEGER NOT NULL,
  rank       INTEGER NOT NULL,
  payload    BLOB NOT NULL,
  headers    BLOB,
  group_id   TEXT
) STRICT;

-- `group_key`: the hash of a FIFO group; only the head of a group is here.
CREATE TABLE ready (
  generation INTEGER NOT NULL,
  rank       INTEGER NOT NULL,
  id         INTEGER NOT NULL,
  attempt    INTEGER NOT NULL,
  failures   INTEGER NOT NULL,
  group_key  INTEGER,
  PRIMARY KEY (generation, rank, id)
) STRICT, WITHOUT ROWID;

-- `token` is the fence: whoever does not know it does not hold the lease. `holder`: the credential or the subscription.
CREATE TABLE leased (
  id          INTEGER PRIMARY KEY,
  generation  INTEGER NOT NULL,
  rank        INTEGER NOT NULL,
  attempt     INTEGER NOT NULL,
  failures    INTEGER NOT NULL,
  group_key   INTEGER,
  token       INTEGER NOT NULL,
  holder      INTEGER NOT NULL,
  leased_at   INTEGER NOT NULL,
  lease_until INTEGER NOT NULL
) STRICT;

CREATE INDEX leased_until ON leased (lease_until, id);
-- What subscriptions hold: their holders are negative, so the leases of other consumers cost nothing here.
CREATE INDEX leased_by_push ON leased (holder) WHERE holder < 0;

CREATE TABLE postponed (
  visible_at INTEGER NOT NULL,
  id         INTEGER NOT NULL,
  generation INTEGER NOT NULL,
  rank       INTEGER NOT NULL,
  attempt    INTEGER NOT NULL,
  failures   INTEGER NOT NULL,
  group_key  INTEGER,
  PRIMARY KEY (visible_at, id)
) STRICT, WITHOUT ROWID;

-- The messages of FIFO groups that have another before them. `place` orders a group: a redriven message comes last.
-- Here they are in the order in which they came, so that each lands on the page of the one before; who is next in a
-- group is kept in memory (sqlite.py).
CREATE TABLE blocked (
  generation INTEGER NOT NULL,
  group_key  INTEGER NOT NULL,
  place      INTEGER NOT NULL,
  id         INTEGER NOT NULL,
  rank       INTEGER NOT NULL,
  attempt    INTEGER NOT NULL,
  failures   INTEGER NOT NULL,
  visible_at INTEGER,
  PRIMARY KEY (generation, place, id)
) STRICT, WITHOUT ROWID;

CREATE INDEX blocked_by_id ON blocked (generation, id);
CREATE INDEX blocked_until ON blocked (generation, visible_at) WHERE visible_at IS NOT NULL;

-- A FIFO group that has messages: one that is ready, leased or postponed, perhaps others behind it. `tail` is the last
-- place given, `waiting` how many are behind the first.
CREATE TABLE message_groups (
  generation INTEGER NOT NULL,
  group_key  INTEGER NOT NULL,
  tail       INTEGER NOT NULL,
  waiting    INTEGER NOT NULL,
  PRIMARY KEY (generation, group_key)
) STRICT, WITHOUT ROWID;

-- How many messages are where. Several rows are added up, so that writers need not wait for each other.
CREATE TABLE queue_counts (
  generation INTEGER NOT NULL,
  writer     INTEGER NOT NULL,
  ready      INTEGER NOT NULL,
  leased     INTEGER NOT NULL,
  postponed  INTEGER NOT NULL,
  blocked    INTEGER NOT NULL,
  PRIMARY KEY (generation, writer)
) STRICT, WITHOUT ROWID;

-- The messages that have become dead letters: where they came from, and when. They wait in their queue like any other.
CREATE TABLE dead (
  id         INTEGER PRIMARY KEY,
  source_id  INTEGER NOT NULL,
  queue_id   INTEGER NOT NULL,
  generation INTEGER NOT NULL,
  dead_at    INTEGER NOT NULL,
  reason     TEXT NOT NULL,
  attempt    INTEGER NOT NULL,
  failures   INTEGER NOT NULL
) STRICT;

CREATE INDEX dead_by_source ON dead (source_id, dead_at, id);
CREATE INDEX dead_by_queue ON dead (generation, dead_at, id);

-- Deduplication ids of the last minutes, hashed.
CREATE TABLE dedup (
  queue_id   INTEGER NOT NULL,
  key        BLOB NOT NULL,
  message_id INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (queue_id, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX dedup_age ON dedup (created_at);

-- Consumes that may be asked again: the same id within the lease gives the same messages.
CREATE TABLE receives (
  queue_id    INTEGER NOT NULL,
  holder      INTEGER NOT NULL,
  key         TEXT NOT NULL,
  token       INTEGER NOT NULL,
  ids         TEXT NOT NULL,
  lease_until INTEGER NOT NULL,
  PRIMARY KEY (queue_id, holder, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX receives_until ON receives (lease_until);

-- A consumer that lives in the server: it posts what it leases to a URL. `visibility_ms` NULL: as the queue says.
-- `streak`: failures in a row; `resting_until`: nothing is claimed before then, so that a target that is down, or has
-- asked for time, is left alone.
CREATE TABLE subscriptions (
  id              INTEGER PRIMARY KEY,
  project         TEXT NOT NULL,
  queue_id        INTEGER NOT NULL,
  url             TEXT NOT NULL,
  secret          BLOB,
  headers         BLOB,
  signature_style TEXT NOT NULL,
  format          TEXT NOT NULL CHECK (format IN ('message', 'payload')),
  max_retries     INTEGER,
  dead_letter_id  INTEGER,
  visibility_ms   INTEGER,
  timeout_ms      INTEGER NOT NULL,
  max_concurrency INTEGER NOT NULL,
  streak          INTEGER NOT NULL,
  resting_until   INTEGER NOT NULL,
  created_at      INTEGER NOT NULL,
  updated_at      INTEGER NOT NULL,
  ended_at        INTEGER,
  ended_because   TEXT
) STRICT;

CREATE UNIQUE INDEX subscriptions_by_url ON subscriptions (queue_id, url) WHERE ended_at IS NULL;
CREATE INDEX subscriptions_by_queue ON subscriptions (queue_id, id);
CREATE INDEX subscriptions_by_dead_letters ON subscriptions (dead_letter_id)
  WHERE dead_letter_id IS NOT NULL AND ended_at IS NULL;
CREATE INDEX subscriptions_ended ON subscriptions (ended_at) WHERE ended_at IS NOT NULL;

-- What was posted. The key begins with the queue, so that the log of a queue is never sought in the whole.
CREATE TABLE pushes (
  id              INTEGER NOT NULL,
  subscription_id INTEGER NOT NULL,
  queue_id        INTEGER NOT NULL,
  message_id      INTEGER NOT NULL,
  attempt         INTEGER NOT NULL,
  started_at      INTEGER NOT NULL,
  sent_at         INTEGER,
  ended_at        INTEGER NOT NULL,
  outcome         TEXT NOT NULL CHECK (outcome IN ('acked', 'nacked', 'released', 'lost')),
  status          INTEGER,
  body            BLOB,
  error           TEXT,
  PRIMARY KEY (queue_id, id)
) STRICT;

CREATE INDEX pushes_age ON pushes (ended_at);
