/** Elements of files as f32 values in vectors: 16-bit ones widened, an f16 as 2⁻¹¹² times its value. */

@inline export const BF16: i32 = 0
@inline export const F16: i32 = 1
@inline export const F32: i32 = 2

/** What an f16 in an f32 is short of. */
@inline export const F16_SCALE: f64 = 5.192296858534828e33

/** Of eight elements. */
@inline
export function bytesOf(form: i32): usize {
  return form == F32 ? 32 : 16
}

@inline
export function streamOf(table: usize, i: i32, at: usize): usize {
  return <usize>load<u32>(table + (<usize>i << 2)) + at
}

/** Elements 0 to 3 in the upper halves of words. */
@inline
export function upper(codes: v128): v128 {
  return v128.shuffle<i16>(i16x8.splat(0), codes, 0, 8, 1, 9, 2, 10, 3, 11)
}
@inline
export function upperNext(codes: v128): v128 {
  return v128.shuffle<i16>(i16x8.splat(0), codes, 4, 12, 5, 13, 6, 14, 7, 15)
}

/** The sign stays, exponent and mantissa move to their places in an f32. */
@inline
function ofF16(wide: v128): v128 {
  return v128.and(i32x4.shr_s(wide, 3), i32x4.splat(0x8fffe000))
}

/** Elements 0 to 3 of eight. */
@inline
export function lowFour(form: i32, stream: usize): v128 {
  if (form == F32) return v128.load(stream)
  const wide = upper(v128.load(stream))
  return form == F16 ? ofF16(wide) : wide
}

/** Elements 4 to 7 of eight. */
@inline
export function highFour(form: i32, stream: usize): v128 {
  if (form == F32) return v128.load(stream, 16)
  const wide = upperNext(v128.load(stream))
  return form == F16 ? ofF16(wide) : wide
}

@inline
export function lowTwo(values: v128): v128 {
  return f64x2.promote_low_f32x4(values)
}
@inline
export function highTwo(values: v128): v128 {
  return f64x2.promote_low_f32x4(v128.shuffle<i64>(values, values, 1, 0))
}
