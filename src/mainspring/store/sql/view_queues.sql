-- What the screens about queues show. Counters say how much is where; rows are looked at for one page only.

-- fragment: queue_depth
CAST(COALESCE((SELECT sum(c.ready + c.leased + c.postponed + c.blocked) FROM queue_counts AS c
               WHERE c.generation = q.generation), 0) AS bigint)

-- The orders keep PostgreSQL from reading all dead letters to look into them by hash.
-- fragment: queue_wanted
q.project = :project AND q.deleted_at IS NULL
AND (:search = '' OR lower(q.name) LIKE :search ESCAPE '!')
AND (:paused = 0 OR q.paused_at IS NOT NULL)
AND (:dead = 0 OR (
  SELECT count(*) FROM (
    SELECT d.queue_id, d.generation FROM dead AS d
    WHERE d.source_id = q.id ORDER BY d.dead_at DESC, d.id DESC LIMIT 100) AS n
  JOIN queues AS g ON g.id = n.queue_id AND g.generation = n.generation AND g.deleted_at IS NULL) > 0)

-- Leases that have ended and delays that are over, but that nobody has looked at yet: as a rule none, else the first.
-- fragment: queues_overdue
ranks(rank) AS (SELECT 0 UNION ALL SELECT rank + 1 FROM ranks WHERE rank < 9),
ended AS MATERIALIZED (
  SELECT o.generation, count(*) AS n FROM (
    SELECT l.generation FROM leased AS l WHERE l.lease_until <= :now ORDER BY l.lease_until LIMIT 10000) AS o
  GROUP BY o.generation),
surfaced AS MATERIALIZED (
  SELECT o.generation, count(*) AS n FROM (
    SELECT p.generation FROM postponed AS p WHERE p.visible_at <= :now ORDER BY p.visible_at LIMIT 10000) AS o
  GROUP BY o.generation)

-- Correlated, so that it is asked for the rows of the page and no others.
-- fragment: queue_numbers
q.id, q.name, q.type, q.paused_at, q.holds_dead,
CAST(COALESCE((SELECT sum(c.ready) FROM queue_counts AS c WHERE c.generation = q.generation), 0) AS bigint),
CAST(COALESCE((SELECT sum(c.leased) FROM queue_counts AS c WHERE c.generation = q.generation), 0) AS bigint),
CAST(COALESCE((SELECT sum(c.postponed) FROM queue_counts AS c WHERE c.generation = q.generation), 0) AS bigint),
CAST(COALESCE((SELECT sum(c.blocked) FROM queue_counts AS c WHERE c.generation = q.generation), 0) AS bigint),
COALESCE((SELECT e.n FROM ended AS e WHERE e.generation = q.generation), 0),
COALESCE((SELECT u.n FROM surfaced AS u WHERE u.generation = q.generation), 0),
(SELECT count(*) FROM blocked AS b WHERE b.generation = q.generation AND b.visible_at > :now),
(SELECT count(*) FROM (
   SELECT d.queue_id, d.generation FROM dead AS d
   WHERE d.source_id = q.id ORDER BY d.dead_at DESC, d.id DESC LIMIT :dead_most) AS n
 JOIN queues AS g ON g.id = n.queue_id AND g.generation = n.generation AND g.deleted_at IS NULL),
(SELECT min(o.id) FROM (
   SELECT (SELECT r.id FROM ready AS r WHERE r.generation = q.generation AND r.rank = ranks.rank
           ORDER BY r.id LIMIT 1) AS id
   FROM ranks) AS o),
(SELECT b.id FROM blocked AS b
 WHERE b.generation = q.generation AND (b.visible_at IS NULL OR b.visible_at <= :now) ORDER BY b.id LIMIT 1),
(SELECT count(*) FROM subscriptions AS s WHERE s.queue_id = q.id AND s.ended_at IS NULL)

-- name: view_queues_by_newest
WITH RECURSIVE @queues_overdue,
picked AS MATERIALIZED (
  SELECT q.id FROM queues AS q
  WHERE q.id < :id AND @queue_wanted AND (:holding = 0 OR @queue_depth > 0)
  ORDER BY q.id DESC LIMIT :limit)
SELECT @queue_numbers FROM picked JOIN queues AS q ON q.id = picked.id ORDER BY q.id DESC;

-- name: view_queues_by_name
WITH RECURSIVE @queues_overdue,
picked AS MATERIALIZED (
  SELECT q.id FROM queues AS q
  WHERE q.name > :name AND @queue_wanted AND (:holding = 0 OR @queue_depth > 0)
  ORDER BY q.name LIMIT :limit)
SELECT @queue_numbers FROM picked JOIN queues AS q ON q.id = picked.id ORDER BY q.name;

-- name: view_queues_by_depth
WITH RECURSIVE @queues_overdue,
sized AS MATERIALIZED (SELECT q.id, @queue_depth AS depth FROM queues AS q WHERE @queue_wanted),
picked AS MATERIALIZED (
  SELECT z.id, z.depth FROM sized AS z
  WHERE (z.depth, z.id) < (:depth, :id) AND (:holding = 0 OR z.depth > 0)
  ORDER BY z.depth DESC, z.id DESC LIMIT :limit)
SELECT @queue_numbers FROM picked JOIN queues AS q ON q.id = picked.id ORDER BY picked.depth DESC, q.id DESC;

-- name: view_queue
WITH RECURSIVE @queues_overdue
SELECT @queue_numbers FROM queues AS q WHERE q.id = :id;

-- fragment: message_shown
m.id, length(m.payload), substr(m.payload, 1, :payload_most), m.headers, m.group_id

-- name: view_available
SELECT r.rank, @message_shown, r.rank, r.attempt, r.failures, NULL
FROM ready AS r JOIN messages AS m ON m.id = r.id
WHERE r.generation = :generation AND (r.rank, r.id) > (:place, :id)
ORDER BY r.rank, r.id LIMIT :limit;

-- Those of FIFO groups that have another before them.
-- name: view_behind
SELECT b.place, @message_shown, b.rank, b.attempt, b.failures, b.visible_at
FROM blocked AS b JOIN messages AS m ON m.id = b.id
WHERE b.generation = :generation AND (b.place, b.id) > (:place, :id)
ORDER BY b.place, b.id LIMIT :limit;

-- The first of all queues, in order of their instants; of these the ones of this queue.
-- name: view_delayed
WITH near AS MATERIALIZED (
  SELECT p.visible_at, p.id, p.generation, p.rank, p.attempt, p.failures FROM postponed AS p
  WHERE (p.visible_at, p.id) > (:place, :id) ORDER BY p.visible_at, p.id LIMIT :within)
SELECT n.visible_at, @message_shown, n.rank, n.attempt, n.failures, n.visible_at
FROM near AS n JOIN messages AS m ON m.id = n.id
WHERE n.generation = :generation ORDER BY n.visible_at, n.id LIMIT :limit;

-- name: view_in_flight
WITH near AS MATERIALIZED (
  SELECT l.lease_until, l.id, l.generation, l.rank, l.attempt, l.failures FROM leased AS l
  WHERE (l.lease_until, l.id) > (:place, :id) ORDER BY l.lease_until, l.id LIMIT :within)
SELECT n.lease_until, @message_shown, n.rank, n.attempt, n.failures, n.lease_until
FROM near AS n JOIN messages AS m ON m.id = n.id
WHERE n.generation = :generation ORDER BY n.lease_until, n.id LIMIT :limit;

-- The last of those that were looked at, when there may be more behind it.
-- name: view_delayed_end
SELECT p.visible_at, p.id FROM postponed AS p
WHERE (p.visible_at, p.id) > (:place, :id) ORDER BY p.visible_at, p.id LIMIT 1 OFFSET :within;

-- name: view_in_flight_end
SELECT l.lease_until, l.id FROM leased AS l
WHERE (l.lease_until, l.id) > (:place, :id) ORDER BY l.lease_until, l.id LIMIT 1 OFFSET :within;

-- A message is in exactly one place; what is in no other is delayed, and its instant is sought among the first. (Without
-- its place, SQLite would look for a message behind others among all of them.)
-- name: view_message
SELECT @message_shown, m.rank, r.id, r.attempt, r.failures, b.id, b.attempt, b.failures, b.visible_at,
       l.id, l.attempt, l.failures, l.lease_until
FROM messages AS m
LEFT JOIN ready AS r ON r.generation = m.generation AND r.rank IN (0, 1, 2, 3, 4, 5, 6, 7, 8, 9) AND r.id = m.id
LEFT JOIN blocked AS b ON b.generation = m.generation AND b.id = m.id AND b.place = (
  SELECT x.place FROM blocked AS x WHERE x.generation = m.generation AND x.id = m.id)
LEFT JOIN leased AS l ON l.id = m.id
WHERE m.id = :id AND m.generation = :generation;

-- name: view_delayed_message
SELECT n.attempt, n.failures, n.visible_at FROM (
  SELECT p.id, p.attempt, p.failures, p.visible_at FROM postponed AS p ORDER BY p.visible_at, p.id LIMIT :within) AS n
WHERE n.id = :id;

-- How a push ended that made its message a dead letter is logged in the same transaction, under an id of that instant.
-- fragment: dead_shown
d.id, s.name, g.name, d.dead_at, d.reason, d.attempt, d.failures, length(m.payload),
substr(m.payload, 1, :payload_most), m.headers, m.group_id,
CASE WHEN EXISTS (SELECT 1 FROM leased AS l WHERE l.id = d.id) THEN 1 ELSE 0 END,
(SELECT p.error FROM pushes AS p
 WHERE p.queue_id = d.source_id AND p.id >= (d.dead_at - 1577836801000) << 22
   AND p.id < (d.dead_at - 1577836798000) << 22 AND p.message_id = d.id ORDER BY p.id DESC LIMIT 1),
(SELECT p.status FROM pushes AS p
 WHERE p.queue_id = d.source_id AND p.id >= (d.dead_at - 1577836801000) << 22
   AND p.id < (d.dead_at - 1577836798000) << 22 AND p.message_id = d.id ORDER BY p.id DESC LIMIT 1)

-- fragment: dead_places
FROM dead AS d JOIN queues AS g ON g.id = d.queue_id AND g.generation = d.generation AND g.deleted_at IS NULL
     JOIN queues AS s ON s.id = d.source_id JOIN messages AS m ON m.id = d.id

-- name: view_dead_of
SELECT @dead_shown @dead_places
WHERE d.source_id = :queue_id AND (d.dead_at, d.id) < (:before_at, :before_id)
ORDER BY d.dead_at DESC, d.id DESC LIMIT :limit;

-- name: view_dead_in
SELECT @dead_shown @dead_places
WHERE d.generation = :generation AND (d.dead_at, d.id) < (:before_at, :before_id)
ORDER BY d.dead_at DESC, d.id DESC LIMIT :limit;

-- name: view_dead_letter
SELECT @dead_shown @dead_places WHERE d.id = :id AND (d.source_id = :queue_id OR d.queue_id = :queue_id);

-- As many queues as there are rows on a page, those with the newest dead letters: what the page shows is in them.
-- fragment: dead_heads
heads AS MATERIALIZED (
  SELECT h.generation FROM (
    SELECT q.generation, (SELECT x.id FROM dead AS x
                          WHERE x.generation = q.generation AND (x.dead_at, x.id) < (:before_at, :before_id)
                          ORDER BY x.dead_at DESC, x.id DESC LIMIT 1) AS id
    FROM queues AS q WHERE q.project = :project AND q.holds_dead = 1 AND q.deleted_at IS NULL) AS h
  JOIN dead AS n ON n.id = h.id ORDER BY n.dead_at DESC, n.id DESC LIMIT :limit)

-- SQLite knows no lateral joins, but goes by a list of ids that it makes anew for every row before.
-- name: view_dead_of_all [sqlite]
WITH @dead_heads,
picked AS MATERIALIZED (
  SELECT y.id FROM heads CROSS JOIN dead AS y ON y.id IN (
    SELECT x.id FROM dead AS x
    WHERE x.generation = heads.generation AND (x.dead_at, x.id) < (:before_at, :before_id)
    ORDER BY x.dead_at DESC, x.id DESC LIMIT :limit)
  ORDER BY y.dead_at DESC, y.id DESC LIMIT :limit)
SELECT @dead_shown @dead_places JOIN picked ON picked.id = d.id
ORDER BY d.dead_at DESC, d.id DESC;

-- name: view_dead_of_all [postgres]
WITH @dead_heads,
picked AS MATERIALIZED (
  SELECT y.id FROM heads CROSS JOIN LATERAL (
    SELECT x.id, x.dead_at FROM dead AS x
    WHERE x.generation = heads.generation AND (x.dead_at, x.id) < (:before_at, :before_id)
    ORDER BY x.dead_at DESC, x.id DESC LIMIT :limit) AS y
  ORDER BY y.dead_at DESC, y.id DESC LIMIT :limit)
SELECT @dead_shown @dead_places JOIN picked ON picked.id = d.id
ORDER BY d.dead_at DESC, d.id DESC;

-- How many messages each subscription is posting now.
-- name: view_pushing
SELECT s.id, (SELECT count(*) FROM leased AS l WHERE l.holder = -s.id AND l.holder < 0 AND l.lease_until > :now)
FROM subscriptions AS s WHERE s.queue_id = :queue_id AND s.ended_at IS NULL;

-- Whose dead letters go to a queue: by their own settings, or by those of a subscription.
-- name: view_dependents
SELECT q.name FROM queues AS q
WHERE q.deleted_at IS NULL AND q.id IN (
  SELECT d.id FROM queues AS d WHERE d.dead_letter_id = :queue_id AND d.deleted_at IS NULL
  UNION ALL
  SELECT s.queue_id FROM subscriptions AS s WHERE s.dead_letter_id = :queue_id AND s.ended_at IS NULL)
ORDER BY q.name LIMIT :limit;
