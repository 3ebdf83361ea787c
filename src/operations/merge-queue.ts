/**
 * Runs the merges of this replica, one at a time, off the main thread. A job is in the database before it is acknowledged
 * and its output is named there only once it is durable; what a crash interrupts begins again at the next start.
 */
import { isTributaryError, TributaryError } from '../core/errors.ts'
import type { MergeId, TensorRoot } from '../core/ids.ts'
import { at, invariant } from '../core/invariant.ts'
import { taskBytes, type TensorOutcome } from '../merging/task.ts'
import type { OutputTensor } from '../recipes/align.ts'
import type { Temporary } from '../storage/blob-store.ts'
import type { MergeJob } from '../storage/job-repository.ts'
import { tensorBytesOf } from '../tensors/safetensors.ts'
import type { Context } from './context.ts'
import { keepOutput } from './keep-output.ts'
import { mergeTaskOf } from './merge-task.ts'
import { ModelIngest } from './model-ingest.ts'
import { parseRequest, type Selected, selected } from './selection.ts'
import type { SpaceBook } from './space-book.ts'

const PROGRESS_EVERY_MS = 1000

export class MergeQueue {
  readonly #context: Context
  readonly #book: SpaceBook
  #running: { readonly id: MergeId; readonly abort: AbortController } | undefined
  #loop: Promise<void> | undefined
  #stopping = false

  constructor(context: Context, book: SpaceBook) {
    this.#context = context
    this.#book = book
  }

  /** Everything that can be refused before a byte is read; answers the bytes of the output. */
  check(selection: Selected): number {
    const { alignment } = selection.resolved
    if (alignment === undefined) return 0 // what is missing blocks it
    const unplaced = (tensor: OutputTensor) => ({ path: '', offset: 0, bytes: tensorBytesOf(tensor) })
    return taskBytes(mergeTaskOf(this.#context, selection, unplaced, () => ''))
  }

  /** What the job reads stays while it waits and runs. */
  hold({ resolved, modelOf, base, filesFrom }: Selected): void {
    const models = [...modelOf.values(), ...(base ? [base] : []), ...(filesFrom ? [filesFrom] : [])]
    this.#context.storage.pins.hold({ kind: 'job', id: resolved.merge }, { models })
  }

  /** After a start: nothing can be running. */
  recover(): void {
    this.#context.storage.jobs.recover(this.#context.now())
    this.wake()
  }

  wake(): void {
    if (this.#loop !== undefined || this.#stopping) return
    this.#loop = this.#drain().finally(() => {
      this.#loop = undefined
      if (!this.#stopping && this.#context.storage.jobs.countByState().queued > 0) this.wake()
    })
  }

  stopRunning(id: MergeId): void {
    if (this.#running?.id === id) this.#running.abort.abort()
  }

  /** Resolves when nothing is running any more. */
  async idle(): Promise<void> {
    while (this.#loop !== undefined) await this.#loop
  }

  async stop(): Promise<void> {
    this.#stopping = true
    this.#running?.abort.abort()
    await this.#loop
  }

  #isStopping(): boolean {
    return this.#stopping
  }

  async #drain(): Promise<void> {
    const { storage, now, report } = this.#context
    for (;;) {
      if (this.#stopping) return
      let job: MergeJob | undefined
      try {
        job = storage.jobs.claimNext(now())
        if (job === undefined) return
        await this.#run(job)
      } catch (error) {
        report('merge', error)
        if (job === undefined || this.#isStopping()) return // queued again at the next start
        this.#settle(job, error)
      }
    }
  }

  /** A merge that can't be done says why. Even that may fail, on a disk that is full: then the next start tries again. */
  #settle({ id }: MergeJob, error: unknown): void {
    const { storage, now, report } = this.#context
    const known = isTributaryError(error)
    const { code, message, hint } = known
      ? error
      : { code: 'INTERNAL', message: 'the merge failed by a fault of this program', hint: 'see the log' }
    try {
      storage.transact(() => {
        const missing = known ? error.details['missing'] : undefined
        if (code === 'BYTES_MISSING' && Array.isArray(missing))
          storage.jobs.block(id, JSON.stringify({ code, message, missing }), now())
        else storage.jobs.fail(id, JSON.stringify({ code, message, ...(hint !== undefined && { hint }) }), now())
        storage.pins.release({ kind: 'job', id })
      })
    } catch (second) {
      report('merge', second)
    }
  }

  async #run(job: MergeJob): Promise<void> {
    const abort = new AbortController()
    this.#running = { id: job.id, abort }
    const ingest = new ModelIngest(this.#context)
    const temporaries: Temporary[] = []
    try {
      const selection = selected(this.#context, parseRequest(job.request))
      invariant(selection.resolved.merge === job.id, 'a request resolves to the merge it was made for')
      this.#refuseRevoked(job, selection)
      if (selection.missing.length > 0)
        throw new TributaryError('BYTES_MISSING', `the bytes of ${selection.missing.length} models are not here`, {
          details: { missing: selection.missing },
        })
      const outcomes = await this.#merge(job, selection, temporaries, abort.signal)
      await keepOutput(this.#context, job, selection, outcomes, temporaries, ingest)
    } catch (error) {
      await ingest.discard()
      for (const { id } of temporaries) await this.#context.storage.blobs.discardTemporary(id).catch(() => undefined) // swept later
      if (abort.signal.aborted && !this.#stopping) return // it was cancelled, and is so in the database
      throw error
    } finally {
      this.#running = undefined
    }
  }

  /** Content that was revoked while the job waited is not merged. */
  #refuseRevoked(job: MergeJob, { resolved: { inputs, base } }: Selected): void {
    const { revoked } = this.#book.state(job.space)
    const found = [...inputs.map(({ candidate }) => candidate), ...(base ? [base] : [])].find(({ content }) =>
      revoked.has(content),
    )
    if (found)
      throw new TributaryError('CONTENT_REVOKED', `${found.ref} was withdrawn for ever while the merge waited`, {
        hint: 'ask for the merge again without it',
      })
  }

  async #merge(
    job: MergeJob,
    selection: Selected,
    temporaries: Temporary[],
    signal: AbortSignal,
  ): Promise<readonly TensorOutcome[]> {
    const { storage, merger, now } = this.#context
    const outputs = selection.resolved.alignment?.tensors ?? []
    temporaries.push(...outputs.map(() => storage.blobs.reserve()))
    for (const { id } of temporaries) await (await storage.blobs.openTemporary(id)).close()
    let next = 0
    const task = mergeTaskOf(
      this.#context,
      selection,
      (tensor) => ({ path: at(temporaries, next++).path, offset: 0, bytes: tensorBytesOf(tensor) }),
      (root) => storage.blobs.locate({ kind: 'tensor', digest: root as TensorRoot }),
    )
    let told = now()
    const onProgress = (bytesDone: number) => {
      if (now() - told < PROGRESS_EVERY_MS) return
      told = now()
      try {
        storage.jobs.progress(job.id, bytesDone, told)
      } catch (error) {
        this.#context.report('merge progress', error) // telling it again later is as good
      }
    }
    return merger.merge(task, { signal, onProgress })
  }
}
