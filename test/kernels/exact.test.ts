import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { exactSum, nearest, sumsExactly, units } from '../../src/kernels/exact.ts'
import type { ExactSums } from '../../src/kernels/kernels.ts'
import { referenceKernels as kernels } from '../../src/kernels/reference.ts'
import { addThree } from '../../src/kernels/add-three.ts'
import { f32s, f64s, sums, type Term } from './adversary.ts'

type Sums = ExactSums<Float64Array>
const { MAX_VALUE, MIN_VALUE } = Number
const productOf = ({ value, weight }: Term) => value * weight
const column = (...values: readonly number[]) => Float64Array.from(values)

/** Many sums at once, one for each element; shorter ones are filled up with terms of zero weight. */
function planesOf(cases: readonly (readonly Term[])[]): readonly { plane: Float64Array; weight: Float64Array }[] {
  return Array.from({ length: Math.max(...cases.map((terms) => terms.length)) }, (_, i) => ({
    plane: Float64Array.from(cases, (terms) => terms[i]?.value ?? 1),
    weight: Float64Array.from(cases, (terms) => terms[i]?.weight ?? 0),
  }))
}

const summed = (cases: readonly (readonly Term[])[]): Float64Array => {
  const sums = kernels.exactSums(cases.length)
  for (const { plane, weight } of planesOf(cases)) sums.add(plane, weight, 1)
  return sums.read()
}

const wanted = (cases: readonly (readonly Term[])[]) =>
  Float64Array.from(cases, (terms) => exactSum(terms.map(productOf)))

describe('the specification', () => {
  test('[NUM-1] units and back is the identity on every finite f64', () => {
    fc.assert(
      fc.property(f64s, (value) => {
        expect(nearest(units(value))).toBe(value === 0 ? 0 : value)
      }),
      { seed: 1, numRuns: 3000 },
    )
  })

  test('[NUM-1] a sum of two is what one addition of IEEE 754 gives', () => {
    fc.assert(
      fc.property(f64s, f64s, (a, b) => {
        expect(exactSum([a, b])).toBe(a + b + 0)
      }),
      { seed: 1, numRuns: 5000 },
    )
  })

  test.each([
    ['a tie goes to the even neighbour below', [2 ** 53, 1], 2 ** 53],
    ['a tie goes to the even neighbour above', [2 ** 53 + 2, 1], 2 ** 53 + 4],
    ['a tie is broken by the smallest number there is', [2 ** 53, 1, MIN_VALUE], 2 ** 53 + 2],
    ['and by its negative', [2 ** 53 + 2, 1, -MIN_VALUE], 2 ** 53 + 2],
    ['rounding up carries into the next binade', [2 ** 54 - 2, 1, 0.5], 2 ** 54 - 2 + 2],
    ['half a unit above the largest is an infinity', [MAX_VALUE, 2 ** 970], Infinity],
    ['less than half is the largest', [MAX_VALUE, 2 ** 970, -MIN_VALUE], MAX_VALUE],
    ['an overflow on the way is none', [MAX_VALUE, MAX_VALUE, -MAX_VALUE], MAX_VALUE],
    ['subnormals add without rounding', [MIN_VALUE, 2 ** -1022, -MIN_VALUE * 3], 2 ** -1022 - MIN_VALUE * 2],
  ] as const)('[NUM-1] %s', (_, terms, sum) => {
    expect(exactSum(terms)).toBe(sum)
    expect(exactSum(terms.map((term) => -term))).toBe(-sum)
  })

  test('[NUM-1] what is not finite has no units', () => {
    expect(() => units(Infinity)).toThrow(/not a number of units/)
    expect(() => units(Number.NaN)).toThrow(/not a number of units/)
  })
})

test('[NUM-2] sums are known to lose nothing where all are few of one unit', () => {
  expect([[], [0, -0], [0.5, -0.25], [2 ** 300, 2 ** 300], [2 ** 52, 2 ** 52 - 1]].map(sumsExactly)).not.toContain(
    false,
  )
  expect(
    [
      [2 ** 53, 1],
      [2 ** 53 - 1, -2],
      [1, 2 ** -53],
      [Number.MAX_VALUE, Number.MIN_VALUE],
    ].map(sumsExactly),
  ).not.toContain(true)
})

describe('exact sums', () => {
  test('[NUM-2] equal the specification bit for bit', () => {
    fc.assert(
      fc.property(fc.array(sums, { minLength: 1, maxLength: 20 }), (cases) => {
        expect(summed(cases)).toEqual(wanted(cases))
      }),
      { seed: 1, numRuns: 400 },
    )
  })

  test('[NUM-2] equal it beyond products of f32 values too: a term is the f64 product', () => {
    fc.assert(
      fc.property(fc.array(f64s, { minLength: 1, maxLength: 8 }), (values) => {
        const sums = kernels.exactSums(1)
        for (const value of values) sums.addScaled(column(value), 1, 1)
        expect(sums.read()).toEqual(column(exactSum(values)))
      }),
      { seed: 1, numRuns: 3000 },
    )
  })

  test('[NUM-3] order, partition and merging leave no trace', () => {
    const split = fc.tuple(fc.array(sums, { minLength: 1, maxLength: 6 }), fc.infiniteStream(fc.nat(2)), fc.boolean())
    fc.assert(
      fc.property(split, ([cases, place, backwards]) => {
        const parts = [0, 1, 2].map(() => kernels.exactSums(cases.length))
        const planes = [...planesOf(cases)]
        if (backwards) planes.reverse()
        for (const { plane, weight } of planes) parts[place.next().value]!.add(plane, weight, 1)
        const [first, second, third] = parts as [Sums, Sums, Sums]
        second.merge(third)
        first.merge(second)
        expect(first.read()).toEqual(wanted(cases))
      }),
      { seed: 2, numRuns: 300 },
    )
  })

  test('[NUM-3] what was added and taken away was never there', () => {
    fc.assert(
      fc.property(sums, sums, fc.infiniteStream(fc.boolean()), (stay, leave, first) => {
        const sums = kernels.exactSums(1)
        const put = ({ value, weight }: Term, sign: 1 | -1) => sums.add(column(value), column(weight), sign)
        const late: Term[] = []
        for (const term of leave) {
          if (first.next().value) put(term, 1)
          else late.push(term)
        }
        for (const term of stay) put(term, 1)
        for (const term of late) put(term, 1)
        for (const term of leave) put(term, -1)
        expect(sums.read()).toEqual(wanted([stay]))
      }),
      { seed: 3, numRuns: 600 },
    )
  })

  test('[NUM-3] one weight for all is the same as a plane of it', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(f32s, f32s), { minLength: 1, maxLength: 6 }), (terms) => {
        const one = kernels.exactSums(3)
        const other = kernels.exactSums(3)
        for (const [value, weight] of terms) {
          one.addScaled(column(value, -value, 1), weight, -1)
          other.add(column(value, -value, 1), column(weight, weight, weight), -1)
        }
        expect(one.read()).toEqual(other.read())
      }),
      { seed: 4, numRuns: 300 },
    )
  })

  test('[NUM-2] three planes and units: terms of every size at once stay exact', () => {
    const terms = Array.from({ length: 40 }, (_, i) => (i % 3 === 0 ? -1 : 1) * 2 ** (500 - 38 * i))
    const sums = kernels.exactSums(1)
    for (const term of terms) sums.addScaled(column(term), 1, 1)
    expect(sums.read()).toEqual(column(exactSum(terms)))
    for (const term of terms.slice(0, 39)) sums.addScaled(column(term), 1, -1)
    expect(sums.read()).toEqual(column(terms[39]!))
    sums.addScaled(column(terms[39]!), 1, -1)
    expect(sums.read()).toEqual(column(0))
  })

  test('[NUM-4] a zero sum is +0: of nothing, of −0 terms, and of what cancels', () => {
    const sums = kernels.exactSums(3)
    expect(sums.read()).toEqual(column(0, 0, 0))
    sums.add(column(-0, 0, 5), column(1, -1, 1), 1)
    sums.add(column(-0, -0, -5), column(1, 1, 1), 1)
    expect(sums.read()).toEqual(column(0, 0, 0))
    for (const k of [1, 2, 3, 4])
      expect(kernels.weightedSum(Array<Float64Array>(k).fill(column(-0)), Array<number>(k).fill(1))).toEqual(column(0))
  })

  test('[NUM-2] double rounding: what decides a tie may lie far below the rounded low part', () => {
    // high + low is rounded to the midpoint first if the third part is forgotten or added in its own turn
    const terms = [1, 2 ** -53, 2 ** -120]
    expect(summed([terms.map((value) => ({ value, weight: 1 }))])).toEqual(column(1 + 2 ** -52))
    expect(addThree(1, 2 ** -53, 2 ** -120)).toBe(1 + 2 ** -52)
    expect(addThree(1, 2 ** -53, -(2 ** -120))).toBe(1)
    expect(1 + (2 ** -53 + 2 ** -120)).toBe(1) // the plain way
  })

  test('[NUM-2] subnormal: products of the smallest f32 values are exact', () => {
    const tiny = 2 ** -149
    const cases = [
      [
        { value: tiny, weight: tiny },
        { value: tiny, weight: 2 * tiny },
      ],
      [
        { value: 1, weight: 1 },
        { value: tiny, weight: tiny },
        { value: -1, weight: 1 },
      ],
    ]
    expect(summed(cases)).toEqual(column(3 * 2 ** -298, 2 ** -298))
    expect(wanted(cases)).toEqual(column(3 * 2 ** -298, 2 ** -298))
  })

  test('[NUM-5] an overflow on the way is none, one at the end is an infinity, and never NaN', () => {
    const sums = kernels.exactSums(1)
    const put = (value: number, sign: 1 | -1 = 1) => sums.addScaled(column(value), 1, sign)
    put(MAX_VALUE)
    put(MAX_VALUE)
    expect(sums.read()).toEqual(column(Infinity))
    put(-MAX_VALUE)
    expect(sums.read()).toEqual(column(MAX_VALUE))
    put(2 ** 970)
    expect(sums.read()).toEqual(column(Infinity))
    put(2 ** -200, -1)
    expect(sums.read()).toEqual(column(MAX_VALUE))
  })

  test('[NUM-5] a tie with infinity is decided far below it', () => {
    const sums = kernels.exactSums(1)
    const put = (value: number) => sums.addScaled(column(value), 1, 1)
    put(MAX_VALUE)
    put(2 ** 969)
    put(2 ** 969)
    expect(sums.read()).toEqual(column(Infinity))
    put(-(2 ** -200))
    expect(sums.read()).toEqual(column(MAX_VALUE))
    put(2 ** -199)
    expect(sums.read()).toEqual(column(Infinity))
  })

  test('[NUM-5] a term that is not finite makes its own element NaN until it is taken away', () => {
    for (const broken of [Infinity, -Infinity, Number.NaN]) {
      const sums = kernels.exactSums(2)
      sums.addScaled(column(1, 2), 1, 1)
      sums.addScaled(column(broken, 3), 1, 1)
      expect(sums.read()).toEqual(column(Number.NaN, 5))
      const other = kernels.exactSums(2)
      other.merge(sums)
      other.addScaled(column(broken, 3), 1, -1)
      expect(other.read()).toEqual(column(1, 2))
      for (const k of [1, 2, 3])
        expect(kernels.weightedSum(Array<Float64Array>(k).fill(column(broken)), Array<number>(k).fill(1))).toEqual(
          column(Number.NaN),
        )
    }
  })

  test('[NUM-3] cleared sums are new', () => {
    const sums = kernels.exactSums(1)
    for (const value of [1e300, 1, 2 ** -200, Infinity, 2 ** -900]) sums.addScaled(column(value), 1, 1)
    sums.clear()
    sums.addScaled(column(3), 1, 1)
    expect(sums.read()).toEqual(column(3))
  })

  test('[NUM-2] lengths that differ are a bug, not a shorter sum', () => {
    const sums = kernels.exactSums(2)
    expect(() => sums.add(column(1), column(1), 1)).toThrow(/one length/)
    expect(() => sums.addScaled(column(1), 1, 1)).toThrow(/one length/)
    expect(() => sums.merge(sums)).toThrow(/not these very ones/)
  })
})

test('[NUM-2] three values are added with one rounding', () => {
  fc.assert(
    fc.property(fc.tuple(f64s, f64s, f64s), ([a, b, c]) => {
      const sum = addThree(a, b, c)
      if (Number.isFinite(sum)) expect(sum + 0).toBe(exactSum([a, b, c]))
    }),
    { seed: 5, numRuns: 10_000 },
  )
  const near = fc.tuple(fc.integer({ min: -9, max: 9 }), fc.integer({ min: -60, max: 3 })).map(([n, up]) => n * 2 ** up)
  const close = fc.tuple(near, near, near, near).map(([a, b, c, d]) => [a + 2 ** -53 * d, b, c] as const)
  fc.assert(
    fc.property(close, ([a, b, c]) => {
      expect(addThree(a, b, c) + 0).toBe(exactSum([a, b, c]))
    }),
    { seed: 6, numRuns: 10_000 },
  )
})

describe('weightedSum', () => {
  test('[NUM-6] equals the specification for every number of planes, over strips', () => {
    const length = 9000 // more than two strips
    const make = (salt: number) =>
      Float64Array.from({ length }, (_, i) =>
        Math.fround(((i * 2654435761 + salt * 40503) % 65521) * 2 ** -((i * 7 + salt * 31) % 90)),
      )
    const weights = [0.3, -0.5, 18000, 2 ** -60, -1, 7].map(Math.fround)
    for (const k of [0, 1, 2, 3, 4, 6]) {
      const planes = Array.from({ length: k }, (_, i) => make(i))
      const out = kernels.weightedSum(planes, weights.slice(0, k), new Float64Array(length))
      const right = Float64Array.from(out, (_, i) => exactSum(planes.map((plane, p) => plane[i]! * weights[p]!)))
      expect(Buffer.compare(Buffer.from(out.buffer), Buffer.from(right.buffer))).toBe(0)
    }
  })

  test('[NUM-6] equals the specification on adversarial terms', () => {
    fc.assert(
      fc.property(
        fc
          .integer({ min: 1, max: 5 })
          .chain((k) =>
            fc.tuple(
              fc.array(f32s, { minLength: k, maxLength: k }),
              fc.array(fc.array(f32s, { minLength: k, maxLength: k }), { minLength: 1, maxLength: 8 }),
            ),
          ),
        ([weights, rows]) => {
          const planes = weights.map((_, p) => Float64Array.from(rows, (row) => row[p]!))
          expect(kernels.weightedSum(planes, weights)).toEqual(
            Float64Array.from(rows, (row) => exactSum(row.map((value, p) => value * weights[p]!))),
          )
        },
      ),
      { seed: 7, numRuns: 1000 },
    )
  })

  test('[NUM-6] out may be one of the planes', () => {
    for (const k of [1, 2, 3]) {
      const planes = Array.from({ length: k }, (_, i) => column(i + 1, -i))
      const right = kernels.weightedSum(planes, [2, 3, 5].slice(0, k))
      expect(kernels.weightedSum(planes, [2, 3, 5].slice(0, k), planes[0])).toEqual(right)
    }
  })
})

/** f64 to bf16 by its definition: the nearer of two neighbours, ties to even. */
function bf16(value: number): number {
  const cell = new DataView(new ArrayBuffer(4))
  const valueOf = (bits: number) => (cell.setUint32(0, bits << 16), cell.getFloat32(0))
  let bits = 0
  while (valueOf(bits + 1) <= value) bits += 1
  const down = value - valueOf(bits)
  const up = valueOf(bits + 1) - value
  return down < up || (down === up && bits % 2 === 0) ? bits : bits + 1
}

test('[NUM-7] a quotient is of two rounded sums: weights 1, 1, 2 of bf16 4080, 3c80, 2180 give 3f80, not the 3f81 of one rounding', () => {
  const values = [4, 2 ** -6, 2 ** -60]
  const sum = kernels.weightedSum(
    values.map((value) => column(value)),
    [1, 1, 2],
  )
  expect(sum[0]).toBe(4 + 2 ** -6)
  expect(bf16(sum[0]! / exactSum([1, 1, 2]))).toBe(0x3f80)
  expect(bf16(1 + 2 ** -8 + 2 ** -52)).toBe(0x3f81) // the true quotient lies above the midpoint
})
