/** Models in SQLite, each with the list of blobs that it names. */
import type { ModelId } from '../../core/ids.ts'
import type { BlobKind, BlobName } from '../blob-store.ts'
import type { ModelRepository, ModelSummary, StoredModel } from '../model-repository.ts'
import type { Database } from './database.ts'

export function createSqliteModelRepository(db: Database): ModelRepository {
  const summary = 'id, content, created_at_ms AS createdAtMs'
  const insert = db.prepare<[StoredModel]>(`
    INSERT INTO models (id, content, manifest, created_at_ms) VALUES (@id, @content, @manifest, @createdAtMs)
    ON CONFLICT (id) DO NOTHING`)
  const insertBlob = db.prepare<[ModelId, BlobKind, string]>(`
    INSERT INTO model_blobs (model, kind, digest) VALUES (?, ?, ?) ON CONFLICT DO NOTHING`)
  const forgetOrphan = db.prepare<[string, string]>('DELETE FROM orphans WHERE kind = ? AND digest = ?')
  const select = db.prepare<[ModelId], StoredModel>(`SELECT ${summary}, manifest FROM models WHERE id = ?`)
  const selectHere = db.prepare<[ModelId], { here: 1 }>('SELECT 1 AS here FROM models WHERE id = ?')
  // 'g' sorts after every hex digit
  const selectByIdPrefix = db.prepare<[string, string], ModelSummary>(
    `SELECT ${summary} FROM models WHERE id >= ? AND id < ? || 'g' ORDER BY id`,
  )
  const selectByContent = db.prepare<[string, string], ModelSummary>(
    `SELECT ${summary} FROM models WHERE content >= ? AND content < ? || 'g' ORDER BY content, created_at_ms, id`,
  )
  const selectBlobs = db.prepare<[ModelId], BlobName>(
    'SELECT kind, digest FROM model_blobs WHERE model = ? ORDER BY kind, digest',
  )
  const selectNaming = db.prepare<[string, string], { model: ModelId }>(
    'SELECT model FROM model_blobs WHERE kind = ? AND digest = ? ORDER BY model',
  )
  const selectPage = db.prepare<[number, string, number], ModelSummary>(
    `SELECT ${summary} FROM models WHERE (created_at_ms, id) > (?, ?) ORDER BY created_at_ms, id LIMIT ?`,
  )
  const countAll = db.prepare<[], { count: number }>('SELECT count(*) AS count FROM models')
  const remove = db.prepare<[ModelId]>('DELETE FROM models WHERE id = ?')
  return {
    put: (model, blobs) =>
      db.transact(() => {
        forgetOrphan.run('model', model.id) // put again: its clock begins anew
        if (insert.run(model) === 0) return false
        for (const { kind, digest } of blobs) {
          insertBlob.run(model.id, kind, digest)
          forgetOrphan.run(kind, digest)
        }
        return true
      }),
    find: (id) => select.get(id),
    has: (id) => selectHere.get(id) !== undefined,
    findByIdPrefix: (prefix) => selectByIdPrefix.all(prefix, prefix),
    findByContent: (prefix) => selectByContent.all(prefix, prefix),
    blobs: (id) => selectBlobs.all(id),
    naming: ({ kind, digest }) => selectNaming.all(kind, digest).map(({ model }) => model),
    list: ({ limit, after }) => selectPage.all(after?.createdAtMs ?? -1, after?.id ?? '', limit),
    count: () => countAll.get()?.count ?? 0,
    delete: (id) =>
      db.transact(() => {
        forgetOrphan.run('model', id)
        return remove.run(id) === 1
      }),
  }
}
