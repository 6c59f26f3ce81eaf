-- Times are milliseconds since 1970. Unique keys carry the exactly-once promise.

CREATE TABLE deliveries (
    id          INTEGER PRIMARY KEY,
    guid        TEXT    NOT NULL UNIQUE,
    event       TEXT    NOT NULL,
    body        BLOB    NOT NULL,
    received_at INTEGER NOT NULL,
    state       TEXT    NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'processed', 'ignored', 'failed')),
    reason      TEXT,
    attempts    INTEGER NOT NULL DEFAULT 0,
    not_before  INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX deliveries_pending ON deliveries (id) WHERE state = 'pending';

-- The newest version of each text that was seen, so that a late delivery of an older one does nothing.
CREATE TABLE sources (
    repository_id INTEGER NOT NULL,
    kind          TEXT    NOT NULL,
    source_id     INTEGER NOT NULL,
    updated_at    INTEGER NOT NULL,
    PRIMARY KEY (repository_id, kind, source_id)
) WITHOUT ROWID;

CREATE TABLE briefs (
    id              TEXT    PRIMARY KEY,
    repository_id   INTEGER NOT NULL,
    repository      TEXT    NOT NULL,
    installation_id INTEGER NOT NULL,
    source_kind     TEXT    NOT NULL,
    source_id       INTEGER NOT NULL,
    source_url      TEXT    NOT NULL,
    block_index     INTEGER NOT NULL,
    text_digest     TEXT    NOT NULL,
    text            TEXT    NOT NULL,
    thread_number   INTEGER NOT NULL,
    thread_title    TEXT    NOT NULL,
    requested_by    TEXT    NOT NULL,
    requested_by_id INTEGER NOT NULL,
    author          TEXT    NOT NULL,
    author_id       INTEGER NOT NULL,
    delivery_guid   TEXT    NOT NULL,
    UNIQUE (repository_id, source_kind, source_id, block_index, text_digest)
);

CREATE TABLE tasks (
    id           INTEGER PRIMARY KEY,
    brief_id     TEXT    NOT NULL UNIQUE REFERENCES briefs (id),
    lane         TEXT    NOT NULL,
    state        TEXT    NOT NULL CHECK (state IN ('queued', 'running', 'done', 'failed', 'blocked', 'cancelled')),
    block_reason TEXT,
    epoch        INTEGER NOT NULL DEFAULT 0,
    queued_at    INTEGER NOT NULL,
    changed_at   INTEGER NOT NULL
);
CREATE INDEX tasks_waiting ON tasks (lane, id) WHERE state = 'queued';
CREATE INDEX tasks_running ON tasks (id) WHERE state = 'running';

CREATE TABLE runs (
    id         TEXT    PRIMARY KEY,
    task_id    INTEGER NOT NULL REFERENCES tasks (id),
    epoch      INTEGER NOT NULL,
    state      TEXT    NOT NULL CHECK (state IN ('running', 'judged', 'finished', 'lost')),
    started_at INTEGER NOT NULL,
    ended_at   INTEGER,
    report     TEXT,
    changeset  TEXT,
    UNIQUE (task_id, epoch)
);

-- One GitHub write that is owed; `key` names it, so that owing it twice is owing it once.
CREATE TABLE effects (
    id              INTEGER PRIMARY KEY,
    key             TEXT    NOT NULL UNIQUE,
    kind            TEXT    NOT NULL CHECK (kind IN ('comment', 'reaction')),
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
    reason          TEXT
);
CREATE INDEX effects_owed ON effects (id) WHERE state = 'owed';
