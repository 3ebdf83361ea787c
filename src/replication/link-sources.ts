/** The replicas at the other ends of links as sources of bytes, each under the ticket that its link gave for a space. */
import type { Clock } from '../core/clock.ts'
import { entry } from '../core/forks.ts'
import type { ReplicaId, SpaceId } from '../core/ids.ts'
import type { ModelSource } from '../transport/blob-source.ts'
import type { Address } from '../transport/transport.ts'
import type { LinkId } from './effects.ts'

/** A ticket lasts five minutes: a new one is asked for before that. */
const RENEW_AFTER_MS = 4 * 60_000
const TICKET_LIFE_MS = 5 * 60_000
const ASK_AGAIN_MS = 5000

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

  constructor(parts: LinkSourcesParts) {
    this.#parts = parts
  }

  of(at: { readonly link: LinkId; readonly rid: ReplicaId; readonly address: Address }, space: SpaceId): ModelSource[] {
    const { openSource, clock } = this.#parts
    if (openSource === undefined) return []
    const leaves = entry(this.#leaves, at.link, () => new Map<SpaceId, Leave>())
    const leave = entry(leaves, space, (): Leave => {
      const authorization = () => this.#authorization(at.link, space)
      return {
        source: openSource({ id: at.rid, address: at.address, authorization }),
        ticket: undefined,
        askedAt: undefined,
      }
    })
    this.#renew(at.link, space, leave)
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
