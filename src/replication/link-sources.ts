/**
 * The replicas at the other ends of links as sources of bytes: by HTTP where their address is known, each under the ticket
 * that its link gave for a space; else, and where HTTP fails, over the link itself.
 */
import type { Clock } from '../core/clock.ts'
import { entry } from '../core/forks.ts'
import type { ReplicaId, SpaceId } from '../core/ids.ts'
import type { ModelSource } from '../transport/blob-source.ts'
import type { Address } from '../transport/transport.ts'
import { eitherSource } from './either-source.ts'
import type { LinkId } from './effects.ts'

/** A ticket lasts five minutes: a new one is asked for before that. */
const RENEW_AFTER_MS = 4 * 60_000
const TICKET_LIFE_MS = 5 * 60_000
const ASK_AGAIN_MS = 5000
/** Who keeps a space says so as soon as a link is open: whoever has had so long and has not said it does not keep it. */
const HEARD_WITHIN_MS = 5000

export interface SourceOpening {
  readonly id: string
  readonly address: Address
  readonly authorization: () => string | undefined
}
export type OpenSource = (opening: SourceOpening) => ModelSource

interface LinkSourcesParts {
  readonly clock: Clock
  readonly openSource: OpenSource | undefined
  readonly ask: (link: LinkId, space: SpaceId) => void
  /** Has whoever is at the other end said that it keeps the space? */
  readonly keeps: (link: LinkId, space: SpaceId) => boolean
  /** The link itself as a source. */
  readonly overLink: (link: LinkId, rid: ReplicaId, space: SpaceId) => ModelSource
}

export interface SourceAt {
  readonly link: LinkId
  readonly rid: ReplicaId
  /** Where HTTP reaches it, as far as that is known. */
  readonly address: Address | undefined
}

interface Leave {
  readonly source: ModelSource
  ticket: { readonly text: string; readonly at: number } | undefined
  /** A ticket is on its way, as far as one may hope. */
  askedAt: number | undefined
}

export class LinkSources {
  readonly #parts: LinkSourcesParts
  readonly #leaves = new Map<LinkId, Map<SpaceId, Leave>>()
  /** Of links without an address: since when they are asked about a space. */
  readonly #firstAsked = new Map<LinkId, Map<SpaceId, number>>()

  constructor(parts: LinkSourcesParts) {
    this.#parts = parts
  }

  of({ link, rid, address }: SourceAt, space: SpaceId): ModelSource[] {
    const { openSource, overLink, clock } = this.#parts
    if (openSource === undefined || address === undefined)
      return this.#mayKeep(link, space) ? [overLink(link, rid, space)] : []
    const leaves = entry(this.#leaves, link, () => new Map<SpaceId, Leave>())
    const leave = entry(leaves, space, (): Leave => {
      const authorization = () => this.#authorization(link, space)
      const http = openSource({ id: rid, address, authorization })
      return { source: eitherSource(http, overLink(link, rid, space), clock), ticket: undefined, askedAt: undefined }
    })
    this.#renew(link, space, leave)
    return leave.ticket !== undefined && clock.now() - leave.ticket.at < TICKET_LIFE_MS ? [leave.source] : []
  }

  /** False for one that was not asked for. */
  ticketCame(link: LinkId, space: SpaceId, text: string): boolean {
    const leave = this.#leaves.get(link)?.get(space)
    if (leave?.askedAt === undefined) return false
    leave.ticket = { text, at: leave.askedAt }
    leave.askedAt = undefined
    return true
  }

  closed(link: LinkId): void {
    for (const { source } of this.#leaves.get(link)?.values() ?? []) source.close()
    this.#leaves.delete(link)
    this.#firstAsked.delete(link)
  }

  #mayKeep(link: LinkId, space: SpaceId): boolean {
    const now = this.#parts.clock.now()
    const since = entry(
      entry(this.#firstAsked, link, () => new Map<SpaceId, number>()),
      space,
      () => now,
    )
    return now - since < HEARD_WITHIN_MS || this.#parts.keeps(link, space)
  }

  #authorization(link: LinkId, space: SpaceId): string | undefined {
    const leave = this.#leaves.get(link)?.get(space)
    if (leave === undefined) return undefined
    this.#renew(link, space, leave)
    return leave.ticket && `Ticket ${leave.ticket.text}`
  }

  #renew(link: LinkId, space: SpaceId, leave: Leave): void {
    const now = this.#parts.clock.now()
    if (leave.ticket !== undefined && now - leave.ticket.at < RENEW_AFTER_MS) return
    if (leave.askedAt !== undefined && now - leave.askedAt < ASK_AGAIN_MS) return
    leave.askedAt = now
    this.#parts.ask(link, space)
  }
}
