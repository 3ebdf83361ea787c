/** Peers in SQLite. */
import type { ReplicaId } from '../../core/ids.ts'
import type { PeerRepository, StoredPeer } from '../peer-repository.ts'
import type { Database } from './database.ts'

interface Row {
  readonly url: string
  readonly origin: StoredPeer['origin']
  readonly rid: ReplicaId | null
  readonly addedAtMs: number
  readonly lastSeenMs: number | null
}

const peerOf = ({ rid, lastSeenMs, ...row }: Row): StoredPeer => ({
  ...row,
  ...(rid !== null && { rid }),
  ...(lastSeenMs !== null && { lastSeenMs }),
})

export function createSqlitePeerRepository(db: Database): PeerRepository {
  const columns = 'url, origin, rid, added_at_ms AS addedAtMs, last_seen_ms AS lastSeenMs'
  const insert = db.prepare<[string, string, number]>(
    'INSERT INTO peers (url, origin, added_at_ms) VALUES (?, ?, ?) ON CONFLICT DO NOTHING',
  )
  const promote = db.prepare<[string]>("UPDATE peers SET origin = 'operator' WHERE url = ?")
  const select = db.prepare<[string], Row>(`SELECT ${columns} FROM peers WHERE url = ?`)
  const selectAll = db.prepare<[], Row>(`SELECT ${columns} FROM peers ORDER BY origin = 'learned', url`)
  const update = db.prepare<[ReplicaId, number, string]>('UPDATE peers SET rid = ?, last_seen_ms = ? WHERE url = ?')
  const remove = db.prepare<[string]>('DELETE FROM peers WHERE url = ?')
  const trim = db.prepare<[number]>(`DELETE FROM peers WHERE url IN (
    SELECT url FROM peers WHERE origin = 'learned'
    ORDER BY coalesce(last_seen_ms, -1) DESC, url LIMIT -1 OFFSET ?)`)
  return {
    add: ({ url, origin, addedAtMs }) =>
      db.transact(() => {
        if (insert.run(url, origin, addedAtMs) === 1) return true
        if (origin === 'operator') promote.run(url)
        return false
      }),
    find(url) {
      const row = select.get(url)
      return row && peerOf(row)
    },
    list: () => selectAll.all().map(peerOf),
    saw: (url, rid, atMs) => void update.run(rid, atMs, url),
    remove: (url) => remove.run(url) === 1,
    trimLearned: (keep) => trim.run(keep),
  }
}
