/**
 * Exact sums. A vector of elements is summed as high + low by error-free additions; if nothing was lost below that, one
 * addition rounds it. What needs more goes to sums of any scales (open-sums.ts).
 */
import { lost, lostTwo } from './error-free'
import { addThreeTwo } from './levels'
import { sumOne, sumOpen } from './open-sums'

/** A term that high and low of this element can't take. */
@external('host', 'spill')
declare function spill(i: i32, term: f64, high: f64, low: f64, rest: f64): void

@inline
function planeOf(table: usize, i: i32): usize {
  return <usize>load<u32>(table + (<usize>i << 2))
}

function sumThree(table: usize, weights: usize, out: usize, n: i32): void {
  const a = planeOf(table, 0)
  const b = planeOf(table, 1)
  const c = planeOf(table, 2)
  const u = v128.load_splat<u64>(weights)
  const v = v128.load_splat<u64>(weights, 8)
  const w = v128.load_splat<u64>(weights, 16)
  const zero = f64x2.splat(0)
  const end = <usize>n << 3
  let at: usize = 0
  for (; at + 32 <= end; at += 32) {
    const a0 = f64x2.mul(u, v128.load(a + at))
    const a1 = f64x2.mul(u, v128.load(a + at, 16))
    const b0 = f64x2.mul(v, v128.load(b + at))
    const b1 = f64x2.mul(v, v128.load(b + at, 16))
    const c0 = f64x2.mul(w, v128.load(c + at))
    const c1 = f64x2.mul(w, v128.load(c + at, 16))
    const s0 = f64x2.add(a0, b0)
    const s1 = f64x2.add(a1, b1)
    const d0 = lostTwo(a0, b0, s0)
    const d1 = lostTwo(a1, b1, s1)
    const h0 = f64x2.add(s0, c0)
    const h1 = f64x2.add(s1, c1)
    const e0 = lostTwo(s0, c0, h0)
    const e1 = lostTwo(s1, c1, h1)
    const l0 = f64x2.add(d0, e0)
    const l1 = f64x2.add(d1, e1)
    const r0 = lostTwo(d0, e0, l0)
    const r1 = lostTwo(d1, e1, l1)
    let o0 = f64x2.add(f64x2.add(h0, l0), zero)
    let o1 = f64x2.add(f64x2.add(h1, l1), zero)
    if (v128.any_true(v128.or(f64x2.ne(r0, zero), f64x2.ne(r1, zero)))) {
      o0 = addThreeTwo(a0, b0, c0)
      o1 = addThreeTwo(a1, b1, c1)
      const rest = v128.or(f64x2.ne(f64x2.sub(o0, o0), zero), f64x2.ne(f64x2.sub(o1, o1), zero))
      if (v128.any_true(rest)) {
        sumOpen(table, weights, 3, at, 4, out + at)
        continue
      }
    }
    v128.store(out + at, o0)
    v128.store(out + at, o1, 16)
  }
  for (; at < end; at += 8) store<f64>(out + at, sumOne(table, weights, 3, at))
}

/** Three planes or more. */
export function weightedSum(table: usize, weights: usize, k: i32, out: usize, n: i32): void {
  if (k == 3) return sumThree(table, weights, out, n)
  const zero = f64x2.splat(0)
  const end = <usize>n << 3
  let at: usize = 0
  for (; at + 32 <= end; at += 32) {
    const first = planeOf(table, 0) + at
    const weight = v128.load_splat<u64>(weights)
    let h0 = f64x2.mul(weight, v128.load(first))
    let h1 = f64x2.mul(weight, v128.load(first, 16))
    let l0 = zero
    let l1 = zero
    let bad0 = zero
    let bad1 = zero
    for (let i = 1; i < k; i++) {
      const plane = planeOf(table, i) + at
      const weight = v128.load_splat<u64>(weights + (<usize>i << 3))
      const t0 = f64x2.mul(weight, v128.load(plane))
      const t1 = f64x2.mul(weight, v128.load(plane, 16))
      const s0 = f64x2.add(h0, t0)
      const s1 = f64x2.add(h1, t1)
      const e0 = lostTwo(h0, t0, s0)
      const e1 = lostTwo(h1, t1, s1)
      h0 = s0
      h1 = s1
      const m0 = f64x2.add(l0, e0)
      const m1 = f64x2.add(l1, e1)
      bad0 = v128.or(bad0, f64x2.ne(lostTwo(l0, e0, m0), zero))
      bad1 = v128.or(bad1, f64x2.ne(lostTwo(l1, e1, m1), zero))
      l0 = m0
      l1 = m1
    }
    if (v128.any_true(v128.or(bad0, bad1))) {
      // the next four are most likely alike, and cost little more
      const eight = at + 64 <= end
      sumOpen(table, weights, k, at, eight ? 8 : 4, out + at)
      if (eight) at += 32
    } else {
      v128.store(out + at, f64x2.add(f64x2.add(h0, l0), zero))
      v128.store(out + at, f64x2.add(f64x2.add(h1, l1), zero), 16)
    }
  }
  for (; at < end; at += 8) store<f64>(out + at, sumOne(table, weights, k, at))
}

/** One plane. t + (t − t) is t with −0 turned to +0, and NaN where t is not finite. */
export function scaled(plane: usize, weight: f64, out: usize, n: i32): void {
  const w = f64x2.splat(weight)
  let left = n
  for (; left >= 2; left -= 2) {
    const term = f64x2.mul(w, v128.load(plane))
    v128.store(out, f64x2.add(term, f64x2.sub(term, term)))
    plane += 16
    out += 16
  }
  if (left == 1) {
    const term = weight * load<f64>(plane)
    store<f64>(out, term + (term - term))
  }
}

/** Two planes: one addition is their sum rounded once. */
export function scaledPair(first: usize, second: usize, v: f64, w: f64, out: usize, n: i32): void {
  const vs = f64x2.splat(v)
  const ws = f64x2.splat(w)
  let left = n
  for (; left >= 2; left -= 2) {
    const a = f64x2.mul(vs, v128.load(first))
    const b = f64x2.mul(ws, v128.load(second))
    v128.store(out, f64x2.add(f64x2.add(f64x2.add(a, b), f64x2.sub(a, a)), f64x2.sub(b, b)))
    first += 16
    second += 16
    out += 16
  }
  if (left == 1) {
    const a = v * load<f64>(first)
    const b = w * load<f64>(second)
    store<f64>(out, a + b + (a - a) + (b - b))
  }
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

@inline
function termOf(byPlane: bool, plane: usize, weight: usize, scale: v128): v128 {
  const value = v128.load(plane)
  return f64x2.mul(scale, byPlane ? f64x2.mul(value, v128.load(weight)) : value)
}

/** Two by two, and one that is left. */
@inline
function addPairs(byPlane: bool, high: usize, low: usize, plane: usize, weight: usize, scale: f64, from: i32, n: i32, parts: usize): void {
  const s = f64x2.splat(scale)
  const zero = f64x2.splat(0)
  for (let i = from; i < n; i += 2) {
    if (i + 1 == n) {
      const value = load<f64>(plane)
      addOne(high, low, i, byPlane ? scale * (value * load<f64>(weight)) : scale * value)
      return
    }
    const term = termOf(byPlane, plane, weight, s)
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
function addLoop(byPlane: bool, high: usize, low: usize, plane: usize, weight: usize, scale: f64, n: i32, parts: usize): bool {
  const s = f64x2.splat(scale)
  const zero = f64x2.splat(0)
  let isLow = false
  let i = 0
  for (; i + 8 <= n; i += 8) {
    const a = termOf(byPlane, plane, weight, s)
    const b = termOf(byPlane, plane + 16, weight + 16, s)
    const c = termOf(byPlane, plane + 32, weight + 32, s)
    const d = termOf(byPlane, plane + 48, weight + 48, s)
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
        if (byPlane) eightTerms(high, low, plane, weight, scale, i, parts)
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
  addPairs(byPlane, high, low, plane, weight, scale, i, n, parts)
  return true
}

function eightTerms(high: usize, low: usize, plane: usize, weight: usize, scale: f64, i: i32, parts: usize): void {
  addPairs(true, high, low, plane, weight, scale, i, i + 8, parts)
}

function eightScaled(high: usize, low: usize, plane: usize, scale: f64, i: i32, parts: usize): void {
  addPairs(false, high, low, plane, plane, scale, i, i + 8, parts)
}

/** Adds sign · (plane · weight) to kept sums, whose lower parts are in a table after their number. Whether `low` was asked. */
export function addTerms(high: usize, low: usize, plane: usize, weight: usize, sign: f64, n: i32, parts: usize): bool {
  return addLoop(true, high, low, plane, weight, sign, n, parts)
}

/** Adds scale · plane to kept sums. */
export function addScaled(high: usize, low: usize, plane: usize, scale: f64, n: i32, parts: usize): bool {
  return addLoop(false, high, low, plane, plane, scale, n, parts)
}

/** 2⁹⁰⁰: terms below it can be parts of kept sums, none of which may overflow. */
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
