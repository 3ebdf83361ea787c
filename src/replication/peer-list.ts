/** The other replicas as people see them: those the operator named, those linked, and those only told of. */
import type { ReplicaId, SpaceId } from '../core/ids.ts'
import type { Link, LinkEnd } from '../transport/transport.ts'
import type { KeptAddress } from './address-book.ts'
import type { LinkId } from './effects.ts'
import type { JudgedAddress } from './learned-dialer.ts'
import type { PeerView } from './peer-view.ts'

export interface Open {
  readonly link: Link
  /** Where it was dialed, as the operator named it or as its owner signed it. */
  readonly url: string | undefined
  /** Of a learned address alone: what was judged. */
  readonly judged: JudgedAddress | undefined
  readonly sinceMs: number
  rid: ReplicaId | undefined
  /** The redialing of its address waits for this. */
  readonly ended: (end: LinkEnd) => void
}

export interface Dialing {
  readonly stop: () => void
  sinceMs: number
  lastFailure: string | undefined
}

export interface PeersKnown {
  readonly open: ReadonlyMap<LinkId, Open>
  /** By the address that the operator named. */
  readonly dialings: ReadonlyMap<string, Dialing>
  readonly ridAt: (url: string) => ReplicaId | undefined
  readonly addresses: readonly KeptAddress[]
  readonly offered: ReadonlyMap<SpaceId, ReplicaId>
  readonly agreements: (link: LinkId) => PeerView['spaces']
}

export function peerList(known: PeersKnown): readonly PeerView[] {
  const { open, dialings, addresses } = known
  const named = [...dialings].map(([url, dialing]) => viewOfNamed(known, url, dialing))
  const shown = new Set(named.map(({ rid }) => rid))
  const others = [...open].filter(([, { url, rid }]) => {
    if (url !== undefined && dialings.has(url)) return false
    return rid === undefined || !shown.has(rid)
  })
  for (const [, { rid }] of others) shown.add(rid)
  const told = addresses.filter(({ address }) => !shown.has(address.rid))
  return [
    ...named,
    ...others.map(([id, one]) => viewOfLink(known, id, one)),
    ...told.map(({ address: { rid, urls, issuedMs }, toldBy }) => ({
      ...(urls[0] !== undefined && { url: urls[0] }),
      rid,
      state: 'known' as const,
      source: 'learned' as const,
      toldBy,
      sinceMs: issuedMs,
      spaces: [],
      offered: [],
    })),
  ]
}

function viewOfNamed(known: PeersKnown, url: string, { sinceMs, lastFailure }: Dialing): PeerView {
  const { open, ridAt } = known
  const own = [...open].find(([, one]) => one.url === url)
  if (own !== undefined) return viewOfLink(known, ...own)
  const rid = ridAt(url)
  const other = rid && [...open].find(([, one]) => one.rid === rid)
  if (other) return { ...viewOfLink(known, ...other), url, source: 'operator' } // it dialed us first
  return {
    url,
    ...(rid !== undefined && { rid }),
    state: 'dialing',
    source: 'operator',
    sinceMs,
    spaces: [],
    offered: [],
    ...(lastFailure !== undefined && { lastFailure }),
  }
}

function viewOfLink(known: PeersKnown, id: LinkId, { url, rid, sinceMs, judged }: Open): PeerView {
  const { addresses, agreements, offered } = known
  const toldBy = judged && addresses.find(({ address }) => address.rid === rid)?.toldBy
  return {
    ...(url !== undefined && { url }),
    ...(rid !== undefined && { rid }),
    state: rid === undefined ? 'greeting' : 'linked',
    source: url === undefined ? 'accepted' : judged === undefined ? 'operator' : 'learned',
    ...(toldBy !== undefined && { toldBy }),
    sinceMs,
    spaces: agreements(id),
    offered: [...offered].filter(([, by]) => by === rid).map(([space]) => space),
  }
}
