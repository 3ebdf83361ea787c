/** The lease in SQLite: taken in a transaction of its own, so that it is durable before anything is written under it. */
import type { ReplicaId } from '../../core/ids.ts'
import { invariant } from '../../core/invariant.ts'
import type { LeaseRepository } from '../lease-repository.ts'
import type { Database } from './database.ts'

export function createSqliteLeaseRepository(db: Database, place: string): LeaseRepository {
  const select = db.prepare<[ReplicaId], { epoch: number; place: string; clean: number }>(
    'SELECT epoch, place, clean FROM leases WHERE rid = ?',
  )
  const take = db.prepare<[ReplicaId, number, string, string]>(`
    INSERT INTO leases (rid, epoch, nonce, place, clean) VALUES (?, ?, ?, ?, 0)
    ON CONFLICT (rid) DO UPDATE
    SET epoch = excluded.epoch, nonce = excluded.nonce, place = excluded.place, clean = 0`)
  const raise = db.prepare<[number, ReplicaId]>('UPDATE leases SET epoch = max(epoch, ?) WHERE rid = ?')
  const clean = db.prepare<[ReplicaId]>('UPDATE leases SET clean = 1 WHERE rid = ?')
  return {
    boot(rid, nonce) {
      invariant(!db.inTransaction, 'a lease is committed by itself')
      return db.transact(() => {
        const last = select.get(rid)
        const goesOn = last === undefined || (last.clean === 1 && last.place === place)
        const epoch = (last?.epoch ?? 0) + (goesOn ? 0 : 1)
        take.run(rid, epoch, nonce, place)
        return epoch
      })
    },
    raise(rid, above) {
      invariant(!db.inTransaction, 'a lease is committed by itself')
      raise.run(above + 1, rid)
      const lease = select.get(rid)
      invariant(lease, 'a lease is raised after it was taken')
      return lease.epoch
    },
    markClean: (rid) => void clean.run(rid),
  }
}
