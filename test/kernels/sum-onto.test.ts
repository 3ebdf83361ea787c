/** Sums of few planes, added to a base and written as bf16 in one step of f32, against the primitives in f64. */
import { describe, expect, test } from 'vitest'
import { referenceKernels as plain } from '../../src/kernels/reference.ts'
import type { ProgramStep, StripProgram } from '../../src/kernels/strip-program.ts'
import { sumEndingOf } from '../../src/kernels/sum-onto.ts'
import { createWasmKernels } from '../../src/kernels/wasm.ts'
import { numbersFrom } from '../merge-strategies/world.ts'
import { anyBelow, bitsOf, f32Of, scaledBy } from './elect-world.ts'

interface Formula {
  readonly weights: readonly number[]
  readonly scales?: readonly (readonly ['times' | 'over', number])[]
  /** The one plane is only widened. */
  readonly isPlain?: boolean
}
/** A base, and what is added to it. */
type Row = readonly number[]

const f = Math.fround
const FORMULAS: readonly Formula[] = [
  { weights: [1], isPlain: true },
  { weights: [1], isPlain: true, scales: [['over', 0.5]] },
  { weights: [f(-0.7)], scales: [['over', 0.3]] },
  { weights: [f(0.731), f(1.137)] },
  {
    weights: [f(0.3), f(-0.5)],
    scales: [
      ['times', 2.0001],
      ['times', 1.98],
    ],
  },
  { weights: [1, 1, 1] },
  {
    weights: [f(0.3), f(0.5), f(0.2)],
    scales: [
      ['times', 1.98],
      ['times', 2.0001],
      ['times', 0.301],
    ],
  },
  { weights: [2 ** -16, f(-1.3), 2 ** 16] },
  { weights: [f(0.3), f(0.5), f(0.2), f(0.9)] },
  {
    weights: [f(0.3), f(-0.5), f(0.2), f(0.9)],
    scales: [
      ['over', 0.7],
      ['over', 0.5],
      ['over', 0.3],
      ['times', 3],
    ],
  },
]
const named = FORMULAS.map((formula) => [JSON.stringify(formula), formula] as const)

function programOf({ weights, scales = [], isPlain = false }: Formula): StripProgram {
  const planes = weights.map((_, i) => 1 + i)
  const steps: ProgramStep[] = [
    ...[0, ...planes].map((stream): ProgramStep => ({ do: 'read', stream, narrow: true, out: stream })),
    ...scales.map(([op, by], i): ProgramStep => ({ do: 'scale', op, a: 1 + i, by, out: 1 + i })),
    ...planes.map((a): ProgramStep => ({ do: 'widen', a, out: 10 + a })),
    ...(isPlain
      ? []
      : [
          ...planes.map((a): ProgramStep => ({ do: 'finite', a: 10 + a })),
          { do: 'weightedSum', planes: planes.map((a) => 10 + a), weights, out: 20 } as const,
        ]),
    { do: 'widen', a: 0, out: 21 },
    { do: 'binary', op: 'plus', a: 21, b: isPlain ? 11 : 20, out: 22 },
    { do: 'write', a: 22 },
  ]
  return { steps, constants: [], buffers: 23, streams: [0, ...planes].map(() => 'F32'), dtype: 'BF16' }
}

function expected({ weights, scales = [] }: Formula, rows: readonly Row[]): Uint8Array | undefined {
  const [base, ...planes] = [0, ...weights].map((_, i) => Float64Array.from(rows, (row) => row[i]!))
  const terms = planes.map((plane, i) => plane.map((value) => f(scaledBy(value, scales[i]))))
  if (!terms.every((term) => term.every(Number.isFinite))) return undefined
  const bytes = new Uint8Array(2 * rows.length)
  return plain.encode('BF16', plain.binary('plus', base!, plain.weightedSum(terms, weights)), bytes) < 0
    ? bytes
    : undefined
}

const wasm = createWasmKernels({ memoryBytes: 16 << 20 })
function ran(formula: Formula, rows: readonly Row[]): Uint8Array | undefined {
  wasm.reset()
  const streams = [0, ...formula.weights].map((_, i) => {
    const bytes = wasm.allocateBytes(4 * rows.length)
    bytes.set(new Uint8Array(Float32Array.from(rows, (row) => row[i]!).buffer)) // which keeps −0
    return bytes
  })
  const out = wasm.allocateBytes(2 * rows.length + 16).fill(0xa5)
  const isDone = wasm.compile(programOf(formula))!(streams, 0, rows.length, out.subarray(0, 2 * rows.length))
  expect(out.subarray(2 * rows.length).every((byte) => byte === 0xa5)).toBe(true)
  return isDone ? out.slice(0, 2 * rows.length) : undefined
}
/** Strips after which proofs are tried again. */
const REST = Array.from({ length: 33 * 512 }, (): Row => [0, 0])

/** The first row whose code is another. */
function wrong(formula: Formula, rows: readonly Row[]): unknown {
  expect(sumEndingOf(programOf(formula))).toBeDefined()
  ran(FORMULAS[0]!, REST)
  const [is, should] = [ran(formula, rows), expected(formula, rows)]
  if (!is || !should) return is === should ? undefined : 'only one of both is finite'
  const at = is.findIndex((byte, i) => byte !== should[i]) >> 1
  return at < 0
    ? undefined
    : { at, row: rows[at], is: is.slice(2 * at, 2 * at + 2), should: should.slice(2 * at, 2 * at + 2) }
}

const bf16 = (value: number): number =>
  f32Of(((bitsOf(value) + 0x7fff + ((bitsOf(value) >>> 16) & 1)) & 0xffff0000) >>> 0)

describe.each(named)('%s', (_, formula) => {
  const { weights, scales = [] } = formula
  const ordinary = (next: () => number): Row => {
    const base = bf16((next() - 0.5) / 8)
    return [base, ...weights.map(() => (next() < 0.4 ? 0 : f(bf16(base + (next() - 0.5) / 64) - base)))]
  }
  /** One in eight is made to hurt: more would be made the exact way at once. */
  const mixed = (count: number, seed: number, row: (next: () => number) => Row): readonly Row[] => {
    const next = numbersFrom(seed)
    return Array.from({ length: count }, (_, i) => (i % 8 === 5 ? row(next) : ordinary(next)))
  }
  const term = (value: number, i: number): number => weights[i]! * f(scaledBy(value, scales[i]))
  const last = weights.length - 1
  /** The last plane takes the sum to the middle of two codes, or to what is a few last places from there. */
  const beside = (next: () => number): Row => {
    const base = next() < 0.2 ? 0 : bf16((1 + next()) * (next() < 0.5 ? -1 : 1) * 2 ** -Math.floor(next() * 12))
    const size = 2 ** -Math.floor(next() * 10)
    const values = weights.map(() => f(size * (next() - 0.4)))
    const rest = base + values.slice(0, last).reduce((sum, value, i) => sum + term(value, i), 0)
    const middle = f32Of(((bitsOf(rest + term(values[last]!, last)) & 0xffff0000) | 0x8000) >>> 0)
    const third = f((middle - rest) / (weights[last]! * scaledBy(1, scales[last])))
    const near = f32Of((bitsOf(third) + Math.floor(next() * 5) - 2) >>> 0)
    return Math.abs(near) < 2 ** 20 ? [base, ...values.slice(0, last), near] : ordinary(next)
  }

  test('[KRN-112] one step has the codes of the primitives at any length', () => {
    for (const count of [1, 3, 4, 7, 512, 1_031]) {
      const next = numbersFrom(count)
      expect(
        wrong(
          formula,
          Array.from({ length: count }, () => ordinary(next)),
        ),
      ).toBeUndefined()
    }
  })

  test('[KRN-112] a result beside the middle of two codes is rounded as its exact value', () => {
    expect(wrong(formula, mixed(40_000, 1, beside))).toBeUndefined()
  })

  test('[KRN-112] sums that cancel each other, or the base, are as the primitives have them', () => {
    const even = (next: () => number): Row => {
      const values = weights.map(() => f(next() - 0.5))
      const sum = values.reduce((sum, value, i) => sum + term(value, i), 0)
      return [next() < 0.5 ? bf16(-sum) : f(-sum), ...values]
    }
    expect(wrong(formula, mixed(16_000, 2, even))).toBeUndefined()
  })

  test('[KRN-112] zeros of both signs, what is subnormal and what is huge are as the primitives have them', () => {
    const zero = (next: () => number) => (next() < 0.5 ? 0 : -0)
    const small = (next: () => number) => (next() < 0.3 ? zero(next) : anyBelow(next, 20))
    const rowOf = (value: (next: () => number) => number) => (next: () => number) =>
      [0, ...weights].map(() => value(next))
    expect(wrong(formula, mixed(3_000, 3, rowOf(small)))).toBeUndefined()
    expect(
      wrong(
        formula,
        mixed(
          3_000,
          4,
          rowOf((next) => anyBelow(next, 230)),
        ),
      ),
    ).toBeUndefined()
    expect(wrong(formula, mixed(1_000, 5, rowOf(zero)))).toBeUndefined()
    for (const base of [2 ** -133, 2 ** -134, 2 ** -134 * 1.5, 2 ** -135, 2 ** -149, 0].flatMap((one) => [one, -one]))
      for (const one of [0, -0])
        expect(
          wrong(
            formula,
            mixed(16, 6, () => [base, ...weights.map(() => one)]),
          ),
        ).toBeUndefined()
    for (let i = 0; i < 8; i++)
      expect(
        wrong(
          formula,
          mixed(
            16,
            7 + i,
            rowOf((next) => anyBelow(next, 255)),
          ),
        ),
      ).toBeUndefined()
    const greatest = f32Of(0x7f7fffff)
    for (const base of [greatest, -greatest])
      expect(
        wrong(
          formula,
          mixed(16, 8, () => [base, ...weights.map((weight) => Math.sign(weight * base) * 2 ** 126)]),
        ),
      ).toBeUndefined()
  })

  test('[KRN-112] a share is no less than the roundings add up to, with room for a result that is rounded in the next binade', () => {
    // of a term one, of a scaled one two more; and the additions
    const roundings = (scales.length > 0 ? 3 : 1) + weights.length - 1
    const bound = (1 + 2 ** -7) * (Math.pow(1 - 2 ** -24, -roundings) - 1)
    const [share, ...factors] = sumEndingOf(programOf(formula))!.plan
    expect(share).toBeGreaterThan(bound)
    expect(share).toBeLessThan(1.02 * bound)
    expect(factors).toEqual([0, 1, 2, 3].map((i) => (i < weights.length ? scaledBy(1, scales[i]) * weights[i]! : 0)))
  })
})

test.each([
  ['they are', 0, 10_000],
  ['their products are', 13, 2 ** 20],
] as const)(
  '[KRN-112] terms of which f32 loses more than a share, since %s subnormal, are not summed in f32',
  (_, down, most) => {
    const weights = [f(0.3), f(0.7), f(0.2), f(0.9)]
    const scaled = weights.map((weight) => weight * 2 ** -down)
    const next = numbersFrom(11)
    const rows: Row[] = []
    for (let i = 0; i < 20_000; i++) {
      // in units of the last place: all but one below the middle of two codes, where it truly is above
      const below = (2 * Math.floor(next() * 60) + 1) * 2 ** 15 - 1
      const counts = weights.slice(1).map(() => Math.floor(next() * most))
      const roughly = counts.reduce((sum, count, j) => sum + Math.round(weights[j + 1]! * count), 0)
      const first = Math.round((below - roughly) / weights[0]!)
      const all = [first, ...counts]
      const rounded = all.reduce((sum, count, j) => sum + Math.round(weights[j]! * count), 0)
      const exact = all.reduce((sum, count, j) => sum + weights[j]! * count, 0)
      if (rounded === below && exact > below + 1.01) rows.push([0, ...all.map((count) => count * 2 ** (down - 149))])
    }
    expect(rows.length).toBeGreaterThan(50)
    const ordinary = Array.from({ length: 7 }, (): Row => [1, 0, 0, 0, 0])
    expect(
      wrong(
        { weights: scaled },
        rows.slice(0, 400).flatMap((row) => [row, ...ordinary]),
      ),
    ).toBeUndefined()
  },
)

test('[KRN-112] what the proof is not for is not made in one step', () => {
  const formula = FORMULAS[6]!
  const program = programOf(formula)
  expect(sumEndingOf(program)?.scales.map((scale) => scale?.by)).toEqual([1.98, 2.0001, 0.301])
  expect(sumEndingOf({ ...program, dtype: 'F32' })).toBeUndefined()
  expect(sumEndingOf(programOf({ weights: [1, 1, 1, 1, 1] }))).toBeUndefined()
  for (const weight of [0, 2 ** -17, 2 ** 17, 0.1])
    expect(sumEndingOf(programOf({ weights: [1, weight] }))).toBeUndefined()
  for (const by of [2 ** -17, 2 ** 17, 0, Infinity, NaN])
    expect(sumEndingOf(programOf({ weights: [1], scales: [['times', by]] }))).toBeUndefined()
  const changed = (change: (step: ProgramStep) => readonly ProgramStep[]) =>
    sumEndingOf({ ...program, steps: program.steps.flatMap(change) })
  expect(changed((step) => [step])).toBeDefined()
  expect(changed((step) => (step.do === 'binary' ? [{ ...step, op: 'minus' }] : [step]))).toBeUndefined()
  expect(changed((step) => (step.do === 'binary' ? [{ ...step, a: step.b }] : [step]))).toBeUndefined()
  expect(changed((step) => (step.do === 'binary' ? [{ ...step, b: step.a }] : [step]))).toBeUndefined()
  expect(changed((step) => (step.do === 'write' ? [{ ...step, a: 20 }] : [step]))).toBeUndefined()
  expect(changed((step) => (step.do === 'weightedSum' ? [step, { do: 'finite', a: 20 }] : [step]))).toBeUndefined()
  expect(changed((step) => (step.do === 'finite' ? [{ ...step, a: 5 }] : [step]))).toBeUndefined()
  const widened = (a: number, by: Partial<Extract<ProgramStep, { do: 'widen' }>>) =>
    changed((step) => (step.do === 'widen' && step.a === a ? [{ ...step, ...by }] : [step]))
  expect(widened(1, { a: 2 })).toBeUndefined() // one plane twice
  expect(widened(1, { a: 0 })).toBeUndefined() // the base among them
  expect(widened(0, { a: 12 })).toBeUndefined() // the base is one that was widened
  expect(widened(1, { out: 3 })).toBeUndefined() // another than is summed
  const reused = program.steps.map((step): ProgramStep => {
    if (step.do === 'widen' && step.a === 1) return { ...step, out: 2 }
    return step.do === 'weightedSum'
      ? { ...step, planes: [2, 12, 13] }
      : step.do === 'finite' && step.a === 11
        ? { ...step, a: 2 }
        : step
  })
  expect(sumEndingOf({ ...program, steps: reused })).toBeUndefined() // widened over what is widened next
})
