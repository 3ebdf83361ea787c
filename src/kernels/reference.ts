/** The kernels, written to be read: these lines are the specification, and every other set must give their bits. */
import { invariant } from '../core/invariant.ts'
import { randomWords } from '../core/philox.ts'
import { countNotFinite, decode, encode } from '../tensors/dtypes.ts'
import { BINARY, BLOCK_SUM, COMPARE, UNARY } from './element-wise.ts'
import { CascadeSums } from './exact-sums.ts'
import type { Kernels } from './kernels.ts'
import { BLOCK } from './measures.ts'
import { weightedSum } from './weighted-sum.ts'

type Plane = Float64Array

const cell = new DataView(new ArrayBuffer(4))

/** The 31 bits of |value| as an f32: unsigned integers in the order of the magnitudes; one for every NaN, above them all. */
export function magnitudeKey(value: number): number {
  if (Number.isNaN(value)) return 0x7fc00000 // which of its bits a NaN keeps is up to the engine
  cell.setFloat32(0, value)
  return cell.getUint32(0) & 0x7fffffff
}

/** round(q · 2³²), half to even, between 0 and 2³²; nothing is below it for NaN. */
export function keepBelow(probability: number): number {
  if (!(probability > 0)) return 0
  const scaled = Math.min(probability, 1) * 2 ** 32
  return scaled + 2 ** 52 - 2 ** 52 // above 2⁵² the spacing is 1, so the addition rounds to a whole number
}

const sameLength = (...planes: readonly Plane[]): void =>
  invariant(
    planes.every((plane) => plane.length === planes[0]!.length),
    'planes of one length',
  )

/** −0 comes before +0, so that equal multisets are equal sequences. */
const before = (a: number, b: number): boolean => a < b || (a === b && a === 0 && 1 / a < 1 / b)

export const referenceKernels: Kernels<Plane> = {
  allocate: (length) => new Float64Array(length),
  allocateBytes: (length) => new Uint8Array(length),
  allocateCounts: (length) => new Uint32Array(length),
  reset: () => undefined, // the collector knows

  countNotFinite(dtype, bytes) {
    const { nan, inf } = countNotFinite(dtype, bytes)
    return nan + inf
  },

  decode(dtype, bytes, into) {
    decode(dtype, bytes, into)
    return into.every(Number.isFinite)
  },
  encode,

  view: (a, first, count) => a.subarray(first, first + count),
  fill: (length, value, out = new Float64Array(length)) => out.fill(value),

  binary(op, a, b, out = new Float64Array(a.length)) {
    sameLength(a, b, out)
    BINARY[op](a, b, out)
    return out
  },

  unary(op, a, out = new Float64Array(a.length)) {
    sameLength(a, out)
    UNARY[op](a, out)
    return out
  },

  compare(op, a, b, out = new Float64Array(a.length)) {
    sameLength(a, b, out)
    COMPARE[op](a, b, out)
    return out
  },

  choose(mask, a, b, out = new Float64Array(a.length)) {
    sameLength(mask, a, b, out)
    for (let i = 0; i < a.length; i++) out[i] = mask[i] === 0 ? b[i]! : a[i]!
    return out
  },

  keep(key, first, probability, out = new Float64Array(probability.length)) {
    sameLength(probability, out)
    const words = new Uint32Array(probability.length)
    randomWords(key, first, words)
    for (let i = 0; i < words.length; i++) out[i] = words[i]! < keepBelow(probability[i]!) ? 1 : 0
    return out
  },

  reduce(op, a, b = a) {
    sameLength(a, b)
    invariant(a.length <= BLOCK, `a block holds at most ${BLOCK} elements`)
    const lane = new Float64Array(8)
    BLOCK_SUM[op](a, b, lane)
    return lane[0]! + lane[1]! + (lane[2]! + lane[3]!) + (lane[4]! + lane[5]! + (lane[6]! + lane[7]!))
  },

  histogram(a, { low, high, shift }, into) {
    for (const value of a) {
      const key = magnitudeKey(value)
      if (key >= low) into[key > high ? 0 : 1 + ((key - low) >>> shift)]! += 1
    }
  },

  countEqual(a, key) {
    let count = 0
    for (const value of a) if (magnitudeKey(value) === key) count += 1
    return count
  },

  nthEqual(a, key, n) {
    let left = n
    return a.findIndex((value) => magnitudeKey(value) === key && --left === 0)
  },

  aboveCutoff(a, first, key, lastTie, out = new Float64Array(a.length)) {
    sameLength(a, out)
    for (let i = 0; i < a.length; i++) {
      const own = magnitudeKey(a[i]!)
      out[i] = own > key || (own === key && first + i <= lastTie) ? 1 : 0
    }
    return out
  },

  sort(planes, out = planes.map((plane) => new Float64Array(plane.length))) {
    sameLength(...planes, ...out)
    const column = new Float64Array(planes.length)
    for (let i = 0; i < (planes[0]?.length ?? 0); i++) {
      planes.forEach((plane, rank) => {
        let place = rank
        const value = plane[i]!
        for (; place > 0 && before(value, column[place - 1]!); place--) column[place] = column[place - 1]!
        column[place] = value
      })
      for (let rank = 0; rank < column.length; rank++) out[rank]![i] = column[rank]!
    }
    return out
  },

  weightedSum,
  exactSums: (length) => new CascadeSums(length),
  average: () => false, // its parts are the specification
  compile: () => undefined, // and so are its steps
}
