/** One model by every strategy, in tiles of every size, by one to four workers, with both sets of kernels. */
import { expect, test } from 'vitest'
import { strategies } from '../../merge-strategies/index.ts'
import { makeResources } from '../../src/config.ts'
import { sha256Hex } from '../../src/core/digest.ts'
import { prepareStrategy } from '../../src/core/prepare.ts'
import { parseSize } from '../../src/core/size.ts'
import type { Needs, Strategy } from '../../src/core/strategy.ts'
import type { KernelSource } from '../../src/kernels/choose-kernels.ts'
import { referenceKernels } from '../../src/kernels/reference.ts'
import { createWasmKernels } from '../../src/kernels/wasm.ts'
import { masksBytes } from '../../src/merging/evaluate/masks.ts'
import { bufferBytes, listBytes, planMemory, PROGRAM_BYTES, RuleFacts, WORKER_BYTES } from '../../src/merging/memory.ts'
import { boardOfMerge } from '../../src/merging/boards.ts'
import { mergeWork } from '../../src/merging/run-merge.ts'
import type { MergeTask, TaskTensor, TensorOutcome } from '../../src/merging/task.ts'
import { bytesPerElement, type Dtype } from '../../src/tensors/dtypes.ts'
import { hashTensor } from '../../src/tensors/tensor-hasher.ts'
import { floats, numbers, type TestTensor } from '../support/checkpoints.ts'
import { refusalOf } from '../support/refusal.ts'
import { MemoryTileFiles } from './memory-tile-files.ts'

const KIB = 1024
/** Elements of a tensor, the dtypes of base and inputs, and that of the output. The first ends in its second chunk. */
const TENSORS: readonly (readonly [elements: number, from: readonly Dtype[], to: Dtype])[] = [
  [(1024 * KIB) / 2 + 4097, ['BF16', 'BF16', 'BF16', 'BF16'], 'BF16'],
  [8191, ['F32', 'BF16', 'F16', 'F32'], 'F16'],
  [1, ['BF16', 'F32', 'F32', 'F32'], 'F32'],
  [0, ['BF16', 'BF16', 'BF16', 'BF16'], 'BF16'],
  [5003, ['F16', 'F16', 'F16', 'F16'], 'F64'],
]
const drawn = new Map<string, TestTensor>()
const draw = (seed: number, elements: number, dtype: Dtype): TestTensor => {
  const key = `${seed} ${elements} ${dtype}`
  let tensor = drawn.get(key)
  if (!tensor) drawn.set(key, (tensor = floats('w', dtype, [elements], numbers(seed))))
  return tensor
}

const WEIGHTS = [0.3, 0.5, 0.2]

function world(strategy: Strategy) {
  const files = new MemoryTileFiles()
  const put = (path: string, { bytes, dtype }: TestTensor) => {
    files.files.set(path, bytes)
    return { path, offset: 0, bytes: bytes.length, dtype }
  }
  const { base, contributions } = strategy.needs as Needs
  const inputs = WEIGHTS.slice(0, contributions.max ?? WEIGHTS.length).map((weight) => ({ weight }))
  const prepared = prepareStrategy({ strategy, inputs, hasBase: base !== 'none' })
  const tensors = TENSORS.map(([elements, from, dtype], n): TaskTensor => {
    const bytes = elements * bytesPerElement(dtype)
    files.files.set(`out ${n}`, new Uint8Array(bytes))
    return {
      name: `layer.${n}`,
      shape: [elements],
      elements,
      dtype,
      target: { path: `out ${n}`, offset: 0, bytes },
      rule: {
        kind: 'merge',
        strategy: strategy.id,
        params: prepared.params,
        ...(base !== 'none' && { base: put(`base ${n}`, draw(10 + n, elements, from[0]!)) }),
        inputs: prepared.inputs.map(({ weight, params }, i) => ({
          input: i,
          weight,
          params,
          value: put(`input ${i} ${n}`, draw(20 + 10 * i + n, elements, from[1 + i]!)),
        })),
      },
    }
  })
  const copied = put('copied', draw(99, 3 * 1024 * KIB, 'F8_E4M3'))
  files.files.set('out copied', new Uint8Array(copied.bytes))
  const target = { path: 'out copied', offset: 0, bytes: copied.bytes }
  tensors.push({ name: 'z', shape: [1], elements: 1, dtype: 'U8', target, rule: { kind: 'copy', from: copied } })
  const task: MergeTask = {
    merge: '00'.repeat(32),
    seed: '11'.repeat(32),
    inputs: inputs.map((_, i) => ({ content: sha256Hex(Uint8Array.of(i)), label: `model ${i}` })),
    tensors,
    tileBytes: 0,
  }
  return { files, task }
}

const wasm = Array.from({ length: 4 }, () => createWasmKernels({ memoryBytes: 2 ** 28 }))

/** Each worker begins when the one before has taken a unit, and ends before that is done. */
function merge(strategy: Strategy, tileBytes: number, kernels: readonly KernelSource[]) {
  const { files, task: draft } = world(strategy)
  const task = { ...draft, tileBytes }
  const board = boardOfMerge(task, kernels.length)
  const outcomes = new Map<string, TensorOutcome>()
  const units = kernels.map(() => 0)
  const work = (worker: number): void => {
    let taken = 0
    mergeWork(task, { files, strategies, kernels: kernels[worker]! }, kernels.length)(
      board,
      { onTensor: (outcome) => outcomes.set(outcome.name, outcome) },
      () => {
        units[worker] = taken
        if (++taken === 1 && worker + 1 < kernels.length) work(worker + 1)
      },
    )
  }
  work(0)
  expect(files.open).toBe(0)
  expect(units.every((count) => count > 0)).toBe(true)
  return task.tensors.map(({ name, target }) => {
    expect(outcomes.get(name)?.root).toBe(hashTensor(files.files.get(target.path)!).root)
    return [name, outcomes.get(name)!.root, ...outcomes.get(name)!.scalars]
  })
}

test.each(strategies.map((strategy) => [strategy.id, strategy] as const))(
  '[MRG-19] %s gives the same bytes and scalars in tiles of every size, by one to four workers',
  (_, strategy) => {
    const wanted = merge(strategy, 128 * KIB, [() => referenceKernels])
    const ways: readonly (readonly [tileKib: number, workers: number])[] = [
      [128, 1],
      [32, 4],
      [96, 2],
      [1024, 3],
      [8192, 4],
    ]
    for (const [tileKib, workers] of ways) {
      const kernels = wasm.slice(0, workers).map((own) => () => own)
      expect([tileKib, workers, merge(strategy, tileKib * KIB, kernels)]).toEqual([tileKib, workers, wanted])
    }
  },
)

test('[MRG-21] a budget is kept by smaller tiles, then fewer threads, and one that is too small is refused', () => {
  const { tensors } = world(strategies.find(({ id }) => id === 'linear')!).task
  const facts = new RuleFacts(strategies)
  const free = planMemory(tensors, facts, { workers: 4 })
  expect(free).toMatchObject({ workers: 4, tileBytes: 512 * KIB })
  expect(free.peakBytes).toBe(
    PROGRAM_BYTES + listBytes(tensors) + 4 * (WORKER_BYTES + bufferBytes(tensors, 512 * KIB, facts)),
  )
  let before = free
  for (let memoryBytes = free.peakBytes; memoryBytes > PROGRAM_BYTES + WORKER_BYTES + 2 * 1024 * KIB;) {
    const plan = planMemory(tensors, facts, { workers: 4, memoryBytes })
    expect(plan.peakBytes).toBeLessThanOrEqual(memoryBytes)
    expect(plan.workers).toBeLessThanOrEqual(before.workers)
    before = plan
    memoryBytes -= 256 * KIB
  }
  expect(before.workers).toBe(1)
  const refusal = refusalOf(() => planMemory(tensors, facts, { workers: 4, memoryBytes: 1000 }))
  const least = PROGRAM_BYTES + listBytes(tensors) + WORKER_BYTES + bufferBytes(tensors, 32 * KIB, facts)
  expect(refusal).toMatchObject({ code: 'MEMORY_BUDGET_TOO_SMALL', details: { least, allowed: 1000 } })
  expect(refusal.hint).toBe(`allow ${Math.ceil(least / KIB / KIB)}MiB`)
  expect(planMemory(tensors, facts, { workers: 4, memoryBytes: least })).toMatchObject({ workers: 1, peakBytes: least })
})

test('[KRN-96] a plan counts the masks that are kept, and does without them before it does with fewer threads', () => {
  const dropping = (rule: TaskTensor['rule']): TaskTensor['rule'] =>
    rule.kind === 'copy'
      ? rule
      : { ...rule, inputs: rule.inputs.map((input) => ({ ...input, params: { density: 0.5 } })) }
  const { task } = world(strategies.find(({ id }) => id === 'dare_ties')!)
  const tensors = task.tensors.map((tensor) => ({ ...tensor, rule: dropping(tensor.rule) }))
  const large = tensors.map((tensor) => ({ ...tensor, elements: 2 ** 24 }))
  const facts = new RuleFacts(strategies)
  const free = planMemory(large, facts, { workers: 2 })
  const masks = Math.max(...large.map(({ rule }) => (rule.kind === 'copy' ? 0 : facts.of(rule).masks)))
  expect(masks).toBeGreaterThan(0)
  expect(free.maskBytes).toBe(Math.min(2 ** 24, masksBytes(masks, 2 ** 24)))
  expect(planMemory(tensors, facts, { workers: 2 }).maskBytes).toBeLessThan(free.maskBytes)
  const without = planMemory(large, facts, { workers: 2, memoryBytes: free.peakBytes - 4 * free.maskBytes })
  expect(without).toEqual({ ...free, maskBytes: 0, peakBytes: free.peakBytes - 4 * free.maskBytes })
  expect(planMemory(task.tensors, facts, { workers: 2 }).maskBytes).toBe(0) // where all are kept, none is drawn
})

test('[MRG-54] a plan counts what the lists of tensors take, by tensor and by input', () => {
  const { tensors } = world(strategies.find(({ id }) => id === 'linear')!).task
  const facts = new RuleFacts(strategies)
  const peakOf = (count: number) =>
    planMemory(Array.from({ length: count }, () => tensors).flat(), facts, { workers: 2 }).peakBytes
  expect(listBytes(tensors)).toBe(5 * KIB * (5 * 4 + 2))
  expect(peakOf(1001) - peakOf(1)).toBe(1000 * listBytes(tensors))
})

test('[MRG-22] workers and memory come from flags, else the environment, else the machine', () => {
  expect(makeResources({}, {}, 6)).toEqual({ workers: 6 })
  expect(makeResources({}, {}, 300)).toEqual({ workers: 64 })
  const environment = { TRIBUTARY_WORKERS: '3', TRIBUTARY_MAX_MEMORY: '2GiB' }
  expect(makeResources({}, environment, 6)).toEqual({ workers: 3, memoryBytes: 2 ** 31 })
  expect(makeResources({ workers: '1', maxMemory: '1.5GB' }, environment, 6)).toEqual({
    workers: 1,
    memoryBytes: 1.5e9,
  })
  for (const workers of ['0', '65', 'two', '-1', '1.5', ''])
    expect(refusalOf(() => makeResources({ workers }, {}, 6)).code).toBe('CONFIG_INVALID')
  for (const maxMemory of ['', '0', '-1', '1 XB', '1e9', 'MiB', '0.5'])
    expect(refusalOf(() => makeResources({ maxMemory }, {}, 6)).code).toBe('CONFIG_INVALID')
  expect(['512MiB', '7', '1 kB', '0.5KiB', '3tib', '1constructor'].map(parseSize)).toEqual([
    2 ** 29,
    7,
    1000,
    512,
    3 * 2 ** 40,
    undefined,
  ])
})
