/**
 * The merger in one worker thread. Tasks wait their turn; a thread that dies takes only its task with it, and the next
 * task gets a fresh one. The thread keeps the process alive only while it works.
 */
import { Worker } from 'node:worker_threads'
import { TributaryError } from '../core/errors.ts'
import type { Merger, Watch } from './merger.ts'
import type { DigestOutcome, TensorOutcome } from './task.ts'
import { errorOf, type Job, type Reply, type Request } from './worker-protocol.ts'

type Outcomes = readonly TensorOutcome[] | readonly DigestOutcome[]

/** `entry` is the built worker: it serves requests with `serveMerges`. */
export function createWorkerMerger(entry: URL): Merger {
  const stopping = new AbortController()
  let worker: Worker | undefined
  let last: Promise<unknown> = Promise.resolve()

  const run = (job: Job, watch: Watch): Promise<Outcomes> => {
    const mine = last.then(() => work(job, watch))
    last = mine.catch(() => undefined)
    return mine
  }

  const cancelled = () => new TributaryError('MERGE_CANCELLED', 'the merge was cancelled before it began')
  const stopped = () => new TributaryError('SERVER_STOPPING', 'the program is stopping, so the merge was given up')

  function work(job: Job, { onProgress, onTensor, signal }: Watch): Promise<Outcomes> {
    if (stopping.signal.aborted) return Promise.reject(stopped())
    if (signal?.aborted === true) return Promise.reject(cancelled())
    const thread = (worker ??= start())
    const flag = new SharedArrayBuffer(4)
    const raise = () => Atomics.store(new Int32Array(flag), 0, 1)
    return new Promise<Outcomes>((resolve, reject) => {
      const died = (why: string) => {
        if (worker === thread) worker = undefined
        end(() => {
          reject(stopping.signal.aborted ? stopped() : deathOf(why))
        })
      }
      const onError = (error: Error) => {
        died(error.message)
      }
      const onExit = (code: number) => {
        died(`it ended with code ${code}`)
      }
      const onMessage = (reply: Reply) => {
        if (reply.kind === 'progress') onProgress?.(reply.bytesDone)
        else if (reply.kind === 'tensor') onTensor?.(reply.outcome)
        else
          end(() => {
            if (reply.kind === 'done') resolve(reply.outcomes)
            else reject(errorOf(reply.failure))
          })
      }
      const end = (settle: () => void) => {
        thread.off('message', onMessage).off('error', onError).off('exit', onExit).unref()
        signal?.removeEventListener('abort', raise)
        settle()
      }
      thread.on('message', onMessage).on('error', onError).on('exit', onExit).ref()
      signal?.addEventListener('abort', raise)
      thread.postMessage({ job, flag } satisfies Request)
    })
  }

  /** Dying while idle is no failure of any task; and an `error` event nobody hears would end the process. */
  function start(): Worker {
    const thread = new Worker(entry)
    const forget = () => {
      if (worker === thread) worker = undefined
    }
    thread.on('error', forget).on('exit', forget)
    return thread
  }

  return {
    merge: async (task, watch = {}) => (await run({ kind: 'merge', task }, watch)) as readonly TensorOutcome[],
    digest: async (task, watch = {}) => (await run({ kind: 'digest', task }, watch)) as readonly DigestOutcome[],
    async close() {
      stopping.abort()
      await worker?.terminate()
      worker = undefined
      await last
    },
  }
}

const deathOf = (why: string) =>
  new TributaryError('WORKER_DIED', `the thread that merged has died: ${why}`, {
    hint: 'run it again; if it dies again, the machine may be short of memory',
  })
