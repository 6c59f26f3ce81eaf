-- How many runs a brief's user and its repository may have at a time, as the policy said when it was queued;
-- empty for any number.
ALTER TABLE tasks ADD COLUMN user_at_a_time INTEGER;
ALTER TABLE tasks ADD COLUMN repository_at_a_time INTEGER;

-- What was queued within a day is counted before more is.
CREATE INDEX tasks_by_age ON tasks (queued_at);

-- The runs that work now, with whose they are and where.
CREATE VIEW running AS
    SELECT runs.id AS run, briefs.requested_by_id AS user, briefs.repository_id AS repository
    -- In this order: few tasks run, and a repository or a user may have had very many briefs.
    FROM tasks
        CROSS JOIN runs ON runs.task_id = tasks.id AND runs.epoch = tasks.epoch AND runs.state = 'running'
        CROSS JOIN briefs ON briefs.id = tasks.brief_id
    WHERE tasks.state = 'running';
