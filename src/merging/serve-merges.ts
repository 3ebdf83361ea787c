/** The side of one worker thread: its share of each job, told as progress and tensors and then as done or failed. */
import type { MessagePort } from 'node:worker_threads'
import { boardOfDigest, digestWork } from './run-digest.ts'
import { boardOfMerge, type Engine, mergeWork } from './run-merge.ts'
import type { RunWatch } from './run.ts'
import type { DigestOutcome, TensorOutcome } from './task.ts'
import { failureOf, type Reply, type Request } from './worker-protocol.ts'

export function serveMerges(port: MessagePort, engine: Engine): void {
  const reply = (message: Reply): void => {
    port.postMessage(message)
  }
  const watch: RunWatch<TensorOutcome | DigestOutcome> = {
    onProgress: (bytesDone) => {
      reply({ kind: 'progress', bytesDone })
    },
    onTensor: (outcome, tensor) => {
      reply({ kind: 'tensor', tensor, outcome })
    },
  }
  port.on('message', ({ job, board: shared, workers }: Request) => {
    const board = job.kind === 'merge' ? boardOfMerge(job.task, shared) : boardOfDigest(job.task, shared)
    let unit = 0
    const taken = (next: number): void => {
      unit = next
    }
    try {
      if (job.kind === 'merge') mergeWork(job.task, engine, workers)(board, watch, taken)
      else digestWork(job.task, engine, workers)(board, watch, taken)
      reply({ kind: 'done' })
    } catch (error) {
      board.fail(unit)
      reply({ kind: 'failed', failure: failureOf(error), unit })
    }
  })
}
