/**
 * The replica core put to work: links carry its frames, storage makes its ops durable, a clock ticks. It decides nothing
 * that matters to correctness; the core does, and the simulator drives the same core without this.
 */
import type { Clock } from '../core/clock.ts'
import { isTributaryError } from '../core/errors.ts'
import { entry } from '../core/forks.ts'
import type { ReplicaId, SpaceId } from '../core/ids.ts'
import type { PeerRepository } from '../storage/peer-repository.ts'
import type { ModelSource } from '../transport/blob-source.ts'
import { keepDialing } from '../transport/redial.ts'
import { CLOSE, type Dialer, type Link, type LinkEnd, type Listener } from '../transport/transport.ts'
import type { CloseReason, Effect, LinkId, Metric } from './effects.ts'
import type { KeptSpaces } from './kept-spaces.ts'
import type { KeptOp } from './space-set.ts'
import { LinkBytes } from './link-bytes.ts'
import type { ReadBlob } from './link-giving.ts'
import type { OpenSource } from './link-sources.ts'
import type { Identity } from './peer-session.ts'
import { type PeerView, peerViews } from './peer-view.ts'
import { ReplicaCore } from './replica-core.ts'

const TICK_MS = 200
/** The operator's peers are few and wanted: after a cut of any length they are linked again soon. */
const REDIAL_LONGEST_MS = 5_000
const NONCE_BYTES = 32
/** Spaces that were offered and not adopted are remembered, so that people can be told; no more than these. */
const OFFERED_MAX = 256

export interface ReplicatorParts {
  readonly identity: Identity
  readonly kept: KeptSpaces
  readonly peers: PeerRepository
  readonly dialer: Dialer
  readonly listener: Listener
  readonly clock: Clock
  /** Milliseconds since 1970, for people. */
  readonly now: () => number
  /** From 0 to 1. */
  readonly random: () => number
  readonly randomBytes: (count: number) => Uint8Array
  readonly report: (what: string, error: unknown) => void
  /** The link to this replica, or to whoever will answer there, came or went. */
  readonly onPeer?: (who: string) => void
  /** Leave for this replica to take the blobs of a space, where it may. */
  readonly giveTicket?: (space: SpaceId, rid: ReplicaId) => string | undefined
  /** Without it no bytes are given over links. */
  readonly readBlob?: ReadBlob
  /** Without it bytes are fetched over links alone. */
  readonly openSource?: OpenSource
  /** Bytes of this space may be had from one more replica. */
  readonly onSource?: (space: SpaceId) => void
}

interface Open {
  readonly link: Link
  readonly url: string | undefined
  readonly sinceMs: number
  rid: ReplicaId | undefined
  /** The redialing of its address waits for this. */
  readonly ended: (end: LinkEnd) => void
}

interface Dialing {
  readonly stop: () => void
  sinceMs: number
  lastFailure: string | undefined
}

export class Replicator {
  readonly #parts: ReplicatorParts
  readonly #core: ReplicaCore
  readonly #open = new Map<LinkId, Open>()
  readonly #dialings = new Map<string, Dialing>()
  /** Addresses whose link was one too many: dialed again when the other link to the same replica ends. */
  readonly #resting = new Map<ReplicaId, ((end: LinkEnd) => void)[]>()
  readonly #offered = new Map<SpaceId, ReplicaId>()
  readonly #counts = new Map<Metric, number>()
  readonly #bytes: LinkBytes
  #nextLink = 1
  #isStopped = false
  #stopTick = (): void => undefined

  constructor(parts: ReplicatorParts) {
    this.#parts = parts
    const { identity, kept, giveTicket, openSource, readBlob, onSource, report, clock } = parts
    this.#bytes = new LinkBytes({
      ...{ clock, openSource, readBlob, onSource, report },
      tell: (act) => this.#do(this.#core.blobs(act)),
      bufferedBytes: (link) => this.#open.get(link)?.link.bufferedBytes,
    })
    this.#core = new ReplicaCore({
      identity,
      rootOf: (space) => kept.root(space),
      mayRead: (space, rid) => kept.mayRead(space, rid),
      isNamed: (rid) => this.#namedReplicas().has(rid),
      ...(giveTicket && { giveTicket }),
    })
  }

  start(): void {
    const { kept, listener, peers, clock } = this.#parts
    this.#do(this.#core.tick(clock.now()))
    for (const space of kept.list()) this.#do(this.#core.adoptSpace(space, kept.ops(space)))
    kept.watch((op) => this.#do(this.#core.opWritten(op)))
    listener.onLink((link) => this.#take(link, undefined, () => undefined))
    for (const { url, origin } of peers.list()) if (origin === 'operator') this.#dial(url)
    this.#tick()
  }

  stop(): void {
    this.#isStopped = true
    this.#stopTick()
    for (const { stop } of this.#dialings.values()) stop()
    for (const { link } of this.#open.values()) link.close(CLOSE.goingAway, 'this replica is stopping')
    this.#parts.listener.close()
  }

  /** An address that the operator names from now on. */
  name(url: string): void {
    const { peers, now } = this.#parts
    peers.add({ url, origin: 'operator', addedAtMs: now() })
    this.#dial(url)
  }

  peers(): readonly PeerView[] {
    return peerViews({
      open: this.#open,
      dialings: this.#dialings,
      offered: this.#offered,
      ridAt: (url) => this.#parts.peers.find(url)?.rid,
      agreements: (link) => this.#core.agreements(link),
    })
  }

  /** Where the bytes of a space may be had now; leave to take them is asked for where it is not here yet. */
  sourcesFor(space: SpaceId): readonly ModelSource[] {
    const named = this.#parts.peers.list().filter(({ origin }) => origin === 'operator')
    return [...this.#open].flatMap(([link, { rid, url }]) => {
      const address = url ?? named.find((peer) => rid !== undefined && peer.rid === rid)?.url
      if (rid === undefined) return []
      return this.#bytes.sourcesAt({ link, rid, address: address === undefined ? undefined : { url: address } }, space)
    })
  }

  /** A replica sent bytes that are not what it was asked for. */
  lied(): void {
    this.#count('blobs.lies', 1)
  }

  counts(): ReadonlyMap<Metric, number> {
    return this.#counts
  }

  // links

  #dial(url: string): void {
    const { dialer, clock, random, now } = this.#parts
    if (this.#isStopped || this.#dialings.has(url)) return
    const dialing: Dialing = { stop: () => stop(), sinceMs: now(), lastFailure: undefined }
    this.#dialings.set(url, dialing)
    const stop = keepDialing({
      dialer,
      clock,
      random,
      longestMs: REDIAL_LONGEST_MS,
      address: () => ({ url }),
      onLink: (link, ended) => {
        dialing.lastFailure = undefined
        this.#take(link, url, ended)
      },
      onFailure: (error) => {
        dialing.lastFailure = isTributaryError(error) ? error.message : String(error)
      },
    })
  }

  #take(link: Link, url: string | undefined, ended: (end: LinkEnd) => void): void {
    const { now, randomBytes } = this.#parts
    const id = this.#nextLink++
    this.#open.set(id, { link, url, ended, sinceMs: now(), rid: undefined })
    link.attach({
      onFrame: (frame) => this.#do(this.#core.frameArrived(id, frame)),
      onDrain: () => link.resume(),
      onSent: () => this.#bytes.sent(id),
      onClose: (end) => this.#closed(id, end),
    })
    this.#do(this.#core.linkOpened({ link: id, nonce: randomBytes(NONCE_BYTES), named: url !== undefined }))
  }

  #closed(id: LinkId, end: LinkEnd): void {
    const open = this.#open.get(id)
    if (open === undefined) return
    this.#open.delete(id)
    this.#bytes.closed(id)
    this.#do(this.#core.linkClosed(id))
    const { rid, ended, url } = open
    if (url !== undefined) this.#dialings.get(url)!.sinceMs = this.#parts.now()
    if (rid !== undefined) this.#parts.onPeer?.(url ?? rid)
    const other = rid !== undefined && [...this.#open.values()].some((one) => one.rid === rid)
    if (other) entry(this.#resting, rid, () => []).push(ended)
    else {
      ended(end)
      if (rid === undefined) return
      for (const resting of this.#resting.get(rid) ?? []) resting(end)
      this.#resting.delete(rid)
    }
  }

  /** Two replicas that dial each other have two links: both let go of the same one. */
  #opened(id: LinkId, rid: ReplicaId): void {
    const open = this.#open.get(id)
    if (open === undefined) return
    const { peers, now, identity } = this.#parts
    open.rid = rid
    open.link.welcome()
    if (open.url !== undefined) peers.saw(open.url, rid, now())
    const same = [...this.#open].filter(([, one]) => one.rid === rid)
    if (same.length < 2) {
      this.#parts.onPeer?.(open.url ?? rid)
      return
    }
    const dialer = rid < identity.rid ? 'accepted' : 'dialed'
    const right = same.filter(([, { link }]) => link.direction === dialer)
    const [keep] = (right.length > 0 ? right : same).at(-1)!
    for (const [other, { link }] of same) if (other !== keep) link.close(CLOSE.done, 'another link is kept')
  }

  // effects

  #do(effects: readonly Effect[]): void {
    for (const effect of effects) this.#effect(effect)
  }

  #effect(effect: Effect): void {
    switch (effect.t) {
      case 'send': {
        this.#send(effect.link, effect.frame)
        return
      }
      case 'store': {
        this.#store(effect)
        return
      }
      case 'close': {
        this.#close(effect.link, effect.why)
        return
      }
      case 'opened': {
        this.#opened(effect.link, effect.rid)
        return
      }
      case 'visible':
        return
      case 'adopted':
        this.#offered.delete(effect.space)
        return
      case 'offered':
        if (this.#offered.size < OFFERED_MAX) this.#offered.set(effect.space, effect.by)
        return
      case 'amnesia': {
        this.#parts.kept.raise(effect.known.ep)
        return
      }
      case 'ticket':
      case 'blob-wanted':
      case 'blob-called-off':
      case 'blob-part':
      case 'blob-end': {
        this.#bytes.on(effect)
        return
      }
      case 'report': {
        this.#count(effect.metric, effect.count)
      }
    }
  }

  #count(metric: Metric, count: number): void {
    this.#counts.set(metric, (this.#counts.get(metric) ?? 0) + count)
  }

  /** A peer that reads slowly is read slowly: what it asks for can't pile up here. */
  #send(id: LinkId, frame: Uint8Array): void {
    const link = this.#open.get(id)?.link
    if (link !== undefined && !link.send(frame)) link.pause()
  }

  #close(id: LinkId, why: CloseReason): void {
    this.#open.get(id)?.link.close(why === 'bye' ? CLOSE.done : CLOSE.refused, why)
  }

  /** Soon, and not now: what comes in the meantime goes into the next transaction together. */
  #store({ space, insert, remove }: Extract<Effect, { t: 'store' }>): void {
    const { clock, kept, report } = this.#parts
    clock.after(0, () => {
      if (this.#isStopped) return
      try {
        this.#mind(insert)
        kept.receive(space, { insert: insert.map(({ op }) => op), remove })
      } catch (error) {
        report('storing ops of other replicas', error)
        this.#do(this.#core.storeFailed(space))
        return
      }
      this.#do(this.#core.stored(space))
    })
  }

  /** An op of our own that others had to tell us: what was written after it, they may know and we may not. */
  #mind(insert: readonly KeptOp[]): void {
    const { kept } = this.#parts
    for (const { op } of insert) if (op.record.rid === kept.rid && op.record.ep >= kept.epoch) kept.raise(op.record.ep)
  }

  #tick(): void {
    const { clock } = this.#parts
    this.#stopTick = clock.after(TICK_MS, () => {
      this.#do(this.#core.tick(clock.now()))
      this.#tick()
    })
  }

  // what is

  #namedReplicas(): ReadonlySet<ReplicaId> {
    const named = this.#parts.peers.list().filter(({ origin }) => origin === 'operator')
    return new Set(named.flatMap(({ rid }) => rid ?? []))
  }
}
