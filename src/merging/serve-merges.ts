/** The side of one worker thread: its share of each job, told as progress and tensors and then as done or failed. */
import type { MessagePort } from 'node:worker_threads'
import { boardOfDigest, boardOfMerge } from './boards.ts'
import { unpackTask } from './pack-task.ts'
import type { RunBoard } from './run-board.ts'
import { digestWork } from './run-digest.ts'
import { type Engine, mergeWork } from './run-merge.ts'
import type { RunWatch } from './run.ts'
import type { DigestOutcome, TensorOutcome } from './task.ts'
import { failureOf, type Reply, type Request } from './worker-protocol.ts'

type Outcome = TensorOutcome | DigestOutcome

/** A message costs as much as merging a small tensor, and wakes who hears it, so what there is to tell is told together. */
const TELL_EVERY_MS = 100

export function serveMerges(port: MessagePort, engine: Engine): void {
  const reply = (message: Reply): void => {
    port.postMessage(message)
  }
  let outcomes: [tensor: number, Outcome][] = []
  let toldAtMs = -Infinity
  const tell = (): void => {
    if (outcomes.length > 0) reply({ kind: 'tensors', outcomes })
    outcomes = []
    toldAtMs = performance.now()
  }
  const watch: RunWatch<Outcome> = {
    onProgress: (bytesDone) => {
      if (performance.now() - toldAtMs < TELL_EVERY_MS) return
      tell()
      reply({ kind: 'progress', bytesDone })
    },
    onTensor: (outcome, tensor) => {
      outcomes.push([tensor, outcome])
      if (performance.now() - toldAtMs >= TELL_EVERY_MS) tell()
    },
  }
  port.on('message', ({ job, board: shared, workers }: Request) => {
    let unit = 0
    let board: RunBoard | undefined
    const taken = (next: number): void => {
      unit = next
    }
    try {
      if (job.kind === 'merge') {
        const task = unpackTask(job.task)
        board = boardOfMerge(task, workers, shared)
        mergeWork(task, engine, workers)(board, watch, taken)
      } else {
        board = boardOfDigest(job.task, shared)
        digestWork(job.task, engine, workers)(board, watch, taken)
      }
      tell()
      reply({ kind: 'done' })
    } catch (error) {
      board?.fail(unit)
      tell()
      reply({ kind: 'failed', failure: failureOf(error), unit })
    }
  })
  reply({ kind: 'loaded' })
}
