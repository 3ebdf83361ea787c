/**
 * The replica core put to work: links carry its frames, storage makes its ops durable, a clock ticks. It decides nothing
 * that matters to correctness; the core does, and the simulator drives the same core without this.
 */
import { isTributaryError } from '../core/errors.ts'
import { entry } from '../core/forks.ts'
import type { ReplicaId, SpaceId } from '../core/ids.ts'
import type { ModelSource } from '../transport/blob-source.ts'
import { keepDialing } from '../transport/redial.ts'
import { type Address, CLOSE, type Link, type LinkEnd } from '../transport/transport.ts'
import type { CloseReason, Effect, LinkId, Metric } from './effects.ts'
import type { KeptOp } from './space-set.ts'
import { HeldLinks } from './held-links.ts'
import { LearnedAddresses } from './learned-addresses.ts'
import type { JudgedAddress } from './learned-dialer.ts'
import { LinkBytes } from './link-bytes.ts'
import { type Dialing, type Open, peerList } from './peer-list.ts'
import type { PeerView } from './peer-view.ts'
import { ReplicaCore } from './replica-core.ts'
import type { ReplicatorParts } from './replicator-parts.ts'

const TICK_MS = 200
/** The operator's peers are few and wanted: after a cut of any length they are linked again soon. */
const REDIAL_LONGEST_MS = 5_000
const NONCE_BYTES = 32
/** Spaces that were offered and not adopted are remembered, so that people can be told; no more than these. */
const OFFERED_MAX = 256

/** How a link came about: accepted, or dialed at an address of the operator, or at one that its owner signed. */
interface Taken {
  readonly url?: string
  readonly judged?: JudgedAddress
  readonly expected?: ReplicaId
  readonly ended?: (end: LinkEnd) => void
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
  readonly #learned: LearnedAddresses | undefined
  readonly #held: HeldLinks
  #nextLink = 1
  #isStopped = false
  #stopTick = (): void => undefined

  constructor(parts: ReplicatorParts) {
    this.#parts = parts
    const { identity, kept, giveTicket, openSource, readBlob, onSource, report, clock } = parts
    const { addresses, dialer, now, randomBytes } = parts
    this.#held = new HeldLinks(clock)
    if (addresses !== undefined)
      this.#learned = new LearnedAddresses({
        ...{ addresses, dialer, clock, now, salt: randomBytes(NONCE_BYTES) },
        onLink: (link, judged, expected) => {
          if (this.#isStopped) link.close(CLOSE.goingAway, 'it is not wanted any more')
          else this.#take(link, { url: judged.url, judged, expected })
        },
        onFailure: (rid) => this.#do(this.#core.addressing((known) => known.dialFailed(rid))),
      })
    this.#bytes = new LinkBytes({
      ...{ clock, openSource, readBlob, onSource, report },
      tell: (act) => this.#do(this.#core.blobs(act)),
      bufferedBytes: (link) => this.#open.get(link)?.link.bufferedBytes,
      keeps: (link, space) => this.#core.agreements(link).some((one) => one.space === space),
    })
    this.#core = new ReplicaCore({
      identity,
      rootOf: (space) => kept.root(space),
      mayRead: (space, rid) => kept.mayRead(space, rid),
      isNamed: (rid) => this.#namedReplicas().has(rid),
      ...(giveTicket && { giveTicket }),
      ...(this.#learned && { addresses: this.#learned.options }),
    })
  }

  start(): void {
    const { kept, listener, peers, clock, now } = this.#parts
    this.#do(this.#core.tick(clock.now(), now()))
    for (const known of this.#learned?.stored() ?? []) this.#do(this.#core.addressing((all) => all.restore(known)))
    for (const space of kept.list()) this.#do(this.#core.adoptSpace(space, kept.ops(space)))
    kept.watch((op) => this.#do(this.#core.opWritten(op)))
    listener.onLink((link) => this.#take(link, {}))
    for (const { url } of peers.list()) this.#dial(url)
    this.#tick()
  }

  stop(): void {
    this.#isStopped = true
    this.#stopTick()
    this.#learned?.dialer.stop()
    for (const { stop } of this.#dialings.values()) stop()
    for (const { link } of this.#open.values()) link.close(CLOSE.goingAway, 'this replica is stopping')
    this.#parts.listener.close()
  }

  /** An address that the operator names from now on. */
  name(url: string): void {
    const { peers, now } = this.#parts
    peers.add({ url, addedAtMs: now() })
    this.#dial(url)
  }

  peers(): readonly PeerView[] {
    return peerList({
      open: this.#open,
      dialings: this.#dialings,
      ridAt: (url) => this.#parts.peers.find(url)?.rid,
      addresses: this.#core.addresses(),
      offered: this.#offered,
      agreements: (link) => this.#core.agreements(link),
    })
  }

  /** Where the bytes of a space may be had now; leave to take them is asked for where it is not here yet. */
  sourcesFor(space: SpaceId): readonly ModelSource[] {
    const named = this.#parts.peers.list()
    return [...this.#open].flatMap(([link, { rid, url, judged }]) => {
      if (rid === undefined) return []
      const given = judged === undefined ? url : undefined
      const typed = given ?? named.find((peer) => peer.rid === rid)?.url
      const address: Address | undefined = typed === undefined ? judged : { url: typed }
      return this.#bytes.sourcesAt({ link, rid, address }, space)
    })
  }

  /** This replica sent bytes that are not what it was asked for. */
  lied(source: string): void {
    this.#count('blobs.lies', 1)
    for (const [link, { rid }] of [...this.#open])
      if (rid === source) this.#do(this.#core.blobs((blobs) => blobs.lied(link)))
  }

  parkedOps(): number {
    return this.#parts.kept.list().reduce((sum, space) => sum + this.#core.load(space).parked, 0)
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
        this.#take(link, { url, ended })
      },
      onFailure: (error) => {
        dialing.lastFailure = isTributaryError(error) ? error.message : String(error)
      },
    })
  }

  #take(link: Link, how: Taken): void {
    const { now, randomBytes } = this.#parts
    const { url, judged, expected, ended = () => undefined } = how
    const id = this.#nextLink++
    this.#open.set(id, { link, url, judged, ended, sinceMs: now(), rid: undefined })
    link.attach({
      onFrame: (frame) => this.#do(this.#core.frameArrived(id, frame)),
      onDrain: () => this.#held.resume(link),
      onSent: () => this.#bytes.sent(id),
      onClose: (end) => this.#closed(id, end),
    })
    const opened = { link: id, nonce: randomBytes(NONCE_BYTES), named: url !== undefined && judged === undefined }
    this.#do(this.#core.linkOpened({ ...opened, ...(expected !== undefined && { expected }) }))
  }

  #closed(id: LinkId, end: LinkEnd): void {
    const open = this.#open.get(id)
    if (open === undefined) return
    this.#open.delete(id)
    this.#bytes.closed(id)
    this.#do(this.#core.linkClosed(id))
    const { rid, ended, url, judged } = open
    if (url !== undefined && judged === undefined) this.#dialings.get(url)!.sinceMs = this.#parts.now()
    if (rid === undefined && judged !== undefined) this.#learned?.dialer.rest(judged)
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
    if (open.judged !== undefined) this.#learned?.dialer.answered(open.judged)
    else if (open.url !== undefined) peers.saw(open.url, rid, now())
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
      case 'send':
        this.#send(effect.link, effect.frame)
        return
      case 'store':
        this.#store(effect)
        return
      case 'close':
        this.#close(effect.link, effect.why)
        return
      case 'hold': {
        const open = this.#open.get(effect.link)
        if (open !== undefined) this.#held.hold(open.link, effect.ms)
        return
      }
      case 'opened':
        this.#opened(effect.link, effect.rid)
        return
      case 'visible':
        return
      case 'adopted':
        this.#offered.delete(effect.space)
        return
      case 'offered':
        if (this.#offered.size < OFFERED_MAX) this.#offered.set(effect.space, effect.by)
        return
      case 'amnesia':
        this.#parts.kept.raise(effect.known.ep)
        return
      case 'ticket':
      case 'blob-wanted':
      case 'blob-called-off':
      case 'blob-part':
      case 'blob-end':
        this.#bytes.on(effect)
        return
      case 'accuse':
        this.#accuse(effect)
        return
      case 'dial':
        void this.#learned?.dial(effect.rid, effect.urls)
        return
      case 'learned':
        this.#learned?.keep(effect.addresses)
        return
      case 'forgotten':
        this.#learned?.forget(effect.rid)
        return
      case 'report':
        this.#count(effect.metric, effect.count)
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
    if (this.#open.has(id)) this.#count(`links.${why}`, 1)
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

  /** What can't be written now is asked for again. */
  #accuse({ space, pair }: Extract<Effect, { t: 'accuse' }>): void {
    const { kept, report, clock } = this.#parts
    clock.after(0, () => {
      if (this.#isStopped) return
      try {
        if (kept.accuse(space, pair)) this.#count('evidence.written', 1)
      } catch (error) {
        report('writing evidence of a fork', error)
      }
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
      this.#do(this.#core.tick(clock.now(), this.#parts.now()))
      this.#tick()
    })
  }

  // what is

  #namedReplicas(): ReadonlySet<ReplicaId> {
    return new Set(this.#parts.peers.list().flatMap(({ rid }) => rid ?? []))
  }
}
