/** Kept sums: each element's is high + low by error-free additions, and what falls below both goes down its parts. */
import { lost, lostTwo } from './error-free'
import { PAGE_BYTES, touch } from './touch'

/** A term that high and low of this element can't take. */
@external('host', 'spill')
declare function spill(i: i32, term: f64, high: f64, low: f64, rest: f64): void

@inline
function planeOf(table: usize, i: i32): usize {
  return <usize>load<u32>(table + (<usize>i << 2))
}

@inline
function addOne(high: usize, low: usize, i: i32, term: f64): void {
  const h = load<f64>(high)
  const l = load<f64>(low)
  const sum = h + term
  const error = lost(h, term, sum)
  const lowSum = l + error
  const rest = lost(l, error, lowSum)
  if (rest == 0) {
    store<f64>(high, sum)
    store<f64>(low, lowSum)
  } else spill(i, term, sum, lowSum, rest)
}

/** What two elements' high and low have lost goes down their parts, as far as there are any. */
function addRest(high: usize, low: usize, i: i32, term: v128, lost: v128, parts: usize): void {
  const zero = f64x2.splat(0)
  const count = load<i32>(parts) // a spill may have added one
  let rest = lost
  // each is at most half a last place of what lies above, so no part overflows; and a way out would be a branch to guess
  for (let j = 1; j <= count; j++) {
    const part = planeOf(parts, j) + (<usize>i << 3)
    const before = v128.load(part)
    const sum = f64x2.add(before, rest)
    rest = lostTwo(before, rest, sum)
    v128.store(part, sum)
  }
  if (!v128.any_true(f64x2.ne(rest, zero))) return
  const first = f64x2.extract_lane(rest, 0)
  const second = f64x2.extract_lane(rest, 1)
  if (first != 0) spill(i, f64x2.extract_lane(term, 0), load<f64>(high), load<f64>(low), first)
  if (second != 0) spill(i + 1, f64x2.extract_lane(term, 1), load<f64>(high, 8), load<f64>(low, 8), second)
}

/** What terms are made of: a plane by a scale, by weights and a sign, or alone. */
@inline const SCALED: i32 = 0
@inline const WEIGHTED: i32 = 1
@inline const PLAIN: i32 = 2

@inline
function termOf(made: i32, plane: usize, weight: usize, scale: v128): v128 {
  const value = v128.load(plane)
  if (made == PLAIN) return value
  return f64x2.mul(scale, made == WEIGHTED ? f64x2.mul(value, v128.load(weight)) : value)
}

/** Two by two, and one that is left. */
@inline
function addPairs(made: i32, high: usize, low: usize, plane: usize, weight: usize, scale: f64, from: i32, n: i32, parts: usize): void {
  const s = f64x2.splat(scale)
  const zero = f64x2.splat(0)
  for (let i = from; i < n; i += 2) {
    if (i + 1 == n) {
      const value = load<f64>(plane)
      addOne(high, low, i, made == WEIGHTED ? scale * (value * load<f64>(weight)) : scale * value)
      return
    }
    const term = termOf(made, plane, weight, s)
    const h = v128.load(high)
    const l = v128.load(low)
    const sum = f64x2.add(h, term)
    const error = lostTwo(h, term, sum)
    const lowSum = f64x2.add(l, error)
    const rest = lostTwo(l, error, lowSum)
    if (v128.any_true(f64x2.ne(rest, zero))) {
      if (v128.all_true<i64>(f64x2.eq(f64x2.sub(rest, rest), zero))) {
        v128.store(high, sum)
        v128.store(low, lowSum)
        addRest(high, low, i, term, rest, parts)
      } else {
        addOne(high, low, i, f64x2.extract_lane(term, 0))
        addOne(high + 8, low + 8, i + 1, f64x2.extract_lane(term, 1))
      }
    } else {
      v128.store(high, sum)
      v128.store(low, lowSum)
    }
    high += 16
    low += 16
    plane += 16
    weight += 16
  }
}

/** Not zero where a + b is not `sum`: what is taken from it leaves the other, whichever is the greater. */
@inline
function differ(a: v128, b: v128, sum: v128): v128 {
  return v128.or(f64x2.ne(f64x2.sub(sum, a), b), f64x2.ne(f64x2.sub(sum, b), a))
}

/**
 * Eight by eight: mostly the sums of ordinary numbers lose nothing, and then `low` is neither read nor written, which is half
 * of what there is to move. Answers whether it was.
 */
@inline
function addLoop(made: i32, high: usize, low: usize, plane: usize, weight: usize, scale: f64, n: i32, parts: usize): bool {
  const s = f64x2.splat(scale)
  const zero = f64x2.splat(0)
  let isLow = false
  let wasLow = false
  let i = 0
  for (; i + 8 <= n; i += 8) {
    if ((i & 511) == 0) {
      const bytes = min<usize>(PAGE_BYTES, <usize>(n - i) << 3)
      touch(high, high + bytes)
      if (wasLow) touch(low, low + bytes)
      wasLow = false
    }
    const a = termOf(made, plane, weight, s)
    const b = termOf(made, plane + 16, weight + 16, s)
    const c = termOf(made, plane + 32, weight + 32, s)
    const d = termOf(made, plane + 48, weight + 48, s)
    const h0 = v128.load(high)
    const h1 = v128.load(high, 16)
    const h2 = v128.load(high, 32)
    const h3 = v128.load(high, 48)
    const s0 = f64x2.add(h0, a)
    const s1 = f64x2.add(h1, b)
    const s2 = f64x2.add(h2, c)
    const s3 = f64x2.add(h3, d)
    const lossy = v128.or(v128.or(differ(h0, a, s0), differ(h1, b, s1)), v128.or(differ(h2, c, s2), differ(h3, d, s3)))
    if (v128.any_true(lossy)) {
      isLow = true
      wasLow = true
      const e0 = lostTwo(h0, a, s0)
      const e1 = lostTwo(h1, b, s1)
      const e2 = lostTwo(h2, c, s2)
      const e3 = lostTwo(h3, d, s3)
      const l0 = v128.load(low)
      const l1 = v128.load(low, 16)
      const l2 = v128.load(low, 32)
      const l3 = v128.load(low, 48)
      const m0 = f64x2.add(l0, e0)
      const m1 = f64x2.add(l1, e1)
      const m2 = f64x2.add(l2, e2)
      const m3 = f64x2.add(l3, e3)
      const r0 = v128.or(f64x2.ne(lostTwo(l0, e0, m0), zero), f64x2.ne(lostTwo(l1, e1, m1), zero))
      const r1 = v128.or(f64x2.ne(lostTwo(l2, e2, m2), zero), f64x2.ne(lostTwo(l3, e3, m3), zero))
      if (v128.any_true(v128.or(r0, r1))) {
        if (made == WEIGHTED) eightTerms(high, low, plane, weight, scale, i, parts)
        else eightScaled(high, low, plane, scale, i, parts)
        high += 64
        low += 64
        plane += 64
        weight += 64
        continue
      }
      v128.store(low, m0)
      v128.store(low, m1, 16)
      v128.store(low, m2, 32)
      v128.store(low, m3, 48)
    }
    v128.store(high, s0)
    v128.store(high, s1, 16)
    v128.store(high, s2, 32)
    v128.store(high, s3, 48)
    high += 64
    low += 64
    plane += 64
    weight += 64
  }
  if (i == n) return isLow
  addPairs(made, high, low, plane, weight, scale, i, n, parts)
  return true
}

function eightTerms(high: usize, low: usize, plane: usize, weight: usize, scale: f64, i: i32, parts: usize): void {
  addPairs(WEIGHTED, high, low, plane, weight, scale, i, i + 8, parts)
}

function eightScaled(high: usize, low: usize, plane: usize, scale: f64, i: i32, parts: usize): void {
  addPairs(SCALED, high, low, plane, plane, scale, i, i + 8, parts)
}

/** Adds sign · (plane · weight) to kept sums, whose lower parts are in a table after their number. Whether `low` was asked. */
export function addTerms(high: usize, low: usize, plane: usize, weight: usize, sign: f64, n: i32, parts: usize): bool {
  return addLoop(WEIGHTED, high, low, plane, weight, sign, n, parts)
}

/** Adds scale · plane to kept sums. */
export function addScaled(high: usize, low: usize, plane: usize, scale: f64, n: i32, parts: usize): bool {
  if (scale == 1) return addLoop(PLAIN, high, low, plane, plane, scale, n, parts)
  return addLoop(SCALED, high, low, plane, plane, scale, n, parts)
}

/** 2⁹⁰⁰: terms below it can be parts of kept sums, far from where one overflows. Any finite bound gives the same bits. */
@inline const KEPT_MAX: f64 = 8.452712498170644e270

@inline
function termsLoop(byPlane: bool, plane: usize, weight: usize, scale: f64, out: usize, n: i32): bool {
  const s = f64x2.splat(scale)
  const end = plane + (<usize>n << 3)
  let fits = i64x2.splat(-1)
  for (; plane + 16 <= end; plane += 16) {
    const value = v128.load(plane)
    const term = byPlane ? f64x2.mul(s, f64x2.mul(value, v128.load(weight))) : f64x2.mul(s, value)
    v128.store(out, term)
    fits = v128.and(fits, f64x2.lt(f64x2.abs(term), f64x2.splat(KEPT_MAX)))
    weight += 16
    out += 16
  }
  if (plane < end) {
    const value = load<f64>(plane)
    const term = byPlane ? scale * (value * load<f64>(weight)) : scale * value
    store<f64>(out, term)
    if (!(abs(term) < KEPT_MAX)) return false
  }
  return v128.all_true<i64>(fits)
}

/** The terms that `addTerms` adds, as they are; false where they are not finite, or too large to be parts. */
export function keepTerms(plane: usize, weight: usize, sign: f64, out: usize, n: i32): bool {
  return termsLoop(true, plane, weight, sign, out, n)
}

/** Those of `addScaled`. */
export function keepScaled(plane: usize, scale: f64, out: usize, n: i32): bool {
  return termsLoop(false, plane, plane, scale, out, n)
}
