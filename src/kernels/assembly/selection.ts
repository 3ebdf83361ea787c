/** Magnitude keys: the 31 bits of |value| as an f32, NaN being 7fc00000. */

@inline
function keysOf(first: v128, second: v128): v128 {
  const values = v128.shuffle<i64>(f32x4.demote_f64x2_zero(first), f32x4.demote_f64x2_zero(second), 0, 2)
  const keys = v128.and(values, i32x4.splat(0x7fffffff))
  return v128.bitselect(i32x4.splat(0x7fc00000), keys, f32x4.ne(values, values))
}

@inline
function keyOf(value: f64): i32 {
  return value != value ? 0x7fc00000 : reinterpret<i32>(<f32>value) & 0x7fffffff
}

@inline
function count(bins: usize, bin: i32): void {
  const cell = bins + (<usize>bin << 2)
  store<u32>(cell, load<u32>(cell) + 1)
}

/** Counts keys above `high` into the first word, and those from `low` to `high`, by 2^shift, into the words behind it. */
export function histogram(a: usize, low: i32, high: i32, shift: i32, into: usize, n: i32): void {
  const bins = into + 4
  const bottom = i32x4.splat(low)
  const top = i32x4.splat(high)
  let above = i32x4.splat(0)
  let left = n
  for (; left >= 4; left -= 4) {
    const keys = keysOf(v128.load(a), v128.load(a, 16))
    a += 32
    const over = i32x4.gt_s(keys, top)
    above = i32x4.sub(above, over)
    const hits = v128.andnot(i32x4.ge_s(keys, bottom), over)
    if (!v128.any_true(hits)) continue
    if (i32x4.extract_lane(hits, 0) != 0) count(bins, (i32x4.extract_lane(keys, 0) - low) >>> shift)
    if (i32x4.extract_lane(hits, 1) != 0) count(bins, (i32x4.extract_lane(keys, 1) - low) >>> shift)
    if (i32x4.extract_lane(hits, 2) != 0) count(bins, (i32x4.extract_lane(keys, 2) - low) >>> shift)
    if (i32x4.extract_lane(hits, 3) != 0) count(bins, (i32x4.extract_lane(keys, 3) - low) >>> shift)
  }
  let more = lanes(above)
  for (; left > 0; left--) {
    const key = keyOf(load<f64>(a))
    a += 8
    if (key > high) more++
    else if (key >= low) count(bins, (key - low) >>> shift)
  }
  store<u32>(into, load<u32>(into) + more)
}

@inline
function lanes(counts: v128): i32 {
  return (
    i32x4.extract_lane(counts, 0) +
    i32x4.extract_lane(counts, 1) +
    i32x4.extract_lane(counts, 2) +
    i32x4.extract_lane(counts, 3)
  )
}

export function countEqual(a: usize, key: i32, n: i32): i32 {
  const wanted = i32x4.splat(key)
  let counts = i32x4.splat(0)
  let left = n
  for (; left >= 4; left -= 4) {
    counts = i32x4.sub(counts, i32x4.eq(keysOf(v128.load(a), v128.load(a, 16)), wanted))
    a += 32
  }
  let total =
    i32x4.extract_lane(counts, 0) +
    i32x4.extract_lane(counts, 1) +
    i32x4.extract_lane(counts, 2) +
    i32x4.extract_lane(counts, 3)
  for (; left > 0; left--) {
    if (keyOf(load<f64>(a)) == key) total++
    a += 8
  }
  return total
}

/** Index of the n-th element, from 1, with this key; −1 where fewer are here. */
export function nthEqual(a: usize, key: i32, nth: i32, n: i32): i32 {
  let left = nth
  for (let i = 0; i < n; i++) if (keyOf(load<f64>(a + (<usize>i << 3))) == key && --left == 0) return i
  return -1
}

@inline
function storeMask(out: usize, hits: v128): void {
  const one = f64x2.splat(1)
  v128.store(out, v128.and(i64x2.extend_low_i32x4_s(hits), one))
  v128.store(out, v128.and(i64x2.extend_high_i32x4_s(hits), one), 16)
}

/** Keys above `key` are kept; equal ones too among the first `ties` elements. */
export function aboveCutoff(a: usize, key: i32, ties: i32, out: usize, n: i32): void {
  const cut = i32x4.splat(key)
  let i = 0
  for (; i + 4 <= ties; i += 4) {
    storeMask(out, i32x4.ge_s(keysOf(v128.load(a), v128.load(a, 16)), cut))
    a += 32
    out += 32
  }
  for (; i < ties; i++) {
    store<f64>(out, keyOf(load<f64>(a)) >= key ? 1 : 0)
    a += 8
    out += 8
  }
  for (; i + 4 <= n; i += 4) {
    storeMask(out, i32x4.gt_s(keysOf(v128.load(a), v128.load(a, 16)), cut))
    a += 32
    out += 32
  }
  for (; i < n; i++) {
    store<f64>(out, keyOf(load<f64>(a)) > key ? 1 : 0)
    a += 8
    out += 8
  }
}
