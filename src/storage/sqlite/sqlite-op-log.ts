/** The op log in SQLite. */
import type { OpId, ReplicaId, SpaceId } from '../../core/ids.ts'
import type { OpLog, StoredOp } from '../op-log.ts'
import type { Database } from './database.ts'

export function createSqliteOpLog(db: Database): OpLog {
  type Chain = [SpaceId, number, ReplicaId, number]
  const columns = 'id, space, g, rid, ep, seq, t, hlc, bytes, signature'
  const inChain = 'space = ? AND g = ? AND rid = ? AND ep = ?'
  const insert = db.prepare<[StoredOp]>(`
    INSERT INTO ops (${columns}) VALUES (@id, @space, @g, @rid, @ep, @seq, @t, @hlc, @bytes, @signature)
    ON CONFLICT (id) DO NOTHING`)
  const drop = db.prepare<[OpId]>('DELETE FROM ops WHERE id = ?')
  const select = db.prepare<[OpId], StoredOp>(`SELECT ${columns} FROM ops WHERE id = ?`)
  const selectSpace = db.prepare<[SpaceId], StoredOp>(`SELECT ${columns} FROM ops WHERE space = ? ORDER BY hlc, id`)
  const selectIds = db.prepare<[SpaceId], { id: OpId }>('SELECT id FROM ops WHERE space = ? ORDER BY id')
  const selectSlot = db.prepare<[...Chain, number], StoredOp>(
    `SELECT ${columns} FROM ops WHERE ${inChain} AND seq = ? ORDER BY id`,
  )
  const selectLast = db.prepare<Chain, { seq: number; id: OpId; hlc: number }>(
    `SELECT seq, id, hlc FROM ops WHERE ${inChain} ORDER BY seq DESC, id LIMIT 1`,
  )
  const countAll = db.prepare<[], { count: number }>('SELECT count(*) AS count FROM ops')
  const countSpace = db.prepare<[SpaceId], { count: number }>('SELECT count(*) AS count FROM ops WHERE space = ?')
  return {
    append: (op) => insert.run(op) === 1,
    remove: (ids) => db.transact(() => ids.forEach((id) => drop.run(id))),
    find: (id) => select.get(id),
    forSpace: (space) => selectSpace.all(space),
    idsOfSpace: (space) => selectIds.all(space).map(({ id }) => id),
    inSlot: (space, g, rid, ep, seq) => selectSlot.all(space, g, rid, ep, seq),
    head(space, g, rid, ep) {
      const last = selectLast.get(space, g, rid, ep)
      return { nextSeq: last === undefined ? 0 : last.seq + 1, lastId: last?.id, lastHlc: last?.hlc ?? 0 }
    },
    count: () => countAll.get()?.count ?? 0,
    countBySpace: (space) => countSpace.get(space)?.count ?? 0,
  }
}
