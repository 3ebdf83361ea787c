/**
 * f64 to the bytes of a file: one rounding, half to even, straight from f64. A zero is +0 and NaN has one form. Each
 * answers the index of the first element that is not finite after it, or −1.
 */

/** What a 16-bit format is made of. */
@inline
function shiftOf(bf16: bool): i32 {
  return bf16 ? 13 : 10
}
@inline
function rebiasOf(bf16: bool): i32 {
  return bf16 ? (1023 - 127) << 20 : (1023 - 15) << 20
}
@inline
function unitsOf(bf16: bool): f64 {
  return bf16 ? 1.0889035741470031e40 : 16777216 // 2¹³³, 2²⁴
}
@inline
function infinityOf(bf16: bool): i32 {
  return bf16 ? 0x7f80 : 0x7c00
}

/**
 * Loaded where they are used, for the compiler makes a constant again in every turn of a loop: magnitude, what is left of a
 * lower word, sign, and of each format the rebias, the least that is normal, just less than half a code, and the first
 * code that is not finite.
 */
const constants: usize = memory.data<u32>([
  0x7fffffff, 1, 0x8000, 0x38000000, 0x38100000, 0x0fff, 0x7f80, 0x3f000000, 0x3f100000, 0x01ff, 0x7c00,
])
@inline
function constantOf(place: usize): v128 {
  return v128.load_splat<u32>(constants + 4 * place)
}
/** Of the format. */
@inline
function ownOf(bf16: bool, place: usize): v128 {
  return constantOf(place + (bf16 ? 3 : 7))
}

/** The same, one element at a time, with what is not finite. */
@inline
function codeOf(bf16: bool, value: f64): i32 {
  const shift = shiftOf(bf16)
  const bits = reinterpret<i64>(value)
  const high = <i32>(bits >> 32) & 0x7fffffff
  const sign = <i32>(bits >>> 48) & 0x8000
  if (value != value) return bf16 ? 0x7fc0 : 0x7e00
  if (high < rebiasOf(bf16) + (1 << 20)) {
    // the integer lies in the low bits of the sum
    const code = <i32>reinterpret<i64>(abs(value) * unitsOf(bf16) + 4503599627370496)
    return code == 0 ? 0 : code | sign
  }
  const rest = (high - rebiasOf(bf16)) | (<i32>bits == 0 ? 0 : 1)
  const code = (rest + (1 << (shift - 1)) - 1 + ((rest >>> shift) & 1)) >>> shift
  return min(code, infinityOf(bf16)) | sign
}

/**
 * The codes of four elements without their signs, right where all are finite. Where any size is as likely as another, a
 * branch for small ones costs more than they do.
 */
@inline
function codesOf(bf16: bool, anySize: bool, first: v128, second: v128): v128 {
  const shift = shiftOf(bf16)
  const one = constantOf(1)
  const high = v128.shuffle<i32>(first, second, 1, 3, 5, 7)
  const low = v128.shuffle<i32>(first, second, 0, 2, 4, 6)
  const size = v128.and(high, constantOf(0))
  // the lower word only matters as "something is left": 1 where it is not zero
  const left = i32x4.add(one, i32x4.eq(low, i32x4.splat(0)))
  const bits = v128.or(i32x4.sub(size, ownOf(bf16, 0)), left)
  const odd = v128.and(i32x4.shr_u(bits, shift), one)
  let codes = i32x4.shr_u(i32x4.add(i32x4.add(bits, ownOf(bf16, 2)), odd), shift)
  const small = i32x4.lt_s(size, ownOf(bf16, 1))
  if (anySize || v128.any_true(small)) {
    const units = f64x2.splat(unitsOf(bf16))
    const magic = f64x2.splat(4503599627370496)
    const a = f64x2.add(f64x2.mul(f64x2.abs(first), units), magic)
    const b = f64x2.add(f64x2.mul(f64x2.abs(second), units), magic)
    codes = v128.bitselect(v128.shuffle<i32>(a, b, 0, 2, 4, 6), codes, small)
  }
  return codes
}

/** A zero is +0. */
@inline
function signed(codes: v128, first: v128, second: v128): v128 {
  const high = v128.shuffle<i32>(first, second, 1, 3, 5, 7)
  const sign = v128.and(i32x4.shr_u(high, 16), constantOf(2))
  return v128.or(codes, v128.and(sign, i32x4.gt_s(codes, i32x4.splat(0))))
}

/** Eight elements, where all are finite; else false, and nothing is written. */
@inline
export function encodeEight(bf16: bool, v0: v128, v1: v128, v2: v128, v3: v128, out: usize): bool {
  return encodeEightOf(bf16, false, v0, v1, v2, v3, out)
}

/** The same, at one price for all sizes. */
@inline
export function encodeAnyEight(bf16: bool, v0: v128, v1: v128, v2: v128, v3: v128, out: usize): bool {
  return encodeEightOf(bf16, true, v0, v1, v2, v3, out)
}

@inline
function encodeEightOf(bf16: bool, anySize: bool, v0: v128, v1: v128, v2: v128, v3: v128, out: usize): bool {
  const a = codesOf(bf16, anySize, v0, v1)
  const b = codesOf(bf16, anySize, v2, v3)
  if (v128.any_true(i32x4.ge_s(i32x4.max_s(a, b), ownOf(bf16, 3)))) return false
  v128.store(out, i16x8.narrow_i32x4_u(signed(a, v0, v1), signed(b, v2, v3)))
  return true
}

/** The same in f32. */
@inline
export function encodeEightF32(v0: v128, v1: v128, v2: v128, v3: v128, out: usize): bool {
  const zero = f32x4.splat(0)
  const a = f32x4.add(v128.shuffle<i64>(f32x4.demote_f64x2_zero(v0), f32x4.demote_f64x2_zero(v1), 0, 2), zero)
  const b = f32x4.add(v128.shuffle<i64>(f32x4.demote_f64x2_zero(v2), f32x4.demote_f64x2_zero(v3), 0, 2), zero)
  const rest = v128.or(f32x4.ne(f32x4.sub(a, a), zero), f32x4.ne(f32x4.sub(b, b), zero))
  if (v128.any_true(rest)) return false
  v128.store(out, a)
  v128.store(out, b, 16)
  return true
}

@inline
function encodeHalf(bf16: bool, from: usize, out: usize, n: i32): i32 {
  let first = -1
  let i = 0
  for (; i + 8 <= n; i += 8) {
    if (!encodeEight(bf16, v128.load(from), v128.load(from, 16), v128.load(from, 32), v128.load(from, 48), out)) {
      for (let j: i32 = 0; j < 8; j++) {
        const code = codeOf(bf16, load<f64>(from + (<usize>j << 3)))
        if (first < 0 && (code & 0x7fff) >= infinityOf(bf16)) first = i + j
        store<u16>(out + (<usize>j << 1), <u16>code)
      }
    }
    from += 64
    out += 16
  }
  for (; i < n; i++) {
    const code = codeOf(bf16, load<f64>(from))
    if (first < 0 && (code & 0x7fff) >= infinityOf(bf16)) first = i
    store<u16>(out, <u16>code)
    from += 8
    out += 2
  }
  return first
}

export function encodeBf16(from: usize, out: usize, n: i32): i32 {
  return encodeHalf(true, from, out, n)
}

export function encodeF16(from: usize, out: usize, n: i32): i32 {
  return encodeHalf(false, from, out, n)
}

export function encodeF32(from: usize, out: usize, n: i32): i32 {
  const zero = f32x4.splat(0)
  let first = -1
  let i = 0
  for (; i < n; i += 4) {
    if (i + 4 <= n) {
      const a = f32x4.demote_f64x2_zero(v128.load(from))
      const b = f32x4.demote_f64x2_zero(v128.load(from, 16))
      const values = f32x4.add(v128.shuffle<i64>(a, b, 0, 2), zero) // −0 to +0
      const rest = f32x4.sub(values, values)
      if (v128.all_true<i32>(f32x4.eq(rest, zero))) {
        v128.store(out, values)
        from += 32
        out += 16
        continue
      }
    }
    for (let j = i; j < min(i + 4, n); j++) {
      const value = <f32>load<f64>(from) + 0
      if (first < 0 && value - value != 0) first = j
      if (value != value) store<u32>(out, 0x7fc00000)
      else store<f32>(out, value)
      from += 8
      out += 4
    }
  }
  return first
}
