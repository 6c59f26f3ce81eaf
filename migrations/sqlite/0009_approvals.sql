-- What waits, or waited, for somebody's approval, and what was decided. A task whose approval does not
-- count any more gets another row; the last one is the present one.
CREATE TABLE approvals (
    id             INTEGER PRIMARY KEY,
    task_id        INTEGER NOT NULL REFERENCES tasks (id),
    digest         TEXT    NOT NULL,
    needed         TEXT    NOT NULL CHECK (needed IN ('required', 'second-person')),
    base_commit    TEXT    NOT NULL,
    policy_version TEXT    NOT NULL,
    -- The lane's settings that the version stands for, JSON, so that a change can be told.
    policy         TEXT    NOT NULL,
    asked_at       INTEGER NOT NULL,
    -- 0 for never.
    expires_at     INTEGER NOT NULL,
    state          TEXT    NOT NULL DEFAULT 'asked'
        CHECK (state IN ('asked', 'approved', 'rejected', 'expired', 'void')),
    -- Who decided, when and why; why it does not count, where it does not.
    decided_at     INTEGER,
    actor          TEXT,
    actor_id       INTEGER,
    reason         TEXT
);
CREATE INDEX approvals_of_task ON approvals (task_id, id);
CREATE INDEX approvals_of_digest ON approvals (digest);
CREATE UNIQUE INDEX approvals_open ON approvals (task_id) WHERE state IN ('asked', 'approved');
CREATE INDEX approvals_asked ON approvals (expires_at) WHERE state = 'asked';
