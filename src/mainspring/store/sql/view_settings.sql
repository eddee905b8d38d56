-- What the screens show of the server itself.

-- Each count goes no further than `most`, so that it costs little however much there is.
-- name: view_rows
SELECT 'schedules', (SELECT count(*) FROM (SELECT 1 FROM schedules LIMIT :most) AS n)
UNION ALL SELECT 'runs', (SELECT count(*) FROM (SELECT 1 FROM runs LIMIT :most) AS n)
UNION ALL SELECT 'attempts', (SELECT count(*) FROM (SELECT 1 FROM attempts LIMIT :most) AS n)
UNION ALL SELECT 'messages', (SELECT count(*) FROM (SELECT 1 FROM messages LIMIT :most) AS n)
UNION ALL SELECT 'dead', (SELECT count(*) FROM (SELECT 1 FROM dead LIMIT :most) AS n)
UNION ALL SELECT 'pushes', (SELECT count(*) FROM (SELECT 1 FROM pushes LIMIT :most) AS n)
UNION ALL SELECT 'deliveries', (SELECT count(*) FROM (SELECT 1 FROM deliveries LIMIT :most) AS n)
UNION ALL SELECT 'audit', (SELECT count(*) FROM (SELECT 1 FROM audit LIMIT :most) AS n)
UNION ALL SELECT 'tasks', (SELECT count(*) FROM (SELECT 1 FROM agent_tasks LIMIT :most) AS n)
UNION ALL SELECT 'results', (SELECT count(*) FROM (SELECT 1 FROM script_results LIMIT :most) AS n)
UNION ALL SELECT 'crontab_results', (SELECT count(*) FROM (SELECT 1 FROM crontab_results LIMIT :most) AS n)
UNION ALL SELECT 'samples', (SELECT count(*) FROM (SELECT 1 FROM queue_samples LIMIT :most) AS n)
UNION ALL SELECT 'idempotency', (SELECT count(*) FROM (SELECT 1 FROM idempotency LIMIT :most) AS n);

-- name: view_file [sqlite only]
SELECT c.page_count, f.freelist_count, s.page_size, d.file
FROM pragma_page_count() AS c, pragma_freelist_count() AS f, pragma_page_size() AS s, pragma_database_list() AS d
WHERE d.name = 'main';

-- name: view_nodes [postgres only]
SELECT number, name, started_at, seen_at, lease_until > @database_now FROM nodes ORDER BY number;
