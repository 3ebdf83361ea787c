import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { rolldown } from 'rolldown'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { strategies } from '../../merge-strategies/index.ts'
import { sha256Hex } from '../../src/core/digest.ts'
import type { TributaryError } from '../../src/core/errors.ts'
import { prepareStrategy } from '../../src/core/prepare.ts'
import type { Needs } from '../../src/core/strategy.ts'
import { referenceKernels } from '../../src/kernels/reference.ts'
import { createWasmKernels } from '../../src/kernels/wasm.ts'
import { createInlineMerger } from '../../src/merging/inline-merger.ts'
import { MEASURES_BYTES } from '../../src/merging/boards.ts'
import { type Range, STRIP } from '../../src/merging/evaluate/evaluation.ts'
import type { Sink } from '../../src/merging/evaluate/sinks.ts'
import { Together, TOGETHER_WORDS } from '../../src/merging/evaluate/together.ts'
import type { Merger } from '../../src/merging/merger.ts'
import { type MergeTask, readBytes, taskBytes, type TensorOutcome } from '../../src/merging/task.ts'
import { measuredTogether, unitsOf } from '../../src/merging/units.ts'
import { createWorkerMerger, SHARE_BYTES } from '../../src/merging/worker-merger.ts'
import { nodeTileFiles } from '../../src/storage/fs/node-tile-files.ts'
import { hashTensor } from '../../src/tensors/tensor-hasher.ts'
import { floats, numbers } from '../support/checkpoints.ts'

const MIB = 2 ** 20
const folder = mkdtempSync(join(tmpdir(), 'tributary-together-'))
const mergers: Merger[] = []
let crew: Merger
let startCrew: () => Merger

beforeAll(async () => {
  const bundle = await rolldown({
    input: new URL('../../src/merge-worker.ts', import.meta.url).pathname,
    platform: 'node',
  })
  const entry = join(folder, 'worker.mjs')
  await bundle.write({ file: entry, format: 'esm', codeSplitting: false })
  startCrew = () => {
    const merger = createWorkerMerger(pathToFileURL(entry), { workers: 3 })
    mergers.push(merger)
    return merger
  }
  crew = startCrew()
}, 60_000)

afterAll(async () => {
  for (const merger of mergers) await merger.close()
  rmSync(folder, { recursive: true, force: true })
})

type Values = Readonly<Record<string, unknown>>

const drawn = new Map<string, Uint8Array>()
function draw(seed: number, elements: number): Uint8Array {
  const key = `${seed} ${elements}`
  let bytes = drawn.get(key)
  if (!bytes) drawn.set(key, (bytes = floats('w', 'BF16', [elements], numbers(seed)).bytes))
  return bytes
}

/** One tensor for all threads, in files, and small ones beside it. `spoil` may change the bytes of an input. */
function taskOf(
  id: string,
  params: Values,
  own: Values,
  spoil?: (bytes: Uint8Array, input: number) => void,
  { weights = [0.3, 0.5, 0.2, 0.7], large = 2 * MIB + 4097 } = {},
): MergeTask {
  const strategy = strategies.find((one) => one.id === id)!
  const { base } = strategy.needs as Needs
  const inputs = weights.map((weight) => ({ weight, params: own }))
  const prepared = prepareStrategy({ strategy, params, inputs, hasBase: base !== 'none' })
  const put = (name: string, seed: number, elements: number) => {
    const path = join(folder, name)
    const bytes = Uint8Array.from(draw(seed, elements))
    if (elements > 8191) spoil?.(bytes, seed)
    writeFileSync(path, bytes)
    return { path, offset: 0, bytes: bytes.length, dtype: 'BF16' } as const
  }
  return {
    merge: '00'.repeat(32),
    seed: '11'.repeat(32),
    inputs: inputs.map((_, i) => ({ content: sha256Hex(Uint8Array.of(i)), label: `model ${i}` })),
    tensors: [5003, large, 8191].map((elements, n) => {
      const target = { path: join(folder, `out ${n}`), offset: 0, bytes: 2 * elements }
      writeFileSync(target.path, new Uint8Array(target.bytes))
      return {
        name: `layer.${n}`,
        shape: [elements],
        elements,
        dtype: 'BF16',
        target,
        rule: {
          kind: 'merge',
          strategy: id,
          params: prepared.params,
          ...(base !== 'none' && { base: put(`base ${n}`, 1, elements) }),
          inputs: prepared.inputs.map(({ weight, params }, input) => ({
            input,
            weight,
            params,
            value: put(`input ${input} ${n}`, 2 + input, elements),
          })),
        },
      }
    }),
    tileBytes: MIB / 4,
  }
}

const alone = createInlineMerger(nodeTileFiles, createWasmKernels(), strategies)
/** By more than one thread. */
function byCrew(task: MergeTask) {
  expect(taskBytes(task) + readBytes(task)).toBeGreaterThan(SHARE_BYTES)
  return crew.merge(task)
}
const written = (task: MergeTask) => task.tensors.map(({ target }) => sha256Hex(readFileSync(target.path)))

test.each([
  ['slerp', {}, {}],
  ['ties', {}, { density: 0.4 }],
  ['ties', { rescale_mode: 'linf' }, { density: 0.5 }],
  ['ties', { rescale_mode: 'l2' }, { density: 0.6 }],
  ['dare_ties', {}, { density: 0.5 }],
  ['dare_linear', { rescale_mode: 'l2' }, { density: 0.3 }],
] as const)(
  '[MRG-51] %s %o %o: a tensor that threads measure together has the bytes and scalars of one thread',
  async (id, params, own) => {
    const task = taskOf(id, params, own)
    const wanted = [await alone.merge(task), written(task)]
    for (const { target } of task.tensors) writeFileSync(target.path, new Uint8Array(target.bytes))
    expect([await byCrew(task), written(task)]).toEqual(wanted)
  },
)

test('[MRG-51] slerp of nineteen, whose pairs are summed together, has the bytes of the reference', async () => {
  const weights = Array.from({ length: 19 }, (_, i) => 1 + (i % 5) / 4)
  const task = taskOf('slerp', {}, {}, undefined, { weights, large: (7 * MIB) / 16 + 4097 })
  const readable = createInlineMerger(nodeTileFiles, referenceKernels, strategies)
  const wanted = [await readable.merge(task), written(task)]
  for (const merge of [(one: MergeTask) => alone.merge(one), byCrew]) {
    for (const { target } of task.tensors) writeFileSync(target.path, new Uint8Array(target.bytes))
    expect([await merge(task), written(task)]).toEqual(wanted)
  }
})

test('[MRG-51] of elements that are not finite the first is named, whoever meets one', async () => {
  const task = taskOf('ties', {}, { density: 0.4 }, (bytes, seed) => {
    const codes = new Uint16Array(bytes.buffer)
    if (seed === 4) codes[MIB / 2 + 77] = codes[MIB / 2 + 5000] = 0x7fc0
    if (seed === 3) codes[MIB / 2 + 90_000] = codes[MIB + 4096] = 0x7f80
  })
  const failure = async (merger: Merger) => {
    const { code, message, details } = (await merger.merge(task).catch((error: unknown) => error)) as TributaryError
    return { code, message, details }
  }
  const wanted = await failure(alone)
  expect(wanted).toMatchObject({ code: 'TENSOR_NOT_FINITE' })
  for (let run = 0; run < 3; run++) expect(await failure(crew)).toEqual(wanted)
})

test('[MRG-51] a thread that is early goes on for four segments, and joins them when it is their turn', () => {
  const words = new Int32Array(new SharedArrayBuffer(4 * TOGETHER_WORDS))
  const numbers = new Float64Array(new SharedArrayBuffer(16))
  /** Adds up the numbers of its blocks, from 1 on, each ten times as much as all before: order leaves a trace. */
  const thread = (isCalledOff: () => boolean, onSeen: (block: number) => void) => {
    const found: number[] = []
    let sum = 0
    const sink: { -readonly [K in keyof Sink<number>]: Sink<number>[K] } = {
      joining: {
        room: 1,
        load: (from) => {
          sum = from[0]!
          sink.done = true
        },
        save: (to) => to.set([sum]),
        beginPart: () => (found.length = 0),
        endPart: () => [Float64Array.from(found)],
        join: (to, seen) => {
          for (const block of seen[0]!) to[0] = (10 * to[0]! + block) % 1e9
        },
        gather: (from) => (sum = from[0]!),
      },
      see: () => undefined,
      endTensor: () => undefined,
      endPass: () => (sink.done = true),
      done: false,
      finite: true,
      get value() {
        return sum
      },
    }
    const together = new Together(
      { words, numbers, counts: [] },
      () => {
        if (isCalledOff()) throw new Error('called off')
      },
      () => new Error('given up'),
    )
    const pass = () => (range: Range) => {
      found.push(range.from / STRIP + 1)
      onSeen(range.from / STRIP)
    }
    return () => {
      together.measure([{ sink, place: 0 }], { elements: 32 * STRIP, pass })
      return sum
    }
  }
  const alone = thread(
    () => false,
    () => undefined,
  )()
  expect(alone).toBe(Array.from({ length: 32 }, (_, i) => i + 1).reduce((so, block) => (10 * so + block) % 1e9, 0))
  words.fill(0)
  numbers.fill(0)
  const [slow, early]: number[][] = [[], []]
  const other = thread(
    () => true,
    (block) => early!.push(block),
  )
  const first = thread(
    () => false,
    (block) => {
      slow!.push(block)
      if (block === 0) expect(other).toThrow('called off')
    },
  )
  expect(first).toThrow('given up') // it has segments of its own to wait with, too
  expect([slow, early]).toEqual([
    [0, 6, 7, 8, 9, 10],
    [1, 2, 3, 4, 5],
  ])
})

test('[MRG-5] threads that wait for each other are called off like any', async () => {
  const task = taskOf('ties', {}, { density: 0.4 })
  const gone = new AbortController()
  const merging = crew.merge(task, { signal: gone.signal })
  setImmediate(() => {
    gone.abort()
  })
  await expect(merging).rejects.toMatchObject({ code: 'MERGE_CANCELLED' })
  await crew.merge(taskOf('slerp', {}, {}))
})

test('[MRG-55] threads that end between parts of a chunk leave what the next ones write over, to the same bytes', async () => {
  const task = taskOf('task_arithmetic', {}, {})
  const wanted = [await alone.merge(task), written(task)]
  for (const { target } of task.tensors) writeFileSync(target.path, new Uint8Array(target.bytes).fill(7))
  const ending = startCrew()
  const told = new Map<string, string>()
  const onTensor = ({ name, root }: TensorOutcome): void => void told.set(name, root)
  await Promise.allSettled([ending.merge(task, { onTensor, onProgress: () => void ending.close() })])
  for (const { name, target } of task.tensors)
    if (told.has(name)) expect(told.get(name)).toBe(hashTensor(readFileSync(target.path)).root)
  expect([await byCrew(task), written(task)]).toEqual(wanted)
})

test('[MRG-52] threads meet at the large tensors that are measured, the largest first', () => {
  const draft = taskOf('slerp', {}, {})
  const sized = (...sizes: number[]): Pick<MergeTask, 'tensors' | 'tileBytes'> => ({
    tileBytes: MIB,
    tensors: sizes.map((bytes, i) => {
      const { rule, ...tensor } = draft.tensors[0]!
      if (rule.kind === 'copy') return { ...tensor, rule }
      const inputs = rule.inputs.map((input) => ({ ...input, value: { ...input.value, bytes } }))
      return { ...tensor, name: `w${i}`, target: { ...tensor.target, bytes }, rule: { ...rule, inputs } }
    }),
  })
  const together = (task: Pick<MergeTask, 'tensors'>, workers: number) =>
    measuredTogether(task, () => 'tensor', workers)
  expect(together(sized(MIB, 9 * MIB, MIB, 30 * MIB), 2)).toEqual([3, 1])
  expect(together(sized(MIB, 9 * MIB, MIB, 30 * MIB), 1)).toEqual([])
  expect(together(sized(1000, 2000), 2)).toEqual([])
  expect(together(sized(...Array<number>(40).fill(9 * MIB)), 2)).toEqual([])
  expect(measuredTogether(sized(9 * MIB), () => 'nothing', 2)).toEqual([])
  const units = unitsOf({ ...draft, ...sized(MIB, 2 * MIB) }, () => 'tensor', 1, [1])
  expect(units.map((unit) => unit.map(({ tensor, begin }) => [tensor, begin / MIB]))).toEqual([
    [[1, 0]],
    [[1, 1]],
    [[0, 0]],
  ])
  expect(MEASURES_BYTES).toBe(32 * MIB)
})
