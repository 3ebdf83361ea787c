/** Eight sums to the bytes of an average, with one division; or both ends of what they may be, where those agree. */
import { BF16, F16, F32 } from './codes'
import { encodeAnyEight, encodeEight, encodeEightF32 } from './encode'

@inline
export function divided(form: i32, s0: v128, s1: v128, s2: v128, s3: v128, by: v128, out: usize): bool {
  const a = f64x2.div(s0, by)
  const b = f64x2.div(s1, by)
  const c = f64x2.div(s2, by)
  const d = f64x2.div(s3, by)
  return form == F32 ? encodeEightF32(a, b, c, d, out) : encodeEight(form == BF16, a, b, c, d, out)
}

/** The same, where quotients are of any size. */
@inline
export function dividedAny(form: i32, s0: v128, s1: v128, s2: v128, s3: v128, by: v128, out: usize): bool {
  if (form == F32) return divided(F32, s0, s1, s2, s3, by, out)
  return encodeAnyEight(form == BF16, f64x2.div(s0, by), f64x2.div(s1, by), f64x2.div(s2, by), f64x2.div(s3, by), out)
}

/** Both ends of what eight sums may be. */
const ends: usize = memory.data(128, 16)
@inline
export function storeEnds(at: usize, sum: v128, error: v128): void {
  v128.store(ends + at, f64x2.add(sum, error))
  v128.store(ends + at, f64x2.sub(sum, error), 64)
}

@inline
function dividedEnds(form: i32, from: usize, by: v128, out: usize): bool {
  return divided(form, v128.load(from), v128.load(from, 16), v128.load(from, 32), v128.load(from, 48), by, out)
}

/** Whether both ends of eight sums are rounded alike; then that lies in `out`. */
export function roundedAlike(form: i32, divisor: f64, out: usize): bool {
  const by = f64x2.splat(divisor)
  let fits: bool
  if (form == BF16) fits = dividedEnds(BF16, ends, by, out) && dividedEnds(BF16, ends + 64, by, other)
  else if (form == F16) fits = dividedEnds(F16, ends, by, out) && dividedEnds(F16, ends + 64, by, other)
  else fits = dividedEnds(F32, ends, by, out) && dividedEnds(F32, ends + 64, by, other)
  if (!fits) return false
  let differ = v128.xor(v128.load(out), v128.load(other))
  if (form == F32) differ = v128.or(differ, v128.xor(v128.load(out, 16), v128.load(other, 16)))
  return !v128.any_true(differ)
}
const other: usize = memory.data(32)
