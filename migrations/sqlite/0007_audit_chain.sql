-- The audit log becomes a chain: each entry is one line of JSON that holds the hash of the one before.
-- SQLite has no SHA-256, so the program chains what is in `audit_unchained` when it opens the store next, and
-- drops that table in the same transaction.
DROP TRIGGER audit_is_never_changed;
DROP TRIGGER audit_is_never_removed;
DROP INDEX audit_of_task;
ALTER TABLE audit RENAME TO audit_unchained;

CREATE TABLE audit (
    sequence INTEGER PRIMARY KEY,
    -- The canonical JSON without `hash`, and the SHA-256 of it, in hex.
    entry    TEXT NOT NULL,
    hash     TEXT NOT NULL,
    -- Read from the entry, so that they cannot say anything else.
    action   TEXT    GENERATED ALWAYS AS (json_extract(entry, '$.action')) VIRTUAL,
    actor_id         GENERATED ALWAYS AS (json_extract(entry, '$.actor.id')) VIRTUAL,
    task_id  INTEGER GENERATED ALWAYS AS (json_extract(entry, '$.target.task')) VIRTUAL
);
CREATE INDEX audit_of_task ON audit (task_id, sequence) WHERE task_id IS NOT NULL;
CREATE INDEX audit_of_action ON audit (action, sequence);
CREATE TRIGGER audit_is_never_changed BEFORE UPDATE ON audit
    BEGIN SELECT RAISE(ABORT, 'the audit log is never changed'); END;
CREATE TRIGGER audit_is_never_removed BEFORE DELETE ON audit
    BEGIN SELECT RAISE(ABORT, 'the audit log is never removed'); END;

-- The last entry that is known to be in the sink.
CREATE TABLE audit_sink (
    one      INTEGER PRIMARY KEY CHECK (one = 1),
    sequence INTEGER NOT NULL
);
