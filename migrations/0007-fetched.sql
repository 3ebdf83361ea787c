-- What of other replicas' models is here, and which space it is here for: uploads are never in it.
CREATE TABLE fetched (
  model TEXT PRIMARY KEY CHECK (length(model) = 64),
  space TEXT NOT NULL CHECK (length(space) = 32),
  bytes INTEGER NOT NULL CHECK (bytes >= 0)
) STRICT, WITHOUT ROWID;

-- Its sum for each space.
CREATE TABLE fetched_of_spaces (
  space TEXT PRIMARY KEY CHECK (length(space) = 32),
  bytes INTEGER NOT NULL CHECK (bytes >= 0)
) STRICT, WITHOUT ROWID;
