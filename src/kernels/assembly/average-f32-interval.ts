/**
 * Averages of f32 whose weights by the divisor are any. The sum in f64 is within `error` times the greatest magnitude of the
 * quotient that is to be rounded: nothing of it can change the result where it lies far enough from the middle of two f32,
 * which its last bits show, or where both ends of the interval are rounded alike.
 */
import { highTwo, F32, lowTwo, streamOf } from './codes'
import { errorOf, placesOf, scaledOf } from './plan'
import { openEight } from './two-levels'

@inline const INFINITY_BITS: i32 = 0x7f800000
@inline const BLOCK_BYTES: usize = 4096
/** What is hard in one block is so in those that follow, most likely. */
@inline const HARD_BLOCKS: usize = 8

/**
 * Loaded before a loop, for the compiler makes a constant again in every turn of it: magnitude, and how far below the
 * greatest element a sum may lie, in codes.
 */
const constants: usize = memory.data<u32>([0x7fffffff, 0x06000000])
/** 2⁻¹¹²: of elements no smaller than that, no sum that lies near enough to them is below the normal f32. */
@inline const LEAST: i32 = 0x07800000

/** Two f32 from memory: read like this, widening is one operation, where from a half of a vector it is two or three. */
@inline
function two(stream: usize): v128 {
  return f64x2.promote_low_f32x4(v128.load_zero<u64>(stream))
}

@inline
function sizeOf(stream: usize, size: v128): v128 {
  return v128.and(v128.load(stream), size)
}

@inline
function sumOfTwo(known: i32, s0: usize, s1: usize, s2: usize, s3: usize, w0: v128, w1: v128, w2: v128, w3: v128): v128 {
  let sum = f64x2.add(f64x2.mul(w0, two(s0)), f64x2.mul(w1, two(s1)))
  sum = f64x2.add(sum, f64x2.mul(w2, two(s2)))
  return known == 4 ? f64x2.add(sum, f64x2.mul(w3, two(s3))) : sum
}

@inline
function mostOfFour(known: i32, s0: usize, s1: usize, s2: usize, s3: usize, size: v128): v128 {
  const most = i32x4.max_s(i32x4.max_s(sizeOf(s0, size), sizeOf(s1, size)), sizeOf(s2, size))
  return known == 4 ? i32x4.max_s(most, sizeOf(s3, size)) : most
}

@inline
function narrowed(a: v128, b: v128): v128 {
  const four = v128.shuffle<i64>(f32x4.demote_f64x2_zero(a), f32x4.demote_f64x2_zero(b), 0, 2)
  return f32x4.add(four, f32x4.splat(0)) // a zero is +0
}

/**
 * Whether magnitudes are in the range of the proof is asked once a block; and in a block where an eight is, and its sums lie
 * far from the middles of two f32, they are right as they are. `known`: how many streams there are, or 0 where they are
 * counted in a loop.
 */
@inline
function blocks(known: i32, table: usize, weights: usize, k: i32, divisor: f64, terms: usize, plan: usize, from: usize, to: usize, out: usize): i32 {
  const scaled = scaledOf(plan)
  const s0 = streamOf(table, 0, 0)
  const s1 = streamOf(table, 1, 0)
  const s2 = streamOf(table, 2, 0)
  const s3 = known == 4 ? streamOf(table, 3, 0) : 0
  const w0 = v128.load_splat<u64>(scaled)
  const w1 = v128.load_splat<u64>(scaled, 8)
  const w2 = v128.load_splat<u64>(scaled, 16)
  const w3 = known == 4 ? v128.load_splat<u64>(scaled, 24) : w2
  const size = v128.load_splat<u32>(constants)
  const below = v128.load_splat<u32>(constants, 4)
  const one = i32x4.splat(1)
  // in last bits shifted left by three a middle is the least number there is
  const places = i32x4.splat(placesOf(plan))
  const far = i32x4.splat(<i32>(0x80000001 + 2 * placesOf(plan)))
  let open = 0
  for (let block = from; block < to; ) {
    const end = min(to, block + BLOCK_BYTES)
    let least = i32x4.splat(-1)
    let hard: usize = 0
    for (let at = block; at < end; at += 32) {
      let m0: v128
      let m1: v128
      let a: v128
      let b: v128
      let c: v128
      let d: v128
      if (known != 0) {
        m0 = mostOfFour(known, s0 + at, s1 + at, s2 + at, s3 + at, size)
        m1 = mostOfFour(known, s0 + at + 16, s1 + at + 16, s2 + at + 16, s3 + at + 16, size)
        a = sumOfTwo(known, s0 + at, s1 + at, s2 + at, s3 + at, w0, w1, w2, w3)
        b = sumOfTwo(known, s0 + at + 8, s1 + at + 8, s2 + at + 8, s3 + at + 8, w0, w1, w2, w3)
        c = sumOfTwo(known, s0 + at + 16, s1 + at + 16, s2 + at + 16, s3 + at + 16, w0, w1, w2, w3)
        d = sumOfTwo(known, s0 + at + 24, s1 + at + 24, s2 + at + 24, s3 + at + 24, w0, w1, w2, w3)
      } else {
        m0 = i32x4.splat(0)
        m1 = m0
        a = f64x2.splat(0)
        b = a
        c = a
        d = a
        for (let i = 0; i < k; i++) {
          const stream = streamOf(table, i, at)
          const weight = v128.load_splat<u64>(scaled + (<usize>i << 3))
          m0 = i32x4.max_s(m0, sizeOf(stream, size))
          m1 = i32x4.max_s(m1, sizeOf(stream + 16, size))
          a = f64x2.add(a, f64x2.mul(weight, two(stream)))
          b = f64x2.add(b, f64x2.mul(weight, two(stream + 8)))
          c = f64x2.add(c, f64x2.mul(weight, two(stream + 16)))
          d = f64x2.add(d, f64x2.mul(weight, two(stream + 24)))
        }
      }
      const o0 = narrowed(a, b)
      const o1 = narrowed(c, d)
      v128.store(out + at, o0)
      v128.store(out + at, o1, 16)
      m0 = i32x4.sub(m0, one) // zeros, which fit everywhere, become the greatest, or the least where that is asked
      m1 = i32x4.sub(m1, one)
      least = i32x4.min_u(least, i32x4.min_u(m0, m1))
      // what is huge or not finite turns negative
      const low0 = i32x4.gt_s(m0, i32x4.add(v128.and(o0, size), below))
      const low1 = i32x4.gt_s(m1, i32x4.add(v128.and(o1, size), below))
      const near0 = i32x4.gt_s(far, i32x4.add(i32x4.shl(v128.shuffle<i32>(a, b, 0, 2, 4, 6), 3), places))
      const near1 = i32x4.gt_s(far, i32x4.add(i32x4.shl(v128.shuffle<i32>(c, d, 0, 2, 4, 6), 3), places))
      if (v128.any_true(v128.or(v128.or(low0, low1), v128.or(near0, near1)))) {
        hard++
        const more = eights(table, weights, k, divisor, terms, plan, at, at + 32, out)
        if (more < 0) return -1
        open += more
      }
    }
    const isWithin = !v128.any_true(i32x4.lt_u(least, i32x4.splat(LEAST - 1)))
    if (isWithin) block = end
    if (isWithin && hard * 128 <= BLOCK_BYTES) continue
    const easy = min(to, block + HARD_BLOCKS * BLOCK_BYTES)
    const more = eights(table, weights, k, divisor, terms, plan, block, easy, out)
    if (more < 0) return -1
    open += more
    block = easy
  }
  return open
}

/** Three streams or more. Answers how many eights could not prove it, or −1. */
export function averageF32InInterval(table: usize, weights: usize, k: i32, divisor: f64, terms: usize, plan: usize, from: usize, to: usize, out: usize): i32 {
  if (placesOf(plan) < 0) return eights(table, weights, k, divisor, terms, plan, from, to, out)
  if (k == 3) return blocks(3, table, weights, k, divisor, terms, plan, from, to, out)
  if (k == 4) return blocks(4, table, weights, k, divisor, terms, plan, from, to, out)
  return blocks(0, table, weights, k, divisor, terms, plan, from, to, out)
}

/** Magnitudes of any size, and an interval round each sum that lies near a middle. */
function eights(table: usize, weights: usize, k: i32, divisor: f64, terms: usize, plan: usize, from: usize, to: usize, out: usize): i32 {
  const scaled = scaledOf(plan)
  const by = f64x2.splat(divisor)
  const size = i32x4.splat(0x7fffffff)
  const zero = i32x4.splat(0)
  const places = i32x4.splat(placesOf(plan))
  const error = f64x2.splat(errorOf(plan))
  let open = 0
  for (let at = from; at < to; at += 32) {
    let m0 = zero
    let m1 = zero
    let s0 = f64x2.splat(0)
    let s1 = s0
    let s2 = s0
    let s3 = s0
    for (let i = 0; i < k; i++) {
      const stream = streamOf(table, i, at)
      const weight = v128.load_splat<u64>(scaled + (<usize>i << 3))
      const a = v128.load(stream)
      const b = v128.load(stream, 16)
      m0 = i32x4.max_s(m0, v128.and(a, size))
      m1 = i32x4.max_s(m1, v128.and(b, size))
      s0 = f64x2.add(s0, f64x2.mul(weight, lowTwo(a)))
      s1 = f64x2.add(s1, f64x2.mul(weight, highTwo(a)))
      s2 = f64x2.add(s2, f64x2.mul(weight, lowTwo(b)))
      s3 = f64x2.add(s3, f64x2.mul(weight, highTwo(b)))
    }
    const o0 = narrowed(s0, s1)
    const o1 = narrowed(s2, s3)
    v128.store(out + at, o0)
    v128.store(out + at, o1, 16)
    if (!v128.any_true(v128.or(nearMiddle(s0, s1, o0, m0, places), nearMiddle(s2, s3, o1, m1, places)))) continue
    if (v128.any_true(i32x4.ge_s(i32x4.max_s(m0, m1), i32x4.splat(INFINITY_BITS)))) return -1
    if (alike(s0, s1, o0, m0, error) && alike(s2, s3, o1, m1, error)) continue
    open++
    if (!openEight(F32, table, weights, k, divisor, terms, plan, at, out + at)) return -1
  }
  return open
}

/**
 * Not zero where four sums lie near the middle of two f32, or are too small beside the greatest element, or in a range
 * where f32 are spaced otherwise.
 */
@inline
function nearMiddle(s0: v128, s1: v128, rounded: v128, most: v128, places: v128): v128 {
  const middle = i32x4.splat(0x80000000)
  const last = v128.xor(i32x4.shl(v128.shuffle<i32>(s0, s1, 0, 2, 4, 6), 3), middle)
  const near = i32x4.le_u(i32x4.abs(last), places)
  const size = v128.and(rounded, i32x4.splat(0x7fffffff))
  const normal = v128.and(i32x4.gt_s(most, i32x4.splat(0)), i32x4.splat(0x01000000)) // 2⁻¹²⁵
  const least = i32x4.max_s(normal, i32x4.sub(most, i32x4.splat(12 << 23)))
  const large = i32x4.gt_s(i32x4.max_s(size, most), i32x4.splat(INFINITY_BITS - 1))
  return v128.or(v128.or(near, i32x4.lt_s(size, least)), large)
}

/** Whether both ends of the intervals of four sums are rounded to these f32, all finite. */
@inline
function alike(s0: v128, s1: v128, rounded: v128, most: v128, error: v128): bool {
  const e0 = f64x2.mul(error, lowTwo(most))
  const e1 = f64x2.mul(error, highTwo(most))
  const above = v128.shuffle<i64>(f32x4.demote_f64x2_zero(f64x2.add(s0, e0)), f32x4.demote_f64x2_zero(f64x2.add(s1, e1)), 0, 2)
  const below = v128.shuffle<i64>(f32x4.demote_f64x2_zero(f64x2.sub(s0, e0)), f32x4.demote_f64x2_zero(f64x2.sub(s1, e1)), 0, 2)
  const finite = f32x4.eq(f32x4.sub(above, below), f32x4.splat(0))
  return v128.all_true<i32>(v128.and(v128.and(f32x4.eq(above, rounded), f32x4.eq(below, rounded)), finite))
}
