/** Numbers chosen to hurt, and a set of kernels' own memory to put them in: what the contracts of kernels share. */
import { expect } from 'vitest'
import type { Kernels } from '../../src/kernels/kernels.ts'
import { referenceKernels as reference } from '../../src/kernels/reference.ts'
import { numbersFrom } from '../merge-strategies/world.ts'

export type Plane = Float64Array

export const SPECIAL = [
  0,
  -0,
  1,
  -1,
  Number.NaN,
  Infinity,
  -Infinity,
  Number.MIN_VALUE,
  -Number.MIN_VALUE,
  Number.MAX_VALUE,
  -Number.MAX_VALUE,
  2 ** -149,
  -(2 ** -149),
  2 ** -150,
  2 ** -126,
  2 ** -133,
  3 * 2 ** -134,
  2 ** -24,
  2 ** -25,
  65504,
  65519.99,
  65520,
  2 ** 128,
  3.4028235677973366e38,
  3.3961775292304597e38,
  1 + 2 ** -8,
  1 + 3 * 2 ** -8,
  1 + 2 ** -8 + 2 ** -52,
  1 + 2 ** -11,
  1 + 2 ** -24,
  0.5,
  0.3,
]
const FINITE = SPECIAL.filter((value) => Math.abs(value) < 2 ** 127)

/** Bits, all NaN being one: machines differ in the rest of theirs, and nothing reads it. */
const bitsOf = (plane: Plane): readonly bigint[] =>
  [...new BigUint64Array(plane.slice().buffer)].map((bits, i) => (Number.isNaN(plane[i]) ? -1n : bits))
export const same = (given: Plane, wanted: Plane): void => expect(bitsOf(given)).toEqual(bitsOf(wanted))

export const mix = (next: () => number, kind: number): number => {
  if (kind === 0) return Math.fround((next() - 0.5) * 2 ** Math.floor(next() * 8 - 4))
  if (kind === 1) return SPECIAL[Math.floor(next() * SPECIAL.length)]!
  if (kind === 2) return FINITE[Math.floor(next() * FINITE.length)]!
  if (kind === 3) return Math.fround((next() - 0.5) * 2 ** Math.floor(next() * 250 - 125))
  if (kind === 4) return (next() - 0.5) * 2 ** Math.floor(next() * 1900 - 950)
  return Math.round((next() - 0.5) * 16) * 2 ** -Math.floor(next() * 30)
}
/** Planes of every kind of number and every length of a tail. */
export const cases = (count: number, kinds = [0, 1, 2, 3, 4, 5]): readonly (readonly Plane[])[] =>
  [0, 1, 2, 3, 5, 7, 8, 9, 15, 17, 70].flatMap((length, round) =>
    kinds.map((kind) => {
      const next = numbersFrom(1000 * round + 10 * kind + count)
      return Array.from({ length: count }, () => Float64Array.from({ length }, () => mix(next, kind)))
    }),
  )

/** Ways to put numbers into the memory of one set, and to hold an operation of it against the reference. */
export function memoryOf(kernels: Kernels<Plane>) {
  /** The numbers in a buffer of the set's own, at an odd place. */
  const held = (numbers: ArrayLike<number>): Plane => {
    const whole = kernels.allocate(numbers.length + 3)
    whole.fill(123.25)
    const plane = kernels.view(whole, 1, numbers.length)
    plane.set(numbers)
    return plane
  }
  const bytesOf = (bytes: Uint8Array): Uint8Array => {
    const own = kernels.allocateBytes(bytes.length)
    own.set(bytes)
    return own
  }
  const own = (planes: readonly Plane[]): readonly Plane[] => planes.map(held)
  /** Equal bits into new memory and over each input. */
  const equal = (
    op: (k: Kernels<Plane>, planes: readonly Plane[], out?: Plane) => Plane,
    all: readonly (readonly Plane[])[],
  ) => {
    for (const planes of all) {
      const wanted = op(reference, planes)
      same(op(kernels, own(planes)), wanted)
      for (const i of new Set([0, 1, planes.length - 1])) {
        if (i >= planes.length) continue
        const over = own(planes)
        expect(op(kernels, over, over[i])).toBe(over[i])
        same(over[i]!, wanted)
      }
    }
    kernels.reset()
  }
  return { held, bytesOf, own, equal }
}
