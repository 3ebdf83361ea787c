/** Results of tensors in SQLite. */
import type { ContentRoot, MergeId, TensorRoot } from '../../core/ids.ts'
import type { TensorResultRepository } from '../tensor-result-repository.ts'
import type { Database } from './database.ts'

export function createSqliteTensorResultRepository(db: Database): TensorResultRepository {
  interface Row {
    readonly key: string
    readonly root: TensorRoot
    readonly scalars: string
  }
  const insert = db.prepare<[string, TensorRoot, string, MergeId]>(
    'INSERT INTO tensor_results (key, root, scalars, merge_id) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING',
  )
  const insertSource = db.prepare<[ContentRoot, MergeId]>(
    'INSERT INTO tensor_result_sources (content, merge_id) VALUES (?, ?) ON CONFLICT DO NOTHING',
  )
  const select = db.prepare<[string], Row>('SELECT key, root, scalars FROM tensor_results WHERE key = ?')
  const selectMerges = db.prepare<[TensorRoot], { merge: MergeId }>(
    'SELECT DISTINCT merge_id AS merge FROM tensor_results WHERE root = ?',
  )
  const deleteRoot = db.prepare<[TensorRoot]>('DELETE FROM tensor_results WHERE root = ?')
  const deleteIdleSources = db.prepare<[MergeId, MergeId]>(`
    DELETE FROM tensor_result_sources WHERE merge_id = ?
    AND NOT EXISTS (SELECT 1 FROM tensor_results WHERE merge_id = ?)`)
  const selectMergesOf = db.prepare<[ContentRoot], { merge: MergeId }>(
    'SELECT merge_id AS merge FROM tensor_result_sources WHERE content = ?',
  )
  const deleteMerge = db.prepare<[MergeId]>('DELETE FROM tensor_results WHERE merge_id = ?')
  const deleteSources = db.prepare<[MergeId]>('DELETE FROM tensor_result_sources WHERE merge_id = ?')
  const countAll = db.prepare<[], { count: number }>('SELECT count(*) AS count FROM tensor_results')

  return {
    put: ({ merge, contents }, results) =>
      db.transact(() => {
        const added = results.reduce(
          (sum, { key, root, scalars }) => sum + insert.run(key, root, JSON.stringify(scalars), merge),
          0,
        )
        if (added > 0) for (const content of contents) insertSource.run(content, merge)
      }),
    find(key) {
      const row = select.get(key)
      return row && { ...row, scalars: JSON.parse(row.scalars) as number[] }
    },
    forgetRoot: (root) =>
      db.transact(() => {
        const merges = selectMerges.all(root)
        if (merges.length === 0) return
        deleteRoot.run(root)
        for (const { merge } of merges) deleteIdleSources.run(merge, merge)
      }),
    forgetContent: (content) =>
      db.transact(() => {
        for (const { merge } of selectMergesOf.all(content)) {
          deleteMerge.run(merge)
          deleteSources.run(merge)
        }
      }),
    count: () => countAll.get()?.count ?? 0,
  }
}
