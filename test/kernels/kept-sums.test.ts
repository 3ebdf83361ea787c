/** Kept sums where some elements of eight lose what others don't: what is lost is looked for, and kept, eight by eight. */
import { describe, expect, test } from 'vitest'
import { CascadeSums, plainCascade } from '../../src/kernels/exact-sums.ts'
import { exactSum } from '../../src/kernels/exact.ts'
import { createWasmKernels } from '../../src/kernels/wasm.ts'
import { numbersFrom } from '../merge-strategies/world.ts'

const random = numbersFrom(102)
const below = (n: number) => Math.floor(random() * n)
const usual = () => below(2 ** 20) - 2 ** 19

/** Terms that come after one another; all but the first lose something to it, or it to them. */
const HARD: Readonly<Record<string, readonly number[]>> = {
  'the greater comes first': [2 ** 60, 1 + 2 ** -20, -(2 ** -30)],
  'the greater comes last': [1 + 2 ** -20, 2 ** -30, -(2 ** 60)],
  'they cancel': [2 ** 60, 1, -(2 ** 60)],
  'three levels': [2 ** 120, 2 ** 50, 2 ** -20],
  'more than three': [2 ** 120, 2 ** 50, 2 ** -20, 2 ** -100, -(2 ** 120), 2 ** -149],
  'zeros of either sign': [-0, 0, -0],
  'an overflow on the way': [2 ** 1023, 2 ** 1023, -(2 ** 1023), 1],
  'half a last place': [1, 2 ** -53, 2 ** -106],
}

describe.each(Object.entries(HARD))('[KRN-102] %s', (_, hard) => {
  test.each([1, 7, 8, 9, 16, 26])('at every place of %i elements', (length) => {
    const kernels = createWasmKernels({ memoryBytes: 4 << 20 })
    const sums = kernels.exactSums(length)
    const others = kernels.exactSums(length)
    const plane = kernels.allocate(length)
    const ones = kernels.allocate(length).fill(1)
    for (let at = 0; at < length; at++) {
      const terms = hard.map((term) => Array.from({ length }, (_, i) => (i === at ? term : usual())))
      const right = Float64Array.from({ length }, (_, i) => exactSum(terms.map((row) => row[i]!)))
      terms.forEach((row, i) => {
        plane.set(row)
        if (i % 2 === 0) sums.addScaled(plane, 1, 1)
        else sums.add(plane, ones, 1)
      })
      expect([at, sums.read()]).toEqual([at, right])
      others.merge(sums)
      expect([at, others.read()]).toEqual([at, right])
      // taken away again, all are zeros; then they are cleared, or not
      for (const row of terms) {
        plane.set(row)
        sums.add(plane, ones, -1)
        others.addScaled(plane, 1, -1)
      }
      expect([at, sums.read(), others.read()]).toEqual([at, new Float64Array(length), new Float64Array(length)])
      if (at % 2 === 0) sums.clear()
      if (at % 3 === 0) others.clear()
    }
  })
})

test('[KRN-102] what is not finite in one of eight leaves the others as they are', () => {
  const kernels = createWasmKernels({ memoryBytes: 4 << 20 })
  for (let at = 0; at < 11; at++)
    for (const term of [Infinity, -Infinity, NaN]) {
      const sums = kernels.exactSums(11)
      const plane = kernels.allocate(11).map((_, i) => (i === at ? term : i + 2 ** -40))
      const mine = kernels.allocate(11)
      mine.set(plane)
      sums.addScaled(mine, 1, 1)
      sums.addScaled(kernels.fill(11, 3), 2 ** 50, 1)
      const right = plane.map((value) => (Number.isFinite(value) ? exactSum([value, 3 * 2 ** 50]) : NaN))
      expect(sums.read()).toEqual(right)
      sums.addScaled(mine, 1, -1)
      expect(sums.read()).toEqual(new Float64Array(11).fill(3 * 2 ** 50))
    }
})

test('[KRN-102] sums that lose nothing and were cleared are +0, whatever was lost before', () => {
  const kernels = createWasmKernels({ memoryBytes: 4 << 20 })
  const sums = kernels.exactSums(24)
  for (const value of [1, 2 ** -80, -0, 2 ** 70]) {
    sums.addScaled(kernels.fill(24, value), 1, 1)
    sums.addScaled(kernels.fill(24, 1), 1, 1)
    expect(sums.read()).toEqual(new Float64Array(24).fill(exactSum([value, 1])))
    sums.clear()
    expect(sums.read()).toEqual(new Float64Array(24))
  }
})

test('[KRN-102] what is not finite in one element leaves the others, where terms are kept as they are', () => {
  for (const length of [1, 2, 7, 9])
    for (let at = 0; at < length; at++)
      for (const term of [Infinity, NaN]) {
        const kernels = createWasmKernels({ memoryBytes: 4 << 20 })
        const sums = kernels.exactSums(length)
        for (const value of [2 ** 120, 1, 2 ** -120]) sums.addScaled(kernels.fill(length, value), 1, 1)
        sums.clear()
        sums.addScaled(kernels.fill(length, 3), 1, 1)
        const broken = kernels.fill(length, 2)
        broken[at] = term
        sums.addScaled(broken, 1, 1)
        expect(sums.read()).toEqual(Float64Array.from({ length }, (_, i) => (i === at ? NaN : 5)))
        sums.add(broken, kernels.fill(length, 1), -1)
        expect(sums.read()).toEqual(new Float64Array(length).fill(3))
        // the other way round, by weights
        sums.add(broken, kernels.fill(length, 1), 1)
        sums.addScaled(broken, 1, -1)
        expect(sums.read()).toEqual(new Float64Array(length).fill(3))
      }
})

test('[NUM-3] sums whose parts were filled keep their terms once they are cleared, and stay exact', () => {
  let kept = 0
  const cascade = {
    ...plainCascade,
    partsMax: 4,
    keptMax: 8,
    keep(plane: Float64Array, weight: Float64Array | 1, scale: number, out: Float64Array) {
      kept += 1
      out.set(plane.map((value, i) => scale * (value * (weight === 1 ? 1 : weight[i]!))))
      return true
    },
  }
  const sums = new CascadeSums(8, cascade)
  for (const filled of [8, 1, 8]) {
    const planes = [2 ** 120, 1, 2 ** -120].map((value, at) =>
      Float64Array.from({ length: 8 }, (_, i) => (at < 2 || i < filled ? value : 0)),
    )
    planes.push(
      planes[0]!.map((value) => -value),
      planes[1]!.map((value) => -value),
    )
    for (const plane of planes) sums.addScaled(plane, 1, 1)
    expect(sums.read()).toEqual(Float64Array.from({ length: 8 }, (_, i) => (i < filled ? 2 ** -120 : 0)))
    sums.clear()
  }
  expect(kept).toBe(10)
  const others = new CascadeSums(8, cascade)
  others.addScaled(Float64Array.of(1, 2, 3, 4, 5, 6, 7, 8), 1, 1)
  others.clear()
  others.addScaled(Float64Array.of(1, 2, 3, 4, 5, 6, 7, 8), 1, 1)
  expect([kept, others.read()[7]]).toEqual([10, 8])
})
