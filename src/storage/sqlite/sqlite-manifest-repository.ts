/** Manifests of models whose bytes are elsewhere, in SQLite. */
import type { ModelId } from '../../core/ids.ts'
import type { ManifestRepository, StoredManifest } from '../manifest-repository.ts'
import type { Database } from './database.ts'

export function createSqliteManifestRepository(db: Database): ManifestRepository {
  const insert = db.prepare<[StoredManifest]>(`
    INSERT INTO manifests (model, content, manifest, fetched_at_ms) VALUES (@id, @content, @manifest, @fetchedAtMs)
    ON CONFLICT (model) DO NOTHING`)
  const select = db.prepare<[ModelId], StoredManifest>(
    'SELECT model AS id, content, manifest, fetched_at_ms AS fetchedAtMs FROM manifests WHERE model = ?',
  )
  const selectHere = db.prepare<[ModelId], { here: 1 }>('SELECT 1 AS here FROM manifests WHERE model = ?')
  const selectByContent = db.prepare<[string], { id: ModelId }>(
    'SELECT model AS id FROM manifests WHERE content = ? ORDER BY model LIMIT 1',
  )
  const selectBefore = db.prepare<[number], { id: ModelId }>(
    'SELECT model AS id FROM manifests WHERE fetched_at_ms <= ? ORDER BY model',
  )
  const remove = db.prepare<[ModelId]>('DELETE FROM manifests WHERE model = ?')
  return {
    put: (manifest) => db.lightly(() => void insert.run(manifest)),
    find: (id) => select.get(id),
    has: (id) => selectHere.get(id) !== undefined,
    findByContent: (content) => selectByContent.get(content)?.id,
    fetchedBefore: (ms) => selectBefore.all(ms).map(({ id }) => id),
    remove: (id) => remove.run(id) === 1,
  }
}
