-- What merges computed, tensor by tensor. A row lets nothing live: it goes with the blob it names.
CREATE TABLE tensor_results (
  key      TEXT PRIMARY KEY CHECK (length(key) = 64),
  root     TEXT NOT NULL CHECK (length(root) = 64),
  scalars  TEXT NOT NULL, -- JSON
  merge_id TEXT NOT NULL CHECK (length(merge_id) = 64)
) STRICT, WITHOUT ROWID;
CREATE INDEX tensor_results_by_root ON tensor_results (root);
CREATE INDEX tensor_results_by_merge ON tensor_results (merge_id);

-- Which contents went into a merge that left results.
CREATE TABLE tensor_result_sources (
  content  TEXT NOT NULL CHECK (length(content) = 64),
  merge_id TEXT NOT NULL CHECK (length(merge_id) = 64),
  PRIMARY KEY (content, merge_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX tensor_result_sources_by_merge ON tensor_result_sources (merge_id);
