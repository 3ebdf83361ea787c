/**
 * The average that is not the law: sums in f64 in the order given, each step rounded. Not part of the kernels; benchmarks
 * measure what exactness costs beside it.
 */
import { encodeEight } from './encode'

@inline
function upper(codes: v128): v128 {
  return v128.shuffle<i16>(i16x8.splat(0), codes, 0, 8, 1, 9, 2, 10, 3, 11)
}
@inline
function upperNext(codes: v128): v128 {
  return v128.shuffle<i16>(i16x8.splat(0), codes, 4, 12, 5, 13, 6, 14, 7, 15)
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
