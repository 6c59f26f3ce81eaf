-- Who brought a block into a text first, whether it was accepted or not: nobody else's edit runs what was
-- refused.
CREATE TABLE blocks (
    repository_id INTEGER NOT NULL,
    kind          TEXT    NOT NULL,
    source_id     INTEGER NOT NULL,
    text_digest   TEXT    NOT NULL,
    sender        TEXT    NOT NULL,
    sender_id     INTEGER NOT NULL,
    PRIMARY KEY (repository_id, kind, source_id, text_digest)
) WITHOUT ROWID;
