-- Leases, retries, missed deliveries, and what outlives every clean-up.

ALTER TABLE deliveries ADD COLUMN origin TEXT NOT NULL DEFAULT 'webhook' CHECK (origin IN ('webhook', 'rescan'));

-- 1 when the text was deleted; what is delivered of it later does nothing.
ALTER TABLE sources ADD COLUMN gone INTEGER NOT NULL DEFAULT 0;

-- Threads that were closed or deleted and not opened again; texts from before that time do nothing.
CREATE TABLE closed_threads (
    repository_id INTEGER NOT NULL,
    number        INTEGER NOT NULL,
    closed_at     INTEGER NOT NULL,
    PRIMARY KEY (repository_id, number)
) WITHOUT ROWID;

-- Where a repository was seen last: names and owners change, ids stay.
CREATE TABLE repositories (
    id              INTEGER PRIMARY KEY,
    name            TEXT    NOT NULL,
    installation_id INTEGER NOT NULL,
    seen_at         INTEGER NOT NULL
);

CREATE INDEX briefs_of_thread ON briefs (repository_id, thread_number);

-- `not_before` holds a retry back; `retries` and `losses` count the runs that ended so; `reason` tells
-- people why a task is blocked or cancelled.
ALTER TABLE tasks ADD COLUMN not_before INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tasks ADD COLUMN retries INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tasks ADD COLUMN losses INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tasks ADD COLUMN reason TEXT;
CREATE INDEX tasks_blocked ON tasks (id) WHERE state = 'blocked';

-- `reason` tells why a run had no result: what interrupted it, or how it was lost.
ALTER TABLE runs ADD COLUMN lease_until INTEGER NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN reason TEXT;

-- SQLite cannot widen a CHECK; the table is made anew.
CREATE TABLE effects_new (
    id              INTEGER PRIMARY KEY,
    key             TEXT    NOT NULL UNIQUE,
    kind            TEXT    NOT NULL CHECK (kind IN ('comment', 'reaction', 'publish', 'check_run', 'label')),
    installation_id INTEGER NOT NULL,
    repository_id   INTEGER NOT NULL,
    repository      TEXT    NOT NULL,
    thread_number   INTEGER NOT NULL,
    payload         TEXT    NOT NULL,
    version         INTEGER NOT NULL DEFAULT 1,
    state           TEXT    NOT NULL DEFAULT 'owed' CHECK (state IN ('owed', 'done', 'given_up')),
    remote_id       INTEGER,
    attempts        INTEGER NOT NULL DEFAULT 0,
    not_before      INTEGER NOT NULL DEFAULT 0,
    reason          TEXT,
    -- When it was last written, and how often it was written anew after somebody deleted it.
    written_at      INTEGER NOT NULL DEFAULT 0,
    rewritten       INTEGER NOT NULL DEFAULT 0
);
INSERT INTO effects_new (id, key, kind, installation_id, repository_id, repository, thread_number, payload,
        version, state, remote_id, attempts, not_before, reason)
    SELECT id, key, kind, installation_id, repository_id, repository, thread_number, payload,
        version, state, remote_id, attempts, not_before, reason FROM effects;
DROP TABLE effects;
ALTER TABLE effects_new RENAME TO effects;
-- Runs that an earlier version had judged and not published yet are owed now.
INSERT INTO effects (key, kind, installation_id, repository_id, repository, thread_number, payload)
    SELECT 'publish:' || runs.id, 'publish', briefs.installation_id, briefs.repository_id, briefs.repository,
        briefs.thread_number, json_object('kind', 'publish', 'run', runs.id)
    FROM runs JOIN tasks ON tasks.id = runs.task_id AND tasks.epoch = runs.epoch
        JOIN briefs ON briefs.id = tasks.brief_id
    WHERE runs.state = 'judged' AND tasks.state = 'running';
CREATE INDEX effects_owed ON effects (installation_id, id) WHERE state = 'owed';
CREATE INDEX effects_of_thread ON effects (repository_id, thread_number, id) WHERE state = 'owed';
CREATE INDEX effects_written ON effects (written_at) WHERE written_at > 0;

-- What happened to tasks, by whom; nothing of it is ever changed or removed.
CREATE TABLE audit (
    id      INTEGER PRIMARY KEY,
    at      INTEGER NOT NULL,
    task_id INTEGER,
    run_id  TEXT,
    event   TEXT    NOT NULL,
    actor   TEXT    NOT NULL,
    detail  TEXT    NOT NULL
);
CREATE INDEX audit_of_task ON audit (task_id, id);
CREATE TRIGGER audit_is_never_changed BEFORE UPDATE ON audit
    BEGIN SELECT RAISE(ABORT, 'the audit log is never changed'); END;
CREATE TRIGGER audit_is_never_removed BEFORE DELETE ON audit
    BEGIN SELECT RAISE(ABORT, 'the audit log is never removed'); END;

-- Times in which deliveries were missed, and what became of each.
CREATE TABLE gaps (
    id        INTEGER PRIMARY KEY,
    from_at   INTEGER NOT NULL,
    to_at     INTEGER NOT NULL,
    found_at  INTEGER NOT NULL,
    closed_at INTEGER
);
CREATE TABLE missed (
    id      INTEGER PRIMARY KEY,
    gap_id  INTEGER NOT NULL REFERENCES gaps (id),
    -- The GUID of a delivery, or what names a text that a rescan found.
    name    TEXT    NOT NULL UNIQUE,
    what    TEXT    NOT NULL,
    at      INTEGER NOT NULL,
    state   TEXT    NOT NULL DEFAULT 'missed' CHECK (state IN ('missed', 'asked', 'recovered', 'lost')),
    asked   INTEGER NOT NULL DEFAULT 0,
    reason  TEXT
);

-- Times by name: when the server was last alive, until when the delivery log was read.
CREATE TABLE marks (
    name TEXT    PRIMARY KEY,
    at   INTEGER NOT NULL
) WITHOUT ROWID;
