-- The public halves of the keys that signed receipts; none is ever removed, so that old receipts can be checked.
CREATE TABLE receipt_keys (
    id         TEXT    PRIMARY KEY,
    public_pem TEXT    NOT NULL,
    -- When it was first used, in milliseconds since 1970.
    since      INTEGER NOT NULL
);

-- One receipt for each commit that a run made; published again, a run has the same one.
CREATE TABLE receipts (
    digest      TEXT    PRIMARY KEY,
    run_id      TEXT    NOT NULL REFERENCES runs (id),
    head_commit TEXT    NOT NULL,
    key_id      TEXT    NOT NULL REFERENCES receipt_keys (id),
    -- The signed envelope, one line of JSON.
    envelope    TEXT    NOT NULL,
    made_at     INTEGER NOT NULL,
    UNIQUE (run_id, head_commit)
);
