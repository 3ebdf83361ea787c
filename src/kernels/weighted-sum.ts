/** Σ weightᵢ · planeᵢ, exact and rounded once, for sums that nobody keeps. */
import { invariant } from '../core/invariant.ts'
import { CascadeSums } from './exact-sums.ts'
import { BLOCK } from './measures.ts'

/** t + (t − t) is t with −0 turned to +0, and NaN where t is not finite. */
function scaled(plane: Float64Array, weight: number, out: Float64Array): Float64Array {
  for (let i = 0; i < out.length; i++) {
    const term = weight * plane[i]!
    out[i] = term + (term - term)
  }
  return out
}

/** Two terms need no proof: one addition of IEEE 754 is their sum rounded once. */
function scaledPair(planes: readonly [Float64Array, Float64Array], weights: readonly number[], out: Float64Array) {
  const [first, second] = planes
  const [v, w] = weights as readonly [number, number]
  for (let i = 0; i < out.length; i++) {
    const a = v * first[i]!
    const b = w * second[i]!
    out[i] = a + b + (a - a) + (b - b)
  }
  return out
}

export function weightedSum(
  planes: readonly Float64Array[],
  weights: readonly number[],
  out = new Float64Array(planes[0]?.length ?? 0),
): Float64Array {
  invariant(planes.length === weights.length, 'one weight for each plane')
  invariant(
    planes.every((plane) => plane.length === out.length),
    'planes of one length',
  )
  const [first, second] = planes
  if (!first) return out.fill(0)
  if (!second) return scaled(first, weights[0]!, out)
  if (planes.length === 2) return scaledPair([first, second], weights, out)
  for (let from = 0; from < out.length; from += BLOCK) {
    const to = Math.min(from + BLOCK, out.length)
    const sums = new CascadeSums(to - from)
    planes.forEach((plane, i) => sums.addScaled(plane.subarray(from, to), weights[i]!, 1))
    sums.read(out.subarray(from, to))
  }
  return out
}
