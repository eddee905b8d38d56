-- Only where several processes share a database. All instants here are the database's own.

-- fragment: database_now
(extract(epoch FROM clock_timestamp()) * 1000)::bigint

-- name: database_clock [postgres only]
SELECT @database_now;

-- name: describe_database [postgres only]
SELECT current_setting('server_version'), pg_database_size(current_database());

-- The lowest number that is nobody's. When two nodes choose the same one, the second finds its lease taken and gets
-- no row: it chooses again.
-- name: take_node [postgres only]
INSERT INTO nodes (number, name, incarnation, started_at, seen_at, lease_until)
SELECT free.number, :name, :incarnation, free.now, free.now, free.now + :lease
FROM (SELECT n.number, @database_now AS now FROM generate_series(0, 1023) AS n (number)
      WHERE NOT EXISTS (SELECT 1 FROM nodes AS o WHERE o.number = n.number AND o.lease_until > @database_now)
      ORDER BY n.number LIMIT 1) AS free
ON CONFLICT (number) DO UPDATE SET
  name = excluded.name, incarnation = excluded.incarnation, started_at = excluded.started_at,
  seen_at = excluded.seen_at, lease_until = excluded.lease_until
WHERE nodes.lease_until <= excluded.seen_at
RETURNING number;

-- Also after the lease was over, as long as nobody else has taken the number.
-- name: renew_node [postgres only]
UPDATE nodes SET seen_at = @database_now, lease_until = @database_now + :lease
WHERE number = :number AND incarnation = :incarnation
RETURNING number;

-- name: free_node [postgres only]
UPDATE nodes SET lease_until = 0 WHERE number = :number AND incarnation = :incarnation;
