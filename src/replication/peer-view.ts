/** Another replica as people see it. */
import type { ReplicaId, SpaceId } from '../core/ids.ts'
import type { LinkId } from './effects.ts'

export interface PeerView {
  /** Where this replica dials it; absent where it dialed us. */
  readonly url?: string
  readonly rid?: ReplicaId
  readonly state: 'dialing' | 'greeting' | 'linked'
  /** Since when it is so. */
  readonly sinceMs: number
  /** Of the spaces both have: is what they keep the same, as far as it was told? */
  readonly spaces: readonly { readonly space: SpaceId; readonly inSync: boolean }[]
  /** Spaces of it that are not kept here. */
  readonly offered: readonly SpaceId[]
  readonly lastFailure?: string
}

interface OpenLink {
  readonly url: string | undefined
  readonly sinceMs: number
  readonly rid: ReplicaId | undefined
}

interface Known {
  readonly open: ReadonlyMap<LinkId, OpenLink>
  readonly dialings: ReadonlyMap<string, { readonly sinceMs: number; readonly lastFailure: string | undefined }>
  readonly offered: ReadonlyMap<SpaceId, ReplicaId>
  readonly ridAt: (url: string) => ReplicaId | undefined
  readonly agreements: (link: LinkId) => PeerView['spaces']
}

/** Those that are dialed, each once, then those that dialed us. */
export function peerViews(known: Known): readonly PeerView[] {
  const dialed = [...known.dialings.keys()].map((url) => viewOfDialed(known, url))
  const shown = new Set(dialed.map(({ rid }) => rid))
  const accepted = [...known.open].filter(
    ([, { url, rid }]) => url === undefined && !(rid !== undefined && shown.has(rid)),
  )
  return [...dialed, ...accepted.map(([link, open]) => viewOfLink(known, link, open))]
}

function viewOfDialed(known: Known, url: string): PeerView {
  const { open, dialings, ridAt } = known
  const own = [...open].find(([, one]) => one.url === url)
  if (own !== undefined) return viewOfLink(known, ...own)
  const rid = ridAt(url)
  const other = rid && [...open].find(([, one]) => one.rid === rid)
  if (other) return { ...viewOfLink(known, ...other), url } // it dialed us first
  const { sinceMs, lastFailure } = dialings.get(url)!
  return {
    url,
    ...(rid !== undefined && { rid }),
    state: 'dialing',
    sinceMs,
    spaces: [],
    offered: [],
    ...(lastFailure !== undefined && { lastFailure }),
  }
}

function viewOfLink({ offered, agreements }: Known, link: LinkId, { url, rid, sinceMs }: OpenLink): PeerView {
  return {
    ...(url !== undefined && { url }),
    ...(rid !== undefined && { rid }),
    state: rid === undefined ? 'greeting' : 'linked',
    sinceMs,
    spaces: agreements(link),
    offered: [...offered].filter(([, by]) => by === rid).map(([space]) => space),
  }
}
