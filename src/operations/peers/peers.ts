/** Other replicas that this one knows: those its operator named, beside what the links say of them now. */
import { TributaryError } from '../../core/errors.ts'
import { type Context, isoTime } from '../context.ts'

export interface PeerState {
  readonly state: 'connected' | 'connecting' | 'waiting'
  /** Spaces whose ops differ from ours, as far as is known. */
  readonly spaces_behind?: number
}

/** What the links know, by address. */
export interface Peers {
  stateOf(url: string): PeerState | undefined
  /** Begins to keep a link to it; nothing happens where one is kept. */
  keep(url: string): void
}

export interface PeerView extends PeerState {
  readonly url: string
  readonly origin: 'operator' | 'learned'
  /** Who answered there last. */
  readonly rid?: string
  readonly last_seen?: string
}

const PEERS_MAX = 256

/** As peers are compared: no path's end, no case in the host. What an operator types is trusted, but it is an address. */
export function peerUrl(text: string): string {
  const refuse = (why: string) =>
    new TributaryError('REQUEST_INVALID', why, { pointer: '/url', hint: 'write it like https://replica.example:8420' })
  if (text.length > 512 || !URL.canParse(text)) throw refuse(`${JSON.stringify(text.slice(0, 100))} is no address`)
  const { protocol, username, password, search, hash, host, pathname } = new URL(text)
  if (protocol !== 'http:' && protocol !== 'https:') throw refuse(`${protocol} is no way to reach a replica`)
  if (username !== '' || password !== '') throw refuse('the address holds a user name or password')
  if (search !== '' || hash !== '') throw refuse('the address holds more than a place')
  return `${protocol}//${host}${pathname.replace(/\/+$/, '')}`
}

export function listPeers({ storage }: Context, links: Peers): readonly PeerView[] {
  return storage.peers.list().map(({ url, origin, rid, lastSeenMs }) => ({
    url,
    origin,
    ...(links.stateOf(url) ?? { state: 'waiting' }),
    ...(rid !== undefined && { rid }),
    ...(lastSeenMs !== undefined && { last_seen: isoTime(lastSeenMs) }),
  }))
}

/** Named by the operator: kept for good, and dialed from now on. */
export function addPeer(
  context: Context,
  links: Peers,
  given: string,
): { readonly peer: PeerView; readonly created: boolean } {
  const { peers } = context.storage
  const url = peerUrl(given)
  const named = peers.list().filter(({ origin }) => origin === 'operator')
  if (named.length >= PEERS_MAX && !named.some((peer) => peer.url === url))
    throw new TributaryError('TOO_MANY_REQUESTS', `${PEERS_MAX} peers are named already`, {
      hint: 'a few are enough: they tell each other of the rest',
    })
  const created = peers.add({ url, origin: 'operator', addedAtMs: context.now() })
  links.keep(url)
  return { peer: listPeers(context, links).find((peer) => peer.url === url)!, created }
}
