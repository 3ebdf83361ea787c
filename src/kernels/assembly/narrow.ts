/** Planes of f32: half as long, and all that changes to a base and what is left of them need. */
/** Elements as f32; false where one is not finite. */
export function readBf16(from: usize, out: usize, n: i32): bool {
  const zero = i16x8.splat(0)
  const exponent = i16x8.splat(0x7f80)
  let bad = zero
  let left = n
  for (; left >= 8; left -= 8) {
    const codes = v128.load(from)
    bad = v128.or(bad, i16x8.eq(v128.and(codes, exponent), exponent))
    v128.store(out, v128.shuffle<i16>(zero, codes, 0, 8, 1, 9, 2, 10, 3, 11))
    v128.store(out, v128.shuffle<i16>(zero, codes, 4, 12, 5, 13, 6, 14, 7, 15), 16)
    from += 16
    out += 32
  }
  let finite = !v128.any_true(bad)
  for (; left > 0; left--) {
    const code = <u32>load<u16>(from)
    if ((code & 0x7f80) == 0x7f80) finite = false
    store<u32>(out, code << 16)
    from += 2
    out += 4
  }
  return finite
}

/** The same of bytes that are f32 already. */
export function readF32(from: usize, out: usize, n: i32): bool {
  const exponent = i32x4.splat(0x7f800000)
  let bad = i32x4.splat(0)
  let left = n
  for (; left >= 4; left -= 4) {
    const values = v128.load(from)
    bad = v128.or(bad, i32x4.eq(v128.and(values, exponent), exponent))
    v128.store(out, values)
    from += 16
    out += 16
  }
  let finite = !v128.any_true(bad)
  for (; left > 0; left--) {
    const value = load<f32>(from)
    if (value - value != 0) finite = false
    store<f32>(out, value)
    from += 4
    out += 4
  }
  return finite
}

/** f64 planes of f32 values. Rows are whole: what lies behind the last element is room. */
export function narrow(a: usize, out: usize, n: i32): void {
  for (let i = 0; i < n; i += 4) {
    const values = v128.shuffle<i64>(f32x4.demote_f64x2_zero(v128.load(a)), f32x4.demote_f64x2_zero(v128.load(a, 16)), 0, 2)
    v128.store(out, values)
    a += 32
    out += 16
  }
}

export function widen(a: usize, out: usize, n: i32): void {
  for (let i = 0; i < n; i += 8) {
    v128.store(out, f64x2.promote_low_f32x4(v128.load_zero<u64>(a)))
    v128.store(out, f64x2.promote_low_f32x4(v128.load_zero<u64>(a, 8)), 16)
    v128.store(out, f64x2.promote_low_f32x4(v128.load_zero<u64>(a, 16)), 32)
    v128.store(out, f64x2.promote_low_f32x4(v128.load_zero<u64>(a, 24)), 48)
    a += 32
    out += 64
  }
}

/** a − b rounded to f32: rounding to f64 on the way would leave no trace. Behind the last element there is room for a row. */
export function change(a: usize, b: usize, out: usize, n: i32): void {
  for (let i = 0; i < n; i += 16) {
    v128.store(out, f32x4.sub(v128.load(a), v128.load(b)))
    v128.store(out, f32x4.sub(v128.load(a, 16), v128.load(b, 16)), 16)
    v128.store(out, f32x4.sub(v128.load(a, 32), v128.load(b, 32)), 32)
    v128.store(out, f32x4.sub(v128.load(a, 48), v128.load(b, 48)), 48)
    a += 64
    b += 64
    out += 64
  }
}

/** 2⁻¹⁰⁰: its reciprocal, and what that multiplies of f32, are far from the ends of f64. */
@inline const LEAST_POWER: f64 = 7.888609052210118e-31

@inline
function scaledFour(over: bool, a: usize, b: v128): v128 {
  const low = f64x2.promote_low_f32x4(v128.load_zero<u64>(a))
  const high = f64x2.promote_low_f32x4(v128.load_zero<u64>(a, 8))
  const x = over ? f64x2.div(low, b) : f64x2.mul(low, b)
  const y = over ? f64x2.div(high, b) : f64x2.mul(high, b)
  return v128.shuffle<i64>(f32x4.demote_f64x2_zero(x), f32x4.demote_f64x2_zero(y), 0, 2)
}

@inline
function scaleAll(over: bool, a: usize, by: f64, out: usize, n: i32): void {
  const b = f64x2.splat(by)
  for (let i = 0; i < n; i += 8) {
    const first = scaledFour(over, a, b)
    v128.store(out, first)
    v128.store(out, scaledFour(over, a + 16, b), 16)
    a += 32
    out += 32
  }
}

/**
 * Times or over one f64, rounded to f64 and then to f32. In f32 alone, subnormal elements would take ten times as long. Behind
 * the last element there is room for a row.
 */
export function scale(over: bool, a: usize, by: f64, out: usize, n: i32): void {
  if (over && reinterpret<u64>(by) << 12 == 0 && abs(by) > LEAST_POWER && abs(by) <= 1) {
    by = 1 / by // a power of two, whose products are exact
    over = false
  }
  if (over) scaleAll(true, a, by, out, n)
  else scaleAll(false, a, by, out, n)
}

/** 0 but where the magnitude is above the key. */
@inline
function aboveAll(a: usize, key: i32, out: usize, n: i32): void {
  const magnitude = i32x4.splat(0x7fffffff)
  const cut = i32x4.splat(key)
  let i = 0
  for (; i + 16 <= n; i += 16) {
    const x = v128.load(a)
    const y = v128.load(a, 16)
    const z = v128.load(a, 32)
    const w = v128.load(a, 48)
    v128.store(out, v128.and(x, i32x4.gt_s(v128.and(x, magnitude), cut)))
    v128.store(out, v128.and(y, i32x4.gt_s(v128.and(y, magnitude), cut)), 16)
    v128.store(out, v128.and(z, i32x4.gt_s(v128.and(z, magnitude), cut)), 32)
    v128.store(out, v128.and(w, i32x4.gt_s(v128.and(w, magnitude), cut)), 48)
    a += 64
    out += 64
  }
  for (; i < n; i += 4) {
    const x = v128.load(a)
    v128.store(out, v128.and(x, i32x4.gt_s(v128.and(x, magnitude), cut)))
    a += 16
    out += 16
  }
}

/** 0 but where the magnitude is above the key, or equal to it among the first `ties` elements. */
export function trim(a: usize, key: i32, ties: i32, out: usize, n: i32): void {
  // that which is at least the key is above the number before it
  const whole = ties & ~3
  aboveAll(a, key - 1, out, whole)
  a += <usize>whole << 2
  out += <usize>whole << 2
  let i = whole
  for (; i < ties; i++) {
    const bits = load<i32>(a)
    store<i32>(out, (bits & 0x7fffffff) >= key ? bits : 0)
    a += 4
    out += 4
  }
  aboveAll(a, key, out, n - i)
}

@inline
function count(into: usize, bin: i32): void {
  const cell = into + (<usize>bin << 2)
  store<u32>(cell, load<u32>(cell) + 1)
}

/** For each mask of four lanes, where the bytes of those in it come from, one after the other. */
const gathers: usize = memory.data(256, 16)
for (let mask = 0; mask < 16; mask++) {
  let next = gathers + (<usize>mask << 4)
  for (let lane = 0; lane < 4; lane++) {
    if ((mask & (1 << lane)) == 0) continue
    store<i32>(next, 0x03020100 + lane * 0x04040404)
    next += 4
  }
}
/** Keys of one strip that are to be counted. */
const hits: usize = memory.data(2064, 16)

/**
 * Counts keys above `high` into the first word, and those from `low` to `high`, by 2^shift, into the words behind it. Most
 * are neither, and which ones no processor foresees: they are gathered without a branch.
 */
export function bracket(a: usize, low: i32, high: i32, shift: i32, into: usize, n: i32): void {
  const magnitude = i32x4.splat(0x7fffffff)
  const bottom = i32x4.splat(low)
  const top = i32x4.splat(high)
  let above = i32x4.splat(0)
  let end = hits
  let left = n
  for (; left >= 4; left -= 4) {
    const keys = v128.and(v128.load(a), magnitude)
    a += 16
    const over = i32x4.gt_s(keys, top)
    above = i32x4.sub(above, over)
    const mask = i32x4.bitmask(v128.andnot(i32x4.ge_s(keys, bottom), over))
    v128.store(end, v128.swizzle(i32x4.sub(keys, bottom), v128.load(gathers + (<usize>mask << 4))))
    end += <usize>popcnt(mask) << 2
  }
  let more =
    i32x4.extract_lane(above, 0) +
    i32x4.extract_lane(above, 1) +
    i32x4.extract_lane(above, 2) +
    i32x4.extract_lane(above, 3)
  for (; left > 0; left--) {
    const key = load<i32>(a) & 0x7fffffff
    a += 4
    if (key > high) more++
    else if (key >= low) {
      store<i32>(end, key - low)
      end += 4
    }
  }
  store<u32>(into, load<u32>(into) + more)
  const bins = into + 4
  for (let hit = hits; hit < end; hit += 4) count(bins, load<i32>(hit) >>> shift)
}

/** Takes elements with this key from those still to come; where there are none any more, keeps the index of the last. */
export function nth(a: usize, key: i32, first: f64, state: usize, n: i32): void {
  const wanted = load<f64>(state)
  if (wanted <= 0) return
  const magnitude = i32x4.splat(0x7fffffff)
  const equal = i32x4.splat(key)
  let hits = i32x4.splat(0)
  let i = 0
  for (; i + 4 <= n; i += 4) hits = i32x4.sub(hits, i32x4.eq(v128.and(v128.load(a + (<usize>i << 2)), magnitude), equal))
  let here =
    i32x4.extract_lane(hits, 0) +
    i32x4.extract_lane(hits, 1) +
    i32x4.extract_lane(hits, 2) +
    i32x4.extract_lane(hits, 3)
  for (; i < n; i++) if ((load<i32>(a + (<usize>i << 2)) & 0x7fffffff) == key) here++
  store<f64>(state, max<f64>(0, wanted - <f64>here))
  if (<f64>here < wanted) return
  let left = <i32>wanted
  for (i = 0; left > 0; i++) if ((load<i32>(a + (<usize>i << 2)) & 0x7fffffff) == key) left--
  store<f64>(state, first + <f64>(i - 1), 8)
}
