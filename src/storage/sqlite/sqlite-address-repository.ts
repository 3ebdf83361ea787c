/** Addresses in SQLite. */
import type { ReplicaId } from '../../core/ids.ts'
import type { AddressRepository, StoredAddress } from '../address-repository.ts'
import type { Database } from './database.ts'

export function createSqliteAddressRepository(db: Database): AddressRepository {
  const upsert = db.prepare<[ReplicaId, Uint8Array, ReplicaId, number]>(`
    INSERT INTO addresses (rid, record, told_by, learned_at_ms) VALUES (?, ?, ?, ?)
    ON CONFLICT (rid) DO UPDATE
    SET record = excluded.record, told_by = excluded.told_by, learned_at_ms = excluded.learned_at_ms`)
  const selectAll = db.prepare<[], StoredAddress>(
    'SELECT rid, record, told_by AS toldBy, learned_at_ms AS learnedAtMs FROM addresses ORDER BY rid',
  )
  const remove = db.prepare<[ReplicaId]>('DELETE FROM addresses WHERE rid = ?')
  return {
    put: (addresses) =>
      db.transact(() => {
        for (const { rid, record, toldBy, learnedAtMs } of addresses) upsert.run(rid, record, toldBy, learnedAtMs)
      }),
    list: () => selectAll.all().map((row) => ({ ...row, record: Uint8Array.from(row.record) })),
    remove: (rid) => remove.run(rid) === 1,
  }
}
