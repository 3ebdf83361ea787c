-- Other replicas: those the operator named, and those that peers told of.
CREATE TABLE peers (
  url          TEXT PRIMARY KEY,
  origin       TEXT NOT NULL CHECK (origin IN ('operator', 'learned')),
  rid          TEXT CHECK (rid IS NULL OR length(rid) = 64), -- who answered there last
  added_at_ms  INTEGER NOT NULL,
  last_seen_ms INTEGER
) STRICT, WITHOUT ROWID;

-- Tensors that are being fetched: which chunks are durable in the temporary file, a bit each.
CREATE TABLE fetches (
  root          TEXT PRIMARY KEY CHECK (length(root) = 64),
  bytes         INTEGER NOT NULL CHECK (bytes > 0),
  temporary     TEXT NOT NULL UNIQUE,
  chunks        BLOB NOT NULL,
  updated_at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
