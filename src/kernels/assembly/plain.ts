/**
 * Averages and a TIES merge that are not the law: sums in f64 in the order given, each step rounded. Not part of the kernels;
 * benchmarks measure what exactness costs beside them.
 */
import { encodeEight, encodeEightF32 } from './encode'

@inline
function upper(codes: v128): v128 {
  return v128.shuffle<i16>(i16x8.splat(0), codes, 0, 8, 1, 9, 2, 10, 3, 11)
}
@inline
function upperNext(codes: v128): v128 {
  return v128.shuffle<i16>(i16x8.splat(0), codes, 4, 12, 5, 13, 6, 14, 7, 15)
}
@inline
function lowTwo(values: v128): v128 {
  return f64x2.promote_low_f32x4(values)
}
@inline
function highTwo(values: v128): v128 {
  return f64x2.promote_low_f32x4(v128.shuffle<i64>(values, values, 1, 0))
}

@inline
function plain(bf16: bool, table: usize, weights: usize, k: i32, divisor: f64, out: usize, bytes: usize): void {
  const by = f64x2.splat(bf16 ? divisor : divisor / 5.192296858534828e33)
  for (let at: usize = 0; at < bytes; at += 16) {
    let s0 = f64x2.splat(0)
    let s1 = f64x2.splat(0)
    let s2 = f64x2.splat(0)
    let s3 = f64x2.splat(0)
    for (let i = 0; i < k; i++) {
      const codes = v128.load(<usize>load<u32>(table + (<usize>i << 2)) + at)
      const weight = v128.load_splat<u64>(weights + (<usize>i << 3))
      let low = upper(codes)
      let high = upperNext(codes)
      if (!bf16) {
        low = v128.and(i32x4.shr_s(low, 3), i32x4.splat(0x8fffe000))
        high = v128.and(i32x4.shr_s(high, 3), i32x4.splat(0x8fffe000))
      }
      s0 = f64x2.add(s0, f64x2.mul(weight, f64x2.promote_low_f32x4(low)))
      s1 = f64x2.add(s1, f64x2.mul(weight, highTwo(low)))
      s2 = f64x2.add(s2, f64x2.mul(weight, f64x2.promote_low_f32x4(high)))
      s3 = f64x2.add(s3, f64x2.mul(weight, highTwo(high)))
    }
    encodeEight(bf16, f64x2.div(s0, by), f64x2.div(s1, by), f64x2.div(s2, by), f64x2.div(s3, by), out + at)
  }
}

export function plainBf16(table: usize, weights: usize, k: i32, divisor: f64, out: usize, bytes: usize): void {
  plain(true, table, weights, k, divisor, out, bytes)
}

export function plainF16(table: usize, weights: usize, k: i32, divisor: f64, out: usize, bytes: usize): void {
  plain(false, table, weights, k, divisor, out, bytes)
}

export function plainF32(table: usize, weights: usize, k: i32, divisor: f64, out: usize, bytes: usize): void {
  const by = f64x2.splat(divisor)
  for (let at: usize = 0; at < bytes; at += 32) {
    let s0 = f64x2.splat(0)
    let s1 = f64x2.splat(0)
    let s2 = f64x2.splat(0)
    let s3 = f64x2.splat(0)
    for (let i = 0; i < k; i++) {
      const stream = <usize>load<u32>(table + (<usize>i << 2)) + at
      const weight = v128.load_splat<u64>(weights + (<usize>i << 3))
      s0 = f64x2.add(s0, f64x2.mul(weight, f64x2.promote_low_f32x4(v128.load_zero<u64>(stream))))
      s1 = f64x2.add(s1, f64x2.mul(weight, f64x2.promote_low_f32x4(v128.load_zero<u64>(stream, 8))))
      s2 = f64x2.add(s2, f64x2.mul(weight, f64x2.promote_low_f32x4(v128.load_zero<u64>(stream, 16))))
      s3 = f64x2.add(s3, f64x2.mul(weight, f64x2.promote_low_f32x4(v128.load_zero<u64>(stream, 24))))
    }
    encodeEightF32(f64x2.div(s0, by), f64x2.div(s1, by), f64x2.div(s2, by), f64x2.div(s3, by), out + at)
  }
}

/** Weights of those whose change has the sign of the vote. */
@inline
function agreeing(change: v128, vote: v128, weight: v128): v128 {
  return v128.andnot(weight, f64x2.le(f64x2.mul(change, vote), f64x2.splat(0)))
}

/** Two elements: changes above the cutoff vote by their sums, and those of the elected sign are averaged. */
@inline
function electTwo(x: v128, y: v128, z: v128, base: v128, w0: v128, w1: v128, w2: v128, cutoff: v128): v128 {
  const zero = f64x2.splat(0)
  x = f64x2.sub(x, base)
  y = f64x2.sub(y, base)
  z = f64x2.sub(z, base)
  x = v128.and(x, f64x2.gt(f64x2.abs(x), cutoff))
  y = v128.and(y, f64x2.gt(f64x2.abs(y), cutoff))
  z = v128.and(z, f64x2.gt(f64x2.abs(z), cutoff))
  const vote = f64x2.add(f64x2.add(f64x2.mul(w0, x), f64x2.mul(w1, y)), f64x2.mul(w2, z))
  const v0 = agreeing(x, vote, w0)
  const v1 = agreeing(y, vote, w1)
  const v2 = agreeing(z, vote, w2)
  const sum = f64x2.add(f64x2.add(f64x2.mul(v0, x), f64x2.mul(v1, y)), f64x2.mul(v2, z))
  const weight = f64x2.add(f64x2.add(v0, v1), v2)
  const nobody = f64x2.eq(weight, zero)
  return f64x2.add(base, v128.andnot(f64x2.div(sum, weight), nobody))
}

/** Three of bf16 and the base, which comes first in the table. */
export function plainTies(table: usize, weights: usize, cutoff: f64, out: usize, bytes: usize): void {
  const base = <usize>load<u32>(table)
  const p = <usize>load<u32>(table, 4)
  const q = <usize>load<u32>(table, 8)
  const r = <usize>load<u32>(table, 12)
  const w0 = v128.load_splat<u64>(weights)
  const w1 = v128.load_splat<u64>(weights, 8)
  const w2 = v128.load_splat<u64>(weights, 16)
  const least = f64x2.splat(cutoff)
  for (let at: usize = 0; at < bytes; at += 16) {
    let b = upper(v128.load(base + at))
    let x = upper(v128.load(p + at))
    let y = upper(v128.load(q + at))
    let z = upper(v128.load(r + at))
    const s0 = electTwo(lowTwo(x), lowTwo(y), lowTwo(z), lowTwo(b), w0, w1, w2, least)
    const s1 = electTwo(highTwo(x), highTwo(y), highTwo(z), highTwo(b), w0, w1, w2, least)
    b = upperNext(v128.load(base + at))
    x = upperNext(v128.load(p + at))
    y = upperNext(v128.load(q + at))
    z = upperNext(v128.load(r + at))
    const s2 = electTwo(lowTwo(x), lowTwo(y), lowTwo(z), lowTwo(b), w0, w1, w2, least)
    const s3 = electTwo(highTwo(x), highTwo(y), highTwo(z), highTwo(b), w0, w1, w2, least)
    encodeEight(true, s0, s1, s2, s3, out + at)
  }
}
