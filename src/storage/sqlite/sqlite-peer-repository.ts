/** Peers in SQLite. */
import type { ReplicaId } from '../../core/ids.ts'
import type { PeerRepository, StoredPeer } from '../peer-repository.ts'
import type { Database } from './database.ts'

interface Row {
  readonly url: string
  readonly rid: ReplicaId | null
  readonly addedAtMs: number
  readonly lastSeenMs: number | null
}

const peerOf = ({ rid, lastSeenMs, ...row }: Row): StoredPeer => ({
  ...row,
  ...(rid !== null && { rid }),
  ...(lastSeenMs !== null && { lastSeenMs }),
})

/** The schema knows addresses that were only told, too; they have a table of their own since. */
export function createSqlitePeerRepository(db: Database): PeerRepository {
  const columns = 'url, rid, added_at_ms AS addedAtMs, last_seen_ms AS lastSeenMs'
  const insert = db.prepare<[string, number]>(
    "INSERT INTO peers (url, origin, added_at_ms) VALUES (?, 'operator', ?) ON CONFLICT DO NOTHING",
  )
  const select = db.prepare<[string], Row>(`SELECT ${columns} FROM peers WHERE url = ?`)
  const selectAll = db.prepare<[], Row>(`SELECT ${columns} FROM peers ORDER BY url`)
  const update = db.prepare<[ReplicaId, number, string]>('UPDATE peers SET rid = ?, last_seen_ms = ? WHERE url = ?')
  const remove = db.prepare<[string]>('DELETE FROM peers WHERE url = ?')
  return {
    add: ({ url, addedAtMs }) => insert.run(url, addedAtMs) === 1,
    find(url) {
      const row = select.get(url)
      return row && peerOf(row)
    },
    list: () => selectAll.all().map(peerOf),
    saw: (url, rid, atMs) => void update.run(rid, atMs, url),
    remove: (url) => remove.run(url) === 1,
  }
}
