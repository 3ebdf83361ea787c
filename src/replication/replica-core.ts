/**
 * A replica among its peers, without I/O: what happens goes in, what is to be done comes out. Ops become durable before
 * they are visible, and visible before anyone is told. Time is what the last tick said.
 */
import { entry } from '../core/forks.ts'
import type { ReplicaId, SetRoot, SpaceId } from '../core/ids.ts'
import { invariant } from '../core/invariant.ts'
import { type SignedOp, spaceOf } from '../core/op.ts'
import type { KeptAddress } from './address-book.ts'
import { AddressExchange } from './address-exchange.ts'
import { isMalformed } from './admission.ts'
import { BlobLinks } from './blob-links.ts'
import type { ReplicaCoreOptions } from './core-options.ts'
import { EffectQueue } from './effect-queue.ts'
import type { CloseReason, Effect, LinkId } from './effects.ts'
import { decodeFrame, type Frame, type SpaceOffer, SPACES_MAX } from './frames.ts'
import { KeptSpace, type Load, type SpaceContext } from './kept-space.ts'
import { type LinkOpened, PeerSession, type SessionContext } from './peer-session.ts'
import type { Agreement } from './peer-view.ts'
import { isNamed, mayRead, type Reader } from './readers.ts'
import { DEFAULT_SETTINGS, type Settings } from './settings.ts'
import { SpaceSet } from './space-set.ts'
import { ALL_PARTS, SpaceSync, type SyncContext } from './space-sync.ts'

const NO_ROOT = '0'.repeat(64) as SetRoot

export class ReplicaCore {
  readonly #options: ReplicaCoreOptions
  readonly #settings: Settings
  readonly #sessions = new Map<LinkId, PeerSession>()
  readonly #spaces = new Map<SpaceId, KeptSpace>()
  readonly #blobs: BlobLinks
  readonly #addresses: AddressExchange | undefined
  readonly #out = new EffectQueue()
  readonly #outward: Pick<SpaceContext, 'report' | 'blame' | 'send' | 'effect'> = {
    report: this.#out.report,
    blame: (link, misdeed) => this.#sessions.get(link)?.blame(misdeed),
    send: this.#out.send,
    effect: this.#out.push,
  }
  #adopted = 0
  #now = 0

  constructor(options: ReplicaCoreOptions) {
    this.#options = options
    this.#settings = options.settings ?? DEFAULT_SETTINGS
    this.#blobs = new BlobLinks({
      ...this.#outward,
      giveTicket: options.giveTicket,
      rid: (link) => this.#sessions.get(link)?.rid,
      mayRead: (link, space) => this.#spaces.has(space) && this.#mayRead(this.#sessions.get(link)!, space),
    })
    const { identity, addresses } = options
    this.#addresses =
      addresses &&
      new AddressExchange(addresses, { identity, settings: this.#settings, now: () => this.#now, ...this.#outward })
  }

  // what happens

  /** At the start, and when the operator wants a space: with the ops that storage has of it. */
  adoptSpace(space: SpaceId, stored: Iterable<SignedOp> = []): readonly Effect[] {
    return this.#during(() => {
      const kept = this.#keep(space)
      kept.restore(stored)
      kept.store()
      this.#startAll(space)
    })
  }

  linkOpened(opened: LinkOpened): readonly Effect[] {
    return this.#during(() => {
      this.#sessions.set(opened.link, new PeerSession(opened, this.#sessionContext()))
      if (opened.expected !== undefined) this.#addresses?.dialed(opened.link, opened.expected)
    })
  }

  frameArrived(link: LinkId, bytes: Uint8Array): readonly Effect[] {
    return this.#during(() => {
      const session = this.#sessions.get(link)
      if (session === undefined) return
      if (this.#blobs.expects(link, bytes)) this.#frame(session, bytes)
      else if (session.affords(bytes.length)) {
        const ms = session.holdMs(bytes.length)
        if (ms > 0) this.#out.push({ t: 'hold', link, ms })
        this.#frame(session, bytes)
      } else {
        this.#out.report('refused.rate', 1)
        session.blame('floods')
      }
    })
  }

  linkClosed(link: LinkId): readonly Effect[] {
    return this.#during(() => this.#forget(link))
  }

  /** `wallMs`: milliseconds since 1970, for what expires by a date. */
  tick(now: number, wallMs = now): readonly Effect[] {
    return this.#during(() => {
      this.#now = Math.max(this.#now, now)
      for (const session of [...this.#sessions.values()]) {
        session.tick()
        for (const sync of session.syncs.values()) sync.on({ t: 'tick' })
      }
      for (const kept of this.#spaces.values()) kept.tick()
      this.#addresses?.tick(wallMs)
    })
  }

  /** An own op, durable already. */
  opWritten(op: SignedOp): readonly Effect[] {
    return this.#during(() => {
      const space = spaceOf(op)
      const kept = this.#keep(space)
      kept.restore([op])
      const shown = kept.set.get(op.id)
      if (shown !== undefined) kept.show([shown])
      this.#startAll(space)
      kept.store()
    })
  }

  /** Bytes over links: what is wanted of them, and given to them. */
  blobs(act: (blobs: BlobLinks) => void): readonly Effect[] {
    return this.#during(() => act(this.#blobs))
  }

  /** What is known of where replicas are changes from without. */
  addressing(act: (addresses: AddressExchange) => void): readonly Effect[] {
    return this.#during(() => this.#addresses && act(this.#addresses))
  }

  /** The batch of this space is durable. */
  stored(space: SpaceId): readonly Effect[] {
    return this.#during(() => {
      this.#storing(space).stored()
      this.#startAll(space) // who may see it now, and could not before
    })
  }

  /** It is not: as if it had never come. It comes again with the next sync. */
  storeFailed(space: SpaceId): readonly Effect[] {
    return this.#during(() => this.#storing(space).storeFailed())
  }

  // what is

  set(space: SpaceId): SpaceSet | undefined {
    return this.#spaces.get(space)?.set
  }

  /** What waits, for metrics and for tests that nothing grows. */
  load(space: SpaceId): Load {
    return this.#spaces.get(space)?.load ?? { parked: 0, waiting: 0, awaited: 0, lazy: 0 }
  }

  addresses(): readonly KeptAddress[] {
    return this.#addresses?.kept() ?? []
  }

  /** Of the spaces that are synced over this link: did both keep the same, when they last told? */
  agreements(link: LinkId): readonly Agreement[] {
    return this.#sessions.get(link)?.agreements ?? []
  }

  // frames

  #frame(session: PeerSession, bytes: Uint8Array): void {
    try {
      const frame = decodeFrame(bytes)
      this.#out.report(`frames.${frame.t}`, 1)
      if (frame.t !== 'unknown') session.on(frame)
    } catch (error) {
      if (!isMalformed(error)) throw error
      this.#out.report('frames.malformed', 1)
      if (session.isOpen) session.blame('malformed')
      else session.refuse('malformed')
    }
  }

  #arrived(session: PeerSession, frame: Frame): void {
    switch (frame.t) {
      case 'roots':
        for (const { space, ...theirs } of frame.spaces) {
          if (!this.#isKept(session, space)) continue
          this.#syncWith(session, space).on({ t: 'start' })
          this.#syncWith(session, space).on({ t: 'roots', theirs })
          this.#spaces.get(space)!.gossip.join(session.link)
        }
        return
      case 'state-vector':
        if (!this.#isKept(session, frame.space)) return
        this.#syncWith(session, frame.space).on({ t: 'start' })
        this.#syncWith(session, frame.space).on({ t: 'vector', frame })
        this.#spaces.get(frame.space)!.gossip.join(session.link)
        return
      case 'update':
      case 'records':
      case 'need':
      case 'ids':
      case 'reconcile': {
        const kept = this.#spaces.get(frame.space)
        if (kept !== undefined && this.#mayRead(session, frame.space))
          kept.arrived(session.link, this.#syncWith(session, frame.space), frame)
        else session.unexpected()
        return
      }
      case 'ticket-want':
      case 'ticket':
      case 'blob-want':
      case 'blob-part':
      case 'blob-end':
        this.#blobs.arrived(session.link, frame)
        return
      case 'addresses':
        this.#addresses?.arrived(session.link, frame)
        return
      case 'hello':
      case 'hello-ack':
      case 'bye':
        session.unexpected()
    }
  }

  // spaces

  #keep(space: SpaceId): KeptSpace {
    const { verify, latticeOf } = this.#options
    const make = () => new KeptSpace(new SpaceSet(space, verify, latticeOf?.()), this.#spaceContext())
    return entry(this.#spaces, space, make)
  }

  #storing(space: SpaceId): KeptSpace {
    const kept = this.#spaces.get(space)
    invariant(kept?.set.isStoring, `nothing of the space ${space} is being stored`)
    return kept
  }

  /** Is the space kept, or adopted now? */
  #isKept(session: PeerSession, space: SpaceId): boolean {
    if (this.#spaces.has(space)) return this.#mayRead(session, space)
    if (isNamed(this.#options, session) && this.#adopted < this.#settings.adoptedSpaces) {
      this.#adopted++
      this.#keep(space)
      this.#out.push({ t: 'adopted', space, link: session.link })
      this.#startAll(space)
      return true
    }
    this.#out.push({ t: 'offered', space, link: session.link, by: session.rid! })
    return false
  }

  /** With whoever may see it now; who may no longer is told nothing more. */
  #startAll(space: SpaceId): void {
    for (const session of this.#sessions.values()) {
      if (!session.isOpen) continue
      if (this.#mayRead(session, space)) this.#syncWith(session, space).on({ t: 'start' })
      else if (session.syncs.delete(space)) this.#spaces.get(space)?.gossip.leave(session.link)
    }
  }

  #syncWith(session: PeerSession, space: SpaceId): SpaceSync {
    return entry(session.syncs, space, () => {
      const context: SyncContext = {
        set: this.#keep(space).set,
        settings: this.#settings,
        now: () => this.#now,
        rootOf: (of) => this.#options.rootOf?.(of) ?? NO_ROOT,
        send: (frame) => this.#out.send(session.link, frame),
        report: this.#out.report,
      }
      return new SpaceSync(context, this.#options.parts ?? ALL_PARTS)
    })
  }

  #spaceContext(): SpaceContext {
    return {
      sessions: this.#sessions,
      own: this.#options.identity.rid,
      settings: this.#settings,
      now: () => this.#now,
      ...this.#outward,
      vouches: (link, isMember) => {
        const session = this.#sessions.get(link)
        return session?.rid !== undefined && (isNamed(this.#options, session) || isMember(session.rid))
      },
    }
  }

  // links

  #sessionContext(): SessionContext {
    return {
      identity: this.#options.identity,
      settings: this.#settings,
      now: () => this.#now,
      ...this.#outward,
      close: (link, why) => this.#close(link, why),
      offersTo: (session, rid) => this.#offersTo(session, rid),
      opened: (session, offers) => this.#opened(session, offers),
      arrived: (session, frame) => this.#arrived(session, frame),
      unexpected: () => this.#out.report('frames.unexpected', 1),
    }
  }

  /** Before the peer has proved who it is: what anyone may know. */
  #offersTo({ named }: PeerSession, rid: ReplicaId): SpaceOffer[] {
    const shown = [...this.#spaces.values()].filter(({ set }) => this.#mayRead({ named, rid: undefined }, set.space))
    return shown.slice(0, SPACES_MAX).map(({ set }) => {
      const known = set.highest(rid)
      return { space: set.space, ...(known !== undefined && { known }) }
    })
  }

  #mayRead(reader: Reader, space: SpaceId): boolean {
    return mayRead(this.#options, reader, space)
  }

  #opened(session: PeerSession, offers: readonly SpaceOffer[]): void {
    this.#out.push({ t: 'opened', link: session.link, rid: session.rid! })
    this.#addresses?.opened(session.link, session.rid!)
    for (const { space, known } of offers) {
      if (!this.#isKept(session, space)) continue
      const own = this.#spaces.get(space)!.set.highest(this.#options.identity.rid)
      const isNews = known && (own === undefined || known.ep > own.ep || (known.ep === own.ep && known.seq > own.seq))
      if (isNews) this.#out.push({ t: 'amnesia', space, known })
      this.#syncWith(session, space).on({ t: 'start' })
    }
    for (const space of this.#spaces.keys())
      if (this.#mayRead(session, space)) this.#syncWith(session, space).on({ t: 'start' })
  }

  #close(link: LinkId, why: CloseReason): void {
    this.#out.push({ t: 'close', link, why })
    this.#forget(link)
  }

  #forget(link: LinkId): void {
    this.#sessions.delete(link)
    this.#blobs.closed(link)
    this.#addresses?.closed(link)
    for (const { gossip } of this.#spaces.values()) gossip.leave(link)
  }

  #during(act: () => unknown): readonly Effect[] {
    act()
    return this.#out.take()
  }
}
