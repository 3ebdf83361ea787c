/**
 * Peers tell each other where they are, and where those are that they are linked to. What is learned so is dialed one at
 * a time, and only while links are too few; whoever answers must prove the key that signed the address.
 */
import { isTributaryError } from '../core/errors.ts'
import type { ReplicaId } from '../core/ids.ts'
import { AddressBook, type KeptAddress } from './address-book.ts'
import { ADDRESS_LIFE_MS, isSignedByOwner, readAddress, signAddress, type SignedAddress } from './address-record.ts'
import type { Effect, LinkId, Metric } from './effects.ts'
import { ADDRESSES_MAX, type Frame, type FrameOf } from './frames.ts'
import type { Misdeed } from './peer-score.ts'
import type { Identity } from './peer-session.ts'
import type { Settings } from './settings.ts'
import { TokenBucket } from './token-bucket.ts'

const SIGN_AGAIN_MS = 6 * 3600 * 1000
const FRAMES_BURST = 4

export interface AddressOptions {
  /** Where this replica wants to be dialed; none tells nothing of itself. */
  readonly urls: readonly string[]
  /** May such an address be dialed at all, as far as can be said before its name is looked up? */
  readonly admits: (url: string) => boolean
  /** 32 random bytes. */
  readonly salt: Uint8Array
}

export interface AddressContext {
  readonly identity: Identity
  readonly settings: Settings
  readonly now: () => number
  readonly send: (link: LinkId, frame: Frame) => void
  readonly effect: (effect: Effect) => void
  readonly report: (metric: Metric, count: number) => void
  readonly blame: (link: LinkId, misdeed: Misdeed) => void
}

interface Linked {
  readonly rid: ReplicaId
  /** Of whom it was told what was issued when. */
  readonly told: Map<ReplicaId, number>
  readonly frames: TokenBucket
}

interface Dialed {
  readonly rid: ReplicaId
  readonly since: number
  link: LinkId | undefined
}

export class AddressExchange {
  readonly #options: AddressOptions
  readonly #context: AddressContext
  readonly #book: AddressBook
  readonly #links = new Map<LinkId, Linked>()
  #own: SignedAddress | undefined
  #dialed: Dialed | undefined
  #lastDialAt = -Infinity
  #toldAt = -Infinity
  #wallMs = 0

  constructor(options: AddressOptions, context: AddressContext) {
    this.#options = options
    this.#context = context
    this.#book = new AddressBook(options.salt, (rid) => context.effect({ t: 'forgotten', rid }))
  }

  kept(): readonly KeptAddress[] {
    return this.#book.all()
  }

  /** What was kept before the start, verified then. */
  restore({ address, toldBy }: KeptAddress): void {
    this.#book.learn(address, toldBy, this.#wallMs)
  }

  /** A link that somebody was dialed on: only the owner of the address may answer. */
  dialed(link: LinkId, rid: ReplicaId): void {
    if (this.#dialed?.rid === rid) this.#dialed.link = link
  }

  opened(link: LinkId, rid: ReplicaId): void {
    const { settings, now } = this.#context
    const frames = new TokenBucket(1000 / settings.addressesEveryMs, FRAMES_BURST, now())
    this.#links.set(link, { rid, told: new Map(), frames })
    this.#book.proved(rid)
    if (this.#dialed?.rid === rid) this.#dialed = undefined
    this.#tell(link)
  }

  closed(link: LinkId): void {
    const linked = this.#links.get(link)
    if (linked !== undefined) this.#book.rest(linked.rid, this.#context.now())
    this.#links.delete(link)
    if (this.#dialed?.link === link) this.dialFailed(this.#dialed.rid)
  }

  /** None of its addresses led to it. */
  dialFailed(rid: ReplicaId): void {
    if (this.#dialed?.rid !== rid) return
    this.#dialed = undefined
    this.#context.report('addresses.failed', 1)
    this.#book.failed(rid, this.#context.now())
  }

  arrived(link: LinkId, { addresses }: FrameOf<'addresses'>): void {
    const { blame, report, now, effect } = this.#context
    const linked = this.#links.get(link)
    if (linked === undefined) return
    if (!linked.frames.take(1, now())) {
      report('refused.rate', 1)
      blame(link, 'floods')
      return
    }
    const learned = addresses.flatMap((bytes) => this.#learn(link, linked.rid, bytes) ?? [])
    if (learned.length > 0) effect({ t: 'learned', addresses: learned })
  }

  tick(wallMs: number): void {
    const { settings, now } = this.#context
    this.#wallMs = wallMs
    this.#book.expire(wallMs)
    if (now() - this.#toldAt >= settings.addressesEveryMs) {
      this.#toldAt = now()
      for (const link of this.#links.keys()) this.#tell(link)
    }
    this.#dialNext()
  }

  #learn(link: LinkId, teller: ReplicaId, bytes: Uint8Array): KeptAddress | undefined {
    const { identity, report, blame } = this.#context
    const address = readForm(bytes)
    if (address === 'malformed' || address === 'refused') {
      report('addresses.refused', 1)
      if (address === 'malformed') blame(link, 'malformed')
      return undefined
    }
    if (address.rid === identity.rid || !this.#book.isNews(address)) return undefined
    if (!address.urls.some((url) => this.#options.admits(url))) {
      report('addresses.refused', 1) // no misdeed: what is private here may be reached from there
      return undefined
    }
    if (!isSignedByOwner(address, identity.verify)) {
      report('addresses.refused', 1)
      blame(link, 'forged')
      return undefined
    }
    const learned = this.#book.learn(address, teller, this.#wallMs)
    if (learned === 'full') report('addresses.full', 1)
    if (learned !== 'kept') return undefined
    report('addresses.learned', 1)
    if ([...this.#links.values()].some(({ rid }) => rid === address.rid)) this.#book.proved(address.rid)
    return this.#book.get(address.rid)
  }

  /** Ourselves, and those linked to now: what this replica knows to be true of its own. */
  #tell(link: LinkId): void {
    const { rid: peer, told } = this.#links.get(link)!
    const linked = new Set([...this.#links.values()].map(({ rid }) => rid))
    const others = this.#book.all().flatMap(({ address }) => (linked.has(address.rid) ? [address] : []))
    const own = this.#ownAddress()
    const news = [...(own === undefined ? [] : [own]), ...others]
      .filter(({ rid, issuedMs }) => rid !== peer && (told.get(rid) ?? -1) < issuedMs)
      .slice(0, ADDRESSES_MAX)
    if (news.length === 0) return
    for (const { rid, issuedMs } of news) told.set(rid, issuedMs)
    for (const rid of told.keys()) if (rid !== own?.rid && !linked.has(rid)) told.delete(rid)
    this.#context.send(link, { t: 'addresses', addresses: news.map(({ bytes }) => bytes) })
  }

  #ownAddress(): SignedAddress | undefined {
    const { urls } = this.#options
    if (urls.length === 0) return undefined
    if (this.#own !== undefined && this.#wallMs - this.#own.issuedMs < SIGN_AGAIN_MS) return this.#own
    const { identity } = this.#context
    const [issuedMs, expiresMs] = [this.#wallMs, this.#wallMs + ADDRESS_LIFE_MS]
    return (this.#own = signAddress({ rid: identity.rid, issuedMs, expiresMs, urls }, identity.sign))
  }

  #dialNext(): void {
    const { settings, now, effect } = this.#context
    if (this.#dialed !== undefined && now() - this.#dialed.since >= settings.learnedDialMs)
      this.dialFailed(this.#dialed.rid)
    if (this.#dialed !== undefined || now() - this.#lastDialAt < settings.learnedDialEveryMs) return
    const linked = new Set([...this.#links.values()].map(({ rid }) => rid))
    if (linked.size >= settings.meshLinks) return
    const address = this.#book.next(now(), (rid) => !linked.has(rid))
    if (address === undefined) return
    this.#lastDialAt = now()
    this.#dialed = { rid: address.rid, since: now(), link: undefined }
    effect({ t: 'dial', rid: address.rid, urls: address.urls.filter((url) => this.#options.admits(url)) })
  }
}

function readForm(bytes: Uint8Array): SignedAddress | 'malformed' | 'refused' {
  try {
    return readAddress(bytes)
  } catch (error) {
    if (!isTributaryError(error)) throw error
    return error.code === 'ADDRESS_REFUSED' ? 'refused' : 'malformed'
  }
}
