/**
 * What is asked for over links and owed to them: leave to take blobs by HTTP, and bytes of blobs. What was asked for is
 * taken in order and within its bounds, anything else is refused by name. Bytes come and go as effects; none wait here.
 */
import { entry } from '../core/forks.ts'
import type { ReplicaId, SpaceId } from '../core/ids.ts'
import { BLOB_PART_NUMBER, type BlobEnd, type BlobWant, WANTS_MAX } from './blob-frames.ts'
import type { Effect, LinkId, Metric } from './effects.ts'
import type { Frame, FrameOf } from './frames.ts'
import type { Misdeed } from './peer-score.ts'

export interface BlobLinksContext {
  readonly send: (link: LinkId, frame: Frame) => void
  readonly effect: (effect: Effect) => void
  readonly report: (metric: Metric, count: number) => void
  readonly blame: (link: LinkId, misdeed: Misdeed) => void
  /** Who is at the other end of an open link. */
  readonly rid: (link: LinkId) => ReplicaId | undefined
  /** Is the space kept here, and may whoever is at the other end see it? */
  readonly mayRead: (link: LinkId, space: SpaceId) => boolean
  /** Leave for this replica to take the blobs of a space, where it may. */
  readonly giveTicket: ((space: SpaceId, rid: ReplicaId) => string | undefined) | undefined
}

/** asked: parts are taken · let-go: not wanted any more, and not ended yet: what is on its way is let pass */
type AskState = 'asked' | 'let-go'

interface Ask {
  state: AskState
  /** Bytes that came, and that may come. */
  come: number
  readonly bytesMax: number
}

interface Book {
  readonly asks: Map<number, Ask>
  readonly owed: Set<number>
}

type Refusal = Extract<Metric, `blobs.${'wants' | 'want' | 'part'}-${string}`>
export type BlobFrame = Extract<Frame, { t: 'ticket-want' | 'ticket' | 'blob-want' | 'blob-part' | 'blob-end' }>

export class BlobLinks {
  readonly #context: BlobLinksContext
  readonly #books = new Map<LinkId, Book>()

  constructor(context: BlobLinksContext) {
    this.#context = context
  }

  // asking

  askTicket(link: LinkId, space: SpaceId): void {
    if (this.#context.rid(link) !== undefined) this.#context.send(link, { t: 'ticket-want', space })
  }

  /** Answered by `blob-part`s and one `blob-end`, which says busy where too much of this link is open already. */
  want(link: LinkId, request: number, want: BlobWant): void {
    const { send, effect, rid } = this.#context
    const asks = rid(link) !== undefined ? this.#book(link).asks : undefined
    if (asks === undefined || asks.size >= WANTS_MAX) {
      effect({ t: 'blob-end', link, request, how: 'busy' })
      return
    }
    asks.set(request, { state: 'asked', come: 0, bytesMax: want.end - want.start })
    send(link, { t: 'blob-want', request, ...want })
  }

  /** Nothing more of it is told. */
  letGo(link: LinkId, request: number): void {
    const ask = this.#books.get(link)?.asks.get(request)
    if (ask?.state !== 'asked') return
    ask.state = 'let-go'
    this.#context.send(link, { t: 'blob-end', request, how: 'called-off' })
  }

  /** A part of something that is open: it does not count as a flood, for it was asked for. */
  expects(link: LinkId, frame: Uint8Array): boolean {
    return frame[0] === BLOB_PART_NUMBER && (this.#books.get(link)?.asks.size ?? 0) > 0
  }

  // giving

  /** False: it is owed no more. */
  give(link: LinkId, request: number, offset: number, bytes: Uint8Array): boolean {
    if (this.#books.get(link)?.owed.has(request) !== true) return false
    this.#context.send(link, { t: 'blob-part', request, offset, bytes })
    return true
  }

  end(link: LinkId, request: number, how: BlobEnd): void {
    if (this.#books.get(link)?.owed.delete(request) === true) this.#context.send(link, { t: 'blob-end', request, how })
  }

  // what comes

  arrived(link: LinkId, frame: BlobFrame): void {
    switch (frame.t) {
      case 'ticket-want':
        this.#ticketWanted(link, frame)
        return
      case 'ticket':
        this.#context.effect({ t: 'ticket', link, space: frame.space, ticket: frame.ticket })
        return
      case 'blob-want':
        this.#wanted(link, frame)
        return
      case 'blob-part':
        this.#part(link, frame)
        return
      case 'blob-end':
        if (frame.how === 'called-off') this.#calledOff(link, frame.request)
        else this.#ended(link, frame)
    }
  }

  closed(link: LinkId): void {
    this.#books.delete(link)
  }

  #ticketWanted(link: LinkId, { space }: FrameOf<'ticket-want'>): void {
    const { giveTicket, report, send } = this.#context
    const rid = this.#reader(link, space)
    const ticket = rid && giveTicket?.(space, rid)
    if (ticket === undefined) report('frames.unexpected', 1)
    else send(link, { t: 'ticket', space, ticket })
  }

  #wanted(link: LinkId, { request, space, kind, digest, start, end }: FrameOf<'blob-want'>): void {
    const { send, effect } = this.#context
    const { owed } = this.#book(link)
    if (owed.has(request)) {
      this.#refuse(link, 'blobs.want-twice', 'malformed')
      return
    }
    if (owed.size >= WANTS_MAX) {
      send(link, { t: 'blob-end', request, how: 'busy' })
      this.#refuse(link, 'blobs.wants-full', 'floods')
      return
    }
    const rid = this.#reader(link, space)
    if (rid === undefined) {
      this.#context.report('frames.unexpected', 1)
      send(link, { t: 'blob-end', request, how: 'lacks' })
      return
    }
    owed.add(request)
    effect({ t: 'blob-wanted', link, rid, request, want: { space, kind, digest, start, end } })
  }

  #part(link: LinkId, { request, offset, bytes }: FrameOf<'blob-part'>): void {
    const ask = this.#books.get(link)?.asks.get(request)
    if (ask === undefined) {
      this.#refuse(link, 'blobs.part-unasked', 'malformed')
      return
    }
    const misdeed =
      offset !== ask.come || bytes.length === 0
        ? 'blobs.part-misplaced'
        : ask.come + bytes.length > ask.bytesMax
          ? 'blobs.part-too-long'
          : undefined
    if (misdeed !== undefined) {
      this.#refuse(link, misdeed, 'malformed')
      if (ask.state === 'asked') this.#context.effect({ t: 'blob-end', link, request, how: 'failed' })
      this.letGo(link, request)
      return
    }
    ask.come += bytes.length
    if (ask.state === 'asked') this.#context.effect({ t: 'blob-part', link, request, bytes })
  }

  #ended(link: LinkId, { request, how }: FrameOf<'blob-end'>): void {
    const asks = this.#books.get(link)?.asks
    const ask = asks?.get(request)
    asks?.delete(request)
    if (ask === undefined) this.#context.report('frames.unexpected', 1)
    else if (ask.state === 'asked') this.#context.effect({ t: 'blob-end', link, request, how })
  }

  /** It crosses the end that was on its way: then there is nothing to do. */
  #calledOff(link: LinkId, request: number): void {
    const { send, effect } = this.#context
    if (this.#books.get(link)?.owed.delete(request) !== true) return
    effect({ t: 'blob-called-off', link, request })
    send(link, { t: 'blob-end', request, how: 'failed' })
  }

  /** What it gave is not what it was asked for. */
  lied(link: LinkId): void {
    this.#context.blame(link, 'lied')
  }

  #refuse(link: LinkId, what: Refusal, misdeed: Misdeed): void {
    this.#context.report(what, 1)
    this.#context.blame(link, misdeed)
  }

  #reader(link: LinkId, space: SpaceId): ReplicaId | undefined {
    const rid = this.#context.rid(link)
    return rid !== undefined && this.#context.mayRead(link, space) ? rid : undefined
  }

  #book(link: LinkId): Book {
    return entry(this.#books, link, () => ({ asks: new Map<number, Ask>(), owed: new Set<number>() }))
  }
}
