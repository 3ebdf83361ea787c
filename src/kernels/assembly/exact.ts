/**
 * Exact sums. A vector of elements is summed as high + low by error-free additions; if nothing was lost below that, one
 * addition rounds it. What needs more goes to sums of any scales (open-sums.ts).
 */
import { lostTwo } from './error-free'
import { addThreeTwo } from './levels'
import { sumOne, sumOpen } from './open-sums'

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
