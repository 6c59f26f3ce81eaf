-- The policy that each repository's lanes were last decided by, so that a change of it is entered once.
CREATE TABLE policies (
    repository_id INTEGER NOT NULL,
    lane TEXT NOT NULL,
    version TEXT NOT NULL,
    seen_at INTEGER NOT NULL,
    PRIMARY KEY (repository_id, lane)
) STRICT;
