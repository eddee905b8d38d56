-- `generation`: what the rows of a queue's messages carry. A purge gives the queue a new one, so all that waited, was
-- delayed or leased is gone at once; what carried the old one is removed little by little.
-- `last_resort`: made for dead letters, without dead letters of its own. `holds_dead`: some have come. `version` grows
-- with every change.
CREATE TABLE queues (
  id              bigint PRIMARY KEY,
  project         text COLLATE "C" NOT NULL,
  name            text COLLATE "C" NOT NULL,
  type            text NOT NULL CHECK (type IN ('standard', 'fifo')),
  dead_letter_id  bigint,
  last_resort     bigint NOT NULL DEFAULT 0,
  holds_dead      bigint NOT NULL DEFAULT 0,
  max_retries     bigint NOT NULL,
  retention_ms    bigint NOT NULL,
  visibility_ms   bigint NOT NULL,
  enable_priority bigint NOT NULL,
  paused_at       bigint,
  generation      bigint NOT NULL UNIQUE,
  version         bigint NOT NULL,
  created_at      bigint NOT NULL,
  updated_at      bigint NOT NULL,
  deleted_at      bigint
);

CREATE UNIQUE INDEX queues_by_name ON queues (project, name) WHERE deleted_at IS NULL;
CREATE INDEX queues_by_dead_letters ON queues (dead_letter_id) WHERE dead_letter_id IS NOT NULL;
CREATE INDEX queues_deleted ON queues (project, name) WHERE deleted_at IS NOT NULL;

-- Generations that a purge or a delete has left behind.
CREATE TABLE leftovers (
  generation bigint PRIMARY KEY,
  left_at    bigint NOT NULL
);

-- What was published, only appended to; `rank` 0 is the highest priority. Where a message is, is said by exactly one narrow row in `ready`, `leased`,
-- `postponed` or `blocked`: those change, this one does not. The id is the instant of publishing.
CREATE TABLE messages (
  id         bigint PRIMARY KEY,
  generation bigint NOT NULL,
  rank       bigint NOT NULL,
  payload    bytea NOT NULL,
  headers    bytea,
  group_id   text
) WITH (
  autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0,
  autovacuum_vacuum_insert_scale_factor = 0.05,
  autovacuum_analyze_scale_factor = 0.1, autovacuum_analyze_threshold = 5000
);

-- `group_key`: the hash of a FIFO group; only the head of a group is here.
CREATE TABLE ready (
  generation bigint NOT NULL,
  rank       bigint NOT NULL,
  id         bigint NOT NULL,
  attempt    bigint NOT NULL,
  failures   bigint NOT NULL,
  group_key  bigint,
  PRIMARY KEY (generation, rank, id)
) WITH (
  fillfactor = 70,
  autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0,
  autovacuum_vacuum_insert_scale_factor = 0.05,
  autovacuum_analyze_scale_factor = 0.1, autovacuum_analyze_threshold = 5000
);

-- `token` is the fence: whoever does not know it does not hold the lease. `holder`: the credential or the subscription.
CREATE TABLE leased (
  id          bigint PRIMARY KEY,
  generation  bigint NOT NULL,
  rank        bigint NOT NULL,
  attempt     bigint NOT NULL,
  failures    bigint NOT NULL,
  group_key   bigint,
  token       bigint NOT NULL,
  holder      bigint NOT NULL,
  leased_at   bigint NOT NULL,
  lease_until bigint NOT NULL
) WITH (
  fillfactor = 70,
  autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0,
  autovacuum_vacuum_insert_scale_factor = 0.05,
  autovacuum_analyze_scale_factor = 0.1, autovacuum_analyze_threshold = 5000
);

CREATE INDEX leased_until ON leased (lease_until, id);
-- What subscriptions hold: their holders are negative, so the leases of other consumers cost nothing here.
CREATE INDEX leased_by_push ON leased (holder) WHERE holder < 0;

CREATE TABLE postponed (
  visible_at bigint NOT NULL,
  id         bigint NOT NULL,
  generation bigint NOT NULL,
  rank       bigint NOT NULL,
  attempt    bigint NOT NULL,
  failures   bigint NOT NULL,
  group_key  bigint,
  PRIMARY KEY (visible_at, id)
) WITH (
  fillfactor = 70,
  autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0,
  autovacuum_vacuum_insert_scale_factor = 0.05,
  autovacuum_analyze_scale_factor = 0.1, autovacuum_analyze_threshold = 5000
);

-- The messages of FIFO groups that have another before them. `place` orders a group: a redriven message comes last.
CREATE TABLE blocked (
  generation bigint NOT NULL,
  group_key  bigint NOT NULL,
  place      bigint NOT NULL,
  id         bigint NOT NULL,
  rank       bigint NOT NULL,
  attempt    bigint NOT NULL,
  failures   bigint NOT NULL,
  visible_at bigint,
  PRIMARY KEY (generation, place, id)
) WITH (
  fillfactor = 70,
  autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0,
  autovacuum_vacuum_insert_scale_factor = 0.05,
  autovacuum_analyze_scale_factor = 0.1, autovacuum_analyze_threshold = 5000
);

-- Who is next in a group. (The embedded store keeps that in memory.)
CREATE INDEX blocked_by_group ON blocked (generation, group_key, place);
CREATE INDEX blocked_by_id ON blocked (generation, id);
CREATE INDEX blocked_until ON blocked (generation, visible_at) WHERE visible_at IS NOT NULL;

-- A FIFO group that has messages: one that is ready, leased or postponed, perhaps others behind it. `tail` is the last
-- place given, `waiting` how many are behind the first.
CREATE TABLE message_groups (
  generation bigint NOT NULL,
  group_key  bigint NOT NULL,
  tail       bigint NOT NULL,
  waiting    bigint NOT NULL,
  PRIMARY KEY (generation, group_key)
) WITH (
  fillfactor = 70,
  autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0,
  autovacuum_vacuum_insert_scale_factor = 0.05,
  autovacuum_analyze_scale_factor = 0.1, autovacuum_analyze_threshold = 5000
);

-- How many messages are where. Several rows are added up, so that writers need not wait for each other.
CREATE TABLE queue_counts (
  generation bigint NOT NULL,
  writer     bigint NOT NULL,
  ready      bigint NOT NULL,
  leased     bigint NOT NULL,
  postponed  bigint NOT NULL,
  blocked    bigint NOT NULL,
  PRIMARY KEY (generation, writer)
) WITH (
  fillfactor = 20,
  autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0,
  autovacuum_vacuum_insert_scale_factor = 0.05,
  autovacuum_analyze_scale_factor = 0.1, autovacuum_analyze_threshold = 5000
);

-- The messages that have become dead letters: where they came from, and when. They wait in their queue like any other.
CREATE TABLE dead (
  id         bigint PRIMARY KEY,
  source_id  bigint NOT NULL,
  queue_id   bigint NOT NULL,
  generation bigint NOT NULL,
  dead_at    bigint NOT NULL,
  reason     text NOT NULL,
  attempt    bigint NOT NULL,
  failures   bigint NOT NULL
);

CREATE INDEX dead_by_source ON dead (source_id, dead_at, id);
CREATE INDEX dead_by_queue ON dead (generation, dead_at, id);

-- Deduplication ids of the last minutes, hashed.
CREATE TABLE dedup (
  queue_id   bigint NOT NULL,
  key        bytea NOT NULL,
  message_id bigint NOT NULL,
  created_at bigint NOT NULL,
  PRIMARY KEY (queue_id, key)
) WITH (
  fillfactor = 70,
  autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0,
  autovacuum_vacuum_insert_scale_factor = 0.05,
  autovacuum_analyze_scale_factor = 0.1, autovacuum_analyze_threshold = 5000
);

CREATE INDEX dedup_age ON dedup (created_at);

-- Consumes that may be asked again: the same id within the lease gives the same messages.
CREATE TABLE receives (
  queue_id    bigint NOT NULL,
  holder      bigint NOT NULL,
  key         text COLLATE "C" NOT NULL,
  token       bigint NOT NULL,
  ids         text NOT NULL,
  lease_until bigint NOT NULL,
  PRIMARY KEY (queue_id, holder, key)
);

CREATE INDEX receives_until ON receives (lease_until);

-- A consumer that lives in the server: it posts what it leases to a URL. `visibility_ms` NULL: as the queue says.
-- `streak`: failures in a row; `resting_until`: nothing is claimed before then, so that a target that is down, or has
-- asked for time, is left alone.
CREATE TABLE subscriptions (
  id              bigint PRIMARY KEY,
  project         text COLLATE "C" NOT NULL,
  queue_id        bigint NOT NULL,
  url             text COLLATE "C" NOT NULL,
  secret          bytea,
  headers         bytea,
  signature_style text NOT NULL,
  format          text NOT NULL CHECK (format IN ('message', 'payload')),
  max_retries     bigint,
  dead_letter_id  bigint,
  visibility_ms   bigint,
  timeout_ms      bigint NOT NULL,
  max_concurrency bigint NOT NULL,
  streak          bigint NOT NULL,
  resting_until   bigint NOT NULL,
  created_at      bigint NOT NULL,
  updated_at      bigint NOT NULL,
  ended_at        bigint,
  ended_because   text
);

CREATE UNIQUE INDEX subscriptions_by_url ON subscriptions (queue_id, url) WHERE ended_at IS NULL;
CREATE INDEX subscriptions_by_queue ON subscriptions (queue_id, id);
CREATE INDEX subscriptions_by_dead_letters ON subscriptions (dead_letter_id)
  WHERE dead_letter_id IS NOT NULL AND ended_at IS NULL;
CREATE INDEX subscriptions_ended ON subscriptions (ended_at) WHERE ended_at IS NOT NULL;

-- What was posted. The key begins with the queue, so that the log of a queue is never sought in the whole.
CREATE TABLE pushes (
  id              bigint NOT NULL,
  subscription_id bigint NOT NULL,
  queue_id        bigint NOT NULL,
  message_id      bigint NOT NULL,
  attempt         bigint NOT NULL,
  started_at      bigint NOT NULL,
  sent_at         bigint,
  ended_at        bigint NOT NULL,
  outcome         text NOT NULL CHECK (outcome IN ('acked', 'nacked', 'released', 'lost')),
  status          bigint,
  body            bytea,
  error           text,
  PRIMARY KEY (queue_id, id)
);

CREATE INDEX pushes_age ON pushes (ended_at);
