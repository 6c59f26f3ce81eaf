-- Tells that what is owed shows a task as it goes on: it is made when it is written, waits for a quiet moment, and
-- yields to all else.
ALTER TABLE effects ADD COLUMN progress INTEGER NOT NULL DEFAULT 0 CHECK (progress IN (0, 1));
