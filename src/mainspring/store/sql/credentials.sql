-- fragment: key_columns
id, number, project, kind, name, lookup, digest, shown, scopes, limits, valid_from, valid_until, created_at,
last_used_at, revoked_at, bootstrap, username, password

-- name: key_by_digest
SELECT @key_columns FROM credentials WHERE digest = :digest;

-- name: get_key
SELECT @key_columns FROM credentials WHERE id = :id AND project = :project;

-- name: token_by_lookup
SELECT @key_columns FROM credentials WHERE lookup = :name AND kind <> 'key' AND revoked_at IS NULL;

-- name: token_by_username
SELECT @key_columns FROM credentials WHERE username = :name AND kind <> 'key' AND revoked_at IS NULL;

-- name: page_tokens
SELECT @key_columns FROM credentials WHERE kind <> 'key' AND revoked_at IS NULL AND number > :after
ORDER BY number LIMIT :limit;

-- name: edit_token
UPDATE credentials SET limits = :limits, scopes = :scopes
WHERE id = :id AND kind = 'token' AND revoked_at IS NULL RETURNING id;

-- name: delete_token
DELETE FROM credentials WHERE id = :id AND kind = 'token' RETURNING id;

-- name: set_password
UPDATE credentials SET password = :password WHERE id = :id AND kind <> 'key' RETURNING id;

-- name: set_digest
UPDATE credentials SET digest = :digest WHERE id = :id AND kind = 'token' RETURNING id;

-- name: insert_key
INSERT INTO credentials (id, number, project, kind, name, lookup, digest, shown, scopes, limits,
                         valid_from, valid_until, created_at, bootstrap, username, password)
VALUES (:id, :number, :project, :kind, :name, :lookup, :digest, :shown, :scopes, :limits,
        :valid_from, :valid_until, :created_at, :bootstrap, :username, :password);

-- name: page_keys
SELECT @key_columns FROM credentials
WHERE (project = :project OR :project IS NULL) AND kind = 'key' AND id < :before
ORDER BY id DESC LIMIT :limit;

-- name: expire_key
UPDATE credentials SET valid_until = :valid_until
WHERE id = :id AND project = :project AND (valid_until IS NULL OR valid_until > :valid_until);

-- name: revoke_key
UPDATE credentials SET revoked_at = :now
WHERE id = :id AND project = :project AND revoked_at IS NULL RETURNING id;

-- One node after the other: of two that start with the same new key, one inserts it.
-- name: hold_bootstrap [postgres only]
SELECT pg_advisory_xact_lock(19795, 2);

-- A bootstrap key set by hand replaces the one before it, and may go by the names that one had.
-- name: retire_bootstrap
UPDATE credentials SET revoked_at = :now, lookup = NULL, username = NULL
WHERE bootstrap = 1 AND kind = :kind AND digest <> :digest AND revoked_at IS NULL RETURNING id;

-- name: valid_bootstraps
SELECT @key_columns FROM credentials
WHERE bootstrap = 1 AND kind = :kind AND revoked_at IS NULL AND (valid_until IS NULL OR valid_until >= :now);

-- name: restore_bootstrap
UPDATE credentials SET revoked_at = NULL, valid_until = NULL, lookup = :lookup, username = :username
WHERE bootstrap = 1 AND digest = :digest;

-- Never back: another node may have seen it used later. Rows come in order of id.
-- name: touch_keys
WITH @rows(v: id bigint, last_used_at bigint)
UPDATE credentials SET last_used_at = v.last_used_at FROM v
WHERE credentials.id = v.id AND COALESCE(credentials.last_used_at, 0) < v.last_used_at;
