/** Uploads in SQLite. */
import type { ModelId } from '../../core/ids.ts'
import type { Upload, UploadFile, UploadRepository } from '../upload-repository.ts'
import type { Database } from './database.ts'

export function createSqliteUploadRepository(db: Database): UploadRepository {
  type Row = Omit<Upload, 'files'>
  const columns = 'id, created_at_ms AS createdAtMs, expires_at_ms AS expiresAtMs, model'
  const insert = db.prepare<[string, number, number, string | null]>(
    'INSERT INTO uploads (id, created_at_ms, expires_at_ms, model) VALUES (?, ?, ?, ?)',
  )
  const insertFile = db.prepare<[string, string, number, string | null, number, string]>(
    'INSERT INTO upload_files (upload, path, bytes, sha256, offset, temporary) VALUES (?, ?, ?, ?, ?, ?)',
  )
  const select = db.prepare<[string], Row>(`SELECT ${columns} FROM uploads WHERE id = ?`)
  const selectFiles = db.prepare<[string], UploadFile>(
    'SELECT path, bytes, sha256, offset, temporary FROM upload_files WHERE upload = ? ORDER BY path',
  )
  const advance = db.prepare<[number, string, string, number]>(`
    UPDATE upload_files SET offset = ? WHERE upload = ? AND path = ? AND offset = ?
    AND EXISTS (SELECT 1 FROM uploads WHERE id = upload AND model IS NULL)`)
  const finish = db.prepare<[ModelId, string]>('UPDATE uploads SET model = ? WHERE id = ? AND model IS NULL')
  const selectExpired = db.prepare<[number], Row>(
    `SELECT ${columns} FROM uploads WHERE expires_at_ms <= ? ORDER BY expires_at_ms, id`,
  )
  const selectTemporaries = db.prepare<[], { temporary: string }>(
    'SELECT temporary FROM upload_files JOIN uploads ON uploads.id = upload WHERE model IS NULL',
  )
  const countUnfinished = db.prepare<[], { count: number }>('SELECT count(*) AS count FROM uploads WHERE model IS NULL')
  const remove = db.prepare<[string]>('DELETE FROM uploads WHERE id = ?')

  const withFiles = (row: Row): Upload => ({ ...row, files: selectFiles.all(row.id) })
  return {
    add: (upload) =>
      db.transact(() => {
        insert.run(upload.id, upload.createdAtMs, upload.expiresAtMs, upload.model ?? null)
        for (const { path, bytes, sha256, offset, temporary } of upload.files)
          insertFile.run(upload.id, path, bytes, sha256 ?? null, offset, temporary)
      }),
    find(id) {
      const row = select.get(id)
      return row === undefined ? undefined : withFiles(row)
    },
    advance: (id, path, from, to) => advance.run(to, id, path, from) === 1,
    finish: (id, model) => finish.run(model, id) === 1,
    expired: (nowMs) => selectExpired.all(nowMs).map(withFiles),
    temporaries: () => new Set(selectTemporaries.all().map(({ temporary }) => temporary)),
    countUnfinished: () => countUnfinished.get()?.count ?? 0,
    remove: (id) => remove.run(id) === 1,
  }
}
