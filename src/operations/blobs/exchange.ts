/**
 * What this replica lacks and other replicas have: manifests of what its spaces show, at once; the bytes of models, when
 * a merge is blocked for them. Then the merge goes on by itself. Small things go side by side, large models one after the
 * other, and neither waits for the other; what fails is tried again, later each time, and at once when there is one more
 * replica to ask.
 */
import type { Clock } from '../../core/clock.ts'
import { isTributaryError, TributaryError } from '../../core/errors.ts'
import type { ModelId, ReplicaId, SpaceId, TensorRoot } from '../../core/ids.ts'
import type { SpaceState } from '../../core/or-set.ts'
import type { ModelSource } from '../../transport/blob-source.ts'
import { type BlockedMerge, BlockedMerges } from '../blocked-merges.ts'
import type { Context } from '../context.ts'
import { damagedModels } from '../damage.ts'
import type { EventFeed, Watching } from '../events/event-feed.ts'
import type { MergeQueue } from '../merge-queue.ts'
import { findManifest } from '../models.ts'
import type { SpaceBook } from '../space-book.ts'
import { droppedMeanwhile, fetchManifest, fetchModel } from './fetch-model.ts'
import type { ModelFetching } from './model-fetching.ts'
import { Lane } from './lane.ts'

/** Round trips and syncs of small things are not paid one after the other, and one that hangs holds up few. */
const SMALL_AT_ONCE = 16
const SMALL_BYTES_MAX = 8 * 1024 * 1024
const LARGE_AT_ONCE = 1
/** What is lacking is worked out no more often, and for no more than a fifth of the time. */
const LOOK_EVERY_MS = 25
const LOOK_PART = 5
const FIRST_AGAIN_MS = 1000
/** Where looking itself fails. */
const SOONEST_AGAIN_MS = 100
const LONGEST_AGAIN_MS = 60_000

export interface ExchangeParts {
  readonly clock: Clock
  readonly sourcesFor: (space: SpaceId) => readonly ModelSource[]
  /** A source sent what it was not asked for. */
  readonly lied?: (source: string) => void
}

interface Wanted {
  readonly digest: string
  readonly space: SpaceId
  readonly isWhole: boolean
  /** Who offered it has it, most likely: they are asked first. */
  readonly offeredBy: ReadonlySet<ReplicaId>
}

interface Failed {
  readonly times: number
  readonly againAt: number
}

export class Exchange {
  readonly #context: Context
  readonly #book: SpaceBook
  readonly #blocked: BlockedMerges
  readonly #feed: EventFeed
  readonly #abort = new AbortController()
  readonly #failed = new Map<string, Failed>()
  /** Whose quota was told to be reached. */
  readonly #full = new Set<SpaceId>()
  readonly #manifests = new Lane<Wanted>(SMALL_AT_ONCE, (key, wanted) => this.#try(key, wanted))
  readonly #small = new Lane<Wanted>(SMALL_AT_ONCE, (key, wanted) => this.#try(key, wanted))
  readonly #large = new Lane<Wanted>(LARGE_AT_ONCE, (key, wanted) => this.#try(key, wanted))
  /** Two models may share a tensor: it is fetched for one of them. */
  readonly #underWay = new Map<TensorRoot, Promise<void>>()
  /** As it was when it was looked at last, and what of it came since. */
  #merges: readonly BlockedMerge[] = []
  #came = new Set<string>()
  #parts: ExchangeParts | undefined
  #watching: Watching | undefined
  #isWoken = false
  #restsUntil = -Infinity
  /** How often there was one more replica to ask. */
  #sourceChanges = 0
  #callOff = (): void => undefined

  constructor(context: Context, book: SpaceBook, queue: MergeQueue, feed: EventFeed) {
    this.#context = context
    this.#book = book
    this.#blocked = new BlockedMerges(context, book, queue)
    this.#feed = feed
  }

  start(parts: ExchangeParts): void {
    this.#parts = parts
    this.#watching ??= this.#feed.watch(() => this.#wake())
    this.#wake()
  }

  /** Something here is not whole any more. */
  damageFound(): void {
    this.#wake()
  }

  sourcesChanged(): void {
    this.#sourceChanges += 1
    this.#failed.clear()
    this.#wake()
  }

  async stop(): Promise<void> {
    this.#abort.abort()
    this.#callOff()
    this.#watching?.end()
    await Promise.all([this.#manifests, this.#small, this.#large].map((lane) => lane.close()))
  }

  #wake(): void {
    const parts = this.#parts
    if (parts === undefined || this.#isWoken || this.#abort.signal.aborted) return
    this.#isWoken = true
    const rest = this.#restsUntil - parts.clock.now()
    this.#callOff()
    if (rest > 0) this.#callOff = parts.clock.after(rest, () => this.#look(parts))
    else void Promise.resolve().then(() => this.#look(parts)) // who wakes may be in the middle of a commit
  }

  #look(parts: ExchangeParts): void {
    this.#isWoken = false
    if (this.#abort.signal.aborted) return
    this.#watching?.take()
    this.#watching?.hasMissed()
    const since = parts.clock.now()
    try {
      this.#merges = this.#blocked.unblock()
      this.#came = new Set()
      const manifests = byKey(this.#book.all().flatMap((state) => this.#lacking(state)))
      const models = byKey([...this.#merges.flatMap((merge) => this.#missing(merge)), ...this.#damaged()])
      for (const key of this.#failed.keys()) if (!manifests.has(key) && !models.has(key)) this.#failed.delete(key)
      const isDue = (key: string) => (this.#failed.get(key)?.againAt ?? -Infinity) <= since
      const isSmall = ({ digest }: Wanted) => this.#bytesOf(digest) <= SMALL_BYTES_MAX
      this.#manifests.set(only(manifests, isDue))
      this.#small.set(only(models, (key, wanted) => isDue(key) && isSmall(wanted)))
      this.#large.set(only(models, (key, wanted) => isDue(key) && !isSmall(wanted)))
    } catch (error) {
      this.#context.report('fetching from other replicas', error)
      this.#restsUntil = parts.clock.now() + SOONEST_AGAIN_MS
      this.#wake()
      return
    }
    const now = parts.clock.now()
    this.#restsUntil = now + Math.max(LOOK_EVERY_MS, (now - since) * (LOOK_PART - 1))
    this.#wakeLater(parts)
  }

  #wakeLater({ clock }: ExchangeParts): void {
    if (this.#isWoken) return // it is looked again anyway
    this.#callOff()
    const now = clock.now()
    let next = Infinity
    for (const { againAt } of this.#failed.values()) if (againAt > now) next = Math.min(next, againAt)
    if (next < Infinity && !this.#abort.signal.aborted) this.#callOff = clock.after(next - now, () => this.#wake())
  }

  /** Models of which not even the manifest is here. A base is known by its content alone. */
  #lacking({ space, visible, base, revoked }: SpaceState): readonly Wanted[] {
    const { models, manifests } = this.#context.storage
    const lacking: Wanted[] = []
    for (const { record, dots } of visible)
      for (const id of [record.model, ...Object.values(record.sidecars ?? {})])
        if (!models.has(id) && !manifests.has(id))
          lacking.push({ digest: id, space, isWhole: false, offeredBy: new Set(dots.map(({ author }) => author)) })
    if (base !== undefined && !revoked.has(base) && models.findByContent(base).length === 0)
      if (manifests.findByContent(base) === undefined)
        lacking.push({ digest: base, space, isWhole: false, offeredBy: new Set() })
    return lacking
  }

  #missing({ space, missing }: BlockedMerge): readonly Wanted[] {
    const offeredBy = new Map<string, Set<ReplicaId>>(missing.map((digest) => [digest, new Set()]))
    for (const { record, dots } of this.#book.state(space).visible)
      for (const { author } of dots) offeredBy.get(record.model)?.add(author)
    return Array.from(offeredBy, ([digest, authors]) => ({ digest, space, isWhole: true, offeredBy: authors }))
  }

  /** Models of which something rotted here and that some space shows. */
  #damaged(): readonly Wanted[] {
    const damaged = new Set(damagedModels(this.#context))
    if (damaged.size === 0) return []
    const { manifests } = this.#context.storage
    return this.#book.all().flatMap(({ space, visible, base }) => {
      const shown = new Set(visible.flatMap(({ record }) => [record.model, ...Object.values(record.sidecars ?? {})]))
      const isShown = (id: ModelId) => shown.has(id) || (base !== undefined && manifests.find(id)?.content === base)
      return [...damaged].filter(isShown).map((digest) => ({ digest, space, isWhole: true, offeredBy: new Set() }))
    })
  }

  /** Of all its tensors; a base whose id is not known may be of any size. */
  #bytesOf(digest: string): number {
    const known = findManifest(this.#context, digest as ModelId)
    return known === undefined ? Infinity : known.tensors.reduce((sum, { bytes }) => sum + bytes, 0)
  }

  async #try(key: string, wanted: Wanted): Promise<() => void> {
    const parts = this.#parts!
    const changes = this.#sourceChanges
    try {
      await this.#fetch(parts, wanted)
      return () => {
        this.#failed.delete(key)
        this.#arrived(wanted)
      }
    } catch (error) {
      return () => this.#ended(parts, key, wanted, error, changes)
    }
  }

  #ended(parts: ExchangeParts, key: string, wanted: Wanted, error: unknown, changes: number): void {
    if (this.#abort.signal.aborted) return
    this.#tellFull(wanted, error)
    if (isTributaryError(error)) this.#explain(wanted, error)
    else this.#context.report('fetching from other replicas', error)
    if (changes !== this.#sourceChanges) {
      this.#wake() // who came meanwhile was not asked
      return
    }
    const times = this.#failed.get(key)?.times ?? 0
    const wait = Math.min(LONGEST_AGAIN_MS, FIRST_AGAIN_MS * 2 ** times)
    this.#failed.set(key, { times: times + 1, againAt: parts.clock.now() + wait })
    this.#wakeLater(parts)
  }

  /** A merge that lacks nothing more goes on now. */
  #arrived({ digest, isWhole }: Wanted): void {
    if (!isWhole) return
    this.#came.add(digest)
    const lacksNothing = ({ missing }: BlockedMerge) => missing.every((one) => this.#came.has(one))
    if (this.#merges.some((merge) => merge.missing.includes(digest) && lacksNothing(merge))) this.#wake()
  }

  /** Nobody asked for a manifest, so nobody is answered that there is no room for it. */
  #tellFull({ space }: Wanted, error: unknown): void {
    if (!isTributaryError(error) || error.code !== 'QUOTA_REACHED' || this.#full.has(space)) return
    this.#full.add(space)
    this.#context.report('a space is full', error)
  }

  #explain({ digest, isWhole }: Wanted, error: TributaryError): void {
    if (!isWhole) return
    try {
      for (const merge of this.#merges) if (merge.missing.includes(digest)) this.#blocked.explain(merge, digest, error)
    } catch (failure) {
      this.#context.report('fetching from other replicas', failure)
    }
  }

  async #fetch({ clock, sourcesFor, lied }: ExchangeParts, { space, digest, isWhole, offeredBy }: Wanted) {
    const { storage, report } = this.#context
    const sources = sourcesFor(space)
    const isFirst = ({ id }: ModelSource) => offeredBy.has(id as ReplicaId)
    const fetching: ModelFetching = {
      context: this.#context,
      clock,
      space,
      sources: [...sources.filter(isFirst), ...sources.filter((source) => !isFirst(source))],
      signal: this.#abort.signal,
      underWay: this.#underWay,
      lied(source, what) {
        lied?.(source)
        const message = `the replica ${source} sent something else for ${what}`
        report('a replica lied', new TributaryError('DIGEST_MISMATCH', message, { details: { source } }))
      },
    }
    const known = storage.manifests.has(digest as ModelId)
      ? (digest as ModelId)
      : storage.manifests.findByContent(digest)
    const id = known ?? (await fetchManifest(fetching, digest))
    if (!isWhole || storage.models.has(id)) return
    const manifest = findManifest(this.#context, id)
    if (manifest === undefined) throw droppedMeanwhile(id)
    await fetchModel(fetching, id, manifest)
    for (const { space: of, base } of this.#book.all())
      if (base === manifest.content) storage.pins.hold({ kind: 'base', space: of }, { models: [id] })
  }
}

/** Each once. */
const byKey = (all: readonly Wanted[]): ReadonlyMap<string, Wanted> =>
  new Map(all.map((wanted) => [`${String(wanted.isWhole)}/${wanted.digest}`, wanted]))

const only = <T>(all: ReadonlyMap<string, T>, may: (key: string, item: T) => boolean): ReadonlyMap<string, T> =>
  new Map([...all].filter(([key, item]) => may(key, item)))
