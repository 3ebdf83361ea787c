/** Other replicas: who they are, whether a link is there and agrees, and which the operator names. */
import { TributaryError } from '../core/errors.ts'
import type { ReplicaId } from '../core/ids.ts'
import type { PeerView as Seen } from '../replication/peer-view.ts'
import type { Replicator } from '../replication/replicator.ts'
import type { PeerRepository } from '../storage/peer-repository.ts'
import { isoTime } from './context.ts'

export interface PeerView {
  /** Where this replica dials it; absent for one that dialed us. */
  readonly url?: string
  readonly replica?: string
  readonly state: Seen['state']
  readonly source: Seen['source']
  /** Of a learned one: the replica that told its address. */
  readonly told_by?: string
  readonly since: string
  readonly last_seen?: string
  readonly spaces: readonly {
    readonly id: string
    readonly in_sync: boolean
    /** For how long both have not kept the same; absent where they do. */
    readonly lag_seconds?: number
  }[]
  /** Its spaces that are not kept here: naming it as a peer brings them. */
  readonly offered: readonly string[]
  readonly last_failure?: string
}

export interface Peers {
  /** This replica's own key: what others add as a member. */
  readonly self: ReplicaId
  list(): readonly PeerView[]
  /** What happened on all links since the start, by name. */
  counts(): ReadonlyMap<string, number>
  parkedOps(): number
  /** `created` is false for an address that the operator named before. */
  add(url: string): { readonly peer: PeerView; readonly created: boolean }
}

const NAMED_MAX = 256
const JUST_NAMED = { state: 'dialing', source: 'operator', since: isoTime(0), spaces: [], offered: [] } as const
const URL_CHARACTERS_MAX = 512

/** An address as the operator types it, in a request or, as `option`, on the command line: trusted, and spelled in one way. */
export function parsePeerUrl(given: string, option?: '--peer' | '--advertise'): string {
  const code = option === undefined ? 'REQUEST_INVALID' : 'CONFIG_INVALID'
  const place = option === undefined ? { pointer: '/url' } : { details: { option } }
  const wrong = (why: string) =>
    new TributaryError(code, `${JSON.stringify(given.slice(0, 96))} is no address of a replica: ${why}`, {
      ...place,
      hint: 'give one such as https://merge.example.org or http://10.0.0.7:8420',
    })
  if (given.length > URL_CHARACTERS_MAX) throw wrong('it is too long')
  if (!URL.canParse(given)) throw wrong('it is no URL')
  const url = new URL(given)
  if (url.protocol !== 'http:' && url.protocol !== 'https:') throw wrong('it begins with neither http:// nor https://')
  if (url.username !== '' || url.password !== '') throw wrong('it holds a user or a password')
  if (url.search !== '' || url.hash !== '') throw wrong('it has a query or a fragment')
  return `${url.origin}${url.pathname.replace(/\/+$/, '')}`
}

export function createPeers(self: ReplicaId, replicator: Replicator, peers: PeerRepository): Peers {
  const list = () => replicator.peers().map((seen) => viewOf(seen, peers))
  return {
    self,
    list,
    counts: () => replicator.counts(),
    parkedOps: () => replicator.parkedOps(),
    add(given) {
      const url = parsePeerUrl(given)
      const created = peers.find(url) === undefined
      if (created && peers.list().length >= NAMED_MAX)
        throw new TributaryError('REQUEST_INVALID', `${NAMED_MAX} peers are named already`, {
          hint: 'a few are enough: replicas pass on what they know',
        })
      replicator.name(url)
      const peer = list().find((one) => one.url === url)
      return { peer: peer ?? { url, ...JUST_NAMED }, created }
    },
  }
}

function viewOf(
  { url, rid, state, source, toldBy, sinceMs, spaces, offered, lastFailure }: Seen,
  peers: PeerRepository,
): PeerView {
  const seen = url === undefined ? undefined : peers.find(url)?.lastSeenMs
  return {
    ...(url !== undefined && { url }),
    ...(rid !== undefined && { replica: rid }),
    state,
    source,
    ...(toldBy !== undefined && { told_by: toldBy }),
    since: isoTime(sinceMs),
    ...(seen !== undefined && { last_seen: isoTime(seen) }),
    spaces: spaces.map(({ space, inSync, behindMs }) => ({
      id: space,
      in_sync: inSync,
      ...(!inSync && { lag_seconds: Math.floor(behindMs / 1000) }),
    })),
    offered,
    ...(lastFailure !== undefined && { last_failure: lastFailure }),
  }
}
