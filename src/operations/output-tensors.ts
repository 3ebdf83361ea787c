/**
 * The tensors of a merge's output on their way into the store. Those that an earlier merge left here, or this one before a
 * crash, are taken over; each that is computed is published and written down while the others are still being computed, so
 * that finished work is not done again.
 */
import { TributaryError } from '../core/errors.ts'
import type { ContentRoot, TensorRoot } from '../core/ids.ts'
import { invariant } from '../core/invariant.ts'
import type { MergeTask, TaskTensor, TensorOutcome } from '../merging/task.ts'
import { keyOf, type TensorKeys, tensorKeys } from '../merging/tensor-key.ts'
import type { BlobName, Temporary } from '../storage/blob-store.ts'
import type { MergeJob } from '../storage/job-repository.ts'
import type { Context } from './context.ts'
import { dropBlobs, orphanNow } from './sweep.ts'

/** What is finished waits this long for company before it is made durable. */
const SETTLE_AFTER_MS = 2000

const blobOf = (root: string): BlobName => ({ kind: 'tensor', digest: root as TensorRoot })

export class OutputTensors {
  readonly #context: Context
  readonly #job: MergeJob
  readonly #task: MergeTask
  readonly #byName: ReadonlyMap<string, TaskTensor>
  readonly #contents: readonly ContentRoot[]
  readonly #keys: ReadonlyMap<string, TensorKeys>
  readonly #outcomes = new Map<string, TensorOutcome>()
  readonly #temporaries = new Map<string, Temporary>()
  readonly #onFailure: () => void
  #finished: TensorOutcome[] = []
  #finishedBytes = 0
  #published: BlobName[] = []
  #timer: NodeJS.Timeout | undefined
  /** Batches are made durable one after the other. */
  #last: Promise<void> = Promise.resolve()
  #failure: unknown

  /** `task`: of all tensors, with no place for any yet. `onFailure`: storage failed, so going on is of no use. */
  constructor(
    context: Context,
    job: MergeJob,
    task: MergeTask,
    contents: readonly ContentRoot[],
    onFailure: () => void,
  ) {
    this.#context = context
    this.#job = job
    this.#task = task
    this.#byName = new Map(task.tensors.map((tensor) => [tensor.name, tensor]))
    this.#contents = contents
    this.#keys = tensorKeys(task, context.strategies)
    this.#onFailure = onFailure
  }

  /** Takes over what is here; answers how many bytes that are. */
  async recall(): Promise<number> {
    const found = this.#task.tensors.flatMap((tensor) => this.#known(tensor) ?? [])
    this.#hold(found)
    let bytes = 0
    const here = new Map<string, TensorOutcome>()
    for (const outcome of found) {
      const { target } = this.#tensor(outcome.name)
      const stat = await this.#context.storage.blobs.stat(blobOf(outcome.root))
      if (stat?.bytes === target.bytes) here.set(outcome.name, outcome)
      else this.#context.storage.results.forgetRoot(outcome.root as TensorRoot) // gone or damaged: computed again
    }
    const missing = new Set(
      this.#task.tensors.flatMap(({ name }) => (here.has(name) ? [] : (this.#keys.get(name)?.group ?? []))),
    )
    for (const outcome of here.values()) {
      const group = this.#keys.get(outcome.name)?.group
      if (group !== undefined && missing.has(group)) continue
      this.#outcomes.set(outcome.name, outcome)
      bytes += this.#tensor(outcome.name).target.bytes
    }
    return bytes
  }

  #known({ name, rule }: TaskTensor): TensorOutcome | undefined {
    if (rule.kind === 'copy')
      return rule.from.root === undefined ? undefined : { name, root: rule.from.root, scalars: [] }
    const keys = this.#keys.get(name)
    const { results } = this.#context.storage
    const result = keys && (results.find(keys.thisOrder) ?? results.find(keys.anyOrder))
    return result && { name, root: result.root, scalars: result.scalars }
  }

  /** The task of what is left, each tensor with a file of its own to be written. */
  async reserve(): Promise<MergeTask> {
    const { blobs } = this.#context.storage
    const tensors: TaskTensor[] = []
    for (const tensor of this.#task.tensors) {
      if (this.#outcomes.has(tensor.name)) continue
      const temporary = blobs.reserve()
      this.#temporaries.set(tensor.name, temporary)
      await (await blobs.openTemporary(temporary.id)).close()
      tensors.push({ ...tensor, target: { ...tensor.target, path: temporary.path } })
    }
    return { ...this.#task, tensors }
  }

  /** A tensor is written. */
  add(outcome: TensorOutcome): void {
    if (this.#outcomes.has(outcome.name)) return
    this.#outcomes.set(outcome.name, outcome)
    this.#finished.push(outcome)
    this.#finishedBytes += this.#tensor(outcome.name).target.bytes
    if (this.#finishedBytes >= this.#context.limits.mergeSyncBytes) this.#settleLater()
    else this.#timer ??= setTimeout(() => this.#settleLater(), SETTLE_AFTER_MS).unref()
  }

  /** Resolves when all that was added is durable and written down. */
  async settled(): Promise<void> {
    this.#settleLater()
    await this.#last
    if (this.#failure !== undefined) throw this.#failure as Error
  }

  /** Of all tensors, in the order of the task. */
  outcomes(): readonly TensorOutcome[] {
    return this.#task.tensors.map(({ name }) => {
      const outcome = this.#outcomes.get(name)
      invariant(outcome, `${name} was computed or taken over`)
      return outcome
    })
  }

  /** Why storage stopped this, if it did. */
  get failure(): unknown {
    return this.#failure
  }

  /** Nothing more is added. Files that were not published go; what was published stays with the job. */
  async close(): Promise<void> {
    clearTimeout(this.#timer)
    await this.#last
    for (const { id } of this.#temporaries.values())
      await this.#context.storage.blobs.discardTemporary(id).catch(() => undefined) // swept later
  }

  /** Of a job that was cancelled meanwhile: what was published beside that goes too. */
  async drop(): Promise<void> {
    await dropBlobs(this.#context, orphanNow(this.#context, this.#published))
  }

  #settleLater(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    const batch = this.#finished
    this.#finished = []
    this.#finishedBytes = 0
    if (batch.length > 0)
      this.#last = this.#last
        .then(() => (this.#failure === undefined ? this.#keep(batch) : undefined))
        .catch((error: unknown) => {
          this.#failure = error
          this.#onFailure()
        })
  }

  /** Bytes before facts; and held before they are there, so that no sweep comes between. */
  async #keep(batch: readonly TensorOutcome[]): Promise<void> {
    const { storage } = this.#context
    this.#hold(batch)
    const sealed = batch.map(({ name, root }) => {
      const temporary = this.#temporaries.get(name)
      invariant(temporary, `${name} was written to a file of its own`)
      return { name: blobOf(root), bytes: this.#tensor(name).target.bytes, temporary: temporary.id }
    })
    this.#published.push(...sealed.map(({ name }) => name))
    await storage.blobs.adopt(sealed)
    for (const { name } of batch) this.#temporaries.delete(name)
    const results = batch.flatMap(({ name, root, scalars }) => {
      const keys = this.#keys.get(name)
      return keys ? [{ key: keyOf(keys, { scalars }), root: root as TensorRoot, scalars }] : []
    })
    storage.transact(() => {
      this.#needRunning()
      storage.results.put({ merge: this.#job.id, contents: this.#contents }, results)
    })
  }

  #hold(outcomes: readonly TensorOutcome[]): void {
    if (outcomes.length === 0) return
    const { storage } = this.#context
    storage.transact(() => {
      this.#needRunning()
      storage.pins.hold({ kind: 'job', id: this.#job.id }, { blobs: outcomes.map(({ root }) => blobOf(root)) })
    })
  }

  #needRunning(): void {
    const { id } = this.#job
    if (this.#context.storage.jobs.find(id)?.state !== 'running')
      throw new TributaryError('MERGE_CANCELLED', `the merge ${id} was cancelled while its output was kept`)
  }

  #tensor(name: string): TaskTensor {
    const found = this.#byName.get(name)
    invariant(found, `${name} is a tensor of the task`)
    return found
  }
}
