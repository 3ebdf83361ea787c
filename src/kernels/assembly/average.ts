/**
 * Σ weight · stream ÷ divisor from the bytes of 16-bit inputs to the bytes of the output, eight elements at a time. Each
 * eight takes the cheapest way that is proved to give the bits of the law: f32 where an interval round the result lies in
 * one rounding cell, or where the sum is exact in f32; else f64, where the exponents show that nothing was lost; else the
 * exact sums. A proof that fails costs time and never a bit.
 */
import { liesBesideMiddles } from './average-middles'
import { divided, roundedAlike, storeEnds } from './average-rounding'
import { BF16, F16, F16_SCALE, highFour, highTwo, lowFour, lowTwo, streamOf, upper, upperNext } from './codes'
import { divisorInF32Of, errorInF32Of, narrowOf, scaledOf, spanOf, sumErrorOf } from './plan'
import { openEight } from './two-levels'

/** What proofs in f32 look at before they go on. */
@inline export const BLOCK_BYTES: usize = 4096

@inline const BF16_FIRST: i32 = 0x7f80
@inline const F16_FIRST: i32 = 0x7c00

/** Whether eight sums in f64, however wrong they can be, are rounded to what they must be, which then lies in `out`. */
function farFromMiddles(form: i32, s0: v128, s1: v128, s2: v128, s3: v128, most: v128, by: v128, plan: usize, out: usize): bool {
  v128.store(greatest, most)
  const error = f64x2.splat(sumErrorOf(plan) * (form == F16 ? F16_SCALE : 1))
  const low = form == F16 ? lowFour(F16, greatest) : lowFour(BF16, greatest)
  const high = form == F16 ? highFour(F16, greatest) : highFour(BF16, greatest)
  storeEnds(0, s0, f64x2.mul(error, lowTwo(low)))
  storeEnds(16, s1, f64x2.mul(error, highTwo(low)))
  storeEnds(32, s2, f64x2.mul(error, lowTwo(high)))
  storeEnds(48, s3, f64x2.mul(error, highTwo(high)))
  return roundedAlike(form, f64x2.extract_lane(by, 0), out)
}
const greatest: usize = memory.data(16)

@inline const FEW: i32 = 12

/** The same of bf16, without a division. */
function besideMiddles(s0: v128, s1: v128, s2: v128, s3: v128, most: v128, divisor: f64, plan: usize, out: usize): bool {
  return liesBesideMiddles(s0, s1, s2, s3, most, divisor, plan, out)
}

/** Eight elements in f64: 0 where the exponents prove the sum, 1 where more than that was needed, −1 where not finite. */
@inline
function spanEight(form: i32, table: usize, weights: usize, k: i32, divisor: v128, span: v128, terms: usize, plan: usize, at: usize, out: usize): i32 {
  const magnitude = i16x8.splat(0x7fff)
  const one = i16x8.splat(1)
  let most = i16x8.splat(0)
  let least = i16x8.splat(-1)
  let s0 = f64x2.splat(0)
  let s1 = f64x2.splat(0)
  let s2 = f64x2.splat(0)
  let s3 = f64x2.splat(0)
  for (let i = 0; i < k; i++) {
    const stream = streamOf(table, i, at)
    const size = v128.and(v128.load(stream), magnitude)
    most = i16x8.max_u(most, size)
    least = i16x8.min_u(least, i16x8.sub(size, one)) // a zero becomes the greatest, and so drops out
    const weight = v128.load_splat<u64>(weights + (<usize>i << 3))
    const low = lowFour(form, stream)
    const high = highFour(form, stream)
    s0 = f64x2.add(s0, f64x2.mul(weight, lowTwo(low)))
    s1 = f64x2.add(s1, f64x2.mul(weight, highTwo(low)))
    s2 = f64x2.add(s2, f64x2.mul(weight, lowTwo(high)))
    s3 = f64x2.add(s3, f64x2.mul(weight, highTwo(high)))
  }
  if (v128.any_true(i16x8.ge_u(most, i16x8.splat(<i16>(form == BF16 ? BF16_FIRST : F16_FIRST))))) return -1
  // two products need no proof: one addition is their sum rounded once
  const open = k > 2 && v128.any_true(i16x8.gt_u(i16x8.sub(most, least), span))
  if (form == F16) {
    const scale = f64x2.splat(F16_SCALE)
    s0 = f64x2.mul(s0, scale)
    s1 = f64x2.mul(s1, scale)
    s2 = f64x2.mul(s2, scale)
    s3 = f64x2.mul(s3, scale)
  }
  if (!open) return divided(form, s0, s1, s2, s3, divisor, out) ? 0 : -1
  if (form == BF16 && besideMiddles(s0, s1, s2, s3, most, f64x2.extract_lane(divisor, 0), plan, out)) return 0
  // of few bf16, no proof that fails is worth so many divisions
  if ((form == F16 || k > FEW) && farFromMiddles(form, s0, s1, s2, s3, most, divisor, plan, out)) return 0
  return openEight(form, table, weights, k, f64x2.extract_lane(divisor, 0), terms, plan, at, out) ? 1 : -1
}

/** The same of one format, called from where it is rare. */
export function oneEight(table: usize, weights: usize, k: i32, divisor: f64, terms: usize, plan: usize, at: usize, out: usize): i32 {
  const span = i16x8.splat(<i16>spanOf(plan))
  return spanEight(BF16, table, weights, k, f64x2.splat(divisor), span, terms, plan, at, out)
}

export function oneEightF16(table: usize, weights: usize, k: i32, divisor: f64, terms: usize, plan: usize, at: usize, out: usize): i32 {
  const span = i16x8.splat(<i16>spanOf(plan))
  return spanEight(F16, table, weights, k, f64x2.splat(divisor), span, terms, plan, at, out)
}

@inline
function spanLoop(form: i32, table: usize, weights: usize, k: i32, divisor: f64, terms: usize, plan: usize, from: usize, to: usize, out: usize): i32 {
  const by = f64x2.splat(divisor)
  const span = i16x8.splat(<i16>spanOf(plan))
  let open = 0
  for (let at = from; at < to; at += 16) {
    const more = spanEight(form, table, weights, k, by, span, terms, plan, at, out + at)
    if (more < 0) return -1
    open += more
  }
  return open
}

/** Whole eights of 16-bit elements. Answers how many needed more, or −1 where an input or a result is not finite. */
export function averageInSpan(form: i32, table: usize, weights: usize, k: i32, divisor: f64, terms: usize, plan: usize, from: usize, to: usize, out: usize): i32 {
  if (form == BF16) return spanLoop(BF16, table, weights, k, divisor, terms, plan, from, to, out)
  return spanLoop(F16, table, weights, k, divisor, terms, plan, from, to, out)
}

/** What an eight of such small elements counts for among those that a proof left open, since it took as much longer. */
@inline const TINY_COUNT: i32 = 8
/** 2⁻⁹⁰ */
@inline const TINY_CODE: i16 = 0x1280

/** Whether more than a few of some eights hold elements so small that multiplying them in f32 is slow on many machines. */
export function mostlyTiny(table: usize, k: i32, from: usize, to: usize): bool {
  const magnitude = i16x8.splat(0x7fff)
  const one = i16x8.splat(1)
  const tiny = i16x8.splat(TINY_CODE)
  let count = 0
  // every ninth: what lies in rows of a power of two is not always missed
  for (let at = from; at < to; at += 144) {
    let least = i16x8.splat(-1)
    for (let i = 0; i < k; i++)
      least = i16x8.min_u(least, i16x8.sub(v128.and(v128.load(streamOf(table, i, at)), magnitude), one))
    if (v128.any_true(i16x8.lt_u(least, tiny))) count++
  }
  return count > 1 + <i32>((to - from) >> 13)
}

/**
 * Loaded before a loop, for the compiler makes a constant again in every turn of it: magnitude of codes, half a cell and the
 * upper half of an f32; from 2⁻⁹⁰ to 2¹⁰⁰, and from 2⁻⁷⁴; a bias for rounding half to even, and a last place.
 */
const constants: usize = memory.data<u32>([
  0x7fff7fff, 0x8000, 0xffff0000, 0x12801280, 0x5eff5eff, 0x1a801a80, 0x56ff56ff, 0x7fff, 1, 0x00010001,
])

@inline
function countOf(tiny: v128): i32 {
  return v128.any_true(tiny) ? TINY_COUNT : 1
}

/**
 * bf16 with normalised f32 weights. s is within `error` times the greatest magnitude of the result; if both ends of that
 * interval, half a cell added, agree in their upper halves, those are the result. Answers how many eights could not
 * prove it, or −1.
 */
export function manyInInterval(table: usize, weights: usize, k: i32, divisor: f64, terms: usize, plan: usize, from: usize, to: usize, out: usize): i32 {
  if (mostlyTiny(table, k, from, to))
    return averageInSpan(BF16, table, weights, k, divisor, terms, plan, from, to, out) < 0 ? -1 : <i32>((to - from) >> 4)
  const scaled = scaledOf(plan)
  const magnitude = v128.load_splat<u32>(constants)
  const half = v128.load_splat<u32>(constants, 4)
  const upperBits = v128.load_splat<u32>(constants, 8)
  const smallest = v128.load_splat<u32>(constants, 12)
  const range = v128.load_splat<u32>(constants, 16)
  const relative = errorInF32Of(plan)
  const zero = i16x8.splat(0)
  let open = 0
  let at = from
  for (; at + 32 <= to; at += 32) {
    let m0 = zero
    let m1 = zero
    let s0 = f32x4.splat(0)
    let s1 = f32x4.splat(0)
    let s2 = f32x4.splat(0)
    let s3 = f32x4.splat(0)
    for (let i = 0; i < k; i++) {
      const stream = streamOf(table, i, at)
      const c0 = v128.load(stream)
      const c1 = v128.load(stream, 16)
      const weight = v128.load_splat<u32>(scaled + (<usize>i << 2))
      m0 = i16x8.max_u(m0, v128.and(c0, magnitude))
      m1 = i16x8.max_u(m1, v128.and(c1, magnitude))
      s0 = f32x4.add(s0, f32x4.mul(weight, upper(c0)))
      s1 = f32x4.add(s1, f32x4.mul(weight, upperNext(c0)))
      s2 = f32x4.add(s2, f32x4.mul(weight, upper(c1)))
      s3 = f32x4.add(s3, f32x4.mul(weight, upperNext(c1)))
    }
    let e = f32x4.mul(relative, upper(m0))
    const p0 = i32x4.add(f32x4.add(s0, e), half)
    const q0 = i32x4.add(f32x4.sub(s0, e), half)
    e = f32x4.mul(relative, upperNext(m0))
    const p1 = i32x4.add(f32x4.add(s1, e), half)
    const q1 = i32x4.add(f32x4.sub(s1, e), half)
    e = f32x4.mul(relative, upper(m1))
    const p2 = i32x4.add(f32x4.add(s2, e), half)
    const q2 = i32x4.add(f32x4.sub(s2, e), half)
    e = f32x4.mul(relative, upperNext(m1))
    const p3 = i32x4.add(f32x4.add(s3, e), half)
    const q3 = i32x4.add(f32x4.sub(s3, e), half)
    // zero where all is well
    const o0 = v128.andnot(i16x8.sub_sat_u(i16x8.sub(m0, smallest), range), i16x8.eq(m0, zero))
    const o1 = v128.andnot(i16x8.sub_sat_u(i16x8.sub(m1, smallest), range), i16x8.eq(m1, zero))
    const a0 = v128.or(v128.and(v128.or(v128.xor(p0, q0), v128.xor(p1, q1)), upperBits), o0)
    const a1 = v128.or(v128.and(v128.or(v128.xor(p2, q2), v128.xor(p3, q3)), upperBits), o1)
    v128.store(out + at, v128.shuffle<i16>(p0, p1, 1, 3, 5, 7, 9, 11, 13, 15))
    v128.store(out + at, v128.shuffle<i16>(p2, p3, 1, 3, 5, 7, 9, 11, 13, 15), 16)
    if (v128.any_true(v128.or(a0, a1))) {
      if (v128.any_true(a0)) {
        open += countOf(o0)
        if (oneEight(table, weights, k, divisor, terms, plan, at, out + at) < 0) return -1
      }
      if (v128.any_true(a1)) {
        open += countOf(o1)
        if (oneEight(table, weights, k, divisor, terms, plan, at + 16, out + at + 16) < 0) return -1
      }
    }
  }
  for (; at < to; at += 16) {
    open++
    if (oneEight(table, weights, k, divisor, terms, plan, at, out + at) < 0) return -1
  }
  return open
}

/** The upper halves of eight f32, rounded half to even. */
@inline
function rounded(a: v128, b: v128, bias: v128, last: v128): v128 {
  const r0 = i32x4.add(a, i32x4.add(bias, v128.and(i32x4.shr_u(a, 16), last)))
  const r1 = i32x4.add(b, i32x4.add(bias, v128.and(i32x4.shr_u(b, 16), last)))
  return v128.shuffle<i16>(r0, r1, 1, 3, 5, 7, 9, 11, 13, 15)
}

/**
 * bf16 with whole weights of a small sum: the sum is exact in f32, and one f32 division rounds to the same cell. Whether
 * elements are mostly tiny is asked only behind such a block, for asking takes time where they never are.
 */
export function manyInF32(table: usize, weights: usize, k: i32, divisor: f64, terms: usize, plan: usize, from: usize, to: usize, out: usize): i32 {
  let open = 0
  let slow = false
  for (let block = from; block < to; block += BLOCK_BYTES) {
    const end = min(to, block + BLOCK_BYTES)
    const more = slow ? tinyOr(table, weights, k, divisor, terms, plan, block, end, out) : blockInF32(table, weights, k, divisor, terms, plan, block, end, out)
    if (more < 0) return -1
    open += more
    slow = more >= <i32>((end - block) >> 5)
  }
  return open
}

/** A block in f32 where that is not slow. */
function tinyOr(table: usize, weights: usize, k: i32, divisor: f64, terms: usize, plan: usize, from: usize, to: usize, out: usize): i32 {
  if (!mostlyTiny(table, k, from, to)) return blockInF32(table, weights, k, divisor, terms, plan, from, to, out)
  return tinyInSpan(table, weights, k, divisor, terms, plan, from, to, out)
}

function tinyInSpan(table: usize, weights: usize, k: i32, divisor: f64, terms: usize, plan: usize, from: usize, to: usize, out: usize): i32 {
  return averageInSpan(BF16, table, weights, k, divisor, terms, plan, from, to, out) < 0 ? -1 : TINY_COUNT * <i32>((to - from) >> 4)
}

function blockInF32(table: usize, weights: usize, k: i32, divisor: f64, terms: usize, plan: usize, from: usize, to: usize, out: usize): i32 {
  const scaled = scaledOf(plan)
  const narrowest = narrowOf(plan)
  const magnitude = v128.load_splat<u32>(constants)
  const smallest = v128.load_splat<u32>(constants, 20)
  const range = v128.load_splat<u32>(constants, 24)
  const bias = v128.load_splat<u32>(constants, 28)
  const last = v128.load_splat<u32>(constants, 32)
  const one = v128.load_splat<u32>(constants, 36)
  const zero = i16x8.splat(0)
  const d = divisorInF32Of(plan)
  let open = 0
  let asked = false
  let at = from
  for (; at + 32 <= to; at += 32) {
    let m0 = zero
    let m1 = zero
    let n0 = i16x8.splat(-1)
    let n1 = n0
    let s0 = f32x4.splat(0)
    let s1 = f32x4.splat(0)
    let s2 = f32x4.splat(0)
    let s3 = f32x4.splat(0)
    for (let i = 0; i < k; i++) {
      const stream = streamOf(table, i, at)
      const c0 = v128.load(stream)
      const c1 = v128.load(stream, 16)
      const weight = v128.load_splat<u32>(scaled + (<usize>i << 2))
      const z0 = v128.and(c0, magnitude)
      const z1 = v128.and(c1, magnitude)
      m0 = i16x8.max_u(m0, z0)
      m1 = i16x8.max_u(m1, z1)
      n0 = i16x8.min_u(n0, i16x8.sub(z0, one))
      n1 = i16x8.min_u(n1, i16x8.sub(z1, one))
      s0 = f32x4.add(s0, f32x4.mul(weight, upper(c0)))
      s1 = f32x4.add(s1, f32x4.mul(weight, upperNext(c0)))
      s2 = f32x4.add(s2, f32x4.mul(weight, upper(c1)))
      s3 = f32x4.add(s3, f32x4.mul(weight, upperNext(c1)))
    }
    // each is zero where all is well
    const o0 = v128.andnot(i16x8.sub_sat_u(i16x8.sub(m0, smallest), range), i16x8.eq(m0, zero))
    const o1 = v128.andnot(i16x8.sub_sat_u(i16x8.sub(m1, smallest), range), i16x8.eq(m1, zero))
    const a0 = v128.or(i16x8.sub_sat_u(i16x8.sub(m0, n0), narrowest), o0)
    const a1 = v128.or(i16x8.sub_sat_u(i16x8.sub(m1, n1), narrowest), o1)
    v128.store(out + at, rounded(f32x4.div(s0, d), f32x4.div(s1, d), bias, last))
    v128.store(out + at, rounded(f32x4.div(s2, d), f32x4.div(s3, d), bias, last), 16)
    if (v128.any_true(v128.or(a0, a1))) {
      if (!asked && v128.any_true(i16x8.lt_u(i16x8.min_u(n0, n1), i16x8.splat(TINY_CODE)))) {
        asked = true
        if (mostlyTiny(table, k, at, to)) {
          const more = tinyInSpan(table, weights, k, divisor, terms, plan, at, to, out)
          return more < 0 ? -1 : open + more
        }
      }
      if (v128.any_true(a0)) {
        open += countOf(o0)
        if (oneEight(table, weights, k, divisor, terms, plan, at, out + at) < 0) return -1
      }
      if (v128.any_true(a1)) {
        open += countOf(o1)
        if (oneEight(table, weights, k, divisor, terms, plan, at + 16, out + at + 16) < 0) return -1
      }
    }
  }
  for (; at < to; at += 16) {
    open++
    if (oneEight(table, weights, k, divisor, terms, plan, at, out + at) < 0) return -1
  }
  return open
}
