/**
 * Averages of eight bf16 of some inputs whose sum cancels, from bytes to bytes: an error-free addition a term, and what
 * those lose added up in f64. That is as good as twice the bits of f64 wherever not three scales cancel one another.
 */
import { besideMiddles } from './average-rounding'
import { BF16, highFour, highTwo, lowFour, lowTwo, streamOf } from './codes'
import { lostTwo } from './error-free'

/** Inputs up to which it is the cheapest way. */
@inline export const CASCADE_MAX: i32 = 32

const sums: usize = memory.data(64, 16)

/** Four sums; answers where they are too small beside what their terms lost. */
@inline
function sumFour(table: usize, weights: usize, k: i32, at: usize, second: bool, slack: v128): v128 {
  const stream = streamOf(table, 0, at)
  const weight = v128.load_splat<u64>(weights)
  const first = second ? highFour(BF16, stream) : lowFour(BF16, stream)
  let s0 = f64x2.mul(weight, lowTwo(first))
  let s1 = f64x2.mul(weight, highTwo(first))
  let e0 = f64x2.splat(0)
  let e1 = e0
  let m0 = e0
  let m1 = e0
  for (let i = 1; i < k; i++) {
    const stream = streamOf(table, i, at)
    const weight = v128.load_splat<u64>(weights + (<usize>i << 3))
    const four = second ? highFour(BF16, stream) : lowFour(BF16, stream)
    const x0 = f64x2.mul(weight, lowTwo(four))
    const x1 = f64x2.mul(weight, highTwo(four))
    const n0 = f64x2.add(s0, x0)
    const n1 = f64x2.add(s1, x1)
    const d0 = lostTwo(s0, x0, n0)
    const d1 = lostTwo(s1, x1, n1)
    s0 = n0
    s1 = n1
    e0 = f64x2.add(e0, d0)
    e1 = f64x2.add(e1, d1)
    m0 = f64x2.add(m0, f64x2.abs(d0))
    m1 = f64x2.add(m1, f64x2.abs(d1))
  }
  s0 = f64x2.add(s0, e0)
  s1 = f64x2.add(s1, e1)
  const to = second ? sums + 32 : sums
  v128.store(to, s0)
  v128.store(to, s1, 16)
  return v128.or(f64x2.lt(f64x2.abs(s0), f64x2.mul(m0, slack)), f64x2.lt(f64x2.abs(s1), f64x2.mul(m1, slack)))
}

/**
 * False, and nothing of use written, where a sum is not known to 2⁻²² of it, where its quotient lies as near to the middle
 * of two codes, or where something is not finite.
 */
export function averageInCascade(table: usize, weights: usize, k: i32, divisor: f64, at: usize, out: usize): bool {
  // each of k additions of what was lost rounds off 2⁻⁵³ of all that was lost at most
  const slack = f64x2.splat(<f64>k * 9.313225746154785e-10) // 2⁻³⁰
  const first = sumFour(table, weights, k, at, false, slack)
  if (v128.any_true(v128.or(first, sumFour(table, weights, k, at, true, slack)))) return false
  return besideMiddles(v128.load(sums), v128.load(sums, 16), v128.load(sums, 32), v128.load(sums, 48), 1 / divisor, out)
}
