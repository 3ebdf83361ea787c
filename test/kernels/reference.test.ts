import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { BINARIES, type Binary, COMPARES, type Compare, UNARIES, type Unary } from '../../src/core/graph-words.ts'
import { randomWords } from '../../src/core/philox.ts'
import { units } from '../../src/kernels/exact.ts'
import { BLOCK, type BlockSum } from '../../src/kernels/measures.ts'
import { keepBelow, magnitudeKey, referenceKernels as kernels } from '../../src/kernels/reference.ts'
import { f32s, f64s } from './adversary.ts'

const column = (...values: readonly number[]) => Float64Array.from(values)
const { NaN, MAX_VALUE, MIN_VALUE } = Number

// A word that is added to the graph does not compile until it has rows here.
const BINARY: Record<Binary, readonly (readonly [a: number, b: number, result: number])[]> = {
  plus: [
    [1, 2, 3],
    [0.1, 0.2, 0.30000000000000004],
    [-0, -0, -0],
    [1, -1, 0],
    [MAX_VALUE, MAX_VALUE, Infinity],
  ],
  minus: [
    [1, 2, -1],
    [0, 0, 0],
    [-0, 0, -0],
    [1, NaN, NaN],
  ],
  times: [
    [3, -2, -6],
    [-0, 2, -0],
    [MIN_VALUE, 0.5, 0],
    [Infinity, 0, NaN],
  ],
  over: [
    [1, 3, 0.3333333333333333],
    [1, 0, Infinity],
    [0, 0, NaN],
    [-1, 2, -0.5],
  ],
  min: [
    [1, 2, 1],
    [2, 1, 1],
    [0, -0, 0],
    [-0, 0, -0],
    [NaN, 1, NaN],
    [1, NaN, 1],
  ],
  max: [
    [1, 2, 2],
    [2, 1, 2],
    [0, -0, 0],
    [-0, 0, -0],
    [NaN, 1, NaN],
    [1, NaN, 1],
  ],
}
const UNARY: Record<Unary, readonly (readonly [a: number, result: number])[]> = {
  abs: [
    [-3, 3],
    [-0, 0],
    [-Infinity, Infinity],
  ],
  sqrt: [
    [2, 1.4142135623730951],
    [-0, -0],
    [-1, NaN],
    [MIN_VALUE, 2 ** -537],
  ],
  f32: [
    [0.1, 0.10000000149011612],
    [1 + 2 ** -24, 1],
    [1 + 3 * 2 ** -24, 1 + 2 ** -22],
    [2 ** -150, 0],
    [1e39, Infinity],
  ],
}
const COMPARE: Record<Compare, readonly (readonly [a: number, b: number, result: number])[]> = {
  above: [
    [2, 1, 1],
    [1, 1, 0],
    [0, -0, 0],
    [NaN, 1, 0],
    [1, NaN, 0],
  ],
  atLeast: [
    [2, 1, 1],
    [1, 1, 1],
    [-0, 0, 1],
    [1, 2, 0],
    [NaN, NaN, 0],
  ],
}
const BLOCK_SUMS: Record<BlockSum, (a: number, b: number) => number> = {
  sum: (a) => a,
  l1: (a) => (a < 0 ? -a : a),
  l2: (a) => a * a,
  dot: (a, b) => a * b,
  squaredDistance: (a, b) => (a - b) * (a - b),
}

describe('element by element', () => {
  test.each(BINARIES)('[NUM-8] %s is one operation of IEEE 754, or a choice between two', (op) => {
    const rows = BINARY[op]
    const [a, b, result] = [0, 1, 2].map((i) => Float64Array.from(rows, (row) => row[i]!)) as [
      Float64Array,
      Float64Array,
      Float64Array,
    ]
    expect(kernels.binary(op, a, b)).toEqual(result)
    expect(kernels.binary(op, a, b, a)).toBe(a)
    expect(a).toEqual(result)
  })

  test.each(UNARIES)('[NUM-8] %s', (op) => {
    const rows = UNARY[op]
    const a = Float64Array.from(rows, ([value]) => value)
    const result = Float64Array.from(rows, ([, wanted]) => wanted)
    expect(kernels.unary(op, a)).toEqual(result)
    expect(kernels.unary(op, a, a)).toBe(a)
    expect(a).toEqual(result)
  })

  test.each(COMPARES)('[NUM-8] %s makes a mask of 0 and 1', (op) => {
    for (const [a, b, result] of COMPARE[op]) expect(kernels.compare(op, column(a), column(b))).toEqual(column(result))
  })

  test('[NUM-8] choose takes a where the mask is not 0', () => {
    expect(kernels.choose(column(1, 0, -0, 1), column(1, 2, 3, -0), column(5, 6, 7, 8))).toEqual(column(1, 6, 7, -0))
  })

  test('[NUM-8] buffers are zeros, views share memory, fill fills, and lengths must agree', () => {
    const whole = kernels.allocate(6)
    expect(whole).toEqual(new Float64Array(6))
    kernels.fill(2, 7, kernels.view(whole, 3, 2))
    expect(whole).toEqual(column(0, 0, 0, 7, 7, 0))
    expect(kernels.fill(2, -0)).toEqual(column(-0, -0))
    expect(() => kernels.binary('plus', column(1), column(1, 2))).toThrow(/one length/)
    expect(() => kernels.unary('abs', column(1, 2), column(1))).toThrow(/one length/)
  })
})

describe('sums over a block', () => {
  /** The definition, written out: eight sums, then three levels of pairs. */
  const written = (op: BlockSum, a: Float64Array, b: Float64Array): number => {
    const lane = (l: number) => {
      let sum = 0
      for (let i = l; i < a.length; i += 8) sum = sum + BLOCK_SUMS[op](a[i]!, b[i]!)
      return sum
    }
    return lane(0) + lane(1) + (lane(2) + lane(3)) + (lane(4) + lane(5) + (lane(6) + lane(7)))
  }

  test.each(Object.keys(BLOCK_SUMS) as BlockSum[])('[NUM-9] %s runs in eight lanes, added in pairs', (op) => {
    const blocks = fc.array(fc.tuple(f32s, f32s), { maxLength: 70 })
    fc.assert(
      fc.property(blocks, (rows) => {
        const a = Float64Array.from(rows, ([value]) => value)
        const b = Float64Array.from(rows, ([, value]) => value)
        expect(kernels.reduce(op, a, b)).toBe(written(op, a, b))
      }),
      { seed: 1, numRuns: 300 },
    )
  })

  test('[NUM-9] lanes can be told from any other order', () => {
    const a = Float64Array.from(
      { length: 16 },
      (_, i) => [2 ** 53, 1, 1, -(2 ** 53), 1, 3, 2 ** -30, 1][i % 8]! * (i < 8 ? 1 : 0.75),
    )
    const inOrder = a.reduce((sum, x) => sum + x, 0)
    expect(kernels.reduce('sum', a)).toBe(written('sum', a, a))
    expect(kernels.reduce('sum', a)).not.toBe(inOrder)
    expect(kernels.reduce('sum', new Float64Array(0))).toBe(0)
    expect(kernels.reduce('sum', column(-0))).toBe(0)
  })

  test('[NUM-9] a block holds at most 4,096 elements', () => {
    expect(BLOCK).toBe(4096)
    expect(kernels.reduce('l1', kernels.fill(BLOCK, -1))).toBe(4096)
    expect(() => kernels.reduce('l1', new Float64Array(BLOCK + 1))).toThrow(/at most 4096/)
  })
})

describe('keep', () => {
  const key = { low: 0x12345678, high: 0x9abcdef0 }

  /** round(p · 2³²), half to even, in integers. */
  function belowExactly(p: number): bigint {
    const one = 1n << 1042n // 2⁻³² in units
    const whole = units(p) / one
    const rest = 2n * (units(p) % one)
    return rest > one || (rest === one && whole % 2n === 1n) ? whole + 1n : whole
  }

  test.each([
    [0, 0],
    [-1, 0],
    [-0, 0],
    [Number.NaN, 0],
    [MIN_VALUE, 0],
    [2 ** -33, 0], // half: to even
    [3 * 2 ** -33, 2],
    [2 ** -33 + 2 ** -80, 1],
    [5 * 2 ** -33, 2],
    [0.5, 2 ** 31],
    [0.3, 1288490189],
    [1 - 2 ** -33, 2 ** 32],
    [1, 2 ** 32],
    [1.5, 2 ** 32],
    [Infinity, 2 ** 32],
  ])('[RNG-6] a probability of %s keeps words below %s', (probability, below) => {
    expect(keepBelow(probability)).toBe(below)
  })

  test('[RNG-6] keeps exactly where the word of the element is below it', () => {
    const firsts = fc.oneof(fc.nat(10_000), fc.integer({ min: 2 ** 34 - 8, max: 2 ** 40 }))
    fc.assert(
      fc.property(firsts, fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 20 }), (first, q) => {
        const words = new Uint32Array(q.length)
        randomWords(key, first, words)
        const wanted = q.map((p, i) => (BigInt(words[i]!) < belowExactly(p) ? 1 : 0))
        expect(kernels.keep(key, first, Float64Array.from(q))).toEqual(Float64Array.from(wanted))
      }),
      { seed: 1, numRuns: 200 },
    )
  })

  test('[RNG-6] a mask does not know its tiles; 1 keeps all and 0 none', () => {
    const whole = kernels.keep(key, 1000, kernels.fill(4000, 0.3))
    for (const [from, to] of [
      [0, 1],
      [1, 6],
      [6, 4000],
    ] as const)
      expect(kernels.keep(key, 1000 + from, kernels.fill(to - from, 0.3))).toEqual(whole.slice(from, to))
    expect(kernels.keep(key, 0, kernels.fill(100, 1))).toEqual(kernels.fill(100, 1))
    expect(kernels.keep(key, 0, kernels.fill(100, 0))).toEqual(kernels.fill(100, 0))
  })
})

const { masks } = JSON.parse(readFileSync(new URL('../golden/vectors/seed.json', import.meta.url), 'utf8')) as {
  readonly masks: readonly { low: number; high: number; first: number; probability: number; kept: string }[]
}

test.each(masks)('[RNG-6] golden mask of probability $probability from element $first', (mask) => {
  const kept = kernels.keep(mask, mask.first, kernels.fill(mask.kept.length, mask.probability))
  expect(kept.join('')).toBe(mask.kept)
})

describe('sort', () => {
  test('[NUM-10] the values of an element come in one order, −0 before +0, whatever order they came in', () => {
    const cases = fc
      .array(f64s, { minLength: 1, maxLength: 9 })
      .chain((values) => fc.tuple(fc.constant(values), fc.shuffledSubarray(values, { minLength: values.length })))
    fc.assert(
      fc.property(cases, ([values, shuffled]) => {
        const sorted = kernels.sort(shuffled.map((value) => column(value)))
        expect(sorted.map((plane) => plane[0])).toEqual([...Float64Array.from(values).sort()])
      }),
      { seed: 1, numRuns: 1000 },
    )
  })

  test('[NUM-10] elements are sorted each on its own, in place if wanted', () => {
    const planes = [column(3, -0, 1), column(1, 0, 2), column(2, -0, 3)]
    const wanted = [column(1, -0, 1), column(2, -0, 2), column(3, 0, 3)]
    expect(kernels.sort(planes)).toEqual(wanted)
    kernels.sort(planes, planes)
    expect(planes).toEqual(wanted)
    expect(kernels.sort([])).toEqual([])
  })
})

test('[NUM-11] magnitude keys order as magnitudes do, without the sign', () => {
  fc.assert(
    fc.property(f32s, f32s, (a, b) => {
      expect(Math.sign(magnitudeKey(a) - magnitudeKey(b))).toBe(Math.sign(Math.abs(a) - Math.abs(b)))
      expect(magnitudeKey(-a)).toBe(magnitudeKey(a))
    }),
    { seed: 1, numRuns: 2000 },
  )
  expect(magnitudeKey(1)).toBe(0x3f800000)
  expect(magnitudeKey(-Infinity)).toBe(0x7f800000)
})
