/**
 * Gives out blobs over links, in the order in which each link asked. What is sent waits while much waits on the link
 * already: an op that is sent meanwhile is behind half a MiB at the most, whatever the peer asked for.
 */
import { entry } from '../core/forks.ts'
import { isTributaryError } from '../core/errors.ts'
import type { ReplicaId, SpaceId } from '../core/ids.ts'
import { type BlobEnd, type BlobKind, type BlobWant, PART_BYTES_MAX } from './blob-frames.ts'
import type { LinkId } from './effects.ts'

/** Beyond so many bytes that wait on a link no part is added. */
export const WAITING_BYTES_MAX = 256 * 1024

export interface BlobReading {
  readonly bytes: number
  read(start: number, end: number): AsyncIterable<Uint8Array>
}

/** The blob, for this replica by what this space shows; refused by name where it is not here for it. */
export type ReadBlob = (
  blob: { readonly kind: BlobKind; readonly digest: string },
  leave: { readonly space: SpaceId; readonly rid: ReplicaId },
) => Promise<BlobReading>

interface LinkGivingParts {
  readonly readBlob: ReadBlob | undefined
  readonly bufferedBytes: (link: LinkId) => number
  /** False: it is owed no more. */
  readonly give: (link: LinkId, request: number, offset: number, bytes: Uint8Array) => boolean
  readonly end: (link: LinkId, request: number, how: BlobEnd) => void
  readonly report: (what: string, error: unknown) => void
}

interface Owed {
  readonly request: number
  readonly rid: ReplicaId
  readonly want: BlobWant
}

/** Leaves take hashing: nothing else waits for them. */
interface Lane {
  readonly owed: Owed[]
  isBusy: boolean
}

interface Debtor {
  readonly leaves: Lane
  readonly others: Lane
  wakes: (() => void)[]
}

export class LinkGiving {
  readonly #parts: LinkGivingParts
  readonly #debtors = new Map<LinkId, Debtor>()

  constructor(parts: LinkGivingParts) {
    this.#parts = parts
  }

  wanted(link: LinkId, owed: Owed): void {
    const debtor = entry(this.#debtors, link, () => ({ leaves: newLane(), others: newLane(), wakes: [] }))
    const lane = owed.want.kind === 'leaves' ? debtor.leaves : debtor.others
    lane.owed.push(owed)
    if (!lane.isBusy) void this.#drain(link, lane)
  }

  calledOff(link: LinkId, request: number): void {
    const { leaves, others } = this.#debtors.get(link) ?? {}
    for (const { owed } of [leaves, others].filter((lane) => lane !== undefined)) {
      const at = owed.findIndex((one) => one.request === request)
      if (at >= 0) owed.splice(at, 1)
    }
  }

  /** Something that waited on the link has left it. */
  sent(link: LinkId): void {
    const debtor = this.#debtors.get(link)
    if (debtor === undefined || debtor.wakes.length === 0) return
    if (this.#parts.bufferedBytes(link) <= WAITING_BYTES_MAX) wakeAll(debtor)
  }

  closed(link: LinkId): void {
    const debtor = this.#debtors.get(link)
    this.#debtors.delete(link)
    if (debtor === undefined) return
    debtor.leaves.owed.length = 0
    debtor.others.owed.length = 0
    wakeAll(debtor)
  }

  async #drain(link: LinkId, lane: Lane): Promise<void> {
    lane.isBusy = true
    for (let next = lane.owed.shift(); next !== undefined; next = lane.owed.shift()) {
      const how = await this.#give(link, next).catch((error: unknown) => this.#failed(error))
      this.#parts.end(link, next.request, how)
    }
    lane.isBusy = false
  }

  async #give(link: LinkId, { request, rid, want }: Owed): Promise<BlobEnd> {
    const { readBlob, give } = this.#parts
    const { kind, digest, space, start } = want
    const blob = await readBlob?.({ kind, digest }, { space, rid })
    if (blob === undefined) return 'lacks'
    const end = Math.min(want.end, blob.bytes)
    if (start >= end) return 'done'
    if (kind === 'leaves' && (start > 0 || end < blob.bytes)) return 'lacks' // they are of use only whole
    let offset = 0
    for await (const piece of blob.read(start, end)) {
      for (let from = 0; from < piece.length; from += PART_BYTES_MAX) {
        const part = piece.subarray(from, from + PART_BYTES_MAX)
        await this.#room(link)
        if (!give(link, request, offset, part)) return 'failed'
        offset += part.length
      }
    }
    return 'done'
  }

  #failed(error: unknown): BlobEnd {
    if (!isTributaryError(error)) this.#parts.report('giving a blob over a link', error)
    else if (error.code === 'TOO_MANY_REQUESTS') return 'busy'
    else if (error.code !== 'STORAGE_FAILED') return 'lacks' // not here, or not for who asks: it can't be told apart
    return 'failed'
  }

  async #room(link: LinkId): Promise<void> {
    for (;;) {
      const debtor = this.#debtors.get(link)
      if (debtor === undefined || this.#parts.bufferedBytes(link) <= WAITING_BYTES_MAX) return
      await new Promise<void>((resolve) => void debtor.wakes.push(resolve))
    }
  }
}

const newLane = (): Lane => ({ owed: [], isBusy: false })

function wakeAll(debtor: Debtor): void {
  const { wakes } = debtor
  debtor.wakes = []
  for (const wake of wakes) wake()
}
