/** Averages of F32 where their proofs end: middles of two values, cancellation, and both ends of the range. */
import { describe, expect, test, vi } from 'vitest'
import type { AverageTier } from '../../src/kernels/average-plan.ts'
import { nearest, units } from '../../src/kernels/exact.ts'
import { createWasmKernels } from '../../src/kernels/wasm.ts'
import { numbersFrom } from '../merge-strategies/world.ts'

const asked = vi.hoisted((): { tier: AverageTier | undefined } => ({ tier: undefined }))
vi.mock('../../src/kernels/average-plan.ts', async (original) => {
  const real = await original<typeof import('../../src/kernels/average-plan.ts')>()
  const planAverage: typeof real.planAverage = (...all) => {
    const plan = real.planAverage(...all)
    return asked.tier ? { ...plan, tiers: [asked.tier] } : plan
  }
  return { ...real, planAverage }
})

type Column = readonly number[]
const MOST = 2 ** 128 - 2 ** 104
const LEAST = 2 ** -149

/** F32 of columns as the kernels average them; false where they refuse. */
function averagesOf(columns: readonly Column[], weights: readonly number[], divisor: number, tier?: AverageTier) {
  const kernels = createWasmKernels({ memoryBytes: 4 << 20 })
  const streams = weights.map((_, i) => {
    const bytes = kernels.allocateBytes(4 * columns.length)
    new Float32Array(bytes.buffer, bytes.byteOffset, columns.length).set(columns.map((column) => column[i]!))
    return bytes
  })
  const out = kernels.allocateBytes(4 * columns.length)
  asked.tier = tier
  return kernels.average('F32', streams, [...weights], divisor, out)
    ? new Float32Array(out.buffer, out.byteOffset, columns.length)
    : false
}

const quotientOf = (column: Column, weights: readonly number[], divisor: number) =>
  nearest(weights.reduce((sum, weight, i) => sum + units(weight * column[i]!), 0n)) / divisor

/** The first element that has not the bits of arbitrary precision. */
function firstWrong(columns: readonly Column[], weights: readonly number[], divisor: number, tier?: AverageTier) {
  const averages = averagesOf(columns, weights, divisor, tier)
  if (averages === false) return 'refused'
  const at = columns.findIndex((column, i) => {
    const right = Math.fround(quotientOf(column, weights, divisor)) + 0
    return !Object.is(averages[i], right)
  })
  return at < 0 ? 'none' : `${at}: ${averages[at]} of ${columns[at]!.join(', ')}`
}

/** So many f32 that add up to the units, the greatest first. */
function f32sOf(left: bigint, count: number): number[] {
  const parts: number[] = []
  for (let rest = left; parts.length < count;) {
    const size = rest < 0n ? -rest : rest
    const cut = BigInt(Math.max(0, size.toString(2).length - 24))
    const part = (size >> cut) << cut
    parts.push((rest < 0n ? -1 : 1) * nearest(part) + 0)
    rest += rest < 0n ? part : -part
    if (parts.length === count) expect(rest).toBe(0n)
  }
  return parts
}

const random = numbersFrom(41)
const below = (n: number) => Math.floor(random() * n)
/** 0.5 to 1 with few bits, so that products leave room for what brings a sum to a middle. */
const short = () => (2 ** 11 + below(2 ** 11)) / 2 ** 12
const usual = (k: number): Column => {
  const base = (random() + random() - 1) / 16
  return Array.from({ length: k }, () => Math.fround(base * (1 + random() / 32)))
}

/** Weights of 24 bits for the first, and of 1 for the last ones, which bring sums to where they hurt. */
const FIRST = [0.731, 1.137].map(Math.fround)
const onesOf = (k: number) => Math.min(3, k - 1)
const weightsOf = (k: number) => Array.from({ length: k }, (_, i) => (i < k - onesOf(k) ? FIRST[i % 2]! : 1))

/** A column whose exact sum is this many units. */
function columnOf(k: number, sum: bigint, scale: number): Column {
  const weights = weightsOf(k)
  const first = Array.from({ length: k - onesOf(k) }, () => short() * 2 ** (scale - 3) * (below(2) === 0 ? 1 : -1))
  const left = first.reduce((so, value, i) => so - units(value * weights[i]!), sum)
  return [...first, ...f32sOf(left, onesOf(k))]
}

/** At a middle of two f32, and beside it by less than f64 holds, as much as it holds, and more. */
function middles(k: number, divisor: bigint): readonly Column[] {
  const few = [0, 2 ** -38, -(2 ** -38)] // two f32 hold no more
  const besides = k === 3 ? few : [...few, ...[40, 49, 52, 53, 58].flatMap((down) => [2 ** -down, -(2 ** -down)])]
  return Array.from({ length: 40 }, (_, i) => i - 20).flatMap((scale) => {
    const middle = divisor * units(((2 ** 24 + 2 * below(2 ** 23) + 1) / 2 ** 24) * 2 ** scale)
    return besides.map((beside) => columnOf(k, middle + units(beside * 2 ** scale), scale))
  })
}

/** What is left of elements that cancel: so many binades below them, at a middle or beside it. */
function cancelled(k: number, divisor: bigint): readonly Column[] {
  return Array.from({ length: 160 }, (_, i) => {
    const down = k === 3 ? 8 + (i % 11) : 8 + (i % 20)
    const middle = divisor * units(((2 ** 24 + 2 * below(2 ** 23) + 1) / 2 ** 24) * 2 ** -down)
    const left = k === 3 ? middle : middle + units((below(3) - 1) * 2 ** -66)
    return columnOf(k, below(2) === 0 ? left : -left, 2)
  })
}

/** Every size down to the smallest: sums below it, and by six a middle of two. */
const tiny = (k: number): readonly Column[] =>
  Array.from({ length: 180 }, (_, i) => {
    const unit = Math.max(LEAST, 2 ** (i - 260))
    const column = Array.from({ length: k }, () => (i % 3 === 0 ? below(2 ** 12) - 2 ** 11 : 0))
    const sum = 3 * (2 * below(2 ** 10) + 1)
    if (i % 3 !== 0) column[k - 2] = sum - (column[k - 1] = below(sum))
    return column.map((n) => n * unit)
  })
/** Normal elements whose sums by six are middles of values that are not. */
const cancelledToTiny = (k: number): readonly Column[] =>
  Array.from({ length: 60 }, () => {
    const value = 2 ** 23 + 2 ** 14 + below(2 ** 22)
    return [...Array<number>(k - 2).fill(0), value, 3 * (2 * below(2 ** 10) + 1) - value].map((n) => n * LEAST)
  })
/** Elements far from the smallest whose sums, as near to them as a proof in f64 goes, by three are such middles. */
const cancelledToJustTooSmall = (k: number): readonly Column[] =>
  Array.from({ length: 120 }, () => {
    const sum = 3 * (2 * below(2 ** 22) + 2 ** 23 + 1) // of 2⁻¹⁵⁰
    const first = 2 ** 23 + (sum % 2 ** 12) + 2 ** 12 * below(2 ** 9)
    const last = (sum - first) / 2 ** 12 - first
    return [first, ...Array<number>(k - 2).fill(0), last].map((n) => n * 2 ** -138)
  })
const zeros = (k: number): readonly Column[] =>
  Array.from({ length: 64 }, (_, i) => Array.from({ length: k }, (_, j) => (i % 2 === 0 || j === 0 ? -0 : 0)))
const huge = (k: number): readonly Column[] =>
  Array.from({ length: 96 }, (_, i) =>
    Array.from({ length: k }, (_, j) =>
      Math.fround((j % 2 === 0 ? 1 : -1) * 2 ** (112 + (i % 15)) * (0.5 + random() / 2)),
    ),
  )

/** Ordinary elements with others here and there among them, then whole blocks of those, then ordinary ones again. */
function mixed(k: number, hard: readonly Column[]): readonly Column[] {
  const among = hard.flatMap((column, i) => [column, ...Array.from({ length: (i * 7) % 11 }, () => usual(k))])
  const many = Array.from({ length: Math.ceil(1030 / hard.length) }, () => hard).flat()
  return [...among, ...many, ...Array.from({ length: 261 }, () => usual(k))]
}

const KINDS: Readonly<Record<string, (k: number, divisor: bigint) => readonly Column[]>> = {
  'at middles and beside them': middles,
  'that cancel': cancelled,
  'too small for the proof': tiny,
  'that cancel to what is too small': cancelledToTiny,
  'of zeros of either sign': zeros,
  'near the greatest': huge,
}

describe.each([3, 4, 5, 9])('averages of %i streams of F32', (k) => {
  test.each(Object.keys(KINDS))('[KRN-101] %s have the bits of arbitrary precision', (kind) => {
    for (const divisor of [1, 3, 6]) {
      const columns = mixed(k, KINDS[kind]!(k, BigInt(divisor)))
      for (const tier of ['inInterval', undefined] as const)
        expect([divisor, tier, firstWrong(columns, weightsOf(k), divisor, tier)]).toEqual([divisor, tier, 'none'])
    }
  })
})

test.each([3, 4, 5, 9])('[KRN-101] averages of %i streams by a divisor far below the weights are as exact', (k) => {
  const weights = weightsOf(k).map((weight) => weight * 2 ** 16)
  const columns = mixed(k, [...middles(k, 3n), ...cancelled(k, 3n)])
  expect(firstWrong(columns, weights, 3, 'inInterval')).toBe('none')
})

test.each([3, 4, 5, 9])(
  '[KRN-101] averages of %i streams that cancel to just below the normal ones are rounded as such',
  (k) => {
    const weights = Array.from({ length: k }, (_, i) => [1 + 2 ** -12, 1 + 2 ** -20][i] ?? 1)
    const columns = mixed(k, cancelledToJustTooSmall(k))
    expect(firstWrong(columns, weights, 3, 'inInterval')).toBe('none')
  },
)

test.each([3, 4, 5, 9])(
  '[KRN-101] of %i streams the greatest average is finite, and what lies beyond is refused',
  (k) => {
    const weights = Array.from({ length: k }, (_, i) => (i === 0 ? 1 + 2 ** -23 : 1))
    const at = (where: number, first: number, second: number) =>
      Array.from({ length: 1051 }, (_, i) =>
        i === where ? [first, second, ...Array<number>(k - 2).fill(0)] : usual(k),
      )
    for (const where of [0, 1023, 1050]) {
      expect(firstWrong(at(where, 0, MOST), weights, 1, 'inInterval')).toBe('none')
      expect(firstWrong(at(where, 0, -MOST), weights, 1)).toBe('none')
      expect(firstWrong(at(where, 2 ** -40, MOST), weights, 1, 'inInterval')).toBe('none')
      for (const [first, second] of [
        [MOST, 0],
        [2 ** 103, MOST],
        [-(2 ** 103), -MOST],
        [Infinity, 0],
        [0, Infinity],
        [-Infinity, Infinity],
        [0, NaN],
      ] as const)
        for (const tier of ['inInterval', undefined] as const)
          expect([where, first, second, averagesOf(at(where, first, second), weights, 1, tier)]).toEqual([
            where,
            first,
            second,
            false,
          ])
    }
  },
)
