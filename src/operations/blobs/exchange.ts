/**
 * What this replica lacks and other replicas have: manifests of what its spaces show, at once; the bytes of models, when
 * a merge is blocked for them. Then the merge goes on by itself. Small things go side by side, large models one after the
 * other; what fails is tried again, later each time, and at once when there is one more replica to ask.
 */
import type { Clock } from '../../core/clock.ts'
import { isTributaryError, TributaryError } from '../../core/errors.ts'
import type { ModelId, SpaceId, TensorRoot } from '../../core/ids.ts'
import type { SpaceState } from '../../core/or-set.ts'
import type { ModelSource } from '../../transport/blob-source.ts'
import { parseManifest } from '../../tensors/manifest.ts'
import type { Context } from '../context.ts'
import { damagedModels } from '../damage.ts'
import type { EventFeed, Watching } from '../events/event-feed.ts'
import type { MergeQueue } from '../merge-queue.ts'
import type { SpaceBook } from '../space-book.ts'
import { fetchManifest, fetchModel, type ModelFetching } from './fetch-model.ts'

/** Round trips and syncs of small things are not paid one after the other, and one that hangs holds up few. */
const SMALL_AT_ONCE = 8
const SMALL_BYTES_MAX = 8 * 1024 * 1024
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

interface Failed {
  readonly times: number
  readonly againAt: number
}

export class Exchange {
  readonly #context: Context
  readonly #book: SpaceBook
  readonly #queue: MergeQueue
  readonly #feed: EventFeed
  readonly #abort = new AbortController()
  readonly #failed = new Map<string, Failed>()
  /** What was wanted when it last looked: a failure of anything else is of no interest any more. */
  #wanted = new Set<string>()
  /** Whose quota was told to be reached. */
  readonly #full = new Set<SpaceId>()
  /** Two models may share a tensor: it is fetched for one of them. */
  readonly #underWay = new Map<TensorRoot, Promise<void>>()
  #parts: ExchangeParts | undefined
  #watching: Watching | undefined
  #isWoken = false
  #loop: Promise<void> | undefined
  #callOff = (): void => undefined

  constructor(context: Context, book: SpaceBook, queue: MergeQueue, feed: EventFeed) {
    this.#context = context
    this.#book = book
    this.#queue = queue
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
    this.#failed.clear()
    this.#wake()
  }

  async stop(): Promise<void> {
    this.#abort.abort()
    this.#callOff()
    this.#watching?.end()
    await this.#loop
  }

  #wake(): void {
    this.#isWoken = true
    if (this.#parts === undefined || this.#loop !== undefined || this.#abort.signal.aborted) return
    this.#callOff()
    this.#loop = this.#drain(this.#parts).finally(() => {
      this.#loop = undefined
      if (this.#isWoken) this.#wake()
    })
  }

  async #drain(parts: ExchangeParts): Promise<void> {
    await Promise.resolve() // who wakes may be in the middle of a commit
    while (this.#isWoken && !this.#abort.signal.aborted) {
      this.#isWoken = false
      this.#watching?.take()
      this.#watching?.hasMissed()
      this.#wanted = new Set()
      try {
        for (const state of this.#book.all())
          await sideBySide(this.#lacking(state), SMALL_AT_ONCE, (digest) =>
            this.#try(parts, state.space, digest, false),
          )
        for (const { job, missing } of this.#queue.unblock()) {
          const fetch = async (digest: string) => {
            const error = await this.#try(parts, job.space, digest, true)
            if (error !== undefined) this.#queue.explain(job, error, missing)
          }
          const small = new Set(missing.filter((digest) => this.#bytesOf(digest) <= SMALL_BYTES_MAX))
          await sideBySide(small, SMALL_AT_ONCE, fetch)
          for (const digest of missing) if (!small.has(digest)) await fetch(digest)
        }
        this.#queue.unblock()
        for (const [digest, space] of this.#damaged()) await this.#try(parts, space, digest, true)
        for (const key of this.#failed.keys()) if (!this.#wanted.has(key)) this.#failed.delete(key)
      } catch (error) {
        this.#context.report('fetching from other replicas', error)
      }
    }
    this.#wakeLater(parts)
  }

  #wakeLater({ clock }: ExchangeParts): void {
    this.#callOff()
    const next = Math.min(...[...this.#failed.values()].map(({ againAt }) => againAt))
    if (next === Infinity || this.#abort.signal.aborted) return
    this.#callOff = clock.after(Math.max(SOONEST_AGAIN_MS, next - clock.now()), () => this.#wake())
  }

  /** Models of which not even the manifest is here. A base is known by its content alone. */
  #lacking({ visible, base, revoked }: SpaceState): readonly string[] {
    const { models, manifests } = this.#context.storage
    const lacking = new Set<string>()
    for (const { record } of visible)
      for (const id of [record.model, ...Object.values(record.sidecars ?? {})])
        if (models.find(id) === undefined && manifests.find(id) === undefined) lacking.add(id)
    if (base !== undefined && !revoked.has(base) && models.findByContent(base).length === 0)
      if (manifests.findByContent(base) === undefined) lacking.add(base)
    return [...lacking]
  }

  /** Models of which something rotted here, each with a space that shows it. */
  #damaged(): ReadonlyMap<ModelId, SpaceId> {
    const damaged = new Set(damagedModels(this.#context))
    const found = new Map<ModelId, SpaceId>()
    if (damaged.size === 0) return found
    const { manifests } = this.#context.storage
    for (const { space, visible, base } of this.#book.all()) {
      const shown = visible.flatMap(({ record }) => [record.model, ...Object.values(record.sidecars ?? {})])
      for (const id of shown) if (damaged.has(id)) found.set(id, space)
      for (const id of damaged) if (base !== undefined && manifests.find(id)?.content === base) found.set(id, space)
    }
    return found
  }

  /** Of all its tensors; a base whose id is not known may be of any size. */
  #bytesOf(digest: string): number {
    const known = this.#context.storage.manifests.find(digest as ModelId)
    if (known === undefined) return Infinity
    return parseManifest(known.manifest).tensors.reduce((sum, { bytes }) => sum + bytes, 0)
  }

  /** Answers why it did not work, if it was tried now. */
  async #try(
    parts: ExchangeParts,
    space: SpaceId,
    digest: string,
    isWhole: boolean,
  ): Promise<TributaryError | undefined> {
    const { clock } = parts
    const key = `${String(isWhole)}/${digest}`
    this.#wanted.add(key)
    const failed = this.#failed.get(key)
    if (this.#abort.signal.aborted || (failed !== undefined && failed.againAt > clock.now())) return undefined
    try {
      await this.#fetch(parts, space, digest, isWhole)
      this.#failed.delete(key)
      return undefined
    } catch (error) {
      if (isTributaryError(error) && error.code === 'INTERRUPTED') return undefined
      const times = (failed?.times ?? 0) + 1
      const wait = Math.min(LONGEST_AGAIN_MS, FIRST_AGAIN_MS * 2 ** (times - 1))
      this.#tellFull(space, error)
      this.#failed.set(key, { times, againAt: clock.now() + wait })
      if (isTributaryError(error)) return error
      throw error
    }
  }

  /** Nobody asked for a manifest, so nobody is answered that there is no room for it. */
  #tellFull(space: SpaceId, error: unknown): void {
    if (!isTributaryError(error) || error.code !== 'QUOTA_REACHED' || this.#full.has(space)) return
    this.#full.add(space)
    this.#context.report('a space is full', error)
  }

  async #fetch({ clock, sourcesFor, lied }: ExchangeParts, space: SpaceId, digest: string, isWhole: boolean) {
    const { storage, report } = this.#context
    const fetching: ModelFetching = {
      context: this.#context,
      clock,
      space,
      sources: sourcesFor(space),
      signal: this.#abort.signal,
      underWay: this.#underWay,
      lied(source, what) {
        lied?.(source)
        const message = `the replica ${source} sent something else for ${what}`
        report('a replica lied', new TributaryError('DIGEST_MISMATCH', message, { details: { source } }))
      },
    }
    const known = storage.manifests.find(digest as ModelId)?.id ?? storage.manifests.findByContent(digest)
    const id = known ?? (await fetchManifest(fetching, digest))
    if (!isWhole || storage.models.find(id) !== undefined) return
    const manifest = parseManifest(storage.manifests.find(id)!.manifest)
    await fetchModel(fetching, id, manifest)
    for (const { space: of, base } of this.#book.all())
      if (base === manifest.content) storage.pins.hold({ kind: 'base', space: of }, { models: [id] })
  }
}

/** All of them, so many at a time; the first failure is told once none is under way. */
async function sideBySide<T>(items: Iterable<T>, atOnce: number, work: (item: T) => Promise<unknown>): Promise<void> {
  const left = [...items]
  const failures: unknown[] = []
  const worker = async () => {
    for (let next = left.shift(); next !== undefined; next = left.shift()) await work(next)
  }
  const workers = Array.from({ length: Math.min(atOnce, left.length) }, () =>
    worker().catch((error: unknown) => failures.push(error)),
  )
  await Promise.all(workers)
  if (failures.length > 0) throw failures[0] as Error
}
