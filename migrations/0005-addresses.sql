-- Where replicas say they can be dialed: of each the latest record, as it signed it.
CREATE TABLE addresses (
  rid           TEXT PRIMARY KEY CHECK (length(rid) = 64),
  record        BLOB NOT NULL,
  told_by       TEXT NOT NULL CHECK (length(told_by) = 64), -- by whom it came; the replica itself, where it did
  learned_at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
