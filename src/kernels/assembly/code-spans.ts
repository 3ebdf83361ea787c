/** Between which sizes the codes of bf16 streams lie: what steps of f32 must know before they begin. */

/** Twice the least and the greatest code of a stream, without its sign; `zero`: what is taken from each, so that zeros are the greatest. */
let leastCode: v128 = i32x4.splat(0)
let greatestCode: v128 = i32x4.splat(0)
@inline
function span(from: usize, n: i32, zero: i32): void {
  let low = i32x4.splat(-1)
  let high = i32x4.splat(0)
  for (let at: usize = 0; at < <usize>n << 1; at += 16) {
    const size = i16x8.shl(v128.load(from + at), 1)
    low = i16x8.min_u(low, i16x8.sub(size, i16x8.splat(<i16>zero)))
    high = i16x8.max_u(high, size)
  }
  leastCode = low
  greatestCode = high
}
/** Twice the code of 2⁻⁶⁰: changes of what is at least that are zeros, or far from what f32 loses a share of. */
@inline const LEAST_CODE: i32 = 0x4300
@inline
function isFar(zero: i32): bool {
  return i16x8.all_true(i16x8.ge_u(leastCode, i16x8.splat(<i16>(LEAST_CODE - zero))))
}
@inline
function isFinite(): bool {
  return !v128.any_true(i16x8.ge_u(greatestCode, i16x8.splat(<i16>0xff00)))
}

/** Whether no change of the three streams in a table to a base is so small that f32 could be slow, or lose more than a share of it. */
export function isPlain(base: usize, streams: usize, n: i32): bool {
  span(base, n, 0)
  if (isFar(0)) return true
  span(base, n, 1)
  if (!isFar(1)) return false
  for (let i: usize = 0; i < 3; i++) {
    span(<usize>load<u32>(streams + 4 * i), n, 1)
    if (!isFar(1)) return false
  }
  return true
}
/** Of three streams. */
export function areFinite(streams: usize, n: i32): bool {
  for (let i: usize = 0; i < 3; i++) {
    span(<usize>load<u32>(streams + 4 * i), n, 0)
    if (!isFinite()) return false
  }
  return true
}
