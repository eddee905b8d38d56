-- fragment: audit_columns
number, at, project, key_id, shown, ip, operation, object, fields, request_id, hash

-- After `take_numbers`, behind which the writers of all nodes queue: the hash of the newest entry.
-- name: audit_hash
SELECT hash FROM audit WHERE number = :number;

-- name: insert_audit
WITH @rows(v: number bigint, at bigint, project text, key_id bigint, shown text, ip text, operation text, object text, fields text, request_id text, hash bytea)
INSERT INTO audit (@audit_columns) SELECT @audit_columns FROM v WHERE true;

-- An object is also found as a part of what was named: `queue/subscription`, `old key/new key`.
-- name: page_audit
SELECT @audit_columns FROM audit
WHERE project = :project AND number < :before AND at >= :since
  AND (operation = :operation OR :operation IS NULL)
  AND (object = :object OR :object IS NULL
       OR replace('/' || object || '/', '/' || :object || '/', '') <> '/' || object || '/')
  AND (key_id = :key_id OR :key_id IS NULL)
ORDER BY number DESC LIMIT :limit;

-- In order from the oldest on; the newest stays whatever its age, for the next one is bound to it.
-- name: oldest_audit
SELECT number, at, hash FROM audit WHERE number < (SELECT MAX(number) FROM audit) ORDER BY number LIMIT :limit;

-- name: prune_audit
DELETE FROM audit WHERE number <= :number;

-- name: follow_audit
SELECT @audit_columns FROM audit WHERE number > :after ORDER BY number LIMIT :limit;

-- name: count_audit
SELECT value FROM counters WHERE name = 'audit';
