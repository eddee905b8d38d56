-- What charts show of the past days: for each project, minute and node, how many runs began and how they went. `fires`:
-- first attempts that ended; `failed`: runs that failed for good; `took_ms`: the length of those attempts, all together.
-- `late_…`: how many of the first attempts were late by so much (core/samples.py says by how much), so that rows can be
-- added up and percentiles read off the sums.
CREATE TABLE samples (
  project     TEXT NOT NULL,
  at          INTEGER NOT NULL,
  node        INTEGER NOT NULL,
  fires       INTEGER NOT NULL,
  failed      INTEGER NOT NULL,
  took_ms     INTEGER NOT NULL,
  took_max_ms INTEGER NOT NULL,
  late_00     INTEGER NOT NULL,
  late_01     INTEGER NOT NULL,
  late_02     INTEGER NOT NULL,
  late_03     INTEGER NOT NULL,
  late_04     INTEGER NOT NULL,
  late_05     INTEGER NOT NULL,
  late_06     INTEGER NOT NULL,
  late_07     INTEGER NOT NULL,
  late_08     INTEGER NOT NULL,
  late_09     INTEGER NOT NULL,
  late_10     INTEGER NOT NULL,
  late_11     INTEGER NOT NULL,
  late_12     INTEGER NOT NULL,
  late_13     INTEGER NOT NULL,
  late_14     INTEGER NOT NULL,
  late_15     INTEGER NOT NULL,
  late_16     INTEGER NOT NULL,
  late_17     INTEGER NOT NULL,
  PRIMARY KEY (project, at, node)
) STRICT, WITHOUT ROWID;

CREATE INDEX samples_age ON samples (at);

-- What a queue held at a minute; no row: nothing. `oldest_ms`: the age of the oldest message that could be had.
CREATE TABLE queue_samples (
  queue_id  INTEGER NOT NULL,
  at        INTEGER NOT NULL,
  available INTEGER NOT NULL,
  delayed   INTEGER NOT NULL,
  in_flight INTEGER NOT NULL,
  dead      INTEGER NOT NULL,
  oldest_ms INTEGER NOT NULL,
  PRIMARY KEY (queue_id, at)
) STRICT, WITHOUT ROWID;

CREATE INDEX queue_samples_age ON queue_samples (at);

-- Schedules whose last run failed, the newest last.
CREATE INDEX progress_failed ON progress (last_run_at, schedule_id) WHERE last_state = 'failed';
