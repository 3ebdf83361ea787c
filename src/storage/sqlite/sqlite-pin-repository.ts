/** Pins and orphans in SQLite. */
import type { ModelId } from '../../core/ids.ts'
import type { BlobKind, BlobName } from '../blob-store.ts'
import { type PinRepository, holderKey } from '../pin-repository.ts'
import type { Database } from './database.ts'

export function createSqlitePinRepository(db: Database): PinRepository {
  type Kind = BlobKind | 'model'
  const insert = db.prepare<[string, Kind, string]>(
    'INSERT INTO pins (holder, kind, digest) VALUES (?, ?, ?) ON CONFLICT DO NOTHING',
  )
  const removeHolder = db.prepare<[string]>('DELETE FROM pins WHERE holder = ?')
  const selectModels = db.prepare<[string], { digest: ModelId }>(
    `SELECT digest FROM pins WHERE holder = ? AND kind = 'model' ORDER BY digest`,
  )
  const selectBlobs = db.prepare<[string], BlobName>(
    `SELECT kind, digest FROM pins WHERE holder = ? AND kind <> 'model' ORDER BY kind, digest`,
  )
  const selectHolders = db.prepare<[ModelId], { holder: string }>(
    `SELECT holder FROM pins WHERE kind = 'model' AND digest = ? ORDER BY holder`,
  )
  const selectDamaged = db.prepare<[], { id: ModelId }>(
    `SELECT DISTINCT substr(holder, 9) AS id FROM pins WHERE holder >= 'damaged:' AND holder < 'damaged;' ORDER BY holder`,
  )
  const selectNamed = db.prepare<[BlobName], { named: number }>(`
    SELECT EXISTS (SELECT 1 FROM pins WHERE kind = @kind AND digest = @digest)
        OR EXISTS (SELECT 1 FROM model_blobs WHERE kind = @kind AND digest = @digest) AS named`)
  const forgetOrphan = db.prepare<[Kind, string]>('DELETE FROM orphans WHERE kind = ? AND digest = ?')
  const insertOrphan = db.prepare<[Kind, string, number]>(
    'INSERT INTO orphans (kind, digest, since_ms) VALUES (?, ?, ?) ON CONFLICT DO NOTHING',
  )
  const selectOrphan = db.prepare<[Kind, string], { sinceMs: number }>(
    'SELECT since_ms AS sinceMs FROM orphans WHERE kind = ? AND digest = ?',
  )
  const insertOrphanModels = db.prepare<[number]>(`
    INSERT INTO orphans (kind, digest, since_ms)
    SELECT 'model', id, ? FROM models
    WHERE NOT EXISTS (SELECT 1 FROM pins WHERE kind = 'model' AND digest = models.id)
    ON CONFLICT DO NOTHING`)
  const selectOrphanModels = db.prepare<[number], { digest: ModelId }>(`
    SELECT digest FROM orphans JOIN models ON models.id = orphans.digest
    WHERE kind = 'model' AND since_ms <= ?
    AND NOT EXISTS (SELECT 1 FROM pins WHERE pins.kind = 'model' AND pins.digest = orphans.digest)
    ORDER BY digest`)

  const isNamed = (blob: BlobName) => selectNamed.get({ kind: blob.kind, digest: blob.digest } as BlobName)?.named === 1
  const since = ({ kind, digest }: BlobName) => selectOrphan.get(kind, digest)?.sinceMs

  return {
    hold: (holder, { models = [], blobs = [] }) =>
      db.transact(() => {
        const key = holderKey(holder)
        const targets = [...models.map((digest) => ({ kind: 'model' as const, digest })), ...blobs]
        for (const { kind, digest } of targets) {
          insert.run(key, kind, digest)
          forgetOrphan.run(kind, digest)
        }
      }),
    release: (holder) => void removeHolder.run(holderKey(holder)),
    heldBy: (holder) => ({
      models: selectModels.all(holderKey(holder)).map(({ digest }) => digest),
      blobs: selectBlobs.all(holderKey(holder)),
    }),
    damaged: () => selectDamaged.all().map(({ id }) => id),
    holdersOf: (model) => selectHolders.all(model).map(({ holder }) => holder),
    isNamed,
    claim: (blobs) =>
      db.transact(() => {
        for (const { kind, digest } of blobs) forgetOrphan.run(kind, digest)
      }),
    markOrphanModels: (nowMs) => void insertOrphanModels.run(nowMs),
    markOrphanBlob: (blob, nowMs) =>
      db.transact(() => {
        if (isNamed(blob)) return undefined
        insertOrphan.run(blob.kind, blob.digest, nowMs)
        return since(blob)
      }),
    orphanModels: (sinceMs) => selectOrphanModels.all(sinceMs).map(({ digest }) => digest),
    blobOrphanedSince: (blob) => (isNamed(blob) ? undefined : since(blob)),
  }
}
