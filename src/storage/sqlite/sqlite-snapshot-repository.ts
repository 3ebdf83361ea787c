/** Snapshots in SQLite. */
import type { SpaceId } from '../../core/ids.ts'
import type { SnapshotRepository } from '../snapshot-repository.ts'
import type { Database } from './database.ts'

export function createSqliteSnapshotRepository(db: Database): SnapshotRepository {
  const select = db.prepare<[SpaceId], { bytes: Uint8Array }>('SELECT bytes FROM snapshots WHERE space = ?')
  const upsert = db.prepare<[SpaceId, Uint8Array]>(
    'INSERT INTO snapshots (space, bytes) VALUES (?, ?) ON CONFLICT (space) DO UPDATE SET bytes = excluded.bytes',
  )
  const remove = db.prepare<[SpaceId]>('DELETE FROM snapshots WHERE space = ?')
  return {
    find: (space) => select.get(space)?.bytes,
    put: (space, bytes) => void upsert.run(space, bytes),
    remove: (space) => void remove.run(space),
  }
}
