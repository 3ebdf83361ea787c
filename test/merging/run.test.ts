import { describe, expect, test } from 'vitest'
import { strategies } from '../../merge-strategies/index.ts'
import { sha256Hex } from '../../src/core/digest.ts'
import type { Kernels } from '../../src/kernels/kernels.ts'
import { referenceKernels } from '../../src/kernels/reference.ts'
import { createWasmKernels } from '../../src/kernels/wasm.ts'
import { createInlineMerger } from '../../src/merging/inline-merger.ts'
import { tileBytesFor } from '../../src/merging/memory.ts'
import { runDigest } from '../../src/merging/run-digest.ts'
import { runMerge } from '../../src/merging/run-merge.ts'
import type { MergeRule, MergeTask, TaskTensor } from '../../src/merging/task.ts'
import { decode, type Dtype, encode } from '../../src/tensors/dtypes.ts'
import { hashTensor } from '../../src/tensors/tensor-hasher.ts'
import { count, floats, numbers, type TestTensor } from '../support/checkpoints.ts'
import { MemoryTileFiles } from './memory-tile-files.ts'

const LEAST = 32 * 1024

interface Asked {
  readonly inputs: readonly TestTensor[]
  readonly base?: TestTensor
  readonly strategy?: string
  readonly params?: unknown
  readonly each?: unknown
  readonly weights?: readonly number[]
  readonly dtype?: Dtype
  readonly tileBytes?: number
}

/** A task of one tensor, each input in a file of its own, behind bytes that are not its own. */
function world({ inputs, base, strategy = 'linear', params, each = {}, weights, dtype = 'F32', tileBytes }: Asked) {
  const files = new MemoryTileFiles()
  const put = (path: string, { bytes, dtype: own }: TestTensor) => {
    files.files.set(path, new Uint8Array([9, 9, 9, ...bytes, 9]))
    return { path, offset: 3, bytes: bytes.length, dtype: own }
  }
  const { name, shape } = inputs[0]!
  const elements = count(shape)
  const size = { F32: 4, BF16: 2, F16: 2, F64: 8 }[dtype as 'F32']
  files.files.set('out', new Uint8Array(5 + elements * size))
  const tensor: TaskTensor = {
    name,
    shape,
    elements,
    dtype,
    target: { path: 'out', offset: 5, bytes: elements * size },
    rule: {
      kind: 'merge',
      strategy,
      params: params ?? { normalize: true },
      ...(base && { base: put('base', base) }),
      inputs: inputs.map((input, i) => ({
        input: i,
        weight: weights?.[i] ?? 1,
        params: each,
        value: put(`input-${i}`, input),
      })),
    },
  }
  const task: MergeTask = {
    merge: '00'.repeat(32),
    seed: '11'.repeat(32),
    inputs: inputs.map((_, i) => ({ content: sha256Hex(Uint8Array.of(i)), label: `model ${i}` })),
    tensors: [tensor],
    tileBytes: tileBytes ?? LEAST,
  }
  return { files, task, engine: { files, kernels: () => referenceKernels, strategies } }
}

const random = (seed: number, shape: readonly number[], dtype: Dtype = 'BF16') =>
  floats('layer.w', dtype, shape, numbers(seed))
const output = (files: MemoryTileFiles) => files.files.get('out')!.subarray(5)

const TIES_PARAMS = {
  lambda: 1,
  normalize: true,
  consensus: 'sum',
  profile: 'mergekit',
  rescale_mode: 'none',
}

describe('bytes', () => {
  test.each([
    { strategy: 'linear', params: { normalize: true }, each: {} },
    { strategy: 'ties', params: TIES_PARAMS, each: { density: 0.3 } },
  ])('[MRG-1] tiles of every size give the bytes of $strategy', (asked) => {
    const shape = [131, 157]
    const inputs = [random(1, shape), random(2, shape, 'F32'), random(3, shape, 'F16')]
    const base = asked.strategy === 'ties' ? { base: random(4, shape) } : {}
    const runs = [LEAST, 3 * LEAST, 32 * LEAST].map((tileBytes) => {
      const { task, files, engine } = world({ ...asked, inputs, ...base, tileBytes, dtype: 'F64' })
      const outcomes = runMerge(task, engine)
      expect(outcomes[0]?.root).toBe(hashTensor(output(files)).root)
      expect(files.open).toBe(0)
      return sha256Hex(output(files))
    })
    expect(new Set(runs).size).toBe(1)
  })

  test('[MRG-1] what else a task holds never decides a bit of a tensor', () => {
    const shape = [5000]
    const alone = [1, 2].map((seed) => {
      const { task, files, engine } = world({ inputs: [random(seed, shape), random(seed + 10, shape)] })
      return { task, files, root: runMerge(task, engine)[0]?.root }
    })
    const files = new MemoryTileFiles()
    const tensors = alone.map(({ task, files: own }, n): TaskTensor => {
      for (const [path, bytes] of own.files) files.files.set(`${n}/${path}`, bytes.slice())
      const tensor = task.tensors[0]!
      const rule = tensor.rule as MergeRule
      return {
        ...tensor,
        name: `layer.${n}`,
        target: { ...tensor.target, path: `${n}/out` },
        rule: {
          ...rule,
          inputs: rule.inputs.map((one) => ({ ...one, value: { ...one.value, path: `${n}/${one.value.path}` } })),
        },
      }
    })
    const engine = { files, kernels: () => referenceKernels, strategies }
    const roots = runMerge({ ...alone[0]!.task, tensors }, engine).map(({ root }) => root)
    expect(roots).toEqual(alone.map(({ root }) => root))
    expect(new Set(roots).size).toBe(2)
  })

  test('[MRG-1] an average that is made a part of a tile at a time has the bytes of one made in the smallest tiles', () => {
    const inputs = [random(8, [300, 1001]), random(9, [300, 1001]), random(10, [300, 1001])]
    const bytesOf = (tileBytes: number, kernels: Kernels<Float64Array>) => {
      const { task, files } = world({ inputs, weights: [0.3, 0.5, 0.2], dtype: 'BF16', tileBytes })
      const [{ root } = { root: '' }] = runMerge(task, { files, kernels: () => kernels, strategies })
      expect(root).toBe(hashTensor(output(files)).root)
      return sha256Hex(output(files))
    }
    const wanted = bytesOf(LEAST, referenceKernels)
    expect([512, 1024].map((kib) => bytesOf(kib * 1024, createWasmKernels()))).toEqual([wanted, wanted])
  })

  test('[MRG-2] an element is the f64 result, rounded once', () => {
    const shape = [4097]
    const inputs = [random(5, shape), random(6, shape)]
    for (const dtype of ['F64', 'F32', 'BF16', 'F16'] as const) {
      const { task, files, engine } = world({ inputs, weights: [3, 1], dtype })
      runMerge(task, engine)
      const values = inputs.map(({ bytes }) => {
        const into = new Float64Array(4097)
        decode('BF16', bytes, into)
        return into
      })
      // a sum of two bf16, one three times, is exact in f64, and so is a division by four
      const expected = new Uint8Array(output(files).length)
      encode(
        dtype,
        values[0]!.map((a, i) => (3 * a + values[1]![i]!) / 4 + 0),
        expected,
      )
      expect(sha256Hex(output(files))).toBe(sha256Hex(expected))
    }
  })

  test('[MRG-3] a copy keeps its bytes, NaN and negative zero included', () => {
    const { task, files, engine } = world({ inputs: [random(7, [70_000])], dtype: 'BF16' })
    const bytes = files.files.get('input-0')!
    bytes.set([0xc1, 0xff, 0x00, 0x80], 3)
    const from = (task.tensors[0]!.rule as MergeRule).inputs[0]!.value
    const outcomes = runMerge({ ...task, tensors: [{ ...task.tensors[0]!, rule: { kind: 'copy', from } }] }, engine)
    expect(sha256Hex(output(files))).toBe(sha256Hex(bytes.subarray(3, -1)))
    expect(outcomes).toEqual([{ name: 'layer.w', root: hashTensor(bytes.subarray(3, -1)).root, scalars: [] }])
  })

  test('[MRG-4] an element beyond the dtype of the output is named by tensor and position', () => {
    const inputs = [random(8, [100, 90], 'F32')]
    const { task, files, engine } = world({ inputs, dtype: 'F16' })
    new DataView(files.files.get('input-0')!.buffer).setFloat32(3 + 4 * (61 * 90 + 7), 65520, true)
    expect(() => runMerge(task, engine)).toThrow(
      expect.objectContaining({
        code: 'MERGE_NOT_FINITE',
        message: expect.stringMatching(/"layer\.w".*65520 at \[61, 7\].*F16/) as string,
        details: { tensor: 'layer.w', element: 61 * 90 + 7 },
      }) as Error,
    )
    expect(files.open).toBe(0)
  })

  test('[MRG-4] what an average must not hold is named wherever in a tile it lies', () => {
    const shape = [400, 1000]
    const element = 300 * 1000 + 7 // of a tile that is averaged a part at a time
    const inputs = [random(8, shape), random(9, shape), random(10, shape)]
    const { task, files } = world({ inputs, dtype: 'BF16', params: { normalize: false }, tileBytes: 512 * 1024 })
    for (const path of ['input-0', 'input-1'])
      new DataView(files.files.get(path)!.buffer).setUint16(3 + 2 * element, 0x7f7f, true)
    const kernels = createWasmKernels()
    expect(() => runMerge(task, { files, kernels: () => kernels, strategies })).toThrow(
      expect.objectContaining({ code: 'MERGE_NOT_FINITE', details: { tensor: 'layer.w', element } }) as Error,
    )
  })

  test('[MRG-8] a digest tells the root and counts what is not finite', () => {
    const files = new MemoryTileFiles()
    const { bytes } = random(9, [1_100_000])
    bytes.set([0x80, 0x7f], 0) // infinity
    bytes.set([0xc0, 0x7f], bytes.length - 2) // NaN, in the third chunk
    files.files.set('x', bytes)
    const slice = { path: 'x', offset: 0, bytes: bytes.length, dtype: 'BF16' as const }
    expect(runDigest({ tensors: [{ name: 'w', slice }] }, { files, kernels: () => referenceKernels })).toEqual([
      { name: 'w', root: hashTensor(bytes).root, notFinite: 2 },
    ])
  })
})

describe('running', () => {
  test('[MRG-5] a cancelled task ends at its next tile and closes its files', async () => {
    const { task, engine, files } = world({ inputs: [random(1, [200_000])] })
    const abort = new AbortController()
    const told: number[] = []
    const merger = createInlineMerger(files, referenceKernels, engine.strategies)
    const onProgress = (done: number) => {
      told.push(done)
      abort.abort()
    }
    await expect(merger.merge(task, { signal: abort.signal, onProgress })).rejects.toMatchObject({
      code: 'MERGE_CANCELLED',
    })
    expect(told).toEqual([LEAST])
    expect(files.open).toBe(0)
    await expect(merger.merge(task, { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'MERGE_CANCELLED' })
  })

  test('[MRG-6] progress only grows, is told a bounded number of times, and ends at the total', () => {
    const { task, engine } = world({ inputs: [random(1, [1_200_000])], dtype: 'F64' })
    const told: number[] = []
    runMerge(task, engine, { onProgress: (done) => told.push(done) })
    expect(told.at(-1)).toBe(9_600_000)
    expect(told).toEqual([...new Set(told)].sort((a, b) => a - b))
    expect(told.length).toBeLessThanOrEqual(257)
    expect(told.length).toBeGreaterThan(100)
  })

  test('[MRG-16] a tensor is told once its bytes are written', () => {
    const { task, engine, files } = world({ inputs: [random(1, [70_000])] })
    const told: unknown[] = []
    const outcomes = runMerge(task, engine, {
      onTensor: (outcome) => told.push(outcome, hashTensor(output(files)).root),
    })
    expect(told).toEqual([outcomes[0], outcomes[0]?.root])
  })

  test('[MRG-7] four hundred inputs are read through at most 256 open files', () => {
    const inputs = Array.from({ length: 400 }, (_, i) => random(i, [17]))
    const { task, engine, files } = world({ inputs })
    runMerge(task, engine)
    expect(files.mostOpen).toBeLessThanOrEqual(256)
    expect(files.mostOpen).toBeGreaterThan(100)
    expect(files.open).toBe(0)
  })

  test('[MRG-9] tasks run in turn, and a failed one does not harm the next', async () => {
    const good = world({ inputs: [random(1, [5000])] })
    const merger = createInlineMerger(good.files, referenceKernels, strategies)
    const bad = { ...good.task, tileBytes: 5 }
    const settled = await Promise.allSettled([merger.merge(bad), merger.merge(good.task), merger.merge(bad)])
    expect(settled.map(({ status }) => status)).toEqual(['rejected', 'fulfilled', 'rejected'])
    await merger.close()
  })

  test('[MRG-15] tiles fit their budget together and are whole strips of any dtype', () => {
    expect([1, 5, 7, 100].map(tileBytesFor)).toEqual([512, 512, 384, 32].map((kib) => kib * 1024))
    for (const streams of [1, 2, 16, 63, 64, 200, 1000, 5000]) {
      const bytes = tileBytesFor(streams)
      expect(bytes % LEAST).toBe(0)
      expect(bytes).toBeGreaterThanOrEqual(LEAST)
      expect(bytes).toBeLessThanOrEqual(512 * 1024)
      expect(bytes === LEAST || bytes * (streams + 1) <= 3 * 1024 * 1024).toBe(true)
    }
  })
})
