/**
 * Exact sums of elements that high and low don't hold, eight side by side: few products of f32 are sorted (any-scales.ts),
 * others go to bins (bins.ts), what has no bin goes to levels (levels.ts), and the host's integers take what is beyond the
 * range or not finite.
 */
import { rows, SORTED_MAX, sumSorted } from './any-scales'
import { BIN_TERMS_MAX, sumInBins } from './bins'
import { addThree, lost } from './error-free'
import { sumFour } from './levels'

/** Σ weight · plane of the element at this byte offset, in integers. */
@external('host', 'exactSum')
declare function exactSum(table: usize, weights: usize, k: i32, at: usize): f64

@inline
function planeOf(table: usize, i: i32): usize {
  return <usize>load<u32>(table + (<usize>i << 2))
}

@inline
function weightOf(weights: usize, i: i32): f64 {
  return load<f64>(weights + (<usize>i << 3))
}

export function sumOne(table: usize, weights: usize, k: i32, at: usize): f64 {
  let high: f64 = 0
  let low: f64 = 0
  let lowest: f64 = 0
  for (let i = 0; i < k; i++) {
    const term = weightOf(weights, i) * load<f64>(planeOf(table, i) + at)
    const sum = high + term
    const error = lost(high, term, sum)
    high = sum
    const lowSum = low + error
    const rest = lost(low, error, lowSum)
    low = lowSum
    const lowestSum = lowest + rest
    const below = lost(lowest, rest, lowestSum)
    lowest = lowestSum
    if (below != 0) return exactSum(table, weights, k, at)
  }
  if (lowest == 0) return high + low + 0
  const sum = addThree(high, low, lowest)
  return sum - sum == 0 ? sum + 0 : exactSum(table, weights, k, at)
}

/** Rows of eight terms, and their sums. */
const terms: usize = memory.data(64 * 1024, 16)
const sums: usize = memory.data(64, 16)

/** Bins that all of a sum's digits have room round: from about 2⁻⁹⁵⁰ to 2⁹²⁰. */
@inline const LEAST: f64 = 1.0504e-286
@inline const MOST: f64 = 8.86e276

/** Four or eight elements from this byte offset on. */
export function sumOpen(table: usize, weights: usize, k: i32, at: usize, count: i32, out: usize): void {
  const fits = k <= BIN_TERMS_MAX && sumRows(table, weights, k, at, count)
  // the sums may go over one of the planes
  if (!fits) for (let j: usize = 0; j < <usize>count << 3; j += 8) store<f64>(sums + j, sumOne(table, weights, k, at + j))
  for (let j: usize = 0; j < <usize>count << 3; j += 16) v128.store(out + j, v128.load(sums + j))
}

function sumRows(table: usize, weights: usize, k: i32, at: usize, count: i32): bool {
  const zero = f64x2.splat(0)
  const columns = <usize>count << 3
  const into = k <= SORTED_MAX ? rows : terms
  let most = zero
  let least = f64x2.splat(Infinity)
  let bits = i64x2.splat(0)
  let odd = zero
  for (let i = 0; i < k; i++) {
    const to = into + (<usize>i << 6)
    const plane = planeOf(table, i) + at
    const weight = v128.load_splat<u64>(weights + (<usize>i << 3))
    for (let j: usize = 0; j < columns; j += 16) {
      const term = f64x2.mul(weight, v128.load(plane + j))
      const size = f64x2.abs(term)
      most = f64x2.pmax(most, size)
      least = f64x2.pmin(least, v128.bitselect(f64x2.splat(Infinity), size, f64x2.eq(size, zero)))
      bits = v128.or(bits, term)
      odd = f64x2.add(odd, f64x2.sub(term, term))
      v128.store(to + j, term)
    }
    for (let j = columns; j < 64; j += 16) v128.store(to + j, zero)
  }
  if (!v128.all_true<i64>(f64x2.eq(odd, odd))) return false
  const top = max(f64x2.extract_lane(most, 0), f64x2.extract_lane(most, 1))
  const bottom = min(f64x2.extract_lane(least, 0), f64x2.extract_lane(least, 1))
  if (top < MOST) {
    // sorting takes terms of 48 bits
    if (k <= SORTED_MAX && !v128.any_true(v128.and(bits, i64x2.splat(31)))) {
      sumSorted(k, sums)
      return true
    }
    if (bottom > LEAST && bottom <= top) {
      sumInBins(into, k, bottom, top, sums)
      return true
    }
  }
  return sumFour(into, 64, k, sums) && sumFour(into + 32, 64, k, sums + 32)
}
