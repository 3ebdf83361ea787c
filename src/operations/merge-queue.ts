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
/** Storage that fails is asked again after this long: at once would keep the process from everything else. */
const RETRY_AFTER_MS = 5000

export class MergeQueue {
  readonly #context: Context
  readonly #book: SpaceBook
  #running: { readonly id: MergeId; readonly abort: AbortController } | undefined
  #loop: Promise<void> | undefined
  /** Something may have been queued since the last look. */
  #isWoken = false
  #retry: NodeJS.Timeout | undefined
  /** Merges that failed and whose jobs do not say so yet, each with why. */
  readonly #unsettled = new Map<MergeId, unknown>()
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
    this.#isWoken = true
    if (this.#loop !== undefined || this.#stopping) return
    clearTimeout(this.#retry)
    this.#loop = this.#drain().finally(() => {
      this.#loop = undefined
      if (this.#isWoken) this.wake()
    })
  }

  #wakeLater(): void {
    if (!this.#stopping) this.#retry = setTimeout(() => this.wake(), RETRY_AFTER_MS).unref()
  }

  /** The job was cancelled: nothing that its run still does counts. */
  stopRunning(id: MergeId): void {
    if (this.#running?.id === id) this.#running.abort.abort()
    this.#unsettled.delete(id)
  }

  /** Resolves when nothing is running any more. */
  async idle(): Promise<void> {
    while (this.#loop !== undefined) await this.#loop
  }

  async stop(): Promise<void> {
    this.#stopping = true
    clearTimeout(this.#retry)
    this.#running?.abort.abort()
    await this.#loop
  }

  #isStopping(): boolean {
    return this.#stopping
  }

  async #drain(): Promise<void> {
    const { report } = this.#context
    while (!this.#isStopping()) {
      this.#isWoken = false
      let job: MergeJob | undefined
      try {
        job = this.#next()
      } catch (error) {
        report('merge queue', error)
        this.#wakeLater()
        return
      }
      if (job === undefined) return
      try {
        await this.#run(job)
      } catch (error) {
        report('merge', error)
        if (!this.#isStopping()) this.#unsettled.set(job.id, error) // else it is queued again at the next start
      }
    }
  }

  #next(): MergeJob | undefined {
    const { storage, now } = this.#context
    for (const [id, error] of this.#unsettled) {
      this.#settle(id, error)
      this.#unsettled.delete(id)
    }
    return storage.transact(() => storage.jobs.claimNext(now())) // claimed and read, or neither
  }

  /** A merge that can't be done says why. */
  #settle(id: MergeId, error: unknown): void {
    const { storage, now } = this.#context
    const known = isTributaryError(error)
    const { code, message, hint } = known
      ? error
      : { code: 'INTERNAL', message: 'the merge failed by a fault of this program', hint: 'see the log' }
    storage.transact(() => {
      const missing = known ? error.details['missing'] : undefined
      if (code === 'BYTES_MISSING' && Array.isArray(missing))
        storage.jobs.block(id, JSON.stringify({ code, message, missing }), now())
      else storage.jobs.fail(id, JSON.stringify({ code, message, ...(hint !== undefined && { hint }) }), now())
      storage.pins.release({ kind: 'job', id })
    })
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
      this.#refuseRevoked(job, selection) // while it was merged
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

  /** Content that was revoked since the merge was asked for is not merged. */
  #refuseRevoked(job: MergeJob, { resolved: { inputs, base } }: Selected): void {
    const { revoked } = this.#book.state(job.space)
    const found = [...inputs.map(({ candidate }) => candidate), ...(base ? [base] : [])].find(({ content }) =>
      revoked.has(content),
    )
    if (found)
      throw new TributaryError('CONTENT_REVOKED', `${found.ref} was withdrawn for ever after the merge was asked for`, {
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
