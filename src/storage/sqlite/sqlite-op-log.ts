/** The op log in SQLite. */
import type { OpId, ReplicaId, SpaceId } from '../../core/ids.ts'
import type { OpLog, StoredOp } from '../op-log.ts'
import type { Database } from './database.ts'

const PAGE_OPS = 2000

/** All absent where there is nothing more. */
interface PageRow {
  readonly ids?: string
  readonly lengths: string
  readonly hlcs: string
  readonly records: Uint8Array
}

/** A copy that does not keep the page's text alive, of which it is a piece. */
const flat = (id: OpId): OpId => Buffer.from(id, 'latin1').toString('latin1') as OpId

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
  // joined by SQLite: a row of its own for each op takes three times as long
  const selectPage = db.prepare<[SpaceId, number, string], PageRow>(`
    SELECT group_concat(id, ',') AS ids, group_concat(length(signature) + length(bytes), ',') AS lengths,
      group_concat(hlc, ',') AS hlcs, CAST(group_concat(signature || bytes, '') AS BLOB) AS records
    FROM (SELECT id, hlc, signature, bytes FROM ops
      WHERE space = ? AND (hlc, id) > (?, ?) ORDER BY hlc, id LIMIT ${PAGE_OPS})`)
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
    *pagesOfSpace(space) {
      let after: [number, string] = [-1, '']
      for (;;) {
        const row = selectPage.get(space, ...after)
        if (row?.ids === undefined) return
        const ids = row.ids.split(',') as OpId[]
        let end = 0
        yield {
          ids: ids.map(flat),
          records: row.records,
          ends: row.lengths.split(',').map((length) => (end += Number(length))),
        }
        after = [Number(row.hlcs.split(',').at(-1)), ids.at(-1)!]
      }
    },
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
