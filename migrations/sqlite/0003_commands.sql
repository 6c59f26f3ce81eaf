-- Commands of comments, and stops that outlive the process.

-- Commands that were looked at, so that an edit of their text does not repeat them; `nth` counts equal
-- ones of a text.
CREATE TABLE commands (
    repository_id INTEGER NOT NULL,
    kind          TEXT    NOT NULL,
    source_id     INTEGER NOT NULL,
    command       TEXT    NOT NULL,
    nth           INTEGER NOT NULL,
    PRIMARY KEY (repository_id, kind, source_id, command, nth)
) WITHOUT ROWID;

-- Who wants the task's run stopped, and why; empty again once the task has ended.
ALTER TABLE tasks ADD COLUMN stop_by TEXT;
ALTER TABLE tasks ADD COLUMN stop_why TEXT;

-- When the last stop of everything in the thread was written; texts from before do nothing any more.
ALTER TABLE closed_threads ADD COLUMN stopped_at INTEGER NOT NULL DEFAULT 0;
-- When the thread was opened again last. GitHub tells whole seconds, so this decides for a text that was
-- written in the second of the closing.
ALTER TABLE closed_threads ADD COLUMN reopened_at INTEGER NOT NULL DEFAULT 0;
