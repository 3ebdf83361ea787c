/** Each way to an average alone, with no cheaper one before it that would take what it is bad at. */
import { describe, expect, test, vi } from 'vitest'
import type { AverageDtype, AverageTier } from '../../src/kernels/average-plan.ts'
import { nearest, units } from '../../src/kernels/exact.ts'
import { referenceKernels as reference } from '../../src/kernels/reference.ts'
import { createWasmKernels } from '../../src/kernels/wasm.ts'
import { numbersFrom } from '../merge-strategies/world.ts'
import { denseTies, fullBins } from './dense-sums.ts'

const asked = vi.hoisted((): { tier: AverageTier | undefined; seen: readonly AverageTier[] } => ({
  tier: undefined,
  seen: [],
}))
vi.mock('../../src/kernels/average-plan.ts', async (original) => {
  const real = await original<typeof import('../../src/kernels/average-plan.ts')>()
  const planAverage: typeof real.planAverage = (...all) => {
    const plan = real.planAverage(...all)
    asked.seen = plan.tiers
    return asked.tier ? { ...plan, tiers: [asked.tier] } : plan
  }
  return { ...real, planAverage }
})

const FORMS = {
  BF16: { bytes: 2, digits: 7, top: 120, bottom: -133 },
  F16: { bytes: 2, digits: 10, top: 6, bottom: -24 },
  F32: { bytes: 4, digits: 23, top: 120, bottom: -149 },
} as const
type Column = readonly number[]

/** Averages of columns by one tier, and those of arbitrary precision, as bytes. */
function averagesOf(
  dtype: AverageDtype,
  columns: readonly Column[],
  weights: readonly number[],
  divisor: number,
  tier?: AverageTier,
) {
  const kernels = createWasmKernels({ memoryBytes: 4 << 20 })
  const { bytes } = FORMS[dtype]
  const length = columns.length
  const planes = weights.map(() => new Float64Array(length))
  const streams = planes.map((plane, i) => {
    const stream = kernels.allocateBytes(length * bytes)
    reference.encode(
      dtype,
      plane.map((_, at) => columns[at]![i]!),
      stream,
    )
    reference.decode(dtype, stream, plane)
    return stream
  })
  const right = new Uint8Array(length * bytes)
  const exact = new Float64Array(length).map((_, at) => {
    return nearest(planes.reduce((sum, plane, i) => sum + units(plane[at]! * weights[i]!), 0n)) / divisor
  })
  expect(reference.encode(dtype, exact, right)).toBe(-1)
  asked.tier = tier
  const out = kernels.allocateBytes(length * bytes)
  expect(kernels.average(dtype, streams, [...weights], divisor, out)).toBe(true)
  return { out: Buffer.from(out), right: Buffer.from(right), tiers: asked.seen }
}

/** The index and both results of the first element that differs. */
const differs = ({ out, right }: { out: Buffer; right: Buffer }) => {
  const at = out.findIndex((byte, i) => byte !== right[i])
  return at < 0 ? 'nothing' : `byte ${at}: ${out[at]} for ${right[at]}`
}

/** Columns that hurt: scales that cancel one by one down to a residue, ties, ties that something far below breaks. */
function columnsOf(dtype: AverageDtype, k: number, count: number): readonly Column[] {
  const random = numbersFrom(k)
  const below = (n: number) => Math.floor(random() * n)
  const { digits, top, bottom } = FORMS[dtype]
  const one = (scale: number) =>
    (random() < 0.5 ? -1 : 1) * (1 + below(2 ** digits) / 2 ** digits) * 2 ** Math.max(bottom + digits, scale)
  const shuffled = (values: number[]) => {
    for (let i = values.length - 1; i > 0; i--) {
      const j = below(i + 1)
      ;[values[i], values[j]] = [values[j]!, values[i]!]
    }
    return values
  }
  const kinds: readonly (() => number[])[] = [
    () => Array.from({ length: k }, () => one(below(top - 5 - bottom) + bottom)),
    () => Array.from({ length: k }, () => Math.round((random() - 0.5) * 2 ** digits) * 2 ** bottom),
    () => Array.from({ length: k }, () => 1 + below(2 ** digits) / 2 ** digits),
    () => {
      const first = one(below(8))
      return shuffled(
        Array.from({ length: k }, (_, i) => (i % 2 === 0 ? first : -first * (1 + below(2) / 2 ** digits))),
      )
    },
    () => {
      const values: number[] = []
      const apart = 1 + below((top - bottom) / Math.max(2, k >> 1))
      for (let scale = top - 5; values.length + 2 <= k; scale -= apart) {
        const value = one(scale)
        values.push(value, -value)
      }
      return shuffled([...values, below(5) * 2 ** bottom].slice(-k))
    },
    () => {
      const scale = dtype === 'F16' ? below(6) : below(60)
      const far = [1, 2 ** -(digits + 1), 2 ** -(53 - below(3)), 2 ** -(54 + below(70)), 2 ** -(130 + below(20))]
      const values = far.map((value) => Math.max(2 ** bottom, value * 2 ** scale) * (random() < 0.5 ? -1 : 1))
      return shuffled([...values, ...Array.from({ length: k }, () => 0)].slice(0, k))
    },
  ]
  return Array.from({ length: count }, (_, i) => kinds[(i >> 3) % kinds.length]!())
}

const WEIGHTS: Readonly<Record<string, (k: number) => number[]>> = {
  equal: (k) => Array<number>(k).fill(1),
  'one power of two': (k) => Array<number>(k).fill(-0.5),
  any: (k) => Array.from({ length: k }, (_, i) => Math.fround(0.731 + 0.137 * (((i >> 1) * 7) % 11))),
  'small and whole, of both signs': (k) => Array.from({ length: k }, (_, i) => [-0.5, 1, 0.5, 8, 0.5, 0.5][i % 6]!),
  'small and whole, one of them three': (k) => Array.from({ length: k }, (_, i) => (i === 5 ? 3 : 1)),
  'with a middle': (k) => Array.from({ length: k }, (_, i) => (i === 0 ? 1 + 2 ** -8 : 1)),
  'of both signs, far apart': (k) =>
    Array.from({ length: k }, (_, i) =>
      Math.fround((i % 3 === 1 ? -1 : 1) * (1.3 + (i % 5) / 7) * 2 ** ((i * 11) % 7)),
    ),
}

describe.each(['BF16', 'F16', 'F32'] as const)('averages of %s', (dtype) => {
  test.each([3, 4, 6, 8, 9, 12, 16, 17, 64])('[KRN-13] of %i streams have their bits by each tier alone', (k) => {
    for (const [weighting, weigh] of Object.entries(WEIGHTS)) {
      const weights = weigh(k)
      const columns = columnsOf(dtype, k, 144)
      for (const divisor of [weights.reduce((sum, weight) => sum + weight, 0), 1]) {
        const { tiers } = averagesOf(dtype, columns.slice(0, 1), weights, divisor)
        for (const tier of [...tiers, ...(tiers.includes('anyScales') ? [] : (['anyScales'] as const))])
          expect([weighting, divisor, tier, differs(averagesOf(dtype, columns, weights, divisor, tier))]).toEqual([
            weighting,
            divisor,
            tier,
            'nothing',
          ])
      }
    }
  })

  const { digits, bottom } = FORMS[dtype]
  test.each([4, 8, 16, 17, 40, 64])('[KRN-98] a tie of %i terms goes to the side of what is far below it', (k) => {
    const columns: number[][] = []
    for (let scale = dtype === 'F16' ? 0 : -20; scale < (dtype === 'F16' ? 12 : 60); scale++)
      for (const [edge, last] of [
        [1, 1] as const,
        [1, -1] as const,
        [-1, 1] as const,
        [-1, -1] as const,
        [1, 0] as const,
      ])
        for (const down of [57, 75, 97, 108, 125]) {
          const far = [1, 2 ** -(digits + 1), edge * 2 ** -53, last * 2 ** -down]
          const values = far.map((value) => (Math.abs(value) * 2 ** scale < 2 ** bottom ? 0 : value * 2 ** scale))
          columns.push([...values, ...Array.from({ length: k - 4 }, () => 0)])
        }
    const alike = Array<number>(k).fill(1)
    const others = [...alike.slice(0, 3), ...Array<number>(k - 3).fill(3)] // of zeros, and of what is far below as a third
    for (const weights of [alike, others])
      expect(differs(averagesOf(dtype, columns, weights, 1, 'anyScales'))).toBe('nothing')
  })
})

test.each([4, 6, 12])(
  '[KRN-13] of %i bf16 of any scales the greatest result is finite, and what lies beyond it is none',
  (k) => {
    const kernels = createWasmKernels({ memoryBytes: 4 << 20 })
    let tier: AverageTier = 'anyScales'
    const averageOf = (weights: readonly number[], ...codes: readonly number[]) => {
      const streams = weights.map((_, i) => {
        const stream = kernels.allocateBytes(32)
        new Uint16Array(stream.buffer, stream.byteOffset, 16).fill(codes[i] ?? 0)
        return stream
      })
      const out = kernels.allocateBytes(32)
      asked.tier = tier
      return (
        kernels.average('BF16', streams, [...weights], 1, out) &&
        new DataView(out.buffer, out.byteOffset).getInt16(30, true)
      )
    }
    const last = 0x7f7f
    const half = 0x7f7f - (8 << 7) - 0x7f // of its last place
    const weighting = [Array<number>(k).fill(1), [1, 1, ...Array<number>(k - 2).fill(3)]]
    for (const weights of weighting.flatMap((one) => [one, [...one]])) {
      tier = tier === 'anyScales' ? 'besideMiddles' : 'anyScales'
      expect(averageOf(weights, last)).toBe(last)
      expect(averageOf(weights, last | 0x8000)).toBe(last - 0x8000)
      expect(averageOf(weights, last, half - 1)).toBe(last)
      expect(averageOf(weights, last, half)).toBe(false)
      expect(averageOf(weights, last, half + 0x40)).toBe(false)
      expect(averageOf(weights, last, last)).toBe(false)
      expect(averageOf(weights, 0x7f80)).toBe(false)
      expect(averageOf(weights, 0xffc0, 1)).toBe(false)
    }
  },
)

test.each([4, 6, 12])(
  '[KRN-13] of %i bf16 with small whole weights the largest and the smallest have their bits',
  (k) => {
    const random = numbersFrom(k)
    const columns = Array.from({ length: 160 }, (_, i) => {
      const one = () => (1 + Math.floor(random() * 128) / 128) * 2 ** (120 + Math.floor(random() * 8))
      const [great, other] = [one(), one()]
      const small = () => Math.round((random() - 0.5) * 256) * 2 ** -133
      const pair = i % 16 < 8 ? [great, -great] : [great, -other]
      return [...pair, ...Array.from({ length: k - 2 }, small)]
    })
    for (const weights of [
      [2, 2, ...Array<number>(k - 2).fill(1)],
      [16, 16, ...Array<number>(k - 2).fill(8)],
      [1, 1, ...Array<number>(k - 2).fill(16)],
    ])
      expect(differs(averagesOf('BF16', columns, weights, 64, 'anyScales'))).toBe('nothing')
  },
)

test('[KRN-13] a sum of bf16 in f64 that rounded beside a middle, or past one, is not taken', () => {
  const [half, t] = [2 ** -31, 2 ** -32 * (1 + 2 ** -6)]
  const beside = [2 ** 22, 1, 2 ** -8, -half * (1 + 2 ** -7), t, t, -(2 ** 22)]
  const lost = Array<number>(5).fill(-(2 ** -19) * (1 - 2 ** -8))
  const past = [2 ** 34, 1, 2 ** -8, 2 ** -18, ...lost, -(2 ** 34)]
  for (const column of [beside, past])
    for (const sign of [1, -1]) {
      const columns = Array<Column>(8).fill(column.map((value) => sign * value))
      const weights = Array<number>(column.length).fill(1)
      expect(differs(averagesOf('BF16', columns, weights, 1, 'besideMiddles'))).toBe('nothing')
    }
})

test.each([49, 103, 3])(
  '[KRN-13] sums on a middle of two codes by %i go to the even one, though the inverse is rounded',
  (divisor) => {
    const columns: number[][] = []
    for (let middle = 257; middle < 512; middle += 2)
      for (const down of [0, 20, 137]) {
        const sum = middle * divisor
        const low = sum % 128
        const rest = (sum - low) % 8192 // each of at most eight bits
        columns.push([sum - low - rest, low, -rest, 0, 0].map((value) => value * 2 ** -down))
      }
    for (const weights of [
      [1, 1, -1, 1, 1],
      [1, 1, -1, 1, 3],
      [0.5, 0.5, 0.5, 0.5, 0.5],
    ]) {
      const shown = weights[2] === 0.5 ? columns.map(([a, b, c, d, e]) => [a!, b!, -c!, d!, e!]) : columns
      const by = weights[0] === 0.5 ? divisor / 2 : divisor
      expect(differs(averagesOf('BF16', shown, weights, by, 'anyScales'))).toBe('nothing')
    }
  },
)

test('[KRN-98] a tie of three terms goes to the side of what is far below it', () => {
  const columns: number[][] = []
  for (let scale = -20; scale < 60; scale++)
    for (const edge of [1, -1])
      for (const last of [1, -1, 0])
        for (const down of [57, 97, 108, 109])
          columns.push([2 ** scale, edge * 2 ** (scale - 53), last * 2 ** (scale - down)])
  expect(differs(averagesOf('BF16', columns, [1 + 2 ** -8, 1, 1], 1, 'inLevels'))).toBe('nothing')
})

test.each([6, 8, 16])(
  '[KRN-13] of %i bf16 what is left where two scales cancel is not taken from sums that rounded it off',
  (k) => {
    const zeros = Array<number>(k - 6).fill(0)
    for (let places = 10; places < 20; places++)
      for (const side of [1, -1]) {
        // beside a small term the third is rounded onto a middle, and the last then lifts it to the wrong side
        const beside = 1 + 2 ** -8 - side * 2 ** -(places + 2)
        const down = 2 ** (places - 52)
        const column = [2 ** 60, 1, down, -1, -(2 ** 60), side * down * 2 ** -(places + 3), ...zeros]
        const weights = [1, 1, beside, 1, 1, 1, ...zeros.map(() => 1)]
        expect(differs(averagesOf('BF16', Array<Column>(8).fill(column), weights, 1, 'inLevels'))).toBe('nothing')
      }
  },
)

test('[KRN-13] of many bf16 what is left far below two scales that cancel is not taken from sums that rounded off more', () => {
  const lost = Array<number>(24).fill(2 ** -53 * (1 - 2 ** -8)) // of each, nothing is seen beside 1
  const weights = Array.from({ length: 32 }, (_, i) => (i === 0 ? 1 + 2 ** -8 : 1)) // of a zero: else codes would be sorted
  for (let down = 22; down < 38; down++)
    for (const beside of [14, 16, 17, 18, 19]) {
      const left = [1, 2 ** -8, -(2 ** -beside)].map((value) => value * 2 ** -down)
      const column = [0, 2 ** 60, 1, ...lost, ...left, -1, -(2 ** 60)]
      const columns = Array.from({ length: 8 }, (_, i) => column.map((value) => (i % 2 === 0 ? value : -value)))
      expect([down, beside, differs(averagesOf('BF16', columns, weights, 1, 'inLevels'))]).toEqual([
        down,
        beside,
        'nothing',
      ])
    }
})

test.each([2, 3, 4, 8])(
  '[KRN-13] of %i bf16 blocks of subnormal ones lie among others, and all have their bits',
  (k) => {
    const random = numbersFrom(k)
    const columns = Array.from({ length: 6 * 2048 + 40 }, (_, i) => {
      const isTiny = [1, 2, 4].includes(i >> 11) && (i >> 11 !== 4 || i % 700 > 300)
      const scale = isTiny ? 2 ** -133 : 2 ** -8
      return Array.from({ length: k }, () => Math.round((random() - 0.5) * 128) * scale)
    })
    const weights = Array<number>(k).fill(1)
    for (const tier of ['inF32', undefined] as const)
      expect(differs(averagesOf('BF16', columns, weights, k, tier))).toBe('nothing')
  },
)

test.each([
  ['BF16', 24],
  ['BF16', 48],
  ['BF16', 56],
  ['BF16', 112],
  ['BF16', 240],
  ['F32', 56],
  ['F32', 240],
] as const)(
  '[KRN-98] bins of %s hold %i terms of their greatest and the last place of their smallest',
  (dtype, great) => {
    const { columns, weights } = fullBins(dtype, great)
    expect(differs(averagesOf(dtype, columns, weights, 1, 'anyScales'))).toBe('nothing')
  },
)

test.each([24, 48, 56].flatMap((great) => [8, 9, 12].map((bits) => [great, bits] as const)))(
  '[KRN-120] bins hold %i terms of F32 whose weights have %i bits, and their last places',
  (great, bits) => {
    const { columns, weights } = fullBins('F32', great, bits)
    expect(differs(averagesOf('F32', columns, weights, 1, 'anyScales'))).toBe('nothing')
  },
)

describe.each(['BF16', 'F16', 'F32'] as const)('averages of %s', (dtype) => {
  test.each([5, 10, 20, 23, 24, 25, 28, 31, 32, 33, 48])(
    '[KRN-120] of %i streams that are sorted, or too many for that, have their bits',
    (k) => {
      for (const [weighting, weigh] of Object.entries(WEIGHTS)) {
        const weights = weigh(k)
        const columns = columnsOf(dtype, k, 96)
        const all = averagesOf(dtype, columns, weights, 256, 'anyScales')
        expect([weighting, differs(all)]).toEqual([weighting, 'nothing'])
      }
    },
  )
})

test('[KRN-121] where weights cancel, or are divided by little, no f64 sum of bf16 is taken for a code', () => {
  const random = numbersFrom(4)
  const one = () => (1 + Math.floor(random() * 128) / 128) * (random() < 0.5 ? -1 : 1)
  for (const [weights, divisor] of [
    [[1, 1, -1, 2 ** -40 - 1], 2 ** -60],
    [[1, 1, -1, -1], 2 ** -60],
    [[0.3, 0.5, 0.3, 0.5].map(Math.fround), 2 ** -60],
  ] as const) {
    const columns = Array.from({ length: 320 }, (_, i) => {
      const [great, small] = [one(), one() * 2 ** -(40 + (i % 16))]
      return weights[2] < 0 ? [great, small, great, small] : [great, small, -great, -small]
    })
    for (const tier of ['besideMiddles', 'inSpan', 'inLevels', 'anyScales'] as const)
      expect([tier, differs(averagesOf('BF16', columns, [...weights], divisor, tier))]).toEqual([tier, 'nothing'])
  }
})

/** Values of eight bits that add up to n. */
function bytesOf(n: number): number[] {
  const low = n % 256
  return n === 0 ? [] : n < 256 ? [n] : [...bytesOf(Math.floor(n / 256)).map((value) => value * 256), low]
}

test.each([5, 6, 8, 13, 24])(
  '[KRN-122] of %i bf16 what a quotient leaves to the middle of its cell names its code, however little it is',
  (k) => {
    for (const divisor of [1, 3, 6, 24, 511, 8191, 8193, 511 + 2 ** -7]) {
      const columns: number[][] = []
      for (let down = 71; down >= 16; down--)
        for (let middle = 257; middle < 512; middle += 10)
          for (const side of [1, -1, 0]) {
            const scale = (middle % 100) - 20
            const wholes = bytesOf(middle * divisor * 128).map((part) => part / 128)
            const parts = [...wholes, side * 2 ** -down].map((part) => part * 2 ** scale)
            columns.push(
              [...parts, ...Array<number>(k - parts.length).fill(0)].map((part) => (down % 2 ? part : -part)),
            )
          }
      expect([divisor, differs(averagesOf('BF16', columns, Array<number>(k).fill(1), divisor, 'anyScales'))]).toEqual([
        divisor,
        'nothing',
      ])
    }
  },
)

test.each([4, 7, 16])('[KRN-122] of %i bf16 that cancel, quotients below the normal ones are rounded once', (k) => {
  for (const divisor of [1, 3, 64, 512, 513, 6144]) {
    const columns = Array.from({ length: 2048 }, (_, i) => {
      const [first, second] = [128 + (i % 128), 128 + ((i * 37) % 128)]
      const pair = [first, i % 7 === 0 ? second * 2 ** (i % 23) : -second].map((value) => value * 2 ** -125)
      const others = i % 3 === 0 ? [2 ** 30, -(2 ** 30)] : [0, 0]
      return [...others, ...pair, ...Array<number>(k - 4).fill(0)]
    })
    expect([divisor, differs(averagesOf('BF16', columns, Array<number>(k).fill(1), divisor, 'anyScales'))]).toEqual([
      divisor,
      'nothing',
    ])
  }
})

test.each([
  ['BF16', 12],
  ['BF16', 20],
  ['BF16', 44],
  ['F32', 20],
] as const)(
  '[KRN-98] sums of %s whose %i dense terms come to a tie, or next to one, are rounded once',
  (dtype, count) => {
    const { columns, weights } = denseTies(dtype, count)
    expect(differs(averagesOf(dtype, columns, weights, 1, 'anyScales'))).toBe('nothing')
  },
)
