/** What three elect, added to a base and written as bf16 in one step of f32, against the primitives in f64. */
import { describe, expect, test } from 'vitest'
import { endingOf } from '../../src/kernels/elect-onto.ts'
import type { ProgramStep } from '../../src/kernels/strip-program.ts'
import { numbersFrom } from '../merge-strategies/world.ts'
import {
  anyBelow,
  bitsOf,
  divisorsOf,
  f32Of,
  type Formula,
  keyOf,
  programOf,
  type Row,
  scaledBy,
  wrong,
} from './elect-world.ts'

const bf16 = (value: number): number =>
  f32Of(((bitsOf(value) + 0x7fff + ((bitsOf(value) >>> 16) & 1)) & 0xffff0000) >>> 0)

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

/** How great its share of the side that won would have to be said to be for what f32 makes of a row to be in doubt. */
type Doubt = (row: Row) => number

/** Number by number, for it is asked of very many rows. −1 where f32 is right. */
function doubtsOf({ weights, divides, scales = [] }: Formula): { readonly ofVote: Doubt; readonly ofResult: Doubt } {
  const [v0, v1, v2] = weights as [number, number, number]
  const [f0, f1, f2] = weights.map((weight, i) => f(scaledBy(weight, scales[i]))) as [number, number, number]
  const [s0, s1, s2] = [0, 1, 2].map((i) => scales[i] ?? (['times', 1] as const)) as [Scaling, Scaling, Scaling]
  const roughVote = ([, x, y, z]: Row) => f(f(f(x * f0) + f(y * f1)) + f(z * f2))
  const exactVote = ([, x, y, z]: Row) => v0 * f(scaledBy(x, s0)) + v1 * f(scaledBy(y, s1)) + v2 * f(scaledBy(z, s2))
  const roughSum = ([, x, y, z]: Row, side: number) =>
    f(f(Math.max(0, side * f(x * f0)) + Math.max(0, side * f(y * f1))) + Math.max(0, side * f(z * f2)))
  const isIn = (value: number, side: number) => side * value > 0
  return {
    ofVote(row) {
      const vote = roughVote(row)
      const side = vote < 0 ? -1 : 1
      return (exactVote(row) < 0 ? -1 : 1) === side ? -1 : Math.abs(vote) / roughSum(row, side)
    },
    ofResult(row) {
      const [base, x, y, z] = row
      const side = roughVote(row) < 0 ? -1 : 1
      const roughShare = f(
        f((isIn(f(x * f0), side) ? v0 : 0) + (isIn(f(y * f1), side) ? v1 : 0)) + (isIn(f(z * f2), side) ? v2 : 0),
      )
      const merged = divides ? f(roughSum(row, side) / roughShare) : roughSum(row, side)
      const result = f(base + side * merged)
      const exactSide = exactVote(row) < 0 ? -1 : 1
      const [a, b, c] = [v0 * f(scaledBy(x, s0)), v1 * f(scaledBy(y, s1)), v2 * f(scaledBy(z, s2))]
      const [isA, isB, isC] = [isIn(a, exactSide), isIn(b, exactSide), isIn(c, exactSide)]
      const sum = (isA ? a : 0) + (isB ? b : 0) + (isC ? c : 0)
      const exact = base + (divides ? sum / ((isA ? v0 : 0) + (isB ? v1 : 0) + (isC ? v2 : 0)) : sum)
      const middle = f32Of(((bitsOf(result) & 0xffff0000) | 0x8000) >>> 0)
      return Math.sign(exact - middle) === Math.sign(result - middle) ? -1 : Math.abs(result - middle) / merged
    },
  }
}
type Scaling = readonly ['times' | 'over', number]

/** Of many rows those that f32 alone is most wrong about, each among seven ordinary ones. */
function hardest(formula: Formula, which: 'ofVote' | 'ofResult', row: (next: () => number) => Row): readonly Row[] {
  const next = numbersFrom(1)
  const doubtOf = doubtsOf(formula)[which]
  const found: { readonly one: Row; readonly doubt: number }[] = []
  for (let i = 0; i < 120_000; i++) {
    const one = row(next)
    const doubt = doubtOf(one)
    if (doubt >= 0 && doubt < 1) found.push({ one, doubt })
  }
  found.sort((a, b) => b.doubt - a.doubt)
  return found.slice(0, 100).flatMap(({ one }) => [one, ...Array.from({ length: 7 }, () => ordinary(next))])
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

  test('[KRN-99] shares are no less than the roundings add up to, with room for a result that is rounded in the next binade', () => {
    const [ofVote, ofResult] = endingOf(programOf(formula, 'BF16'))!.proof!.plan
    // of a term one, of a scaled one two more; two additions; of a share two additions and the quotient
    const roundings = (scales.length > 0 ? 3 : 1) + 2
    const bound = (count: number) => (1 + 2 ** -7) * (Math.pow(1 - 2 ** -24, -count) - 1)
    expect(ofVote).toBeGreaterThan(2 * bound(roundings))
    expect(ofResult).toBeGreaterThan(bound(roundings + (divides ? 3 : 0)))
    expect(ofResult).toBeLessThan(1.02 * bound(roundings + (divides ? 3 : 0)))
  })

  test('[KRN-99] zeros of both signs, what is subnormal and what is huge are as the primitives have them', () => {
    const zero = (next: () => number) => (next() < 0.5 ? 0 : -0)
    const small = (next: () => number) => (next() < 0.3 ? zero(next) : anyBelow(next, 20))
    expect(
      wrong(
        formula,
        mixed(3_000, 3, (next) => [small(next), small(next), small(next), small(next)]),
      ),
    ).toBeUndefined()
    expect(
      wrong(
        formula,
        mixed(3_000, 4, (next) => [anyBelow(next, 230), anyBelow(next, 230), anyBelow(next, 230), anyBelow(next, 230)]),
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
    const tiny = [2 ** -133, 2 ** -134, 2 ** -134 * 1.5, 2 ** -135, 2 ** -149].flatMap((one) => [one, -one])
    for (const base of [...tiny, -0]) {
      const row = (values: readonly number[]) => [base, values[0]!, values[1]!, values[2]!] as const
      expect(wrong(formula, [...mixed(15, 8, ordinary), row([0, 0, 0])])).toBeUndefined()
      expect(wrong(formula, [...mixed(15, 9, ordinary), row([-0, 0, -0])])).toBeUndefined()
    }
    const tooGreat = Array.from({ length: 16 }, (): Row => [0, 1.9 * 2 ** 127, 0, -1])
    expect(wrong(formula, tooGreat)).toBeUndefined()
    const next = numbersFrom(6)
    for (let i = 0; i < 8; i++) {
      const huge = (): Row => [anyBelow(next, 255), anyBelow(next, 255), anyBelow(next, 255), anyBelow(next, 255)]
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
  const program = programOf(formula, 'BF16')
  expect(endingOf(program)?.proof?.isLarge).toBe(false)
  expect(endingOf(programOf({ ...formula, scales: [], key: 2 ** 29 }, 'BF16'))?.proof?.isLarge).toBe(true)
  expect(endingOf({ ...program, dtype: 'F32' })).toBeUndefined()
  for (const weight of [0, 2 ** -17, 2 ** 17, 0.1, -1])
    expect(endingOf(programOf({ ...formula, weights: [1, 1, weight] }, 'BF16'))).toBeUndefined()
  for (const by of [2 ** -17, 2 ** 17, -1]) {
    const scales = [TIMES[0], TIMES[1], ['times', by]] as const
    expect(endingOf(programOf({ ...formula, scales }, 'BF16'))).toBeUndefined()
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
