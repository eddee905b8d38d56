-- The ledger of migrations on PostgreSQL; the embedded store has its own, beside its file.

-- One node after the other, for the whole transaction.
-- name: hold_migrations [postgres only]
SELECT pg_advisory_xact_lock(19795, 1);

-- name: make_ledger [postgres only]
CREATE TABLE IF NOT EXISTS migrations (
  number     bigint PRIMARY KEY,
  name       text NOT NULL,
  sha256     text NOT NULL,
  applied_at bigint NOT NULL
);

-- name: find_ledger [postgres only]
SELECT to_regclass('migrations') IS NOT NULL;

-- name: get_migrations [postgres only]
SELECT number, name, sha256 FROM migrations ORDER BY number;

-- name: note_migration [postgres only]
INSERT INTO migrations (number, name, sha256, applied_at) VALUES (:number, :name, :sha256, :applied_at);
