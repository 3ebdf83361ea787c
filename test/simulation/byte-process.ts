/**
 * What a replica's process does with bytes, for as long as it lives: the exchange, the links' frames of bytes and the
 * desk that gives them out are those that are shipped; the merges that lack bytes are said to be there.
 */
import type { Clock } from '../../src/core/clock.ts'
import { isTributaryError, TributaryError } from '../../src/core/errors.ts'
import type { ModelId, ReplicaId, SpaceId } from '../../src/core/ids.ts'
import type { SpaceState } from '../../src/core/or-set.ts'
import { Exchange } from '../../src/operations/blobs/exchange.ts'
import { keepingLeaves, LeafCache } from '../../src/operations/blobs/leaf-cache.ts'
import { readBlobFor } from '../../src/operations/blobs/read-blob.ts'
import { type Context, LIMITS } from '../../src/operations/context.ts'
import { EventFeed } from '../../src/operations/events/event-feed.ts'
import { createScrubber } from '../../src/operations/scrub.ts'
import { ModelIngest } from '../../src/operations/model-ingest.ts'
import type { BlobLinks } from '../../src/replication/blob-links.ts'
import type { Effect, LinkId } from '../../src/replication/effects.ts'
import { LinkBytes } from '../../src/replication/link-bytes.ts'
import type { ReadBlob } from '../../src/replication/link-giving.ts'
import type { Storage } from '../../src/storage/storage.ts'
import type { ModelSource } from '../../src/transport/blob-source.ts'
import { streamOf } from '../support/safetensors.ts'
import type { ByteDisk } from './byte-disk.ts'
import type { ByteWorld } from './byte-world.ts'
import type { Model } from './models.ts'

export type ByteEffect = Extract<Effect, { t: 'ticket' | 'blob-wanted' | 'blob-called-off' | 'blob-part' | 'blob-end' }>

export interface ProcessParts {
  readonly node: number
  readonly rid: ReplicaId
  readonly space: SpaceId
  readonly world: ByteWorld
  readonly disk: ByteDisk
  /** Are there merges here of all that is shown? */
  readonly merges: boolean
  readonly isHonest: boolean
  readonly clock: Clock
  readonly state: () => SpaceState | undefined
  readonly tell: (act: (blobs: BlobLinks) => void) => void
  /** Undefined for a link that is closed. */
  readonly bufferedBytes: (link: LinkId) => number | undefined
  readonly diskMs: () => number
  readonly isFull: () => boolean
  /** Stands between the desk and the links. */
  readonly gives: (read: ReadBlob) => ReadBlob
}

const PIECE_BYTES = 2 ** 20
/** A merge of which no more can be read than what it lacked when it was asked for. */
const NO_RECIPE = JSON.stringify({ request: JSON.stringify({ recipe: 'null' }) })
const LIE = /^the replica ([0-9a-f]{64}) sent something else for (.+)$/

export class ByteProcess {
  readonly #parts: ProcessParts
  readonly #feed = new EventFeed()
  readonly #links = new Map<LinkId, ReplicaId>()
  readonly #bytes: LinkBytes
  readonly #begun: Promise<{ readonly context: Context; readonly exchange: Exchange; readonly leaves: LeafCache }>
  #exchange: Exchange | undefined
  /** The operator waits for it to end: the disk is as quick as it can be. */
  #isEnding = false

  constructor(parts: ProcessParts) {
    this.#parts = parts
    const { clock, tell, bufferedBytes, gives } = parts
    this.#begun = this.#begin()
    const read: ReadBlob = async ({ kind, digest }, leave) => {
      const { context, leaves } = await this.#begun
      const book = { find: () => this.#foundState() } as never
      return readBlobFor({ context, book, tickets: undefined as never, leaves }, kind, digest, leave)
    }
    this.#bytes = new LinkBytes({
      keeps: () => true,
      clock,
      openSource: undefined,
      readBlob: gives(read),
      onSource: undefined,
      tell,
      bufferedBytes,
      report: (what, error) => this.#report(what, error),
    })
  }

  on(effect: ByteEffect): void {
    this.#bytes.on(effect)
  }
  opened(link: LinkId, rid: ReplicaId): void {
    this.#links.set(link, rid)
    this.#exchange?.sourcesChanged()
  }
  closed(link: LinkId): void {
    this.#links.delete(link)
    this.#bytes.closed(link)
  }
  sent(link: LinkId): void {
    this.#bytes.sent(link)
  }
  /** What the space shows is another now. */
  changed(): void {
    this.#feed.tell({ kind: 'space', id: this.#parts.space })
  }

  /** In order: what is durable of a fetch is said, where the disk is quick enough. */
  stop(): void {
    this.#isEnding = true
    void this.#exchange?.stop()
  }

  /** Reads all that is here, as each replica does once a week. */
  async scrub(): Promise<void> {
    const { context, exchange } = await this.#begun
    let now = 0
    const scrubber = createScrubber({ ...context, now: () => now }, () => exchange.damageFound())
    const about = { pace: () => Promise.resolve(), signal: new AbortController().signal }
    context.storage.settings.remove('scrub')
    await scrubber.scrub(about) // the first says when the next is due
    now = Number.MAX_SAFE_INTEGER
    await scrubber.scrub(about)
  }

  /** True when it is durable here. */
  async upload({ file }: Model): Promise<boolean> {
    const { context } = await this.#begun
    const ingest = new ModelIngest(context)
    try {
      await ingest.addWeights('model.safetensors', streamOf(file, PIECE_BYTES))
      await ingest.finish()
      return true
    } catch (error) {
      if (!isTributaryError(error)) this.#report('an upload', error)
      await ingest.discard()
      return false
    }
  }

  async #begin() {
    const { disk, world, clock, space, isFull } = this.#parts
    const stored = await disk.open({
      turn: () => this.#turn(),
      isFull,
      did: (what) => world.onFetched(this.#parts.node, what),
      skipsSync: world.bugs.skipsSync === true,
    })
    const leaves = new LeafCache(stored.blobs)
    const storage: Storage = { ...stored, blobs: keepingLeaves(stored.blobs, leaves) }
    const context: Context = {
      storage,
      merger: undefined as never, // nothing is merged while a run goes on
      strategies: [],
      key: undefined as never,
      lease: undefined as never,
      version: 'simulated',
      limits: { ...LIMITS, freeBytesMin: 0 },
      now: () => clock.now(),
      randomHex: () => '00',
      report: (what, error) => this.#report(what, error),
    }
    const book = { all: () => this.#shown(), state: () => this.#shown()[0] }
    const queue = { wake: () => undefined }
    const merging = { ...context, storage: { ...storage, jobs: this.#blocked(storage) } }
    const exchange = new Exchange(merging, book as never, queue as never, this.#feed)
    this.#exchange = exchange
    exchange.start({ clock, sourcesFor: () => this.#sources(space), lied: (source) => this.#lied(source) })
    return { context, exchange, leaves }
  }

  #turn(): Promise<void> {
    const { clock, diskMs } = this.#parts
    if (this.#isEnding) return Promise.resolve()
    return new Promise((resolve) => void clock.after(diskMs(), resolve))
  }

  #sources(space: SpaceId): readonly ModelSource[] {
    const sources = [...this.#links].flatMap(([link, rid]) =>
      this.#bytes.sourcesAt({ link, rid, address: undefined }, space),
    )
    return this.#parts.world.bugs.asksOne ? sources.slice(0, 1) : sources
  }

  #foundState(): SpaceState {
    const state = this.#parts.state()
    if (state === undefined) throw new TributaryError('SPACE_NOT_FOUND', 'its first op is not here yet')
    return state
  }

  /** Clients of a run contribute much of which nobody has a byte; nothing is asked of that. */
  #shown(): readonly SpaceState[] {
    const state = this.#parts.state()
    if (state === undefined) return []
    const { space, revoked } = state
    return [{ space, revoked, base: undefined, visible: this.#wanted(state) } as unknown as SpaceState]
  }

  #wanted({ visible }: SpaceState) {
    const known = new Set(this.#parts.world.shelf.models.map(({ id }) => id))
    return visible.filter(({ record }) => known.has(record.model))
  }

  /** One merge of all that is shown, which is another when something else is missing; it lacks what its error says. */
  #blocked({ models }: Storage): Storage['jobs'] {
    const { merges, state, space } = this.#parts
    const missing = () => {
      const now = state()
      if (!merges || now === undefined) return []
      const wanted = new Set<ModelId>(this.#wanted(now).map(({ record }) => record.model))
      return [...wanted].filter((id) => models.find(id) === undefined)
    }
    return {
      idsByState: () => (missing().length === 0 ? [] : [missing().join()]),
      find: (id: string) => ({
        id,
        space,
        state: 'blocked',
        request: NO_RECIPE,
        error: JSON.stringify({ missing: id.split(',') }),
      }),
      requeue: () => false,
    } as never
  }

  #lied(source: string): void {
    for (const [link, rid] of this.#links) if (rid === source) this.#parts.tell((blobs) => blobs.lied(link))
  }

  #report(what: string, error: unknown): void {
    const { world, node, isHonest, rid } = this.#parts
    const lie = isTributaryError(error) ? LIE.exec(error.message) : null
    if (lie !== null) {
      const others = [...this.#links.values()].filter((other) => other !== lie[1] && other !== rid)
      const source = world.bugs.namesAnother ? (others[0] ?? lie[1]!) : lie[1]!
      if (isHonest) world.named.push({ by: node, source, what: lie[2]! })
    } else if (!isTributaryError(error))
      world.threw.push(`threw: ${what}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`)
  }
}
