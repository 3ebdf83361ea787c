/**
 * Who is told of a space's new ops, and how: a few peers get the ops at once, the others their ids, a batch at each tick.
 * A peer that hears of an id and gets no op asks for it and becomes one of the few; one that had it already drops out.
 */
import { type OpId } from '../core/ids.ts'
import type { LinkId } from './effects.ts'
import type { Settings } from './settings.ts'

interface Awaited {
  since: number
  readonly from: LinkId[]
}

export class Gossip {
  readonly #settings: Settings
  /** In the order in which they came. */
  readonly #links = new Set<LinkId>()
  readonly #eager = new Set<LinkId>()
  readonly #lazy = new Map<LinkId, OpId[]>()
  readonly #awaited = new Map<OpId, Awaited>()

  constructor(settings: Settings) {
    this.#settings = settings
  }

  get awaited(): number {
    return this.#awaited.size
  }
  get lazy(): number {
    return Math.max(0, ...[...this.#lazy.values()].map(({ length }) => length))
  }
  get isFullMesh(): boolean {
    return this.#links.size <= this.#settings.fullMeshPeers
  }

  join(link: LinkId): void {
    if (this.#links.has(link)) return
    this.#links.add(link)
    if (this.#eager.size < this.#settings.eagerPeers) this.#eager.add(link)
  }

  leave(link: LinkId): void {
    this.#links.delete(link)
    this.#lazy.delete(link)
    if (!this.#eager.delete(link)) return
    const next = [...this.#links].find((one) => !this.#eager.has(one))
    if (next !== undefined) this.#eager.add(next)
  }

  graft(link: LinkId): void {
    if (this.#links.has(link)) this.#eager.add(link)
  }
  prune(link: LinkId): void {
    if (this.#eager.size > 1) this.#eager.delete(link)
  }
  isEager(link: LinkId): boolean {
    return this.isFullMesh || this.#eager.has(link)
  }

  /** Where the queue is full the oldest is let go: roots will differ, and ids be compared. */
  tellLater(link: LinkId, id: OpId): void {
    const queue = this.#lazy.get(link) ?? []
    if (queue.length >= this.#settings.lazyIds) queue.shift()
    queue.push(id)
    this.#lazy.set(link, queue)
  }

  /** Empties the queues. */
  takeLazy(): ReadonlyMap<LinkId, readonly OpId[]> {
    const all = new Map(this.#lazy)
    this.#lazy.clear()
    return all
  }

  heardOf(id: OpId, from: LinkId, now: number): void {
    const awaited = this.#awaited.get(id)
    if (awaited !== undefined) {
      if (awaited.from.length < 3 && !awaited.from.includes(from)) awaited.from.push(from)
    } else if (this.#awaited.size < this.#settings.awaitedIds) this.#awaited.set(id, { since: now, from: [from] })
  }

  /** Whoever brought it first is a branch of the tree on which ops travel: it is told at once as well. */
  arrived(id: OpId, from?: LinkId): void {
    this.#awaited.delete(id)
    if (from !== undefined) this.graft(from)
  }

  /** Ids that did not come in time, by whom to ask; each source is asked once. */
  takeOverdue(now: number): ReadonlyMap<LinkId, readonly OpId[]> {
    const overdue = new Map<LinkId, OpId[]>()
    for (const [id, awaited] of this.#awaited) {
      if (now - awaited.since < this.#settings.graftAfterMs) continue
      const link = awaited.from.shift()
      if (link === undefined) this.#awaited.delete(id)
      else {
        awaited.since = now
        overdue.set(link, [...(overdue.get(link) ?? []), id])
      }
    }
    return overdue
  }
}
