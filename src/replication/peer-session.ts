/**
 * One link from the first byte to the last: who is at its other end, proved by a signature over both nonces, and how much
 * of our time the peer may take. Nothing but the greeting is read before the proof.
 */
import type { ReplicaId, SpaceId } from '../core/ids.ts'
import type { CloseReason, LinkId } from './effects.ts'
import {
  type Frame,
  type FrameOf,
  type FrameType,
  type Greeting,
  helloProof,
  PROTOCOL_VERSION,
  type SpaceOffer,
} from './frames.ts'
import { afterMisdeed, afterUsefulOps, CLOSE_BELOW, LAZY_BELOW, type Misdeed, newScore, scoreAt } from './peer-score.ts'
import type { Agreement } from './peer-view.ts'
import type { Settings } from './settings.ts'
import type { SpaceSync } from './space-sync.ts'
import { TokenBucket } from './token-bucket.ts'

/** Who we are on all links: our key signs hellos, and nothing else here. */
export interface Identity {
  readonly rid: ReplicaId
  readonly sign: (proof: Uint8Array) => Uint8Array
  readonly verify: (proof: Uint8Array, rid: ReplicaId, signature: Uint8Array) => boolean
}

export interface LinkOpened {
  readonly link: LinkId
  /** 32 random bytes, never used before. */
  readonly nonce: Uint8Array
  /** Did the operator name this peer? Its spaces are adopted by themselves. */
  readonly named: boolean
  /** Who signed the address that was dialed: nobody else may answer there. */
  readonly expected?: ReplicaId
}

export interface SessionContext {
  readonly identity: Identity
  readonly settings: Settings
  readonly now: () => number
  readonly send: (link: LinkId, frame: Frame) => void
  readonly close: (link: LinkId, why: CloseReason) => void
  /** Our spaces, with what we know in them of this replica. */
  readonly offersTo: (session: PeerSession, rid: ReplicaId) => readonly SpaceOffer[]
  readonly opened: (session: PeerSession, offers: readonly SpaceOffer[]) => void
  /** A frame of a peer that has proved who it is. */
  readonly arrived: (session: PeerSession, frame: Frame) => void
  readonly unexpected: () => void
}

/** greeting: our hello is out · proving: theirs is here, and our signature out · open · closed */
export type SessionState = 'greeting' | 'proving' | 'open' | 'closed'

type Handler<T extends FrameType> = (session: PeerSession, frame: FrameOf<T>) => SessionState
type Table = { readonly [S in SessionState]: { readonly [T in FrameType]: Handler<T> } }

const ignore = (session: PeerSession): SessionState => {
  session.unexpected()
  return session.state
}
const pass = (session: PeerSession, frame: Frame): SessionState => session.pass(frame)

const IGNORED = {
  'state-vector': ignore,
  update: ignore,
  need: ignore,
  ids: ignore,
  reconcile: ignore,
  records: ignore,
  roots: ignore,
  'ticket-want': ignore,
  ticket: ignore,
  'blob-want': ignore,
  'blob-part': ignore,
  'blob-end': ignore,
  addresses: ignore,
}

const bye = (session: PeerSession): SessionState => session.close('bye')

const TABLE: Table = {
  greeting: { ...IGNORED, hello: (s, f) => s.prove(f), 'hello-ack': ignore, bye },
  proving: { ...IGNORED, hello: ignore, 'hello-ack': (s, f) => s.open(f), bye },
  open: {
    hello: ignore,
    'hello-ack': ignore,
    'state-vector': pass,
    update: pass,
    need: pass,
    ids: pass,
    reconcile: pass,
    records: pass,
    roots: pass,
    'ticket-want': pass,
    ticket: pass,
    'blob-want': pass,
    'blob-part': pass,
    'blob-end': pass,
    addresses: pass,
    bye,
  },
  closed: { ...IGNORED, hello: ignore, 'hello-ack': ignore, bye: ignore },
}

export class PeerSession {
  readonly link: LinkId
  readonly named: boolean
  readonly syncs = new Map<SpaceId, SpaceSync>()
  readonly #context: SessionContext
  readonly #nonce: Uint8Array
  readonly #openedAt: number
  readonly #expected: ReplicaId | undefined
  readonly #frames: TokenBucket
  readonly #bytes: TokenBucket
  /** Frames that nothing here waits for: what crossed on the way is let pass, a flood of them is not. */
  readonly #stray: TokenBucket
  #frameBytes = 0
  #state: SessionState = 'greeting'
  #rid: ReplicaId | undefined
  #theirNonce: Uint8Array | undefined
  #score

  constructor({ link, nonce, named, expected }: LinkOpened, context: SessionContext) {
    this.link = link
    this.named = named
    this.#context = context
    this.#nonce = nonce
    this.#expected = expected
    const { identity, settings, now } = context
    this.#openedAt = now()
    const { framesPerSecond, bytesPerSecond, burstSeconds, strangerBurstSeconds } = settings
    const seconds = named ? burstSeconds : strangerBurstSeconds
    this.#frames = new TokenBucket(framesPerSecond, framesPerSecond * seconds, now())
    this.#bytes = new TokenBucket(bytesPerSecond, bytesPerSecond * seconds, now())
    this.#stray = new TokenBucket(settings.strayPerSecond, settings.strayBurst, now())
    this.#score = newScore(now())
    context.send(link, { t: 'hello', versions: [PROTOCOL_VERSION, PROTOCOL_VERSION], rid: identity.rid, nonce })
  }

  get state(): SessionState {
    return this.#state
  }
  /** Undefined until it is proved. */
  get rid(): ReplicaId | undefined {
    return this.#state === 'open' ? this.#rid : undefined
  }
  /** Of the spaces that are synced over this link. */
  get agreements(): readonly Agreement[] {
    return [...this.syncs.values()].filter(({ isHeard }) => isHeard).map(({ agreement }) => agreement)
  }
  get isOpen(): boolean {
    return this.#state === 'open'
  }
  get isTrusted(): boolean {
    return scoreAt(this.#score, this.#context.now()) >= LAZY_BELOW
  }

  on<T extends FrameType>(frame: FrameOf<T>): void {
    this.#state = TABLE[this.#state][frame.t](this, frame)
  }

  /** May it send so much now? */
  affords(bytes: number): boolean {
    const now = this.#context.now()
    this.#frameBytes = bytes
    return this.#frames.take(1, now) && this.#bytes.take(bytes, now)
  }

  /** How long nothing more is read from it after so many bytes: it is held back before anything is dropped. */
  holdMs(bytes: number): number {
    return Math.max(this.#frames.waitAfter(1), this.#bytes.waitAfter(bytes))
  }

  blame(misdeed: Misdeed): void {
    const now = this.#context.now()
    this.#score = afterMisdeed(this.#score, misdeed, now)
    if (this.#state !== 'closed' && scoreAt(this.#score, now) < CLOSE_BELOW) this.#state = this.close('score')
  }

  thank(ops: number): void {
    this.#score = afterUsefulOps(this.#score, ops)
  }

  tick(): void {
    const waited = this.#context.now() - this.#openedAt
    const isGreeting = this.#state === 'greeting' || this.#state === 'proving'
    if (isGreeting && waited >= this.#context.settings.helloTimeoutMs) this.#state = this.close('timeout')
  }

  prove({ versions: [min, max], rid, nonce }: FrameOf<'hello'>): SessionState {
    const { identity, offersTo, send } = this.#context
    if (min > PROTOCOL_VERSION || max < PROTOCOL_VERSION) return this.close('version')
    if (rid === identity.rid) return this.close('self')
    if (rid !== (this.#expected ?? rid)) return this.close('other')
    this.#rid = rid
    this.#theirNonce = nonce
    const ack = { version: PROTOCOL_VERSION, spaces: offersTo(this, rid) }
    const greeting = { from: identity.rid, to: rid, fromNonce: this.#nonce, toNonce: nonce }
    send(this.link, { t: 'hello-ack', ...ack, signature: identity.sign(helloProof(greeting, ack)) })
    return 'proving'
  }

  open(ack: FrameOf<'hello-ack'>): SessionState {
    const { identity, opened } = this.#context
    const [rid, theirNonce] = [this.#rid!, this.#theirNonce!]
    const greeting: Greeting = { from: rid, to: identity.rid, fromNonce: theirNonce, toNonce: this.#nonce }
    if (ack.version !== PROTOCOL_VERSION) return this.close('version')
    if (!identity.verify(helloProof(greeting, ack), rid, ack.signature)) return this.close('hello')
    this.#state = 'open'
    opened(this, ack.spaces)
    return this.#state
  }

  /** Whatever state it is in. */
  refuse(why: CloseReason): void {
    this.#state = this.close(why)
  }

  pass(frame: Frame): SessionState {
    this.#context.arrived(this, frame)
    return this.#state
  }

  /** What it sends in vain costs by its size too: the reading of it is what a flood takes. */
  unexpected(): void {
    const { settings, now, unexpected } = this.#context
    unexpected()
    if (!this.#stray.take(1 + this.#frameBytes / settings.strayBytes, now())) this.blame('floods')
  }

  close(why: CloseReason): SessionState {
    this.#context.close(this.link, why)
    return 'closed'
  }
}
