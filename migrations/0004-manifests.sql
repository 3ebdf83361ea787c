-- Manifests of models whose bytes are not here: what a merge is resolved with before it can run.
CREATE TABLE manifests (
  model         TEXT PRIMARY KEY CHECK (length(model) = 64),
  content       TEXT NOT NULL CHECK (length(content) = 64),
  manifest      BLOB NOT NULL,
  fetched_at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX manifests_by_content ON manifests (content);
