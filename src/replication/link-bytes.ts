/** All that links have to do with bytes: whom they may be had from, and to whom they are given. */
import type { Clock } from '../core/clock.ts'
import type { SpaceId } from '../core/ids.ts'
import type { ModelSource } from '../transport/blob-source.ts'
import type { BlobLinks } from './blob-links.ts'
import type { Effect, LinkId } from './effects.ts'
import { LinkAsking } from './link-asking.ts'
import { LinkGiving, type ReadBlob } from './link-giving.ts'
import { LinkSources, type OpenSource, type SourceAt } from './link-sources.ts'

export interface LinkBytesParts {
  readonly clock: Clock
  readonly openSource: OpenSource | undefined
  readonly readBlob: ReadBlob | undefined
  /** Bytes of this space may be had from one more replica. */
  readonly onSource: ((space: SpaceId) => void) | undefined
  /** Has whoever is at the other end said that it keeps the space? */
  readonly keeps: (link: LinkId, space: SpaceId) => boolean
  /** Tells the core, and does what it says. */
  readonly tell: (act: (blobs: BlobLinks) => void) => void
  /** Undefined for a link that is closed. */
  readonly bufferedBytes: (link: LinkId) => number | undefined
  readonly report: (what: string, error: unknown) => void
}

type BlobEffect = Extract<Effect, { t: 'ticket' | 'blob-wanted' | 'blob-called-off' | 'blob-part' | 'blob-end' }>

export class LinkBytes {
  readonly #parts: LinkBytesParts
  readonly #asking: LinkAsking
  readonly #giving: LinkGiving
  readonly #sources: LinkSources

  constructor(parts: LinkBytesParts) {
    const { clock, openSource, readBlob, report, tell, bufferedBytes, keeps } = parts
    this.#parts = parts
    const asking = new LinkAsking({
      clock,
      isOpen: (link) => bufferedBytes(link) !== undefined,
      want: (link, request, want) => tell((blobs) => blobs.want(link, request, want)),
      letGo: (link, request) => tell((blobs) => blobs.letGo(link, request)),
    })
    this.#asking = asking
    this.#giving = new LinkGiving({
      readBlob,
      report,
      bufferedBytes: (link) => bufferedBytes(link) ?? 0,
      give(link, request, offset, bytes) {
        let isOwed = false
        tell((blobs) => void (isOwed = blobs.give(link, request, offset, bytes)))
        return isOwed
      },
      end: (link, request, how) => tell((blobs) => blobs.end(link, request, how)),
    })
    this.#sources = new LinkSources({
      clock,
      openSource,
      keeps,
      ask: (link, space) => tell((blobs) => blobs.askTicket(link, space)),
      overLink: (link, rid, space) => asking.source(link, rid, space),
    })
  }

  sourcesAt(at: SourceAt, space: SpaceId): readonly ModelSource[] {
    return this.#sources.of(at, space)
  }

  on(effect: BlobEffect): void {
    const { link } = effect
    if (effect.t === 'blob-wanted') this.#giving.wanted(link, effect)
    else if (effect.t === 'blob-called-off') this.#giving.calledOff(link, effect.request)
    else if (effect.t === 'blob-part') this.#asking.part(link, effect.request, effect.bytes)
    else if (effect.t === 'blob-end') this.#asking.ended(link, effect.request, effect.how)
    else if (this.#sources.ticketCame(link, effect.space, effect.ticket)) this.#parts.onSource?.(effect.space)
  }

  sent(link: LinkId): void {
    this.#giving.sent(link)
  }

  closed(link: LinkId): void {
    this.#sources.closed(link)
    this.#asking.closed(link)
    this.#giving.closed(link)
  }
}
