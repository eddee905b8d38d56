-- What the screens show of scripts.

-- fragment: ran_state
CASE WHEN COALESCE(r.finish_time, CASE WHEN r.ends_by < :now THEN r.ends_by END) IS NULL THEN 'running'
     WHEN r.result IS NULL THEN 'failure' ELSE 'success' END

-- name: view_scripts
WITH page AS (
  SELECT name, description, route, run_ms, stack, heap, length(source) AS size, updated_at FROM scripts
  WHERE name > :after
    AND (CAST(:search AS text) = '' OR replace(lower(name || ' ' || COALESCE(route, '')), CAST(:search AS text), '')
                                       <> lower(name || ' ' || COALESCE(route, '')))
  ORDER BY name LIMIT :limit)
SELECT p.name, p.description, p.route, p.run_ms, p.stack, p.heap, p.size, p.updated_at,
       r.number, r.start_time, COALESCE(r.finish_time, CASE WHEN r.ends_by < :now THEN r.ends_by END),
       CASE WHEN r.number IS NULL THEN NULL ELSE @ran_state END
FROM page AS p
LEFT JOIN script_results AS r ON r.number = (
  SELECT n.number FROM script_results AS n WHERE n.script_name = p.name ORDER BY n.start_time DESC, n.number DESC LIMIT 1)
ORDER BY p.name;

-- Only the beginning of what a run said is read.
-- fragment: seen_results
SELECT r.number, r.script_name, r.run_type, r.start_time,
       COALESCE(r.finish_time, CASE WHEN r.ends_by < :now THEN r.ends_by END) AS ended,
       CASE WHEN COALESCE(r.finish_time, CASE WHEN r.ends_by < :now THEN r.ends_by END) IS NULL THEN 'running'
            WHEN r.result IS NULL THEN 'failure' ELSE 'success' END AS state,
       substr(CASE WHEN r.finish_time IS NULL AND r.ends_by < :now THEN CAST(:lost AS text)
                   ELSE COALESCE(r.error, r.result, '') END, 1, 200) AS said
FROM script_results AS r
WHERE r.start_time >= :since AND (r.start_time, r.number) < (:before_at, :before)
  AND (CAST(:run_type AS text) IS NULL OR r.run_type = :run_type)
  AND (CAST(:state AS text) IS NULL
       OR :state = CASE WHEN COALESCE(r.finish_time, CASE WHEN r.ends_by < :now THEN r.ends_by END) IS NULL THEN 'running'
                        WHEN r.result IS NULL THEN 'failure' ELSE 'success' END)

-- name: view_script_results
@seen_results ORDER BY r.start_time DESC, r.number DESC LIMIT :limit;

-- Those under way are few, and have an index of their own; `+ 0` keeps away the one by age.
-- name: view_running_results
@seen_results AND r.number IN (SELECT n.number FROM script_results AS n WHERE n.finish_time IS NULL)
ORDER BY r.start_time + 0 DESC, r.number DESC LIMIT :limit;

-- Of one script, by its own index.
-- name: view_results_of_script
@seen_results AND r.script_name = :name ORDER BY r.start_time DESC, r.number DESC LIMIT :limit;
