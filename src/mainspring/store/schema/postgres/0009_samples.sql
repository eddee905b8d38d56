-- What charts show of the past days: for each project, minute and node, how many runs began and how they went. `fires`:
-- first attempts that ended; `failed`: runs that failed for good; `took_ms`: the length of those attempts, all together.
-- `late_…`: how many of the first attempts were late by so much (core/samples.py says by how much), so that rows can be
-- added up and percentiles read off the sums.
CREATE TABLE samples (
  project     text COLLATE "C" NOT NULL,
  at          bigint NOT NULL,
  node        bigint NOT NULL,
  fires       bigint NOT NULL,
  failed      bigint NOT NULL,
  took_ms     bigint NOT NULL,
  took_max_ms bigint NOT NULL,
  late_00     bigint NOT NULL,
  late_01     bigint NOT NULL,
  late_02     bigint NOT NULL,
  late_03     bigint NOT NULL,
  late_04     bigint NOT NULL,
  late_05     bigint NOT NULL,
  late_06     bigint NOT NULL,
  late_07     bigint NOT NULL,
  late_08     bigint NOT NULL,
  late_09     bigint NOT NULL,
  late_10     bigint NOT NULL,
  late_11     bigint NOT NULL,
  late_12     bigint NOT NULL,
  late_13     bigint NOT NULL,
  late_14     bigint NOT NULL,
  late_15     bigint NOT NULL,
  late_16     bigint NOT NULL,
  late_17     bigint NOT NULL,
  PRIMARY KEY (project, at, node)
);

CREATE INDEX samples_age ON samples (at);

-- What a queue held at a minute; no row: nothing. `oldest_ms`: the age of the oldest message that could be had.
CREATE TABLE queue_samples (
  queue_id  bigint NOT NULL,
  at        bigint NOT NULL,
  available bigint NOT NULL,
  delayed   bigint NOT NULL,
  in_flight bigint NOT NULL,
  dead      bigint NOT NULL,
  oldest_ms bigint NOT NULL,
  PRIMARY KEY (queue_id, at)
);

CREATE INDEX queue_samples_age ON queue_samples (at);

-- Schedules whose last run failed, the newest last.
CREATE INDEX progress_failed ON progress (last_run_at, schedule_id) WHERE last_state = 'failed';
