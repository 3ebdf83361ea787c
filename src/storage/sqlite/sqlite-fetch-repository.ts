/** Fetches in SQLite. */
import type { TensorRoot } from '../../core/ids.ts'
import type { FetchRepository, StoredFetch } from '../fetch-repository.ts'
import type { Database } from './database.ts'

export function createSqliteFetchRepository(db: Database): FetchRepository {
  const columns = 'root, bytes, temporary, chunks, updated_at_ms AS updatedAtMs'
  const upsert = db.prepare<[TensorRoot, number, string, Uint8Array, number]>(`
    INSERT INTO fetches (root, bytes, temporary, chunks, updated_at_ms) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (root) DO UPDATE SET chunks = excluded.chunks, updated_at_ms = excluded.updated_at_ms`)
  const select = db.prepare<[TensorRoot], StoredFetch>(`SELECT ${columns} FROM fetches WHERE root = ?`)
  const selectIdle = db.prepare<[number], StoredFetch>(
    `SELECT ${columns} FROM fetches WHERE updated_at_ms <= ? ORDER BY updated_at_ms, root`,
  )
  const selectTemporaries = db.prepare<[], { temporary: string }>('SELECT temporary FROM fetches')
  const remove = db.prepare<[TensorRoot]>('DELETE FROM fetches WHERE root = ?')
  const fetchOf = (row: StoredFetch): StoredFetch => ({ ...row, chunks: new Uint8Array(row.chunks) })
  return {
    find(root) {
      const row = select.get(root)
      return row && fetchOf(row)
    },
    put: ({ root, bytes, temporary, chunks, updatedAtMs }) =>
      db.lightly(() => void upsert.run(root, bytes, temporary, chunks, updatedAtMs)),
    remove: (root) => remove.run(root) === 1,
    temporaries: () => new Set(selectTemporaries.all().map(({ temporary }) => temporary)),
    idleSince: (ms) => selectIdle.all(ms).map(fetchOf),
  }
}
