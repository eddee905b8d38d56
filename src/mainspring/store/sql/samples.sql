-- A node adds to its own row: it may write twice for one minute, when it stops.
-- name: add_samples
WITH @rows(v: project text, fires bigint, failed bigint, took_ms bigint, took_max_ms bigint, late_00 bigint, late_01 bigint, late_02 bigint, late_03 bigint, late_04 bigint, late_05 bigint, late_06 bigint, late_07 bigint, late_08 bigint, late_09 bigint, late_10 bigint, late_11 bigint, late_12 bigint, late_13 bigint, late_14 bigint, late_15 bigint, late_16 bigint, late_17 bigint)
INSERT INTO samples (project, at, node, fires, failed, took_ms, took_max_ms,
                     late_00, late_01, late_02, late_03, late_04, late_05, late_06, late_07, late_08,
                     late_09, late_10, late_11, late_12, late_13, late_14, late_15, late_16, late_17)
SELECT project, :at, :node, fires, failed, took_ms, took_max_ms,
       late_00, late_01, late_02, late_03, late_04, late_05, late_06, late_07, late_08,
       late_09, late_10, late_11, late_12, late_13, late_14, late_15, late_16, late_17
FROM v WHERE true
ON CONFLICT (project, at, node) DO UPDATE SET
  fires = samples.fires + excluded.fires, failed = samples.failed + excluded.failed,
  took_ms = samples.took_ms + excluded.took_ms,
  took_max_ms = CASE WHEN samples.took_max_ms > excluded.took_max_ms THEN samples.took_max_ms ELSE excluded.took_max_ms END,
  late_00 = samples.late_00 + excluded.late_00, late_01 = samples.late_01 + excluded.late_01, late_02 = samples.late_02 + excluded.late_02,
  late_03 = samples.late_03 + excluded.late_03, late_04 = samples.late_04 + excluded.late_04, late_05 = samples.late_05 + excluded.late_05,
  late_06 = samples.late_06 + excluded.late_06, late_07 = samples.late_07 + excluded.late_07, late_08 = samples.late_08 + excluded.late_08,
  late_09 = samples.late_09 + excluded.late_09, late_10 = samples.late_10 + excluded.late_10, late_11 = samples.late_11 + excluded.late_11,
  late_12 = samples.late_12 + excluded.late_12, late_13 = samples.late_13 + excluded.late_13, late_14 = samples.late_14 + excluded.late_14,
  late_15 = samples.late_15 + excluded.late_15, late_16 = samples.late_16 + excluded.late_16, late_17 = samples.late_17 + excluded.late_17;

-- name: is_sampled
SELECT 1 FROM queue_samples WHERE at = :at LIMIT 1;

-- Queues that hold something, the fullest first, that have dead letters, or that held something a minute before. Of what
-- has to be counted one by one at most `:most` are counted.
-- name: look_at_queues
WITH RECURSIVE ranks(rank) AS (SELECT 0 UNION ALL SELECT rank + 1 FROM ranks WHERE rank < 9),
sources(id) AS (
  SELECT min(source_id) FROM dead
  UNION ALL
  SELECT (SELECT min(d.source_id) FROM dead AS d WHERE d.source_id > sources.id) FROM sources WHERE sources.id IS NOT NULL),
held(id, messages) AS (
  SELECT q.id, sum(c.ready + c.leased + c.postponed + c.blocked)
  FROM queue_counts AS c JOIN queues AS q ON q.generation = c.generation
  WHERE q.deleted_at IS NULL
  GROUP BY q.id HAVING sum(c.ready + c.leased + c.postponed + c.blocked) > 0
  ORDER BY 2 DESC LIMIT :limit),
found(id, place) AS (
  SELECT id, 0 FROM held
  UNION ALL
  SELECT queue_id, 1 FROM queue_samples WHERE at = :before AND available + delayed + in_flight + dead > 0
  UNION ALL
  SELECT id, 2 FROM sources WHERE id IS NOT NULL),
wanted(id) AS (SELECT id FROM found GROUP BY id ORDER BY min(place) LIMIT :limit)
SELECT q.id,
       CAST(COALESCE((SELECT sum(c.ready + c.blocked) FROM queue_counts AS c WHERE c.generation = q.generation), 0) AS bigint),
       CAST(COALESCE((SELECT sum(c.postponed) FROM queue_counts AS c WHERE c.generation = q.generation), 0) AS bigint),
       CAST(COALESCE((SELECT sum(c.leased) FROM queue_counts AS c WHERE c.generation = q.generation), 0) AS bigint),
       (SELECT count(*) FROM (SELECT 1 FROM blocked AS b
                              WHERE b.generation = q.generation AND b.visible_at > :now LIMIT :most) AS hidden),
       (SELECT count(*) FROM (SELECT 1 FROM dead AS d JOIN queues AS g ON g.id = d.queue_id AND g.generation = d.generation
                              WHERE d.source_id = q.id AND g.deleted_at IS NULL LIMIT :most) AS buried),
       (SELECT min(o.id) FROM (
          SELECT (SELECT r.id FROM ready AS r WHERE r.generation = q.generation AND r.rank = ranks.rank
                  ORDER BY r.id LIMIT 1) AS id
          FROM ranks) AS o),
       (SELECT b.id FROM blocked AS b
        WHERE b.generation = q.generation AND (b.visible_at IS NULL OR b.visible_at <= :now) ORDER BY b.id LIMIT 1)
FROM wanted JOIN queues AS q ON q.id = wanted.id
WHERE q.deleted_at IS NULL;

-- name: add_queue_samples
WITH @rows(v: queue_id bigint, available bigint, delayed bigint, in_flight bigint, dead bigint, oldest_ms bigint)
INSERT INTO queue_samples (queue_id, at, available, delayed, in_flight, dead, oldest_ms)
SELECT queue_id, :at, available, delayed, in_flight, dead, oldest_ms FROM v WHERE true
ON CONFLICT (queue_id, at) DO NOTHING;

-- name: prune_samples [sqlite]
DELETE FROM samples WHERE (project, at, node) IN (
  SELECT project, at, node FROM samples WHERE at < :before LIMIT :limit)
RETURNING at;

-- name: prune_samples [postgres]
DELETE FROM samples WHERE ctid = ANY (ARRAY(SELECT ctid FROM samples WHERE at < :before LIMIT :limit)) RETURNING at;

-- name: prune_queue_samples [sqlite]
DELETE FROM queue_samples WHERE (queue_id, at) IN (
  SELECT queue_id, at FROM queue_samples WHERE at < :before LIMIT :limit)
RETURNING at;

-- name: prune_queue_samples [postgres]
DELETE FROM queue_samples WHERE ctid = ANY (ARRAY(SELECT ctid FROM queue_samples WHERE at < :before LIMIT :limit))
RETURNING at;
