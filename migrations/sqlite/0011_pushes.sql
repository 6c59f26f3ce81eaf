-- The commits that the App puts on branches, entered before they are: a branch that is at another commit is
-- somebody else's, and left alone.
CREATE TABLE pushes (
    repository_id INTEGER NOT NULL,
    branch        TEXT    NOT NULL,
    commit_id     TEXT    NOT NULL,
    run_id        TEXT    NOT NULL,
    PRIMARY KEY (repository_id, branch, commit_id)
) WITHOUT ROWID;
