-- The first schema. Ids are lowercase hex, times are Unix milliseconds, bytes are as they were hashed.

CREATE TABLE migrations (
  version       INTEGER PRIMARY KEY,
  name          TEXT NOT NULL,
  sha256        TEXT NOT NULL,
  applied_at_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE settings (
  key   TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE leases (
  rid   TEXT PRIMARY KEY CHECK (length(rid) = 64),
  epoch INTEGER NOT NULL CHECK (epoch >= 0),
  nonce TEXT NOT NULL,
  place TEXT NOT NULL, -- which database file it was taken in: a copy is another
  clean INTEGER NOT NULL CHECK (clean IN (0, 1))
) STRICT, WITHOUT ROWID;

CREATE TABLE models (
  id            TEXT PRIMARY KEY CHECK (length(id) = 64),
  content       TEXT NOT NULL CHECK (length(content) = 64),
  manifest      BLOB NOT NULL,
  created_at_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX models_by_content ON models (content, created_at_ms, id);
CREATE INDEX models_by_age ON models (created_at_ms, id);

CREATE TABLE model_blobs (
  model  TEXT NOT NULL REFERENCES models (id) ON DELETE CASCADE,
  kind   TEXT NOT NULL CHECK (kind IN ('tensor', 'file')),
  digest TEXT NOT NULL CHECK (length(digest) = 64),
  PRIMARY KEY (model, kind, digest)
) STRICT, WITHOUT ROWID;
CREATE INDEX model_blobs_by_blob ON model_blobs (kind, digest);

-- Append-only. What the columns say is copied from the bytes.
CREATE TABLE ops (
  id        TEXT PRIMARY KEY CHECK (length(id) = 64),
  space     TEXT NOT NULL CHECK (length(space) = 32),
  g         INTEGER NOT NULL,
  rid       TEXT NOT NULL CHECK (length(rid) = 64),
  ep        INTEGER NOT NULL,
  seq       INTEGER NOT NULL,
  t         TEXT NOT NULL,
  hlc       INTEGER NOT NULL,
  bytes     BLOB NOT NULL,
  signature BLOB NOT NULL CHECK (length(signature) = 64)
) STRICT;
CREATE INDEX ops_in_order ON ops (space, hlc, id);
CREATE INDEX ops_by_slot ON ops (space, g, rid, ep, seq, id);

CREATE TABLE spaces (
  id            TEXT PRIMARY KEY CHECK (length(id) = 32),
  name          TEXT NOT NULL,
  init          TEXT NOT NULL CHECK (length(init) = 64),
  adopted_at_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX spaces_by_name ON spaces (name, id);

-- Append-only: the first receipt of a merge stands.
CREATE TABLE receipts (
  merge_id      TEXT PRIMARY KEY CHECK (length(merge_id) = 64),
  statement     BLOB NOT NULL,
  statement_id  TEXT NOT NULL CHECK (length(statement_id) = 64),
  about         BLOB NOT NULL,
  about_id      TEXT NOT NULL CHECK (length(about_id) = 64),
  created_at_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX receipts_by_statement ON receipts (statement_id);

-- One row a merge, however many spaces ask for it.
CREATE TABLE jobs (
  merge_id      TEXT PRIMARY KEY CHECK (length(merge_id) = 64),
  space         TEXT NOT NULL CHECK (length(space) = 32),
  root          TEXT NOT NULL CHECK (length(root) = 64),
  request       TEXT NOT NULL,
  state         TEXT NOT NULL CHECK (state IN ('queued', 'running', 'done', 'failed', 'cancelled', 'blocked')),
  bytes_done    INTEGER NOT NULL CHECK (bytes_done >= 0),
  bytes_total   INTEGER NOT NULL CHECK (bytes_total >= 0),
  error         TEXT CHECK (error IS NULL OR state IN ('failed', 'blocked')),
  output        TEXT CHECK (output IS NULL OR state = 'done'),
  created_at_ms INTEGER NOT NULL,
  queued_at_ms  INTEGER NOT NULL,
  updated_at_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX jobs_by_state ON jobs (state, queued_at_ms, merge_id);

CREATE TABLE job_askings (
  space       TEXT NOT NULL CHECK (length(space) = 32),
  merge_id    TEXT NOT NULL REFERENCES jobs (merge_id) ON DELETE CASCADE,
  root        TEXT NOT NULL CHECK (length(root) = 64),
  asked_at_ms INTEGER NOT NULL,
  PRIMARY KEY (space, merge_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX job_askings_in_order ON job_askings (space, asked_at_ms DESC, merge_id);
CREATE INDEX job_askings_by_merge ON job_askings (merge_id);

CREATE TABLE uploads (
  id            TEXT PRIMARY KEY,
  created_at_ms INTEGER NOT NULL,
  expires_at_ms INTEGER NOT NULL,
  model         TEXT CHECK (model IS NULL OR length(model) = 64)
) STRICT;
CREATE INDEX uploads_by_expiry ON uploads (expires_at_ms, id);

CREATE TABLE upload_files (
  upload    TEXT NOT NULL REFERENCES uploads (id) ON DELETE CASCADE,
  path      TEXT NOT NULL,
  bytes     INTEGER NOT NULL CHECK (bytes >= 0),
  sha256    TEXT CHECK (sha256 IS NULL OR length(sha256) = 64),
  offset    INTEGER NOT NULL CHECK (offset BETWEEN 0 AND bytes),
  temporary TEXT NOT NULL UNIQUE,
  PRIMARY KEY (upload, path)
) STRICT, WITHOUT ROWID;

-- Why bytes are kept: a holder holds models or single blobs, which need not be here yet.
CREATE TABLE pins (
  holder TEXT NOT NULL,
  kind   TEXT NOT NULL CHECK (kind IN ('model', 'tensor', 'file')),
  digest TEXT NOT NULL CHECK (length(digest) = 64),
  PRIMARY KEY (holder, kind, digest)
) STRICT, WITHOUT ROWID;
CREATE INDEX pins_by_target ON pins (kind, digest, holder);

-- What a sweep found that nobody holds, and since when.
CREATE TABLE orphans (
  kind     TEXT NOT NULL CHECK (kind IN ('model', 'tensor', 'file')),
  digest   TEXT NOT NULL CHECK (length(digest) = 64),
  since_ms INTEGER NOT NULL,
  PRIMARY KEY (kind, digest)
) STRICT, WITHOUT ROWID;
