/**
 * The merger in worker threads, one a core: all of them work on one task at a time, each on units of its own. Tasks wait
 * their turn; a thread that dies takes its task with it, and the next task gets a fresh one. Threads keep the process alive
 * only while they work.
 */
import type { Worker } from 'node:worker_threads'
import { TributaryError } from '../core/errors.ts'
import { boardOfDigest, boardOfMerge } from './boards.ts'
import { optimizeLate } from './late-optimizing.ts'
import { type MergeThread, startMergeThread } from './merge-thread.ts'
import type { Merger, Resources, Watch } from './merger.ts'
import type { RunBoard } from './run-board.ts'
import { packTask } from './pack-task.ts'
import { Progress } from './run.ts'
import {
  digestBytes,
  type DigestOutcome,
  type DigestTask,
  type MergeTask,
  readBytes,
  taskBytes,
  type TensorOutcome,
} from './task.ts'
import { errorOf, type Reply, type Request } from './worker-protocol.ts'

type Outcome = TensorOutcome | DigestOutcome
type Asked =
  { readonly kind: 'merge'; readonly task: MergeTask } | { readonly kind: 'digest'; readonly task: DigestTask }
/** How one thread's share of a job ended. */
type End =
  | { readonly kind: 'done' }
  | { readonly kind: 'failed'; readonly error: Error; readonly unit: number }
  | { readonly kind: 'died'; readonly why: string }

/** One more thread is worth its start for as much as this to read and to write. */
export const SHARE_BYTES = 16 * 1024 * 1024

/** `entry` is the built worker: it serves requests with `serveMerges`. `early` is a thread of it that was started before. */
export function createWorkerMerger(entry: URL, resources: Resources, early?: MergeThread): Merger {
  let stopping = false
  const isStopping = (): boolean => stopping
  const threads: MergeThread[] = early ? [early] : []
  const dismissed: Promise<unknown>[] = []
  let last: Promise<unknown> = Promise.resolve()

  const run = (job: Asked, watch: Watch): Promise<readonly Outcome[]> => {
    const mine = last.then(() => work(job, watch))
    last = mine.catch(() => undefined)
    return mine
  }

  async function work(job: Asked, { onProgress, onTensor, signal }: Watch): Promise<readonly Outcome[]> {
    if (isStopping()) throw stopped()
    if (signal?.aborted === true) throw cancelled()
    const workers = workersFor(job, resources.workers)
    const board = job.kind === 'merge' ? boardOfMerge(job.task, workers) : boardOfDigest(job.task)
    const progress = new Progress(onProgress)
    const outcomes: Outcome[] = []
    const hear = (reply: Reply): void => {
      if (reply.kind === 'progress') progress.to(reply.bytesDone)
      if (reply.kind !== 'tensors') return
      for (const [tensor, outcome] of reply.outcomes) {
        outcomes[tensor] = outcome
        if (job.kind === 'merge') onTensor?.(outcome as TensorOutcome)
      }
    }
    const cancel = (): void => {
      board.cancel()
    }
    signal?.addEventListener('abort', cancel)
    const crew = crewOf(workers)
    const packed = job.kind === 'merge' ? { kind: job.kind, task: packTask(job.task) } : job
    const request: Request = { job: packed, board: board.shared, workers }
    const ends = await Promise.all(crew.map(({ worker }) => share(worker, request, board, hear)))
    signal?.removeEventListener('abort', cancel)
    const error = firstFailure(ends)
    if (error) throw isStopping() ? stopped() : error
    progress.to(job.kind === 'merge' ? taskBytes(job.task) : digestBytes(job.task))
    return outcomes
  }

  /** Dying while idle is no failure of any task. */
  const crewOf = (workers: number): readonly MergeThread[] =>
    Array.from({ length: workers }, (_, place) => {
      const known = threads[place]
      const thread = known?.isAlive() === true ? known : startMergeThread(entry)
      threads[place] = thread
      return thread
    })

  return {
    resources,
    warm(bytes) {
      if (stopping) return
      const crew = crewOf(workersWorth(bytes, resources.workers))
      // no more threads are to start
      void Promise.all(crew.map(({ loaded }) => loaded)).then(optimizeLate)
    },
    merge: async (task, watch = {}) => (await run({ kind: 'merge', task }, watch)) as readonly TensorOutcome[],
    digest: async (task, watch = {}) => (await run({ kind: 'digest', task }, watch)) as readonly DigestOutcome[],
    dismiss() {
      last = last.then(() => dismissed.push(...threads.splice(0).map(async ({ worker }) => worker.terminate())))
    },
    async close() {
      stopping = true
      await Promise.all(threads.map(async ({ worker }) => worker.terminate()))
      await Promise.all(dismissed)
      await last
    },
  }
}

/** Resolves when this thread has stopped working on the job, however that came. */
function share(thread: Worker, request: Request, board: RunBoard, hear: (reply: Reply) => void): Promise<End> {
  return new Promise((resolve) => {
    const end = (how: End): void => {
      thread.off('message', onMessage).off('error', onError).off('exit', onExit).unref()
      resolve(how)
    }
    const died = (why: string): void => {
      board.cancel() // the others need not go on
      end({ kind: 'died', why })
    }
    const onError = (error: Error): void => {
      died(error.message)
    }
    const onExit = (code: number): void => {
      died(`it ended with code ${code}`)
    }
    const onMessage = (reply: Reply): void => {
      if (reply.kind === 'done') end(reply)
      else if (reply.kind === 'failed') end({ kind: 'failed', error: errorOf(reply.failure), unit: reply.unit })
      else hear(reply)
    }
    thread.on('message', onMessage).on('error', onError).on('exit', onExit).ref()
    thread.postMessage(request)
  })
}

/** A death before all; else the failure of the first unit, whichever thread met it; being cancelled is what stops the others. */
function firstFailure(ends: readonly End[]): Error | undefined {
  const death = ends.find((end) => end.kind === 'died')
  if (death) return deathOf(death.why)
  const failures = ends.filter((end) => end.kind === 'failed').sort((a, b) => a.unit - b.unit)
  const isCancelled = (error: Error): boolean => error instanceof TributaryError && error.code === 'MERGE_CANCELLED'
  return (failures.find(({ error }) => !isCancelled(error)) ?? failures[0])?.error
}

function workersFor(job: Asked, most: number): number {
  const bytes = job.kind === 'merge' ? taskBytes(job.task) + readBytes(job.task) : digestBytes(job.task)
  const allowed = job.kind === 'merge' ? Math.min(most, job.task.workers ?? most) : most
  return workersWorth(bytes, allowed)
}

const workersWorth = (bytes: number, most: number): number =>
  Math.max(1, Math.min(most, Math.ceil(bytes / SHARE_BYTES)))

const cancelled = () => new TributaryError('MERGE_CANCELLED', 'the merge was cancelled before it began')
const stopped = () => new TributaryError('SERVER_STOPPING', 'the program is stopping, so the merge was given up')

const deathOf = (why: string) =>
  new TributaryError('WORKER_DIED', `a thread that merged has died: ${why}`, {
    hint: 'run it again; if it dies again, the machine may be short of memory',
  })
