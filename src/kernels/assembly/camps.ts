/** Exact sums of the terms of one camp: the products weight · plane above zero, or those below. */
import { lostTwo } from './error-free'
import { weightedSum } from './exact'
import { sumFour } from './levels'


/** Of at most 64 contributions: terms of four elements, or planes of theirs with a table, and sums. */
const terms: usize = memory.data(32 * 64, 16)
const table: usize = memory.data(4 * 64, 16)
const sums: usize = memory.data(32, 16)

@inline
export function planeOf(from: usize, i: i32): usize {
  return <usize>load<u32>(from + (<usize>i << 2))
}

@inline
function inCamp(term: v128, positive: bool): v128 {
  const zero = f64x2.splat(0)
  return positive ? f64x2.pmax(term, zero) : f64x2.pmin(term, zero)
}

/** Four elements where two parts hold each sum; false where they don't. A zero is +0. */
@inline
function inTwoParts(from: usize, weights: usize, k: i32, at: usize, positive: bool, out: usize): bool {
  const zero = f64x2.splat(0)
  let h0 = zero
  let h1 = zero
  let l0 = zero
  let l1 = zero
  let lost = zero
  for (let i = 0; i < k; i++) {
    const values = v128.load(planeOf(from, i) + at)
    const weight = v128.load_splat<u64>(weights + (<usize>i << 3))
    const t0 = inCamp(f64x2.mul(weight, f64x2.promote_low_f32x4(values)), positive)
    const t1 = inCamp(f64x2.mul(weight, f64x2.promote_low_f32x4(v128.shuffle<i64>(values, values, 1, 0))), positive)
    v128.store(terms + (<usize>i << 5), t0)
    v128.store(terms + (<usize>i << 5), t1, 16)
    const s0 = f64x2.add(h0, t0)
    const s1 = f64x2.add(h1, t1)
    const e0 = lostTwo(h0, t0, s0)
    const e1 = lostTwo(h1, t1, s1)
    h0 = s0
    h1 = s1
    const m0 = f64x2.add(l0, e0)
    const m1 = f64x2.add(l1, e1)
    lost = v128.or(lost, v128.or(f64x2.ne(lostTwo(l0, e0, m0), zero), f64x2.ne(lostTwo(l1, e1, m1), zero)))
    l0 = m0
    l1 = m1
  }
  if (v128.any_true(lost)) return false
  v128.store(out, f64x2.add(f64x2.add(h0, l0), zero))
  v128.store(out, f64x2.add(f64x2.add(h1, l1), zero), 16)
  return true
}

/** Four elements of one camp, from byte `at` of planes of f32: each sum rounded once. */
export function campFour(from: usize, weights: usize, k: i32, at: usize, positive: bool, out: usize): void {
  if (positive ? inTwoParts(from, weights, k, at, true, out) : inTwoParts(from, weights, k, at, false, out)) return
  if (sumFour(terms, 32, k, out)) return
  // terms beyond what levels take: with the values themselves, the sums know what to do
  for (let i = 0; i < k; i++) {
    const plane = terms + (<usize>i << 5)
    store<u32>(table + (<usize>i << 2), <u32>plane)
    const weight = load<f64>(weights + (<usize>i << 3))
    for (let j: usize = 0; j < 4; j++) {
      const value = <f64>load<f32>(planeOf(from, i) + at + (j << 2))
      const product = weight * value
      store<f64>(plane + (j << 3), select<f64>(value, 0, positive ? product > 0 : product < 0))
    }
  }
  weightedSum(table, weights, k, sums, 4)
  v128.store(out, v128.load(sums))
  v128.store(out, v128.load(sums, 16), 16)
}
