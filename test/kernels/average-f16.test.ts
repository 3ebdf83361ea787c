/** Averages of F16 where their proof ends: middles of two codes, cancellation, and both ends of the range. */
import { describe, expect, test, vi } from 'vitest'
import { type AverageTier, planAverage } from '../../src/kernels/average-plan.ts'
import { nearest, units } from '../../src/kernels/exact.ts'
import { referenceKernels as reference } from '../../src/kernels/reference.ts'
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
const random = numbersFrom(103)
const below = (n: number) => Math.floor(random() * n)
const LEAST = 2 ** -24
/** 11 bits at a scale. */
const one = (scale: number) => (2 ** 10 + below(2 ** 10)) * 2 ** (scale - 10)

function averageOf(columns: readonly Column[], weights: readonly number[], divisor: number, tier?: AverageTier) {
  const kernels = createWasmKernels({ memoryBytes: 4 << 20 })
  const streams = weights.map((_, i) => {
    const bytes = kernels.allocateBytes(2 * columns.length)
    reference.encode(
      'F16',
      Float64Array.from(columns, (column) => column[i]!),
      bytes,
    )
    return bytes
  })
  const out = kernels.allocateBytes(2 * columns.length)
  asked.tier = tier
  return kernels.average('F16', streams, [...weights], divisor, out) && Buffer.from(out)
}

const rounded = (column: Column): Column => {
  const [bytes, values] = [Buffer.alloc(2 * column.length), new Float64Array(column.length)]
  reference.encode('F16', Float64Array.from(column), bytes)
  reference.decode('F16', bytes, values)
  return [...values]
}

/** The first element that has not the bits of arbitrary precision. */
function firstWrong(columns: readonly Column[], weights: readonly number[], divisor: number, tier?: AverageTier) {
  const right = Buffer.alloc(2 * columns.length)
  const quotients = Float64Array.from(columns, (column) => {
    return nearest(weights.reduce((sum, weight, i) => sum + units(weight * column[i]!), 0n)) / divisor
  })
  expect(reference.encode('F16', quotients, right)).toBe(-1)
  const averages = averageOf(columns, weights, divisor, tier)
  if (averages === false) return 'refused'
  const at = columns.findIndex((_, i) => averages.readInt16LE(2 * i) !== right.readInt16LE(2 * i))
  return at < 0
    ? 'none'
    : `${at}: ${averages.readInt16LE(2 * at)} for ${right.readInt16LE(2 * at)} of ${columns[at]!.join(', ')}`
}

const usual = (k: number): Column => {
  const base = one(-below(6)) * (below(2) === 0 ? 1 : -1)
  return Array.from({ length: k }, () => base)
}
const KINDS: Readonly<Record<string, (k: number) => Column>> = {
  'near each other': (k) => {
    const code = 2 ** 10 + below(2 ** 10 - 24)
    const scale = below(20) - 20
    return Array.from({ length: k }, () => (code + below(24)) * 2 ** scale)
  },
  'of any scale': (k) => Array.from({ length: k }, () => one(below(24) - 10) * (below(2) === 0 ? 1 : -1)),
  'that cancel': (k) => {
    const greatest = one(4)
    const left = one(3 - below(16))
    const grid = Math.round(left * 2 ** 14) * 2 ** -14 // no finer than what the others leave
    return [greatest, -greatest, grid, ...Array<number>(k - 3).fill(0)]
  },
  'whose third is a middle far below them': (k) => {
    const units = 3 * (2 * below(2 ** 10) + 2 ** 11 + 1) // of 2⁻¹⁷
    const low = units % 2 ** 11
    const greatest = 2 ** 15 + 2 ** 5 * below(2 ** 9)
    const columns = [greatest, 2 ** 5 - greatest, (units - low) * 2 ** -17 - 2 ** 5, low * 2 ** -17]
    return [...columns.slice(0, k), ...Array<number>(Math.max(0, k - 4)).fill(0)]
  },
  'on a middle': (k) => {
    const middle = 2 * below(2 ** 10) + 2 ** 11 + 1
    const [half, third] = [(middle - 1) / 2, below(64)]
    return [half + 1, half - third, third, ...Array<number>(k - 3).fill(0)].map((n) => n * 2 ** -8)
  },
  'whose fourth is beside a middle by what f32 would lose': (k) => {
    const [fourfold, gap] = [4 + (2 * below(32) + 1) * 2 ** -9, 2 ** -(12 + below(2))]
    const columns = [1.9375, fourfold - gap - 3.875, gap * (1 + 2 ** -10), 1.9375]
    const scale = 2 ** below(8)
    return Array.from({ length: k }, (_, i) => (columns[i] ?? 0) * scale)
  },
  subnormal: (k) => Array.from({ length: k }, () => (below(2 ** 11) - 2 ** 10) * LEAST),
  'at the least normal one': (k) => Array.from({ length: k }, () => (2 ** 10 + below(12) - 6) * LEAST),
  'of zeros of either sign': (k) => Array.from({ length: k }, () => (below(2) === 0 ? -0 : 0)),
  'near the greatest': (k) => Array.from({ length: k }, () => Math.min(65504, one(14 + below(2))) / (k > 3 ? 2 : 1)),
}
const WEIGHTS: Readonly<Record<string, (k: number) => number[]>> = {
  decimals: (k) => Array.from({ length: k }, (_, i) => Math.fround([0.3, 0.5, 0.2][i % 3]!)),
  any: (k) => Array.from({ length: k }, (_, i) => Math.fround(0.731 + 0.137 * ((i * 7) % 11))),
  'nearly one': (k) => Array.from({ length: k }, (_, i) => (i === k - 1 ? 1 + 2 ** -23 : 1)),
  'of both signs': (k) => Array.from({ length: k }, (_, i) => Math.fround((i % 3 === 1 ? -0.4 : 0.9) + i / 77)),
}

describe.each([3, 4, 9])('averages of %i streams of F16', (k) => {
  test.each(Object.keys(KINDS))('[KRN-103] %s have the bits of arbitrary precision', (kind) => {
    const hard = Array.from({ length: 160 }, () => rounded(KINDS[kind]!(k)))
    const among = hard.flatMap((column, i) => [column, ...Array.from({ length: (i * 5) % 13 }, () => usual(k))])
    const columns = [...among.slice(0, 601), ...hard, ...Array.from({ length: 101 }, () => usual(k))]
    for (const [weighting, weigh] of Object.entries(WEIGHTS)) {
      if (kind === 'near the greatest' && weighting === 'of both signs') continue // they come to more
      const weights = weigh(k)
      const total = weights.reduce((sum, weight) => sum + weight, 0)
      for (const divisor of weighting === 'nearly one' && kind !== 'near the greatest' ? [3, 7] : [total, total * 1.5])
        for (const tier of ['inInterval', undefined] as const)
          expect([weighting, divisor, tier, firstWrong(columns, weights, divisor, tier)]).toEqual([
            weighting,
            divisor,
            tier,
            'none',
          ])
    }
  })
})

/** Sums by them lie on a middle, beside one as near as can be, or far from it. */
const DIVISORS = (k: number) => [k, 1, 2, 3, 7, 1.5 * k, 2047 / 16]

describe.each([2, 3, 4, 8, 9])('equal weights of %i streams of F16', (k) => {
  test.each(Object.keys(KINDS))('[KRN-104] %s have the bits of arbitrary precision', (kind) => {
    const own = () => KINDS[kind]!(Math.max(3, k)).slice(0, k)
    const columns = [
      ...Array.from({ length: 80 }, () => rounded(own())),
      ...Array.from({ length: 41 }, () => usual(k)),
      ...Array.from({ length: 80 }, () => rounded(own().map((_, i, column) => column[(i + below(2)) % k]!))),
    ]
    const comesToMore = kind === 'near the greatest' || kind === 'whose third is a middle far below them'
    for (const [i, divisor] of DIVISORS(k).entries()) {
      if (divisor < k && comesToMore) continue
      const weight = [1, 0.75, 18000][i % 3]!
      const weights = Array<number>(k).fill(weight)
      for (const tier of k > 8 ? [undefined] : (['inF32', undefined] as const)) {
        const wrong = firstWrong(columns, weights, divisor * weight, tier)
        expect([divisor, tier, wrong]).toEqual([divisor, tier, 'none'])
      }
    }
  })

  test('[KRN-104] any codes have the bits of arbitrary precision, and what is not finite is refused', () => {
    const code = () => below(0x7c00) | (below(2) << 15)
    const [bytes, values] = [new Uint16Array(k), new Float64Array(k)]
    const columns = Array.from({ length: 2048 }, (): Column => {
      const [least, kind] = [below(0x7c00), below(4)]
      // a column of zeros must leave those beside it alone
      for (let i = 0; i < k; i++)
        bytes[i] = kind === 0 ? code() : kind === 1 ? 0 : Math.min(0x7bff, least + below(0x1000))
      reference.decode('F16', new Uint8Array(bytes.buffer), values)
      return [...values]
    })
    const weights = Array<number>(k).fill(1)
    expect(firstWrong(columns, weights, k)).toBe('none')
    for (const where of [0, 7, 8, 2047])
      for (const bad of [Infinity, -Infinity, NaN]) {
        const among = columns.map((column, i) => (i === where ? [...column.slice(1), bad] : column))
        expect([where, bad, averageOf(among, weights, k)]).toEqual([where, bad, false])
      }
    for (const [other, isFinite] of [
      [15.9921875, true],
      [16, false],
      [65504, false],
    ] as const) {
      const rest = Array<number>(k - 2).fill(0)
      const among = columns.map((column, i) => (i === 9 ? [65504, other, ...rest] : column.map((value) => value / 16)))
      expect([other, averageOf(among, weights, 1) !== false]).toEqual([other, isFinite])
    }
  })
})

test('[KRN-104] equal weights of up to eight F16 are added in f32, however they are written', () => {
  const first = (weights: number[], divisor: number) => planAverage('F16', weights, divisor).tiers[0]
  for (const k of [2, 3, 8])
    expect([first(Array<number>(k).fill(1), k), first(Array<number>(k).fill(0.375), 0.375 * k)]).toEqual([
      'inF32',
      'inF32',
    ])
  expect(first([1, 1, 2], 4)).not.toBe('inF32')
  expect(first(Array<number>(9).fill(1), 9)).not.toBe('inF32')
  // what is no normal f16 would come out as one
  expect(first([1, 1, 1], 0.75)).not.toBe('inF32')
})

test.each([3, 4, 9])('[KRN-103] of %i streams the greatest average is finite, and what lies beyond is refused', (k) => {
  const weights = Array.from({ length: k }, (_, i) => (i === 0 ? 1 + 2 ** -23 : 1))
  const at = (where: number, first: number, second: number) =>
    Array.from({ length: 61 }, (_, i) =>
      i === where ? [first, second, ...Array<number>(k - 2).fill(0)] : usual(k).map((value) => value / 16),
    )
  for (const where of [0, 3, 7, 8, 59, 60]) {
    for (const [first, second] of [
      [0, 65504],
      [0, -65504],
      [8, 65504],
      [15.9921875, 65504],
    ] as const)
      // prettier-ignore
      for (const tier of ['inInterval', undefined] as const)
        expect([first, second, firstWrong(at(where, first, second), weights, 1, tier)]).toEqual([first, second, 'none'])
    for (const [first, second] of [
      [16, 65504],
      [-16, -65504],
      [65504, 65504],
      [Infinity, 0],
      [0, Infinity],
      [Infinity, -Infinity],
      [0, NaN],
    ] as const)
      for (const tier of ['inInterval', undefined] as const)
        expect([where, first, second, averageOf(at(where, first, second), weights, 1, tier)]).toEqual([
          where,
          first,
          second,
          false,
        ])
  }
})
