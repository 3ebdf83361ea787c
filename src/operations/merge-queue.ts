/**
 * Runs the merges of this replica, one at a time, off the main thread. A job is in the database before it is acknowledged
 * and its output is named there only once it is durable; what a crash interrupts begins again at the next start.
 */
import { type ErrorCode, isTributaryError, TributaryError } from '../core/errors.ts'
import type { MergeId, TensorRoot } from '../core/ids.ts'
import { invariant } from '../core/invariant.ts'
import { taskBytes, type TensorOutcome } from '../merging/task.ts'
import type { OutputTensor } from '../recipes/align.ts'
import type { Resolved } from '../recipes/resolve.ts'
import type { BlobName } from '../storage/blob-store.ts'
import type { MergeJob } from '../storage/job-repository.ts'
import { tensorBytesOf } from '../tensors/safetensors.ts'
import type { Context } from './context.ts'
import { keepOutput } from './keep-output.ts'
import { mergeTaskOf } from './merge-task.ts'
import { ModelIngest } from './model-ingest.ts'
import { OutputTensors } from './output-tensors.ts'
import { parseRequest, type Selected, selected } from './selection.ts'
import type { SpaceBook } from './space-book.ts'
import { dropBlobs, letGo } from './sweep.ts'

const PROGRESS_EVERY_MS = 1000
/** The file of a tensor is made when it is known to be needed. */
const unplaced = (tensor: OutputTensor) => ({ path: '', offset: 0, bytes: tensorBytesOf(tensor) })
/** Failures of the machine, not of the merge. A full disk is none of them: what is of no use yet makes room again. */
const MAY_WORK_LATER: ReadonlySet<string> = new Set<ErrorCode | 'INTERNAL'>([
  'STORAGE_FAILED',
  'WORKER_DIED',
  'BYTES_MISSING',
  'INTERNAL',
])
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
  /** Bytes of the output of what was resolved once and is asked for again. */
  readonly #checked = new WeakMap<Resolved, number>()

  constructor(context: Context, book: SpaceBook) {
    this.#context = context
    this.#book = book
  }

  /** Everything that can be refused before a byte is read; answers the bytes of the output. */
  check(selection: Selected): number {
    const { resolved } = selection
    if (resolved.alignment === undefined) return 0 // what is missing blocks it
    let bytes = this.#checked.get(resolved)
    if (bytes === undefined) {
      bytes = taskBytes(mergeTaskOf(this.#context, selection, unplaced, () => ''))
      this.#checked.set(resolved, bytes)
    }
    return bytes
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
        job = await this.#next()
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

  async #next(): Promise<MergeJob | undefined> {
    const { storage, now } = this.#context
    for (const [id, error] of this.#unsettled) {
      const dropped = this.#settle(id, error)
      this.#unsettled.delete(id)
      await dropBlobs(this.#context, dropped)
    }
    return storage.transact(() => storage.jobs.claimNext(now())) // claimed and read, or neither
  }

  /** A merge that can't be done says why. What it finished stays for the next try, where another try may help. */
  #settle(id: MergeId, error: unknown): readonly BlobName[] {
    const { storage, now } = this.#context
    const known = isTributaryError(error)
    const { code, message, hint } = known
      ? error
      : { code: 'INTERNAL', message: 'the merge failed by a fault of this program', hint: 'see the log' }
    return storage.transact(() => {
      const missing = known ? error.details['missing'] : undefined
      if (code === 'BYTES_MISSING' && Array.isArray(missing))
        storage.jobs.block(id, JSON.stringify({ code, message, missing }), now())
      else storage.jobs.fail(id, JSON.stringify({ code, message, ...(hint !== undefined && { hint }) }), now())
      if (!MAY_WORK_LATER.has(code)) return letGo(this.#context, id)
      storage.pins.release({ kind: 'job', id })
      return []
    })
  }

  async #run(job: MergeJob): Promise<void> {
    const abort = new AbortController()
    this.#running = { id: job.id, abort }
    const ingest = new ModelIngest(this.#context)
    let tensors: OutputTensors | undefined
    try {
      const selection = selected(this.#context, parseRequest(job.request))
      invariant(selection.resolved.merge === job.id, 'a request resolves to the merge it was made for')
      this.#refuseRevoked(job, selection)
      if (selection.missing.length > 0)
        throw new TributaryError('BYTES_MISSING', `the bytes of ${selection.missing.length} models are not here`, {
          details: { missing: selection.missing },
        })
      tensors = this.#tensorsOf(job, selection, abort)
      await this.#merge(job, tensors, abort.signal)
      this.#refuseRevoked(job, selection) // while it was merged
      await keepOutput(this.#context, job, selection, tensors.outcomes(), ingest)
    } catch (error) {
      await ingest.discard()
      if (this.#stopping) await tensors?.settled().catch(() => undefined) // what is finished is not done again
      await tensors?.close()
      if (tensors?.failure === undefined && abort.signal.aborted && !this.#stopping) {
        await tensors?.drop()
        return // it was cancelled, and is so in the database
      }
      throw tensors?.failure ?? error
    } finally {
      this.#running = undefined
    }
  }

  #tensorsOf(job: MergeJob, selection: Selected, abort: AbortController): OutputTensors {
    const { inputs, base } = selection.resolved
    const contents = [...inputs.map(({ candidate }) => candidate.content), ...(base ? [base.content] : [])]
    const { blobs } = this.#context.storage
    const task = mergeTaskOf(this.#context, selection, unplaced, (root) =>
      blobs.locate({ kind: 'tensor', digest: root as TensorRoot }),
    )
    return new OutputTensors(this.#context, job, task, contents, () => abort.abort())
  }

  /** Content that was revoked since the merge was asked for is not merged. */
  #refuseRevoked(job: MergeJob, { resolved: { inputs, base } }: Selected): void {
    const { revoked } = this.#book.state(job.space)
    const found = [...inputs.map(({ candidate }) => candidate), ...(base ? [base] : [])].find(({ content }) =>
      revoked.has(content),
    )
    if (found === undefined) return
    this.#context.storage.results.forgetContent(found.content)
    throw new TributaryError('CONTENT_REVOKED', `${found.ref} was withdrawn for ever after the merge was asked for`, {
      hint: 'ask for the merge again without it',
    })
  }

  /** Every tensor is in the store afterwards. */
  async #merge(job: MergeJob, tensors: OutputTensors, signal: AbortSignal): Promise<void> {
    const { storage, merger, now } = this.#context
    const bytesBefore = await tensors.recall()
    const task = await tensors.reserve()
    let told = now()
    const onProgress = (bytesDone: number) => {
      if (now() - told < PROGRESS_EVERY_MS) return
      told = now()
      try {
        storage.jobs.progress(job.id, bytesBefore + bytesDone, told)
      } catch (error) {
        this.#context.report('merge progress', error) // telling it again later is as good
      }
    }
    const onTensor = (outcome: TensorOutcome) => tensors.add(outcome)
    const outcomes = task.tensors.length === 0 ? [] : await merger.merge(task, { signal, onProgress, onTensor })
    for (const outcome of outcomes) tensors.add(outcome)
    await tensors.settled()
  }
}
