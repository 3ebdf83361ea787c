/** The worker's side: one request at a time, answered by progress and then by outcomes or a failure. */
import type { MessagePort } from 'node:worker_threads'
import { runDigest } from './run-digest.ts'
import { type Engine, runMerge } from './run-merge.ts'
import type { RunWatch } from './run.ts'
import { failureOf, type Reply, type Request } from './worker-protocol.ts'

export function serveMerges(port: MessagePort, engine: Engine): void {
  const reply = (message: Reply): void => {
    port.postMessage(message)
  }
  port.on('message', ({ job, flag }: Request) => {
    const word = new Int32Array(flag)
    const watch: RunWatch = {
      isCancelled: () => Atomics.load(word, 0) !== 0,
      onProgress: (bytesDone) => {
        reply({ kind: 'progress', bytesDone })
      },
      onTensor: (outcome) => {
        reply({ kind: 'tensor', outcome })
      },
    }
    try {
      const outcomes =
        job.kind === 'merge' ? runMerge(job.task, engine, watch) : runDigest(job.task, engine.files, watch)
      reply({ kind: 'done', outcomes })
    } catch (error) {
      reply({ kind: 'failed', failure: failureOf(error) })
    }
  })
}
