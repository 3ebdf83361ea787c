import { expect, test } from 'vitest'
import { strategies } from '../../merge-strategies/index.ts'
import { sha256Hex } from '../../src/core/digest.ts'
import type { Kernels } from '../../src/kernels/kernels.ts'
import { referenceKernels } from '../../src/kernels/reference.ts'
import { createWasmKernels } from '../../src/kernels/wasm.ts'
import { bufferBytes, RuleFacts } from '../../src/merging/memory.ts'
import { runMerge } from '../../src/merging/run-merge.ts'
import type { TaskTensor, TensorOutcome } from '../../src/merging/task.ts'
import {
  LEAST,
  encoded,
  isNth,
  type Asked,
  coarse,
  smooth,
  odd,
  world,
  outcome,
  wasm,
  watched,
} from './formula-world.ts'

const FORMULAS: readonly Pick<Asked, 'strategy' | 'params' | 'own'>[] = [
  { strategy: 'weight_average' },
  { strategy: 'linear', params: { normalize: false } },
  { strategy: 'task_arithmetic', params: { lambda: 0.7 } },
  { strategy: 'task_arithmetic', params: { normalize: true } },
  { strategy: 'ties', own: { density: 0.5 } },
  { strategy: 'ties', own: { density: 0.29 }, params: { lambda: 0.3, normalize: false } },
  { strategy: 'ties', own: { density: 0.5 }, params: { consensus: 'count' } },
  { strategy: 'ties', own: { density: 0 } },
  { strategy: 'ties', own: { density: 0.6 }, params: { rescale_mode: 'l2' } },
  { strategy: 'ties', own: { density: 0.6 }, params: { rescale_mode: 'linf' } },
  { strategy: 'ties', own: { density: 0.4 }, params: { profile: 'paper' } },
  { strategy: 'dare_linear', own: { density: 0.5 } },
  { strategy: 'dare_linear', own: { density: 0.3 }, params: { rescale_mode: 'inverse_prob', normalize: true } },
  { strategy: 'dare_linear', own: { density: 0.25 }, params: { rescale_mode: 'inverse_prob' } },
  { strategy: 'dare_linear', own: { density: 0.3 }, params: { rescale_mode: 'none' } },
  { strategy: 'dare_linear' },
  { strategy: 'dare_ties' },
  { strategy: 'dare_ties', params: { rescale_mode: 'linf', normalize: true } },
  { strategy: 'ties', params: { rescale_mode: 'l1' } },
  { strategy: 'dare_ties', own: { density: 0.5 } },
  { strategy: 'dare_ties', own: { density: 0.7 }, params: { rescale_mode: 'inverse_prob', consensus: 'count' } },
  { strategy: 'slerp' },
]
const named = FORMULAS.map(
  (formula) =>
    [
      Object.values(formula)
        .map((part) => JSON.stringify(part))
        .join(' '),
      formula,
    ] as const,
)

test.each(named)('[KRN-40] %s: programs give the bytes and scalars of the primitives', (_, formula) => {
  for (const [count, value, elements] of [
    [1, coarse, [515, 7, 0]],
    [3, odd, [4_603, 1]],
    [5, smooth, [1_027, 2]],
    [8, odd, [517, 3]],
  ] as const) {
    const asked = { ...formula, count, value, elements }
    const { kernels, seen } = watched()
    expect(outcome(asked, kernels)).toEqual(outcome(asked, referenceKernels))
    expect(seen.ended).toBeGreaterThanOrEqual(2)
    expect(seen.refused).toBe(0)
  }
})

test('[KRN-40] dtypes may be mixed, and tiles of any size', () => {
  const dtypes = ['F32', 'BF16', 'F16'] as const
  for (const strategy of ['task_arithmetic', 'ties', 'dare_ties', 'slerp'])
    for (const out of dtypes) {
      const own = strategy === 'ties' || strategy === 'dare_ties' ? { density: 0.5 } : {}
      const asked = { strategy, own, count: 3, elements: [8_301], dtypes, out, value: smooth }
      const expected = outcome(asked, referenceKernels)
      for (const tileBytes of [LEAST, 2 * LEAST]) {
        const { kernels, seen } = watched()
        expect(outcome({ ...asked, tileBytes }, kernels)).toEqual(expected)
        expect(seen.refused).toBe(0)
      }
    }
})

test('[KRN-41] every strategy runs in one go where weights are numbers, and dtypes have words', () => {
  for (const { id } of strategies) {
    const { kernels, seen } = watched()
    outcome({ strategy: id, count: 3, elements: [5_000] }, kernels)
    const writing = seen.programs.filter(({ dtype }) => dtype !== undefined)
    expect([id, writing.length, seen.single]).toEqual([id, 1, 0])
  }
})

test('[KRN-41] changes, what is left of them and votes are single steps of a program', () => {
  const stepsOf = (asked: Asked) => {
    const { kernels, seen } = watched()
    outcome(asked, kernels)
    const last = seen.programs.find(({ dtype }) => dtype !== undefined)!
    return [...new Set(last.steps.map((step) => step.do))]
  }
  const asked = { own: { density: 0.5 }, count: 3, elements: [5_000] }
  expect(stepsOf({ ...asked, strategy: 'ties' })).toEqual(expect.arrayContaining(['change', 'trimInTurn', 'elect']))
  const counted = { ...asked, strategy: 'ties', params: { consensus: 'count' } }
  expect(stepsOf(counted)).toEqual(expect.arrayContaining(['change', 'votes']))
  const scaled = { ...asked, strategy: 'ties', params: { rescale_mode: 'l2' } }
  expect(stepsOf(scaled)).toEqual(expect.arrayContaining(['trim', 'scale']))
  expect(stepsOf({ ...asked, strategy: 'ties', count: 9 })).toContain('votes')
  expect(stepsOf({ ...asked, strategy: 'ties' })).not.toContain('weightedSum')
  expect(stepsOf({ ...asked, strategy: 'dare_linear' })).toEqual(expect.arrayContaining(['change', 'pick', 'scale']))
  const free = { ...asked, strategy: 'dare_linear', params: { rescale_mode: 'none' } }
  expect(stepsOf(free)).toEqual(expect.arrayContaining(['change', 'drop']))
  expect(stepsOf({ ...asked, strategy: 'dare_ties' })).toEqual(
    expect.arrayContaining(['change', 'pick', 'scale', 'elect']),
  )
})

test('[KRN-130] masks of all elements are no steps, sums over what they leave are made once, and nothing else changes', () => {
  for (const params of [{}, { rescale_mode: 'inverse_prob' }, { rescale_mode: 'l2' }, { rescale_mode: 'none' }])
    for (const strategy of ['dare_linear', 'dare_ties'])
      for (const own of [{}, { density: 1 - 2 ** -34 }]) {
        const asked = { strategy, params, own, count: 3, elements: [5_003, 12], value: odd }
        const { kernels, seen } = watched()
        expect(outcome(asked, kernels)).toEqual(outcome(asked, referenceKernels))
        const steps = seen.programs.flatMap((program) => program.steps)
        expect(steps.some((step) => ['keep', 'drop', 'draw', 'pick', 'choose', 'unary'].includes(step.do))).toBe(false)
        const measured = seen.programs.filter((program) => program.steps.some((step) => step.do === 'measure'))
        for (const program of measured) expect(program.steps.filter((step) => step.do === 'measure')).toHaveLength(3)
      }
  const trimmed = { strategy: 'ties', count: 3, elements: [5_003], value: odd }
  const { kernels, seen } = watched()
  expect(outcome(trimmed, kernels)).toEqual(outcome(trimmed, referenceKernels))
  expect(seen.programs.flatMap((program) => program.steps).map((step) => step.do)).not.toContain('trim')
})

test('[KRN-41] votes that cancel, that need more than f64 or that are all of one sign elect as the primitives do', () => {
  const full = (next: () => number): number => Math.fround((next() - 0.5) * 2 ** -9)
  const wide = (next: () => number): number => Math.fround((next() - 0.5) * 2 ** (Math.floor(next() * 90) - 60))
  const agreed = (next: () => number, input: number): number => (input === 0 ? 0 : Math.fround(next() ** 8))
  const opposed = (_: () => number, input: number, element: number): number =>
    input === 0 ? 0 : Math.fround(Math.sqrt(1 + (element % 97))) * ((input + (element >> 3)) & 1 ? 1 : -1)
  const huge = (next: () => number, input: number): number => (input === 0 ? 0 : (next() - 0.5) * 2 ** 127)
  const zeros = (next: () => number): number => (next() < 0.5 ? -0 : next() < 0.5 ? 0 : Math.fround(next() - 0.5))
  const formulas = [
    { strategy: 'ties', params: {}, own: { density: 1 } },
    { strategy: 'ties', params: { normalize: false, lambda: 2 ** -20 }, own: { density: 0.7 } },
    { strategy: 'dare_ties', params: { normalize: true, lambda: 0.3 }, own: { density: 0.5 } },
  ] as const
  for (const value of [full, wide, agreed, opposed, huge, zeros])
    for (const count of [3, 9])
      for (const formula of formulas) {
        const asked = { ...formula, count, elements: [133], dtypes: ['F32'] as const, value }
        const { kernels, seen } = watched()
        expect(outcome(asked, kernels)).toEqual(outcome(asked, referenceKernels))
        if (value !== huge) expect(seen.refused).toBe(0)
      }
})

test('[KRN-40] a tensor large enough to be sampled has the cutoff of one that is not', () => {
  const asked = { strategy: 'ties', own: { density: 0.3 }, count: 1, elements: [2 ** 20 + 4_099] }
  const any = (next: () => number, input: number) => (input === 0 ? 0 : next() - 0.5)
  const few = (_: () => number, input: number, element: number) => (input === 0 ? 0 : ((element * 7) % 12) / 64)
  for (const one of [few, any]) {
    const { kernels, seen } = watched()
    const primitives = { ...wasm, compile: () => undefined }
    expect(outcome({ ...asked, value: one }, kernels)).toEqual(outcome({ ...asked, value: one }, primitives))
    expect(seen.refused).toBe(0)
  }
})

/** Roots of the outputs of TIES over values full of ties, and the cutoffs that later merges recall. */
function learnedBy(kernels: Kernels<Float64Array>, density: number, elements: number) {
  const few = (next: () => number, input: number) => (input === 0 ? 0 : Math.round((next() - 0.5) * 4) / 16)
  const asked = { strategy: 'ties', own: { density }, count: 3, elements: [elements], value: few }
  const { files, task } = world(asked)
  const rooted = task.tensors.map((tensor): TaskTensor => {
    if (tensor.rule.kind !== 'merge') return tensor
    const { rule } = tensor
    const inputs = rule.inputs.map((one) => ({ ...one, value: { ...one.value, root: sha256Hex(encoded(one)) } }))
    const base = { ...rule.base!, root: sha256Hex(Uint8Array.of(9)) }
    return { ...tensor, recalled: [], rule: { ...rule, base, inputs } }
  })
  const learned: unknown[] = []
  const onTensor = (one: TensorOutcome) => learned.push(...(one.learned ?? []))
  const outcomes = runMerge({ ...task, tensors: rooted }, { files, kernels: () => kernels, strategies }, { onTensor })
  return { roots: outcomes.map(({ root }) => root), learned: learned.map((one) => JSON.stringify(one)).sort() }
}

test('[KRN-42] the last tie is found on the way through the output, and learned as a pass of its own learns it', () => {
  for (const density of [0.1, 0.5, 0.77])
    for (const elements of [1, 700, 4_096, 17_011]) {
      const { kernels, seen } = watched()
      const expected = learnedBy(referenceKernels, density, elements)
      expect(expected.learned).toHaveLength(3)
      expect(learnedBy(kernels, density, elements)).toEqual(expected)
      expect(seen.programs.flatMap(({ steps }) => steps).some(isNth)).toBe(false)
    }
})

test('[KRN-42] an output that is given up on its way leaves no trace in the cutoffs', () => {
  let closed = 0
  for (const density of [0.1, 0.5, 0.77])
    for (const ends of [1, 3]) {
      const { kernels, seen } = watched()
      let refused = 0
      const givingUp: typeof kernels = {
        ...kernels,
        compile(program) {
          const run = kernels.compile(program)
          if (!run || !program.steps.some((step) => step.do === 'trimInTurn')) return run
          let calls = 0
          return (...range) => {
            calls += 1
            if (calls > ends) refused += 1
            return calls <= ends && run(...range)
          }
        },
      }
      const expected = learnedBy(referenceKernels, density, 17_011)
      expect(learnedBy(givingUp, density, 17_011)).toEqual(expected)
      expect(refused).toBe(1)
      if (seen.programs.flatMap(({ steps }) => steps).some(isNth)) closed += 1
    }
  expect(closed).toBeGreaterThan(0)
})

test('[KRN-80] sixty-four inputs are trimmed and elected in the memory that the plan has for them', () => {
  const elements = [1_030, 515, 600, 4]
  const { files, task } = world({ strategy: 'ties', own: { density: 0.5 }, count: 64, elements })
  const facts = new RuleFacts(strategies)
  const elsewhere: string[] = []
  const memoryBytes = bufferBytes(task.tensors, task.tileBytes, facts) + 8 * 2 ** 20
  const own = createWasmKernels({ memoryBytes, onForeign: (operation) => elsewhere.push(operation) })
  let refused = 0
  const kernels: typeof own = {
    ...own,
    compile(program) {
      const run = own.compile(program)
      return (...range) => {
        const fits = run?.(...range) ?? false
        if (!fits) refused += 1
        return fits
      }
    },
  }
  const merged = runMerge(task, { files, kernels: () => kernels, strategies })
  expect([merged.length, refused, elsewhere]).toEqual([4, 0, []])
})

test('[KRN-80] what tensors are measured with does not grow with their number', () => {
  for (const mode of ['none', 'linf'] as const) {
    const taken = [1, 6].map((tensors) => {
      let bytes = 0
      const counted: typeof wasm = {
        ...wasm,
        allocateCounts: (length) => ((bytes += 4 * length), wasm.allocateCounts(length)),
        allocate: (length) => ((bytes += 8 * length), wasm.allocate(length)),
      }
      const elements = Array.from({ length: tensors }, () => 600)
      outcome({ strategy: 'ties', own: { density: 0.5 }, params: { rescale_mode: mode }, count: 2, elements }, counted)
      return bytes
    })
    expect(taken[0]).toBeGreaterThan(0)
    expect(taken[1]).toBe(taken[0])
  }
})

test('[KRN-41] what has no words, or is not held in the memory, is computed by the primitives alike', () => {
  const asked = { strategy: 'ties', own: { density: 0.5 }, count: 2, elements: [5_000] }
  const wide = { ...asked, dtypes: ['F64'] as const, out: 'F32' as const }
  const { kernels, seen } = watched()
  expect(outcome(wide, kernels)).toEqual(outcome(wide, referenceKernels))
  expect(seen.programs).toEqual([])
  const small = createWasmKernels({ memoryBytes: 512 * 1024 })
  expect(outcome(asked, small)).toEqual(outcome(asked, referenceKernels))
})

test('[KRN-40] what is not finite is named as the primitives name it', () => {
  const at = (input: number, element: number, value: number) => (_: () => number, i: number, e: number) =>
    i === input && e === element ? value : 0.25 * ((i + e) % 5)
  for (const [strategy, own] of [
    ['task_arithmetic', {}],
    ['ties', { density: 0.5 }],
    ['dare_linear', { density: 0.5 }],
    ['slerp', {}],
  ] as const)
    for (const value of [
      at(1, 8_999, Number.NaN),
      at(2, 4_100, Infinity),
      at(2, 8_999, 1e6),
      at(0, 0, Number.NaN),
      (_: () => number, i: number) => (i === 0 ? -3e38 : 3e38),
    ]) {
      const asked = { strategy, own, count: 2, elements: [9_001], dtypes: ['F32'] as const, value }
      expect(outcome(asked, wasm)).toEqual(outcome(asked, referenceKernels))
      const narrow = { ...asked, out: 'F16' as const }
      expect(outcome(narrow, wasm)).toEqual(outcome(narrow, referenceKernels))
    }
})
