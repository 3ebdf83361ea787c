import fc from 'fast-check'
import { expect, test } from 'vitest'
import { KEY_BINS } from '../../src/kernels/measures.ts'
import { referenceKernels as kernels } from '../../src/kernels/reference.ts'
import { CutoffSearch, keepCount } from '../../src/kernels/selection.ts'
import { numbersFrom } from '../merge-strategies/world.ts'
import { f32s } from './adversary.ts'

/** `sampled`: which tiles are shown where some will do. */
function select(values: Float64Array, wanted: number, tile: number, sampled?: (tile: number) => boolean): Float64Array {
  const counts = kernels.allocateCounts(1 + KEY_BINS)
  const search = sampled
    ? new CutoffSearch(kernels, counts, wanted, values.length, 1)
    : new CutoffSearch(kernels, counts, wanted)
  for (let pass = 0; !search.cutoff; pass++) {
    expect(pass).toBeLessThan(6)
    for (let first = 0; first < values.length; first += tile)
      if (!search.samples || sampled?.(first / tile) === true) search.see(values.subarray(first, first + tile), first)
    search.endPass()
  }
  const mask = new Float64Array(values.length)
  for (let first = 0; first < values.length; first += tile) {
    const out = mask.subarray(first, first + tile)
    kernels.aboveCutoff(values.subarray(first, first + tile), first, search.cutoff.key, search.cutoff.lastTie, out)
  }
  return mask
}

/** By the definition: sort by magnitude, stable, and keep the first. */
function obvious(values: Float64Array, wanted: number): Float64Array {
  const order = [...values.keys()].sort((i, j) => Math.abs(values[j]!) - Math.abs(values[i]!) || i - j)
  const mask = new Float64Array(values.length)
  for (const i of order.slice(0, wanted)) mask[i] = 1
  return mask
}

test('[NUM-12] the largest are those of a stable sort by magnitude, in tiles of any size', () => {
  const cases = fc
    .array(f32s, { minLength: 1, maxLength: 60 })
    .chain((values) => fc.tuple(fc.constant(values), fc.nat(values.length), fc.integer({ min: 1, max: 70 })))
  fc.assert(
    fc.property(cases, ([values, wanted, tile]) => {
      const plane = Float64Array.from(values)
      expect(select(plane, wanted, tile)).toEqual(obvious(plane, wanted))
    }),
    { seed: 1, numRuns: 500 },
  )
})

test('[NUM-12] among many ties the lowest indices are kept, through the whole scope', () => {
  const few = fc.constantFrom(0, -0, 1, -1, 1 + 2 ** -23, 2 ** -149)
  const cases = fc
    .array(few, { minLength: 1, maxLength: 90 })
    .chain((values) => fc.tuple(fc.constant(values), fc.nat(values.length), fc.integer({ min: 1, max: 30 })))
  fc.assert(
    fc.property(cases, ([values, wanted, tile]) => {
      const plane = Float64Array.from(values)
      expect(select(plane, wanted, tile)).toEqual(obvious(plane, wanted))
    }),
    { seed: 2, numRuns: 500 },
  )
  const same = new Float64Array(10_000).fill(-0.5)
  expect(select(same, 4_321, 4096)).toEqual(obvious(same, 4_321))
})

test('[NUM-12] keys that differ in one digit alone are told apart', () => {
  const values = Float64Array.from([0x3f800000, 0x3f800001, 0x3f800400, 0x3f900000, 0x40800000], (bits) => {
    const cell = new DataView(new ArrayBuffer(4))
    cell.setUint32(0, bits)
    return cell.getFloat32(0)
  })
  for (let wanted = 0; wanted <= 5; wanted++) expect(select(values, wanted, 2)).toEqual(obvious(values, wanted))
})

test('[NUM-12] a sample leaves no trace, least of all one that misleads', () => {
  const next = numbersFrom(7)
  const smooth = Float64Array.from({ length: 5_000 }, () => Math.fround(next() + next() - 1))
  const rising = Float64Array.from({ length: 5_000 }, (_, i) => Math.fround((i + 1) / 4096))
  const tied = smooth.map((value) => Math.round(value * 4) / 4)
  const frozen = smooth.map((value, i) => (i % 9 === 0 ? value : 0))
  for (const values of [smooth, rising, tied, frozen])
    for (const wanted of [0, 1, 7, 1_450, 2_500, 4_999, 5_000]) {
      const right = obvious(values, wanted)
      for (const sampled of [(tile: number) => tile % 16 === 0, (tile: number) => tile < 3, () => false, () => true])
        expect(select(values, wanted, 50, sampled)).toEqual(right)
    }
})

test('[NUM-12] nthEqual and countEqual speak of one key', () => {
  const block = Float64Array.of(1, 2, -1, 1, 0.5)
  expect(kernels.countEqual(block, 0x3f800000)).toBe(3)
  expect([1, 2, 3, 4].map((n) => kernels.nthEqual(block, 0x3f800000, n))).toEqual([0, 2, 3, -1])
})

test('[NUM-12] more than there are cannot be kept', () => {
  expect(() => select(Float64Array.of(1, 2), 3, 8)).toThrow(/no more elements/)
})

test.each([
  [0.29, 100, 28],
  [0.57, 100, 56],
  [0.3, 10, 3],
  [0.2, 1, 0],
  [1, 7, 7],
  [2, 7, 7],
  [0, 7, 0],
  [-1, 7, 0],
  [Number.NaN, 7, 0],
  [0.999999999999, 3, 2],
])('[NUM-13] a density of %s keeps of %s elements %s: one product, truncated', (density, length, count) => {
  expect(keepCount(density, length)).toBe(count)
})
