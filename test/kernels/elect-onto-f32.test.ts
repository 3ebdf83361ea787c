/** What three elect, added to a base and written as f32 in one step, against the primitives. */
import { describe, expect, test } from 'vitest'
import { endingOf } from '../../src/kernels/elect-onto.ts'
import { numbersFrom } from '../merge-strategies/world.ts'
import { anyBelow, f32Of, bitsOf, type Formula, programOf, type Row, scaledBy, wrong } from './elect-world.ts'

const f = Math.fround
const FORMULAS: readonly Formula[] = [
  {
    weights: [0.3, 0.5, 0.2].map(f),
    divides: false,
    scales: [
      ['times', 1.98],
      ['times', 2.0001],
      ['times', 0.301],
    ],
  },
  { weights: [1, 1, 1], divides: false },
  { weights: [0.731, 1.137, 0.881].map(f), divides: false, key: 5 },
  { weights: [2 ** -60, 1, 2 ** 60], divides: false },
  {
    weights: [0, 1, 0.5],
    divides: false,
    scales: [
      ['over', 0.5],
      ['times', 1.7],
      ['over', 2 ** -100],
    ],
  },
  {
    weights: [0.7, 1, 0.3].map(f),
    divides: false,
    scales: [
      ['over', 0.7],
      ['over', 0.25],
      ['times', 2 ** -140],
    ],
  },
]
const named = FORMULAS.map((formula) => [JSON.stringify(formula), formula] as const)

const rows = (count: number, seed: number, row: (next: () => number) => Row): readonly Row[] => {
  const next = numbersFrom(seed)
  return Array.from({ length: count }, () => row(next))
}
const change = (next: () => number): number => (next() < 0.4 ? 0 : f((next() - 0.5) / 64))
const ordinary = (next: () => number): Row => [f((next() - 0.5) / 8), change(next), change(next), change(next)]

describe.each(named)('%s', (_, formula) => {
  const { weights, scales = [] } = formula
  const own = (row: Row, i: number): number => weights[i]! * f(scaledBy(row[i + 1]!, scales[i]))
  const wrongF32 = (all: readonly Row[]) => wrong(formula, all, 'F32')

  test('[KRN-110] one step has the bytes of the primitives at any length, and writes nothing behind them', () => {
    for (const count of [1, 2, 3, 4, 5, 511, 512, 513, 1_030])
      expect(wrongF32(rows(count, count, ordinary))).toBeUndefined()
  })

  test('[KRN-110] of all three in one camp the sum is exact, where the base leaves no more of it than its last places', () => {
    const alike = (next: () => number): Row => {
      const side = next() < 0.5 ? -1 : 1
      const spread = Math.floor(next() * 40)
      const value = () => f(side * (1 + next()) * 2 ** -Math.floor(next() * spread))
      const row: Row = [0, value(), value(), value()]
      return [f(-(own(row, 0) + own(row, 1) + own(row, 2))), row[1], row[2], row[3]]
    }
    expect(wrongF32(rows(40_000, 1, alike))).toBeUndefined()
  })

  test('[KRN-110] a vote that is even, or all but even, is won by the side that wins exactly', () => {
    const even = (next: () => number): Row => {
      const row: Row = [0, f(next() - 0.5), next() < 0.3 ? 0 : f(next() - 0.5), 0]
      const third = f(-(own(row, 0) + own(row, 1)) / (weights[2]! * scaledBy(1, scales[2])))
      const near = next() < 0.3 ? third : f32Of((bitsOf(third) + Math.floor(next() * 5) - 2) >>> 0)
      return Number.isFinite(near) ? [next() < 0.5 ? 0 : f(next() - 0.5), row[1], row[2], near] : ordinary(next)
    }
    expect(wrongF32(rows(8_000, 2, even))).toBeUndefined()
    expect(
      wrongF32(rows(1_000, 3, (next) => ((x) => [0, x, f(-x), next() < 0.5 ? 0 : x])(f(next() - 0.5)))),
    ).toBeUndefined()
  })

  test('[KRN-110] zeros of both signs, what is subnormal, what is huge and what overflows are as the primitives have them', () => {
    const small = (next: () => number) => (next() < 0.3 ? (next() < 0.5 ? 0 : -0) : anyBelow(next, 20))
    const huge = (next: () => number) => anyBelow(next, 255)
    expect(wrongF32(rows(3_000, 4, (next) => [small(next), small(next), small(next), small(next)]))).toBeUndefined()
    expect(
      wrongF32(
        rows(3_000, 5, (next) =>
          ((top) => [anyBelow(next, top), anyBelow(next, top), anyBelow(next, top), anyBelow(next, top)])(120),
        ),
      ),
    ).toBeUndefined()
    for (let i = 0; i < 40; i++)
      expect(wrongF32(rows(5, 6 + i, (next) => [huge(next), huge(next), huge(next), huge(next)]))).toBeUndefined()
    const greatest = f32Of(0x7f7fffff)
    for (const row of [
      [0, greatest, 0, 0],
      [greatest, 0, greatest, 0],
      [0, -greatest, greatest, greatest],
      [-greatest, greatest, 0, 0],
    ] as const)
      for (const at of [0, 2, 4]) expect(wrongF32(rows(5, at, ordinary).with(at, row))).toBeUndefined()
  })
})

test('[KRN-110] what is divided, and factors of which nothing is known, are left to steps of their own', () => {
  const formula = FORMULAS[0]!
  expect(endingOf(programOf(formula, 'F32'))?.scales.every((scale) => scale !== undefined)).toBe(true)
  expect(endingOf(programOf({ ...formula, divides: true }, 'F32'))).toBeUndefined()
  expect(endingOf({ ...programOf(formula, 'F32'), dtype: 'F16' })).toBeUndefined()
  for (const [op, by] of [
    ['times', -1],
    ['times', 0],
    ['times', Infinity],
    ['times', NaN],
    ['over', 0.7],
    ['over', 2],
    ['over', 2 ** -101],
  ] as const) {
    const scales = [
      ['times', 2],
      [op, by],
      ['over', 0.5],
    ] as const
    const taken = endingOf(programOf({ ...formula, scales }, 'F32'))?.scales.map((scale) => scale !== undefined)
    expect(taken).toEqual([true, false, true])
  }
})
