import { once } from 'node:events'
import { syncBuiltinESMExports } from 'node:module'
import v8 from 'node:v8'
import { MessageChannel, Worker } from 'node:worker_threads'
import { expect, test, vi } from 'vitest'
import { strategies } from '../../merge-strategies/index.ts'
import { TributaryError } from '../../src/core/errors.ts'
import { referenceKernels } from '../../src/kernels/reference.ts'
import { startMergeThread } from '../../src/merging/merge-thread.ts'
import { packTask, unpackTask } from '../../src/merging/pack-task.ts'
import { RunBoard } from '../../src/merging/run-board.ts'
import { serveMerges } from '../../src/merging/serve-merges.ts'
import { createWorkerMerger } from '../../src/merging/worker-merger.ts'
import { errorOf, failureOf, type Job, type Reply } from '../../src/merging/worker-protocol.ts'
import type { MergeTask, TaskTensor, TensorOutcome } from '../../src/merging/task.ts'
import { MemoryTileFiles } from './memory-tile-files.ts'

const task: MergeTask = {
  merge: '00'.repeat(32),
  seed: '11'.repeat(32),
  inputs: [{ content: '22'.repeat(32), label: 'a' }],
  tensors: [],
  tileBytes: 32 * 1024,
}

const empty: TaskTensor = {
  name: 'w',
  shape: [0],
  elements: 0,
  dtype: 'BF16',
  target: { path: 'out', offset: 0, bytes: 0 },
  rule: { kind: 'copy', from: { path: 'in', offset: 0, bytes: 0, dtype: 'BF16' } },
}
/** Worth several threads, for threads that read nothing. */
const large: MergeTask = {
  ...task,
  tensors: [{ ...empty, target: { ...empty.target, bytes: 2 ** 30 } }],
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

test('[MRG-53] a task crosses whole, and what tensors share they share there', () => {
  const slice = (n: number) => ({ path: `file ${n % 2}`, offset: n, bytes: 8 * n, dtype: 'F16' as const })
  const [params, own] = [{ normalize: true }, { density: 0.5 }]
  const rule = { kind: 'merge', strategy: 'ties', params } as const
  const rooted = { ...slice(5), root: 'ab'.repeat(32) }
  const inputs = [0.5, -0].map((weight, input) => ({ input, weight, params: own, value: slice(input) }))
  const all: MergeTask = {
    ...task,
    workers: 2,
    tensors: [
      empty,
      { ...empty, name: 'b', shape: [2, 3], elements: 6, rule: { ...rule, base: slice(3), inputs } },
      {
        ...empty,
        name: 'c',
        shape: [],
        elements: 1,
        rule: { ...rule, base: rooted, inputs },
        recalled: [['k', 1, 'i']],
      },
      { ...empty, name: 'd', rule: { ...rule, inputs: [{ ...inputs[0]!, sidecars: { fisher: slice(7) } }] } },
      { ...empty, name: 'e', rule: { ...rule, inputs: [inputs[0]!] } },
      { ...empty, name: 'f', rule: { ...rule, inputs: [{ ...inputs[0]!, weight: 0.25 }] } },
      { ...empty, name: 'g', rule: { ...rule, inputs: [{ ...inputs[0]!, weight: 0.25, input: 1 }] } },
      { ...empty, name: 'h', rule: { ...rule, base: slice(2), inputs: [{ ...inputs[0]!, weight: 0.25, input: 1 }] } },
    ],
  }
  const crossed = unpackTask(structuredClone(packTask(all)))
  expect(crossed).toEqual(all)
  const rules = crossed.tensors.flatMap((tensor) => (tensor.rule.kind === 'merge' ? [tensor.rule] : []))
  expect(new Set(rules.map((one) => one.params)).size).toBe(1)
  expect(new Set(rules.flatMap((one) => one.inputs.map((input) => input.params))).size).toBe(1)
  expect(packTask(all).tensors.rules).toHaveLength(7)
})

test("[MRG-10] the worker's side answers outcomes, failures and cancellation", async () => {
  const { port1, port2 } = new MessageChannel()
  serveMerges(port2, { files: new MemoryTileFiles(), kernels: () => referenceKernels, strategies })
  expect(await once(port1, 'message')).toMatchObject([{ kind: 'loaded' }])
  const ask = async (word: number, job: Job): Promise<Reply> => {
    const board = new RunBoard([0])
    if (word !== 0) board.cancel()
    port1.postMessage({ job, board: board.shared, workers: 1 })
    return ((await once(port1, 'message')) as [Reply])[0]
  }
  expect(await ask(0, { kind: 'merge', task: packTask(task) })).toEqual({ kind: 'done' })
  expect(await ask(1, { kind: 'digest', task: { tensors: [] } })).toEqual({ kind: 'done' })
  expect(await ask(1, { kind: 'merge', task: packTask({ ...task, tensors: [empty] }) })).toMatchObject({
    kind: 'failed',
    unit: 0,
    failure: { code: 'MERGE_CANCELLED' },
  })
  expect(await ask(0, { kind: 'merge', task: packTask({ ...task, tileBytes: 1 }) })).toMatchObject({ kind: 'failed' })
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
        port.postMessage({ kind: 'tensors', outcomes: [[0, { name: String(n), root: '', scalars: [] }]] })
        port.postMessage({ kind: 'done' })
      })`),
    { workers: 1 },
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
      port.postMessage({ kind: 'tensors', outcomes: [[0, ${JSON.stringify(one)}]] })
      port.postMessage({ kind: 'done' })
    })`),
    { workers: 1 },
  )
  const told: unknown[] = []
  const outcomes = await merger.merge(task, { onTensor: (outcome) => told.push(outcome) }).finally(() => told.push(0))
  expect(told).toEqual([...outcomes, 0])
  await merger.close()
})

/** A thread that tells what it has been asked, then does as the seed of its task says. */
const CREW = `port.on('message', ({ job, board, workers }) => {
  const word = new Int32Array(board.words)
  const mine = Atomics.add(word, 1, 1)
  port.postMessage({ kind: 'progress', bytesDone: 1 + mine })
  const waiting = () => { while (Atomics.load(word, 0) === 0) Atomics.wait(word, 0, 0, 5) }
  const failed = (code, unit) => port.postMessage({ kind: 'failed', unit, failure: { code, message: code + unit } })
  if (job.task.seed === 'both fail') failed('MERGE_NOT_FINITE', workers - mine)
  else if (job.task.seed === 'one dies' && mine === 0) throw new Error('out of luck')
  else {
    waiting()
    failed('MERGE_CANCELLED', 0)
  }
})`

test('[MRG-5] cancelling reaches every thread that is busy, and a task whose turn has not come', async () => {
  const merger = createWorkerMerger(thread(CREW), { workers: 3 })
  const running = new AbortController()
  const waiting = new AbortController()
  const settled = Promise.allSettled([
    merger.merge(large, { signal: running.signal, onProgress: (done) => done === 3 && running.abort() }),
    merger.merge(task, { signal: waiting.signal }),
  ])
  waiting.abort()
  for (const one of await settled) expect(one).toMatchObject({ reason: { code: 'MERGE_CANCELLED' } })
  await merger.close()
})

test('[MRG-11] a thread that dies stops the others, and all have stopped when its task fails', async () => {
  const merger = createWorkerMerger(thread(CREW), { workers: 3 })
  await expect(merger.merge({ ...large, seed: 'one dies' })).rejects.toMatchObject({ code: 'WORKER_DIED' })
  await merger.close()
})

test('[MRG-17] of several failures the first in the order of units is told', async () => {
  const merger = createWorkerMerger(thread(CREW), { workers: 4 })
  const error = await merger.merge({ ...large, seed: 'both fail' }).catch((reason: unknown) => reason)
  expect(error).toMatchObject({ message: 'MERGE_NOT_FINITE1' })
  await merger.close()
})

test('[MRG-18] a task gets no more threads than it has work for, nor than it allows', async () => {
  const merger = createWorkerMerger(
    thread(`port.on('message', ({ workers }) => {
      port.postMessage({ kind: 'tensors', outcomes: [[0, { name: 'w', root: '', scalars: [workers] }]] })
      port.postMessage({ kind: 'done' })
    })`),
    { workers: 3 },
  )
  const crew = async (asked: MergeTask) => (await merger.merge(asked))[0]?.scalars[0]
  expect([await crew({ ...task, tensors: [empty] }), await crew(large), await crew({ ...large, workers: 2 })]).toEqual([
    1, 3, 2,
  ])
  await merger.close()
})

test('[MRG-90] threads started ahead of a task are those that do it', async () => {
  const merger = createWorkerMerger(
    thread(`import { threadId } from 'node:worker_threads'
    port.on('message', () => {
      port.postMessage({ kind: 'tensors', outcomes: [[0, { name: 'w', root: '', scalars: [threadId] }]] })
      port.postMessage({ kind: 'done' })
    })`),
    { workers: 1 },
  )
  merger.warm?.(2 ** 30)
  const later = new Worker(thread(''))
  const { threadId } = later // threads are numbered as they start
  await once(later, 'exit')
  expect((await merger.merge(large))[0]?.scalars[0]).toBeLessThan(threadId)
  await merger.close()
  merger.warm?.(2 ** 30)
  await expect(merger.merge(large)).rejects.toMatchObject({ code: 'SERVER_STOPPING' })
})

test('[MRG-90] a thread that was started before the merger works for it, and one that has died by then does not', async () => {
  const entry = thread(`import { threadId } from 'node:worker_threads'
    port.on('message', (request) => {
      if (request === 'die') process.exit(3)
      port.postMessage({ kind: 'tensors', outcomes: [[0, { name: 'w', root: '', scalars: [threadId] }]] })
      port.postMessage({ kind: 'done' })
    })`)
  const [early, dead] = [startMergeThread(entry), startMergeThread(entry)]
  const { threadId } = early.worker
  dead.worker.postMessage('die')
  dead.worker.ref()
  await once(dead.worker, 'exit')
  for (const [one, isIt] of [
    [early, true],
    [dead, false],
  ] as const) {
    const merger = createWorkerMerger(entry, { workers: 1 }, one)
    const id = (await merger.merge(large))[0]?.scalars[0]
    expect(id === threadId).toBe(isIt)
    await merger.close()
  }
})

test('[MRG-92] V8 optimizes late once all threads of the expected task are loaded, and no sooner', async () => {
  const set = vi.spyOn(v8, 'setFlagsFromString').mockImplementation(() => undefined)
  syncBuiltinESMExports()
  const turn = new BroadcastChannel('loading')
  const entry = thread(`const turn = new BroadcastChannel('loading')
    turn.onmessage = ({ data }) => { port.postMessage({ kind: data }); turn.close() }
    port.postMessage({ kind: 'progress', bytesDone: 0 })
    port.on('message', () => port.postMessage({ kind: 'done' }))`)
  const early = startMergeThread(entry)
  const merger = createWorkerMerger(entry, { workers: 2 }, early)
  try {
    await once(early.worker, 'message')
    const first = early.loaded
    turn.postMessage('loaded')
    await first
    await merger.merge({ ...task, tensors: [empty] })
    merger.warm?.(1)
    expect(set).not.toHaveBeenCalled() // told a turn later, and only of a task that is expected
    await early.loaded
    await Promise.resolve()
    expect(set.mock.calls).toEqual(
      process.versions.v8.startsWith('11.') ? [[expect.stringMatching(/budget=\d+$/)]] : [],
    )
    set.mockClear()
    merger.warm?.(2 ** 30)
    await merger.merge({ ...task, tensors: [empty] })
    expect(set).not.toHaveBeenCalled()
  } finally {
    turn.close()
    await merger.close()
    set.mockRestore()
    syncBuiltinESMExports()
  }
})

test('[MRG-91] a merger that dismissed its threads ends each after its task, and serves the next task with fresh ones', async () => {
  const merger = createWorkerMerger(
    thread(`import { threadId } from 'node:worker_threads'
    port.on('message', () => {
      port.postMessage({ kind: 'tensors', outcomes: [[0, { name: 'w', root: '', scalars: [threadId] }]] })
      setTimeout(() => port.postMessage({ kind: 'done' }), 20)
    })`),
    { workers: 1 },
  )
  const threadOf = async (merging: Promise<readonly TensorOutcome[]>) => (await merging)[0]?.scalars[0]
  const running = [threadOf(merger.merge(large)), threadOf(merger.merge(large))]
  merger.dismiss?.()
  const [first, second] = await Promise.all(running)
  const third = await threadOf(merger.merge(large))
  expect(second).toBe(first)
  expect(third).toBeGreaterThan(first ?? Infinity)
  await merger.close()
})

test('[MRG-40] small tensors are told together: far fewer messages than tensors, and every outcome once', async () => {
  const { port1, port2 } = new MessageChannel()
  serveMerges(port2, { files: new MemoryTileFiles(), kernels: () => referenceKernels, strategies })
  const many: MergeTask = { ...task, tensors: Array.from({ length: 1000 }, (_, i) => ({ ...empty, name: `w${i}` })) }
  const board = new RunBoard(many.tensors.map(() => 0))
  const replies: Reply[] = []
  const done = new Promise<void>((resolve) => {
    port1.on('message', (reply: Reply) => {
      replies.push(reply)
      if (reply.kind === 'done') resolve()
    })
  })
  port1.postMessage({ job: { kind: 'merge', task: packTask(many) }, board: board.shared, workers: 1 })
  await done
  port1.close()
  const told = replies.flatMap((reply) => (reply.kind === 'tensors' ? reply.outcomes : []))
  expect(told.map(([tensor, { name }]) => `${tensor} ${name}`)).toEqual(many.tensors.map((_, i) => `${i} w${i}`))
  expect(replies.length).toBeLessThan(500)
})
