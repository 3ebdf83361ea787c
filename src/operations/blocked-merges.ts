/**
 * Merges that wait for bytes of other replicas: which they wait for, why these do not come, and when a merge can go on. A
 * merge is looked at again and again while its bytes come, so what it was asked with is read once.
 */
import { isTributaryError, type TributaryError } from '../core/errors.ts'
import type { ContentRoot, MergeId, ModelId, SpaceId } from '../core/ids.ts'
import type { MergeJob } from '../storage/job-repository.ts'
import type { Context } from './context.ts'
import type { MergeQueue } from './merge-queue.ts'
import { parseRequest, selected } from './selection.ts'
import type { SpaceBook } from './space-book.ts'

export interface BlockedMerge {
  readonly id: MergeId
  readonly space: SpaceId
  /** Never empty. */
  readonly missing: readonly string[]
}

interface Waiting {
  readonly space: SpaceId
  readonly contents: readonly ContentRoot[]
  /** When it was last resolved. */
  readonly missing: readonly string[]
}

export class BlockedMerges {
  readonly #context: Context
  readonly #book: SpaceBook
  readonly #queue: MergeQueue
  readonly #waiting = new Map<MergeId, Waiting>()
  /** What was told of each: it is told again only when something else is the matter. */
  readonly #told = new Map<MergeId, { readonly code: string; readonly digest: string }>()

  constructor(context: Context, book: SpaceBook, queue: MergeQueue) {
    this.#context = context
    this.#book = book
    this.#queue = queue
  }

  /** Those whose bytes are here now go on, as do those of content that was revoked, which say so. Answers the others. */
  unblock(): readonly BlockedMerge[] {
    const ids = this.#context.storage.jobs.idsByState('blocked')
    for (const known of [...this.#waiting.keys(), ...this.#told.keys()]) if (!ids.includes(known)) this.#forget(known)
    return ids.flatMap((id) => this.#look(id) ?? [])
  }

  /** Why the bytes of a model do not come. */
  explain(
    { id, missing }: BlockedMerge,
    digest: string,
    { code, message, hint = 'see the log' }: TributaryError,
  ): void {
    const { storage, now } = this.#context
    const told = this.#told.get(id)
    if (told?.code === code && this.#isMissing(told.digest)) return
    this.#told.set(id, { code, digest })
    const error = JSON.stringify({ code, message, hint, missing })
    storage.transact(() => {
      if (storage.jobs.find(id)?.state === 'blocked' && storage.jobs.requeue(id, now()))
        storage.jobs.block(id, error, now())
    })
  }

  #look(id: MergeId): BlockedMerge | undefined {
    const { storage, now } = this.#context
    const known = this.#waiting.get(id)
    if (known !== undefined && !this.#isRevoked(known)) {
      const missing = known.missing.filter((digest) => this.#isMissing(digest))
      if (missing.length > 0) return { id, space: known.space, missing }
    }
    const job = storage.jobs.find(id)
    if (job === undefined) return undefined
    const waiting = this.#read(job)
    if (waiting.missing.length > 0 && !this.#isRevoked(waiting)) {
      this.#waiting.set(id, waiting)
      return { id, space: job.space, missing: waiting.missing }
    }
    this.#forget(id)
    storage.jobs.requeue(id, now())
    this.#queue.wake()
    return undefined
  }

  #read(job: MergeJob): Waiting {
    try {
      const selection = selected(this.#context, parseRequest(job.request))
      if (selection.missing.length === 0) this.#queue.hold(selection)
      const { inputs, base } = selection.resolved
      const contents = [...inputs.map(({ candidate }) => candidate.content), ...(base ? [base.content] : [])]
      return { space: job.space, contents, missing: selection.missing }
    } catch (error) {
      if (!isTributaryError(error)) throw error
      const { missing = [] } = JSON.parse(job.error ?? '{}') as { missing?: string[] }
      return { space: job.space, contents: [], missing }
    }
  }

  #isRevoked({ space, contents }: Waiting): boolean {
    const { revoked } = this.#book.state(space)
    return revoked.size > 0 && contents.some((content) => revoked.has(content))
  }

  #isMissing(digest: string): boolean {
    const { models } = this.#context.storage
    return !models.has(digest as ModelId) && models.findByContent(digest).length === 0
  }

  #forget(id: MergeId): void {
    this.#waiting.delete(id)
    this.#told.delete(id)
  }
}
