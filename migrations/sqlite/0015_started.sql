-- Who started a task that waited for somebody, or had it run once more; empty where nobody had to.
ALTER TABLE tasks ADD COLUMN started_by TEXT;
ALTER TABLE tasks ADD COLUMN started_by_id INTEGER;
