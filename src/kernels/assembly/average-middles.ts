/**
 * Σ weight · stream ÷ divisor of bf16 in f64, whatever the scales of the elements: the sum is within some last places of
 * the greatest of them, so wherever it is not far smaller, and does not lie close to the middle of two codes, the code is
 * that of its upper half.
 */
import { PLACES, smallPlacesOf } from './average-rounding'
import { BF16, highFour, highTwo, lowFour, lowTwo, streamOf } from './codes'
import { middleReachOf } from './plan'
import { openEight } from './two-levels'

/**
 * Loaded before the loop, for the compiler makes a constant again in every turn of it: magnitude of words and of codes, the
 * exponent, the least that is normal, just below a middle, all places, how many lie round the middle, the greatest code,
 * half a code, and a sign.
 */
const constants: usize = memory.data<u32>([
  0x7fffffff, 0x7fff7fff, 0x38000000, 0x38100000, 0x0fff, 0x1fff, 3, 0x0fefdfff, 0x1000, 0x80008000,
])

@inline
function constantOf(place: usize): v128 {
  return v128.load_splat<u32>(constants + 4 * place)
}

/**
 * Whether eight quotients, of whose elements these are the greatest magnitudes, lie so far from the middles that their codes
 * follow; those are then in `out`.
 */
@inline
function besideAll(s0: v128, s1: v128, s2: v128, s3: v128, most: v128, reach: v128, wordSize: v128, rebias: v128, leastNormal: v128, middle: v128, fraction: v128, near: v128, greatest: v128, half: v128, sign: v128, out: usize): bool {
  // magnitudes as codes with more places, those beyond the upper word cut off
  const a = v128.shuffle<i32>(s0, s1, 1, 3, 5, 7)
  const b = v128.shuffle<i32>(s2, s3, 1, 3, 5, 7)
  const sizeA = v128.and(a, wordSize)
  const sizeB = v128.and(b, wordSize)
  let c = i32x4.sub(sizeA, rebias)
  let d = i32x4.sub(sizeB, rebias)
  const smallA = i32x4.lt_s(sizeA, leastNormal)
  const smallB = i32x4.lt_s(sizeB, leastNormal)
  if (v128.any_true(v128.or(smallA, smallB))) {
    c = v128.bitselect(smallPlacesOf(s0, s1), c, smallA)
    d = v128.bitselect(smallPlacesOf(s2, s3), d, smallB)
  }
  // not zero where a code does not follow: too close to a middle, too far below the greatest element, or too large
  const besideA = v128.and(i32x4.sub(c, middle), fraction)
  const besideB = v128.and(i32x4.sub(d, middle), fraction)
  const leastA = i32x4.sub(i32x4.shl(i32x4.extend_low_i16x8_u(most), PLACES), reach)
  const leastB = i32x4.sub(i32x4.shl(i32x4.extend_high_i16x8_u(most), PLACES), reach)
  const doubtA = v128.or(i32x4.gt_s(near, besideA), i32x4.gt_s(leastA, c))
  const doubtB = v128.or(i32x4.gt_s(near, besideB), i32x4.gt_s(leastB, d))
  const large = i32x4.gt_s(i32x4.max_s(c, d), greatest)
  if (v128.any_true(v128.or(v128.or(doubtA, doubtB), large))) return false
  const codes = i16x8.narrow_i32x4_u(i32x4.shr_u(i32x4.add(c, half), PLACES), i32x4.shr_u(i32x4.add(d, half), PLACES))
  const signs = v128.and(v128.shuffle<i16>(a, b, 1, 3, 5, 7, 9, 11, 13, 15), sign)
  // a zero is +0
  v128.store(out, v128.or(codes, v128.and(signs, i16x8.gt_s(codes, i16x8.splat(0)))))
  return true
}

/** The same of eight sums that are not divided yet. */
@inline
export function liesBesideMiddles(s0: v128, s1: v128, s2: v128, s3: v128, most: v128, divisor: f64, plan: usize, out: usize): bool {
  const by = f64x2.splat(1 / divisor)
  return besideAll(
    f64x2.mul(s0, by), f64x2.mul(s1, by), f64x2.mul(s2, by), f64x2.mul(s3, by), most, i32x4.splat(middleReachOf(plan)),
    constantOf(0), constantOf(2), constantOf(3), constantOf(4), constantOf(5), constantOf(6), constantOf(7), constantOf(8), constantOf(9), out,
  )
}

/** Answers how many eights could not prove it, or −1 where an input or a result is not finite. */
export function averageBesideMiddles(table: usize, weights: usize, k: i32, divisor: f64, terms: usize, plan: usize, from: usize, to: usize, out: usize): i32 {
  const by = f64x2.splat(1 / divisor)
  const reach = i32x4.splat(middleReachOf(plan))
  const wordSize = constantOf(0)
  const codeSize = constantOf(1)
  const rebias = constantOf(2)
  const leastNormal = constantOf(3)
  const middle = constantOf(4)
  const fraction = constantOf(5)
  const near = constantOf(6)
  const greatest = constantOf(7)
  const half = constantOf(8)
  const sign = constantOf(9)
  let open = 0
  for (let at = from; at < to; at += 16) {
    let most = i16x8.splat(0)
    let s0 = f64x2.splat(0)
    let s1 = s0
    let s2 = s0
    let s3 = s0
    for (let i = 0; i < k; i++) {
      const stream = streamOf(table, i, at)
      most = i16x8.max_s(most, v128.and(v128.load(stream), codeSize))
      const weight = v128.load_splat<u64>(weights + (<usize>i << 3))
      const low = lowFour(BF16, stream)
      const high = highFour(BF16, stream)
      s0 = f64x2.add(s0, f64x2.mul(weight, lowTwo(low)))
      s1 = f64x2.add(s1, f64x2.mul(weight, highTwo(low)))
      s2 = f64x2.add(s2, f64x2.mul(weight, lowTwo(high)))
      s3 = f64x2.add(s3, f64x2.mul(weight, highTwo(high)))
    }
    s0 = f64x2.mul(s0, by)
    s1 = f64x2.mul(s1, by)
    s2 = f64x2.mul(s2, by)
    s3 = f64x2.mul(s3, by)
    if (besideAll(s0, s1, s2, s3, most, reach, wordSize, rebias, leastNormal, middle, fraction, near, greatest, half, sign, out + at)) continue
    open++
    if (!openEight(BF16, table, weights, k, divisor, terms, plan, at, out + at)) return -1
  }
  return open
}
