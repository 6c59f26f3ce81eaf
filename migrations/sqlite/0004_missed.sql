-- What kept the server from looking at once for what it missed in a gap.
ALTER TABLE gaps ADD COLUMN note TEXT;

-- What is waited for is looked up often, and little of it at a time.
CREATE INDEX missed_open ON missed (at) WHERE state IN ('missed', 'asked');
CREATE INDEX missed_of_gap ON missed (gap_id, at);
