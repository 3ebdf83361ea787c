/** Bytes of a file to f64, exactly. Each answers whether all elements are finite. */
import { PAGE_BYTES, touch } from './touch'

/** Whether so many elements are a page, or a whole number of them; then the next one of that many bytes each is asked for. */
@inline
function ask(from: usize, left: i32, bytes: usize): void {
  if (((<usize>left * bytes) & (PAGE_BYTES - 1)) == 0) touch(from, from + PAGE_BYTES)
}

@inline
function storeFour(out: usize, values: v128): void {
  v128.store(out, f64x2.promote_low_f32x4(values))
  v128.store(out, f64x2.promote_low_f32x4(v128.shuffle<i64>(values, values, 1, 0)), 16)
}

export function decodeBf16(from: usize, out: usize, n: i32): bool {
  const zero = i16x8.splat(0)
  const exponent = i16x8.splat(0x7f80)
  let bad = zero
  let left = n
  for (; left >= 8; left -= 8) {
    ask(from, left, 2)
    const codes = v128.load(from)
    bad = v128.or(bad, i16x8.eq(v128.and(codes, exponent), exponent))
    storeFour(out, v128.shuffle<i16>(zero, codes, 0, 8, 1, 9, 2, 10, 3, 11))
    storeFour(out + 32, v128.shuffle<i16>(zero, codes, 4, 12, 5, 13, 6, 14, 7, 15))
    from += 16
    out += 64
  }
  let finite = !v128.any_true(bad)
  for (; left > 0; left--) {
    const code = <u32>load<u16>(from)
    if ((code & 0x7f80) == 0x7f80) finite = false
    store<f64>(out, <f64>reinterpret<f32>(code << 16))
    from += 2
    out += 8
  }
  return finite
}

/** An f16 as an f32 of 2⁻¹¹² times its value, scaled back in f64: no step rounds. Infinity and NaN are made by hand. */
function f16(code: u32): f64 {
  const small = <f64>reinterpret<f32>(((code & 0x8000) << 16) | ((code & 0x7fff) << 13))
  if ((code & 0x7c00) != 0x7c00) return small * 5.192296858534828e33
  if ((code & 0x3ff) != 0) return NaN
  return (code & 0x8000) != 0 ? -Infinity : Infinity
}

@inline
function storeHalf(out: usize, codes: v128): void {
  const scale = f64x2.splat(5.192296858534828e33)
  // the sign stays, exponent and mantissa move to their places in an f32
  const small = v128.and(i32x4.shr_s(codes, 3), i32x4.splat(0x8fffe000))
  v128.store(out, f64x2.mul(scale, f64x2.promote_low_f32x4(small)))
  v128.store(out, f64x2.mul(scale, f64x2.promote_low_f32x4(v128.shuffle<i64>(small, small, 1, 0))), 16)
}

/** Eight codes, none of which is infinite or NaN. */
@inline
export function eightF16(out: usize, codes: v128): void {
  const zero = i16x8.splat(0)
  storeHalf(out, v128.shuffle<i16>(zero, codes, 0, 8, 1, 9, 2, 10, 3, 11))
  storeHalf(out + 32, v128.shuffle<i16>(zero, codes, 4, 12, 5, 13, 6, 14, 7, 15))
}

export function decodeF16(from: usize, out: usize, n: i32): bool {
  const exponent = i16x8.splat(0x7c00)
  let finite = true
  let left = n
  for (; left >= 8; left -= 8) {
    ask(from, left, 2)
    const codes = v128.load(from)
    if (v128.any_true(i16x8.eq(v128.and(codes, exponent), exponent))) {
      finite = false
      for (let i: usize = 0; i < 8; i++) store<f64>(out + (i << 3), f16(load<u16>(from + (i << 1))))
    } else eightF16(out, codes)
    from += 16
    out += 64
  }
  for (; left > 0; left--) {
    const code = <u32>load<u16>(from)
    if ((code & 0x7c00) == 0x7c00) finite = false
    store<f64>(out, f16(code))
    from += 2
    out += 8
  }
  return finite
}

export function decodeF32(from: usize, out: usize, n: i32): bool {
  const size = i32x4.splat(0x7fffffff)
  let most = i32x4.splat(0)
  let left = n
  for (; left >= 8; left -= 8) {
    ask(from, left, 4)
    most = i32x4.max_s(most, i32x4.max_s(v128.and(v128.load(from), size), v128.and(v128.load(from, 16), size)))
    // read like this, widening is one operation
    v128.store(out, f64x2.promote_low_f32x4(v128.load_zero<u64>(from)))
    v128.store(out, f64x2.promote_low_f32x4(v128.load_zero<u64>(from, 8)), 16)
    v128.store(out, f64x2.promote_low_f32x4(v128.load_zero<u64>(from, 16)), 32)
    v128.store(out, f64x2.promote_low_f32x4(v128.load_zero<u64>(from, 24)), 48)
    from += 32
    out += 64
  }
  let finite = !v128.any_true(i32x4.ge_s(most, i32x4.splat(0x7f800000)))
  for (; left > 0; left--) {
    const value = <f64>load<f32>(from)
    if (value - value != 0) finite = false
    store<f64>(out, value)
    from += 4
    out += 8
  }
  return finite
}
