/**
 * Exact sums of terms of any scales, eight columns side by side, each rounded once. The exponents of a few terms are sorted:
 * added from the greatest down, what an addition loses never outgrows what it was lost from. Many go to bins of their
 * exponents (bins.ts).
 */
import { addThreeDown } from './levels'
import { sortedCount, sortRows } from './sort-keys'

/** Terms of one sum up to which sorting is the cheaper way. */
@inline export const SORTED_MAX: i32 = 32

/** Where rows of eight terms lie that are to be sorted. */
export const rows: usize = memory.data(64 * 32, 16)
/** Of each row eight keys, an exponent over the row's number; once sorted, where the terms of this rank lie in `rows`. */
const keys: usize = memory.data(16 * 32, 16)

/** Two neighbouring columns of one rank. */
@inline
function rankOf(rank: usize, column: usize): v128 {
  const first = v128.load_zero<u64>(rows + <usize>load<u16>(rank + 2 * column) + 8 * column)
  return v128.load_lane<u64>(rows + <usize>load<u16>(rank + 2 * column, 2) + 8 * column, first, 1, 8)
}

@inline
function storeKeys(k: i32): void {
  const exponents = i16x8.splat(0x7ff0)
  for (let i = 0; i < k; i++) {
    const at = rows + (<usize>i << 6)
    const a = v128.shuffle<i32>(v128.load(at), v128.load(at, 16), 1, 3, 5, 7)
    const b = v128.shuffle<i32>(v128.load(at, 32), v128.load(at, 48), 1, 3, 5, 7)
    const upper = v128.shuffle<i16>(a, b, 1, 3, 5, 7, 9, 11, 13, 15)
    v128.store(keys + (<usize>i << 4), v128.or(i16x8.shl(v128.and(upper, exponents), 1), i16x8.splat(<i16>i)))
  }
}

/**
 * Not zero where the lower part does not tell how the sum is rounded. Once it has lost something it no more cancels, so that
 * thirty roundings of it are less than 2⁻⁴³ of it.
 */
@inline
function doubtOf(high: v128, low: v128): v128 {
  const error = f64x2.mul(low, f64x2.splat(2.2737367544323206e-13))
  return f64x2.ne(f64x2.add(high, f64x2.add(low, error)), f64x2.add(high, f64x2.sub(low, error)))
}

/** From the greatest down into two parts; false where a sum needs a third. */
export function descend(k: i32, out: usize): bool {
  const end = keys + (<usize>k << 4)
  const zero = f64x2.splat(0)
  let h0 = rankOf(keys, 0)
  let h1 = rankOf(keys, 2)
  let h2 = rankOf(keys, 4)
  let h3 = rankOf(keys, 6)
  let l0 = zero
  let l1 = zero
  let l2 = zero
  let l3 = zero
  for (let rank = keys + 16; rank < end; rank += 16) {
    const x0 = rankOf(rank, 0)
    const g0 = f64x2.add(h0, x0)
    const e0 = f64x2.sub(x0, f64x2.sub(g0, h0))
    h0 = g0
    l0 = f64x2.add(l0, e0)
    const x1 = rankOf(rank, 2)
    const g1 = f64x2.add(h1, x1)
    const e1 = f64x2.sub(x1, f64x2.sub(g1, h1))
    h1 = g1
    l1 = f64x2.add(l1, e1)
    const x2 = rankOf(rank, 4)
    const g2 = f64x2.add(h2, x2)
    const e2 = f64x2.sub(x2, f64x2.sub(g2, h2))
    h2 = g2
    l2 = f64x2.add(l2, e2)
    const x3 = rankOf(rank, 6)
    const g3 = f64x2.add(h3, x3)
    const e3 = f64x2.sub(x3, f64x2.sub(g3, h3))
    h3 = g3
    l3 = f64x2.add(l3, e3)
  }
  v128.store(out, f64x2.add(f64x2.add(h0, l0), zero))
  v128.store(out, f64x2.add(f64x2.add(h1, l1), zero), 16)
  v128.store(out, f64x2.add(f64x2.add(h2, l2), zero), 32)
  v128.store(out, f64x2.add(f64x2.add(h3, l3), zero), 48)
  const a = v128.or(doubtOf(h0, l0), doubtOf(h1, l1))
  const b = v128.or(doubtOf(h2, l2), doubtOf(h3, l3))
  return !v128.any_true(v128.or(a, b))
}

/** The same into three parts, which always tell how the sum is rounded; true where all could do without the third. */
export function descendFurther(k: i32, out: usize): bool {
  const end = keys + (<usize>k << 4)
  let h0 = rankOf(keys, 0)
  let h1 = rankOf(keys, 2)
  let h2 = rankOf(keys, 4)
  let h3 = rankOf(keys, 6)
  let l0 = f64x2.splat(0)
  let l1 = l0
  let l2 = l0
  let l3 = l0
  let u0 = l0
  let u1 = l0
  let u2 = l0
  let u3 = l0
  for (let rank = keys + 16; rank < end; rank += 16) {
    const x0 = rankOf(rank, 0)
    const g0 = f64x2.add(h0, x0)
    const e0 = f64x2.sub(x0, f64x2.sub(g0, h0))
    h0 = g0
    const m0 = f64x2.add(l0, e0)
    const v0 = f64x2.add(u0, f64x2.sub(e0, f64x2.sub(m0, l0)))
    l0 = f64x2.add(m0, v0)
    u0 = f64x2.sub(v0, f64x2.sub(l0, m0))
    const x1 = rankOf(rank, 2)
    const g1 = f64x2.add(h1, x1)
    const e1 = f64x2.sub(x1, f64x2.sub(g1, h1))
    h1 = g1
    const m1 = f64x2.add(l1, e1)
    const v1 = f64x2.add(u1, f64x2.sub(e1, f64x2.sub(m1, l1)))
    l1 = f64x2.add(m1, v1)
    u1 = f64x2.sub(v1, f64x2.sub(l1, m1))
    const x2 = rankOf(rank, 4)
    const g2 = f64x2.add(h2, x2)
    const e2 = f64x2.sub(x2, f64x2.sub(g2, h2))
    h2 = g2
    const m2 = f64x2.add(l2, e2)
    const v2 = f64x2.add(u2, f64x2.sub(e2, f64x2.sub(m2, l2)))
    l2 = f64x2.add(m2, v2)
    u2 = f64x2.sub(v2, f64x2.sub(l2, m2))
    const x3 = rankOf(rank, 6)
    const g3 = f64x2.add(h3, x3)
    const e3 = f64x2.sub(x3, f64x2.sub(g3, h3))
    h3 = g3
    const m3 = f64x2.add(l3, e3)
    const v3 = f64x2.add(u3, f64x2.sub(e3, f64x2.sub(m3, l3)))
    l3 = f64x2.add(m3, v3)
    u3 = f64x2.sub(v3, f64x2.sub(l3, m3))
  }
  v128.store(out, addThreeDown(h0, l0, u0))
  v128.store(out, addThreeDown(h1, l1, u1), 16)
  v128.store(out, addThreeDown(h2, l2, u2), 32)
  v128.store(out, addThreeDown(h3, l3, u3), 48)
  const a = v128.or(doubtOf(h0, l0), doubtOf(h1, l1))
  const b = v128.or(doubtOf(h2, l2), doubtOf(h3, l3))
  return !v128.any_true(v128.or(a, b))
}

/** Puts the `k` rows in order. */
export function sortTerms(k: i32): void {
  const count = sortedCount(k)
  storeKeys(k)
  const zero = i16x8.splat(0)
  const end = keys + (<usize>k << 4)
  for (let at = end; at < keys + (<usize>count << 4); at += 16) v128.store(at, zero) // no greater than the key of a zero
  sortRows<u16>(keys, count)
  const row = i16x8.splat(31)
  for (let at = keys; at < end; at += 16) v128.store(at, i16x8.shl(v128.and(v128.load(at), row), 6))
}

let simple: bool = true

/** Sums of eight products of two f32, as many as `k` in `rows`. */
export function sumSorted(k: i32, out: usize): void {
  sortTerms(k)
  // what needed a third part is most likely followed by what needs one
  if (simple && descend(k, out)) return
  simple = descendFurther(k, out)
}
