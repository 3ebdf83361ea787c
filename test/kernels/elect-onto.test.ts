/** What three elect, added to a base and written as bf16 in one step of f32, against the primitives in f64. */
import { describe, expect, test } from 'vitest'
import { endingOf } from '../../src/kernels/elect-onto.ts'
import { referenceKernels as plain } from '../../src/kernels/reference.ts'
import type { ProgramStep, StripProgram } from '../../src/kernels/strip-program.ts'
import { createWasmKernels } from '../../src/kernels/wasm.ts'
import { numbersFrom } from '../merge-strategies/world.ts'

interface Formula {
  readonly weights: readonly number[]
  readonly divides: boolean
  readonly scales?: readonly (readonly ['times' | 'over', number])[]
  /** Planes are trimmed to what is above. */
  readonly key?: number
}
/** A base and three contributions to it. */
type Row = readonly [base: number, x: number, y: number, z: number]

const divisorsOf = (weights: readonly number[]): readonly number[] =>
  Array.from({ length: 8 }, (_, members) =>
    members === 0 ? 1 : weights.reduce((sum, weight, i) => (members & (1 << i) ? sum + weight : sum), 0),
  )

function programOf({ weights, divides, scales = [], key }: Formula): StripProgram {
  const planes = [1, 2, 3]
  const steps: ProgramStep[] = [
    ...[0, ...planes].map((stream): ProgramStep => ({ do: 'read', stream, narrow: true, out: stream })),
    ...(key === undefined
      ? []
      : planes.map((a): ProgramStep => ({ do: 'trim', a, key, lastTie: -1, offset: 0, out: a }))),
    ...scales.map(([op, by], i): ProgramStep => ({ do: 'scale', op, a: 1 + i, by, out: 1 + i })),
    { do: 'elect', planes, weights, divisors: divides ? divisorsOf(weights) : undefined, out: 4 },
    { do: 'widen', a: 0, out: 5 },
    { do: 'binary', op: 'plus', a: 5, b: 4, out: 4 },
    { do: 'write', a: 4 },
  ]
  return { steps, constants: [], buffers: 6, streams: [0, 1, 2, 3].map(() => 'F32'), dtype: 'BF16' }
}

/** By the primitives; undefined where an element is not finite. */
function expected({ weights, divides, scales = [], key }: Formula, rows: readonly Row[]): Uint8Array | undefined {
  const n = rows.length
  const zero = new Float64Array(n)
  const [base, ...planes] = [0, 1, 2, 3].map((i) => Float64Array.from(rows, (row) => row[i]!))
  const terms = planes.map((plane, i) => {
    const kept = key === undefined ? plane : plane.map((value) => (keyOf(value) > key ? value : 0))
    const [op, by] = scales[i] ?? ['times', 1]
    return plain.unary('f32', plain.binary(op, kept, plain.fill(n, by)))
  })
  const camp = (of: (plane: Float64Array) => Float64Array) => plain.weightedSum(terms.map(of), weights)
  const positive = camp((plane) => plain.binary('max', plane, zero))
  const negative = camp((plane) => plain.binary('min', plane, zero))
  const up = plain.compare('atLeast', plain.binary('plus', positive, negative), zero)
  const above = camp((plane) => plain.compare('above', plane, zero))
  const below = camp((plane) => plain.compare('above', zero, plane))
  const sum = plain.choose(up, positive, negative)
  const weight = plain.choose(up, above, below).map((one) => (one === 0 ? 1 : one))
  const merged = divides ? plain.binary('over', sum, weight) : sum
  if (![...positive, ...negative].every(Number.isFinite)) return undefined
  const bytes = new Uint8Array(2 * n)
  return plain.encode('BF16', plain.binary('plus', base!, merged), bytes) < 0 ? bytes : undefined
}

const cell = new DataView(new ArrayBuffer(4))
function f32Of(bits: number): number {
  cell.setUint32(0, bits)
  return cell.getFloat32(0)
}
function bitsOf(value: number): number {
  cell.setFloat32(0, value)
  return cell.getUint32(0)
}
const keyOf = (value: number): number => bitsOf(value) & 0x7fffffff
const bf16 = (value: number): number =>
  f32Of(((bitsOf(value) + 0x7fff + ((bitsOf(value) >>> 16) & 1)) & 0xffff0000) >>> 0)

function written(formula: Formula, rows: readonly Row[]): Uint8Array | undefined {
  const program = programOf(formula)
  expect(endingOf(program)).toBeDefined()
  const wasm = createWasmKernels({ memoryBytes: 16 << 20 })
  const streams = [0, 1, 2, 3].map((i) => {
    const bytes = wasm.allocateBytes(4 * rows.length)
    bytes.set(new Uint8Array(Float32Array.from(rows, (row) => row[i]!).buffer)) // which keeps −0
    return bytes
  })
  const out = wasm.allocateBytes(2 * rows.length)
  return wasm.compile(program)!(streams, 0, rows.length, out) ? Uint8Array.from(out) : undefined
}

/** The first row whose code is another. */
function wrong(formula: Formula, rows: readonly Row[]): unknown {
  const [is, should] = [written(formula, rows), expected(formula, rows)]
  if (!is || !should) return is === should ? undefined : 'only one of both is finite'
  const at = is.findIndex((byte, i) => byte !== should[i])
  return at < 0
    ? undefined
    : {
        at: at >> 1,
        row: rows[at >> 1],
        is: is.slice(at & ~1, (at | 1) + 1),
        should: should.slice(at & ~1, (at | 1) + 1),
      }
}

const [DECIMAL, EQUAL, FULL, APART, LOSSY] = [
  [0.3, 0.5, 0.2],
  [1, 1, 1],
  [0.731, 1.137, 0.881],
  [2 ** -16, 1, 2 ** 16],
  // whose sum in f32 is almost as far off as it can be
  [0.5 + 2 ** -24, 0.5, 2 ** -4 + 2 ** -24 - 2 ** -27],
].map((weights) => weights.map(Math.fround)) as [number[], number[], number[], number[], number[]]
const TIMES = [['times', 1.7321], ['times', 2.0001], ['times', 0.301]] as const // prettier-ignore
const OVER = [['over', 0.7], ['over', 0.5], ['over', 0.3]] as const // prettier-ignore
const FORMULAS: readonly Formula[] = [
  { weights: DECIMAL, divides: true, key: 5 },
  { weights: DECIMAL, divides: false, scales: TIMES },
  { weights: EQUAL, divides: true },
  { weights: EQUAL, divides: false },
  { weights: LOSSY, divides: true },
  { weights: FULL, divides: true, key: keyOf(2 ** -9) },
  { weights: FULL, divides: false },
  { weights: FULL, divides: true, scales: OVER },
  { weights: APART, divides: true },
]
const named = FORMULAS.map((formula) => [JSON.stringify(formula), formula] as const)

const ordinary = (next: () => number): Row => {
  const base = bf16((next() - 0.5) / 8)
  const change = () => (next() < 0.4 ? 0 : Math.fround(bf16(base + (next() - 0.5) / 64) - base))
  return [base, change(), change(), change()]
}

/** One in eight is made to hurt: more would be made the exact way at once. */
const mixed = (count: number, seed: number, row: (next: () => number) => Row): readonly Row[] => {
  const next = numbersFrom(seed)
  return Array.from({ length: count }, (_, i) => (i % 8 === 5 ? row(next) : ordinary(next)))
}

const f = Math.fround

/** What f32 makes of a row, and how great its share of the side that won would have to be said to be for it to be in doubt. */
function doubtsOf({ weights, divides, scales = [] }: Formula, [base, ...values]: Row) {
  const factors = weights.map((weight, i) => f(scaledBy(weight, scales[i])))
  const terms = values.map((value, i) => f(value * factors[i]!))
  const vote = f(f(terms[0]! + terms[1]!) + terms[2]!)
  const side = vote < 0 ? -1 : 1
  const sumOf = (parts: readonly number[]) => f(f(parts[0]! + parts[1]!) + parts[2]!)
  const won = sumOf(terms.map((term) => Math.max(0, side * term)))
  const share = divides ? sumOf(weights.map((weight, i) => (side * terms[i]! > 0 ? weight : 0))) : 1
  const merged = f(won / share)
  const result = f(base + side * merged)
  const exactTerms = values.map((value, i) => weights[i]! * f(scaledBy(value, scales[i])))
  const exactVote = exactTerms.reduce((sum, term) => sum + term, 0)
  const exactSide = exactVote < 0 ? -1 : 1
  const members = exactTerms.map((term) => exactSide * term > 0)
  const exactSum = exactTerms.reduce((sum, term, i) => (members[i] ? sum + term : sum), 0)
  const exactShare = divides ? weights.reduce((sum, weight, i) => (members[i] ? sum + weight : sum), 0) : 1
  const exact = base + exactSum / exactShare
  const middle = f32Of(((bitsOf(result) & 0xffff0000) | 0x8000) >>> 0)
  return {
    ofVote: exactSide === side ? -1 : Math.abs(vote) / won,
    ofResult: Math.sign(exact - middle) === Math.sign(result - middle) ? -1 : Math.abs(result - middle) / merged,
  }
}
function scaledBy(value: number, [op, by]: readonly ['times' | 'over', number] = ['times', 1]): number {
  return op === 'times' ? value * by : value / by
}

/** Of many rows those that f32 alone is most wrong about, each among seven ordinary ones. */
function hardest(formula: Formula, which: 'ofVote' | 'ofResult', row: (next: () => number) => Row): readonly Row[] {
  const next = numbersFrom(1)
  const found = Array.from({ length: 120_000 }, () => row(next))
    .map((one) => ({ one, doubt: doubtsOf(formula, one)[which] }))
    .filter(({ doubt }) => doubt >= 0 && doubt < 1)
    .sort((a, b) => b.doubt - a.doubt)
    .slice(0, 100)
  return found.flatMap(({ one }) => [one, ...Array.from({ length: 7 }, () => ordinary(next))])
}

describe.each(named)('%s', (_, formula) => {
  const { weights, divides, scales = [] } = formula
  const factors = weights.map((weight, i) => scaledBy(weight, scales[i]))

  test('[KRN-99] one step has the codes of the primitives at any length', () => {
    for (const count of [1, 4, 7, 512, 1_031]) {
      const next = numbersFrom(count)
      expect(
        wrong(
          formula,
          Array.from({ length: count }, () => ordinary(next)),
        ),
      ).toBeUndefined()
    }
  })

  /** All but in the middle of two codes; `size`: of what is added to a base, or to none where it is tiny. */
  const beside = (next: () => number, size = 2 ** -Math.floor(next() * 10)): Row => {
    const isAlone = size < 2 ** -100 || next() < 0.2
    const base = isAlone ? 0 : bf16((1 + next()) * (next() < 0.5 ? -1 : 1) * 2 ** -Math.floor(next() * 12))
    const side = next() < 0.5 ? -1 : 1
    const [x, y] = [f(side * size * (next() + 0.01)), f(side * size * (next() + 0.01))]
    // the middle that is nearest to what they come to, and what the third must be for it
    const weight = divides ? weights[0]! + weights[1]! + weights[2]! : 1
    const rough = base + (x * factors[0]! + y * factors[1]! + side * size * 0.5 * factors[2]!) / weight
    const middle = f32Of(((bitsOf(rough) & 0xffff0000) | 0x8000) >>> 0)
    const third = f(((middle - base) * weight - x * factors[0]! - y * factors[1]!) / factors[2]!)
    const near = f32Of((bitsOf(third) + Math.floor(next() * 5) - 2) >>> 0)
    return Math.abs(near) < 2 ** 20 ? [base, x, y, near] : ordinary(next)
  }

  test('[KRN-99] a result beside the middle of two codes is rounded as its exact value', () => {
    expect(wrong(formula, mixed(8_000, 1, beside))).toBeUndefined()
    expect(wrong(formula, hardest(formula, 'ofResult', beside))).toBeUndefined()
  })

  test('[KRN-99] a vote that is all but even is won by the side that wins exactly', () => {
    const even = (next: () => number): Row => {
      const base = bf16(next() - 0.5)
      const [x, y] = [f(next() - 0.5), next() < 0.3 ? 0 : f(next() - 0.5)]
      const third = f(-(x * factors[0]! + y * factors[1]!) / factors[2]!)
      const near = next() < 0.3 ? third : f32Of((bitsOf(third) + Math.floor(next() * 5) - 2) >>> 0)
      return Math.abs(near) < 2 ** 20 ? [base, x, y, near] : ordinary(next)
    }
    expect(wrong(formula, mixed(8_000, 2, even))).toBeUndefined()
    expect(wrong(formula, hardest(formula, 'ofVote', even))).toBeUndefined()
  })

  test('[KRN-99] zeros of both signs, what is subnormal and what is huge are as the primitives have them', () => {
    const any = (next: () => number, top: number): number =>
      f32Of(((next() < 0.5 ? 0x80000000 : 0) | (Math.floor(next() * top) << 23) | Math.floor(next() * 2 ** 23)) >>> 0)
    const zero = (next: () => number) => (next() < 0.5 ? 0 : -0)
    const small = (next: () => number) => (next() < 0.3 ? zero(next) : any(next, 20))
    expect(
      wrong(
        formula,
        mixed(3_000, 3, (next) => [small(next), small(next), small(next), small(next)]),
      ),
    ).toBeUndefined()
    expect(
      wrong(
        formula,
        mixed(3_000, 4, (next) => [any(next, 230), any(next, 230), any(next, 230), any(next, 230)]),
      ),
    ).toBeUndefined()
    expect(
      wrong(
        formula,
        mixed(1_000, 5, (next) => [zero(next), zero(next), zero(next), zero(next)]),
      ),
    ).toBeUndefined()
    expect(
      wrong(
        formula,
        mixed(8_000, 7, (next) => beside(next, 2 ** -130)),
      ),
    ).toBeUndefined()
    const tooGreat = Array.from({ length: 16 }, (): Row => [0, 1.9 * 2 ** 127, 0, -1])
    expect(wrong(formula, tooGreat)).toBeUndefined()
    const next = numbersFrom(6)
    for (let i = 0; i < 8; i++) {
      const huge = (): Row => [any(next, 255), any(next, 255), any(next, 255), any(next, 255)]
      expect(wrong(formula, [...mixed(8, i, ordinary), huge(), huge(), ...mixed(6, i, ordinary)])).toBeUndefined()
    }
    expect(
      wrong(
        formula,
        Array.from({ length: 4_000 }, () => [0, small(next), small(next), small(next)] as const),
      ),
    ).toBeUndefined()
  })
})

test('[KRN-99] what the proofs are not for is not made in one step', () => {
  const formula = { weights: FULL, divides: true, scales: TIMES }
  const program = programOf(formula)
  expect(endingOf(program)?.isLarge).toBe(false)
  expect(endingOf(programOf({ ...formula, scales: [], key: 2 ** 29 }))?.isLarge).toBe(true)
  expect(endingOf({ ...program, dtype: 'F32' })).toBeUndefined()
  for (const weight of [0, 2 ** -17, 2 ** 17, 0.1, -1])
    expect(endingOf(programOf({ ...formula, weights: [1, 1, weight] }))).toBeUndefined()
  for (const by of [2 ** -17, 2 ** 17, -1]) {
    const scales = [TIMES[0], TIMES[1], ['times', by]] as const
    expect(endingOf(programOf({ ...formula, scales }))).toBeUndefined()
  }
  const changed = (change: (step: ProgramStep) => readonly ProgramStep[]) =>
    endingOf({ ...program, steps: program.steps.flatMap(change) })
  const otherwise = (change: Partial<Extract<ProgramStep, { do: 'elect' }>>) =>
    changed((step) => [step.do === 'elect' ? { ...step, ...change } : step])
  expect(otherwise({})).toBeDefined()
  expect(otherwise({ divisors: divisorsOf(FULL).map((divisor) => divisor * 1.5) })).toBeUndefined()
  expect(otherwise({ planes: [1, 2, 2] })).toBeUndefined()
  expect(otherwise({ planes: [1, 2, 0] })).toBeUndefined()
  expect(otherwise({ planes: [1, 2], weights: [1, 1], divisors: [1, 1, 1, 2] })).toBeUndefined()
  expect(changed((step) => (step.do === 'widen' ? [{ ...step, a: 1 }] : [step]))).toBeUndefined()
  expect(changed((step) => (step.do === 'write' ? [step, { do: 'finite', a: 4 }] : [step]))).toBeUndefined()
  // a plane that is scaled from another, or looked at once it is scaled, is left to the step that scales it
  const scaled = (a: number, out: number) => ({ do: 'scale', op: 'times', a, by: 2, out }) as const
  const withMore = (...more: readonly ProgramStep[]) =>
    changed((step) => (step.do === 'elect' ? [...more, step] : [step]))
  expect(withMore(scaled(0, 3))?.scales[2]).toBeUndefined()
  expect(withMore(scaled(3, 5))?.scales).toEqual([program.steps[4], program.steps[5], undefined])
  expect(withMore({ do: 'change', a: 3, b: 0, out: 5 })?.scales[2]).toBeUndefined()
  expect(withMore({ do: 'finite', a: 0 })?.scales).toEqual([undefined, undefined, undefined])
})
