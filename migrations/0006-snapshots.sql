-- What spaces were folded to at some time: derived from ops, read at a start, and made again whenever it does not fit them.
CREATE TABLE snapshots (
  space TEXT PRIMARY KEY CHECK (length(space) = 32),
  bytes BLOB NOT NULL
) STRICT;
