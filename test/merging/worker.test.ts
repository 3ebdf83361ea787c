import { once } from 'node:events'
import { MessageChannel } from 'node:worker_threads'
import { expect, test } from 'vitest'
import { strategies } from '../../merge-strategies/index.ts'
import { TributaryError } from '../../src/core/errors.ts'
import { referenceKernels } from '../../src/kernels/reference.ts'
import { serveMerges } from '../../src/merging/serve-merges.ts'
import { createWorkerMerger } from '../../src/merging/worker-merger.ts'
import { errorOf, failureOf, type Reply } from '../../src/merging/worker-protocol.ts'
import type { MergeTask } from '../../src/merging/task.ts'
import { MemoryTileFiles } from './memory-tile-files.ts'

const task: MergeTask = {
  merge: '00'.repeat(32),
  seed: '11'.repeat(32),
  inputs: [{ content: '22'.repeat(32), label: 'a' }],
  tensors: [],
  tileBytes: 32 * 1024,
}

/** A thread of these lines, with `port` as its end. */
const thread = (lines: string) =>
  new URL(
    `data:text/javascript,${encodeURIComponent(`import { parentPort as port } from 'node:worker_threads';\n${lines}`)}`,
  )

test('[MRG-10] a failure crosses whole, and a bug keeps its stack', () => {
  const failure = new TributaryError('MERGE_NOT_FINITE', 'what', {
    details: { tensor: 'w', element: 7 },
    hint: 'do',
    pointer: '/a',
  })
  const crossed = errorOf(structuredClone(failureOf(failure)))
  expect(crossed).toBeInstanceOf(TributaryError)
  expect(crossed).toMatchObject({
    code: failure.code,
    message: 'what',
    details: failure.details,
    hint: 'do',
    pointer: '/a',
  })
  const bug = new RangeError('index')
  expect(errorOf(structuredClone(failureOf(bug)))).toMatchObject({ message: 'index', stack: bug.stack })
})

test("[MRG-10] the worker's side answers outcomes, failures and cancellation", async () => {
  const { port1, port2 } = new MessageChannel()
  serveMerges(port2, { files: new MemoryTileFiles(), kernels: referenceKernels, strategies })
  const ask = async (word: number, job: unknown): Promise<Reply> => {
    const flag = new SharedArrayBuffer(4)
    new Int32Array(flag)[0] = word
    port1.postMessage({ job, flag })
    return ((await once(port1, 'message')) as [Reply])[0]
  }
  expect(await ask(0, { kind: 'merge', task })).toEqual({ kind: 'done', outcomes: [] })
  expect(await ask(1, { kind: 'digest', task: { tensors: [] } })).toMatchObject({
    kind: 'failed',
    failure: { code: 'MERGE_CANCELLED' },
  })
  expect(await ask(0, { kind: 'merge', task: { ...task, tileBytes: 1 } })).toMatchObject({ kind: 'failed' })
  port1.close()
})

test('[MRG-11] a thread that dies fails its task alone, and the next has a fresh one', async () => {
  const merger = createWorkerMerger(
    thread(`let n = 0;
      port.on('message', ({ job }) => {
        n += 1
        if (job.task.seed === 'exit') process.exit(3)
        if (job.task.seed === 'throw') throw new Error('out of luck')
        port.postMessage({ kind: 'progress', bytesDone: n })
        port.postMessage({ kind: 'done', outcomes: [{ name: String(n), root: '', scalars: [] }] })
      })`),
  )
  const progress: number[] = []
  const merge = (seed: string) => merger.merge({ ...task, seed }, { onProgress: (bytes) => progress.push(bytes) })
  const settled = await Promise.allSettled([
    merge('one'),
    merge('exit'),
    merge('one'),
    merge('two'),
    merge('throw'),
    merge('one'),
  ])
  const codes = settled.map((one) =>
    one.status === 'fulfilled' ? one.value[0]?.name : (one.reason as TributaryError).code,
  )
  expect(codes).toEqual(['1', 'WORKER_DIED', '1', '2', 'WORKER_DIED', '1'])
  expect(progress).toEqual([1, 1, 2, 1])
  await merger.close()
  await expect(merge('one')).rejects.toMatchObject({ code: 'SERVER_STOPPING' })
})

test('[MRG-16] tensors are told as the thread tells them, before the task ends', async () => {
  const one = { name: 'w', root: 'r', scalars: [2] }
  const merger = createWorkerMerger(
    thread(`port.on('message', () => {
      port.postMessage({ kind: 'tensor', outcome: ${JSON.stringify(one)} })
      port.postMessage({ kind: 'done', outcomes: [${JSON.stringify(one)}] })
    })`),
  )
  const told: unknown[] = []
  const outcomes = await merger.merge(task, { onTensor: (outcome) => told.push(outcome) }).finally(() => told.push(0))
  expect(told).toEqual([...outcomes, 0])
  await merger.close()
})

test('[MRG-5] cancelling reaches a thread that is busy, and one whose turn has not come', async () => {
  const merger = createWorkerMerger(
    thread(`port.on('message', ({ flag }) => {
      const word = new Int32Array(flag)
      port.postMessage({ kind: 'progress', bytesDone: 1 })
      while (Atomics.load(word, 0) === 0) Atomics.wait(word, 0, 0, 5)
      port.postMessage({ kind: 'failed', failure: { code: 'MERGE_CANCELLED', message: 'cancelled' } })
    })`),
  )
  const running = new AbortController()
  const waiting = new AbortController()
  const settled = Promise.allSettled([
    merger.merge(task, { signal: running.signal, onProgress: () => running.abort() }),
    merger.merge(task, { signal: waiting.signal }),
  ])
  waiting.abort()
  for (const one of await settled) expect(one).toMatchObject({ reason: { code: 'MERGE_CANCELLED' } })
  await merger.close()
})
