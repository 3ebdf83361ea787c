/**
 * Exact sums of terms of any scales, eight columns side by side, each rounded once. A few terms are sorted by magnitude:
 * added from the greatest down, what an addition loses never outgrows what it was lost from, so three parts always tell how
 * the sum is rounded. Many go to bins of their exponents (bins.ts).
 */
import { addThreeDown } from './levels'
import { sortRows, termOf } from './sort-terms'

/** Terms of one sum up to which sorting is the cheaper way. */
@inline export const SORTED_MAX: i32 = 16

/** From the greatest down; at least three rows. Into `out` go eight sums. */
@inline
function descend(terms: usize, end: usize, out: usize): void {
  const a0 = termOf(v128.load(terms))
  const b0 = termOf(v128.load(terms, 64))
  const c0 = termOf(v128.load(terms, 128))
  const s0 = f64x2.add(a0, b0)
  const d0 = f64x2.sub(b0, f64x2.sub(s0, a0))
  let h0 = f64x2.add(s0, c0)
  const r0 = f64x2.sub(c0, f64x2.sub(h0, s0))
  let l0 = f64x2.add(d0, r0)
  let u0 = f64x2.sub(r0, f64x2.sub(l0, d0))
  const a1 = termOf(v128.load(terms, 16))
  const b1 = termOf(v128.load(terms, 80))
  const c1 = termOf(v128.load(terms, 144))
  const s1 = f64x2.add(a1, b1)
  const d1 = f64x2.sub(b1, f64x2.sub(s1, a1))
  let h1 = f64x2.add(s1, c1)
  const r1 = f64x2.sub(c1, f64x2.sub(h1, s1))
  let l1 = f64x2.add(d1, r1)
  let u1 = f64x2.sub(r1, f64x2.sub(l1, d1))
  const a2 = termOf(v128.load(terms, 32))
  const b2 = termOf(v128.load(terms, 96))
  const c2 = termOf(v128.load(terms, 160))
  const s2 = f64x2.add(a2, b2)
  const d2 = f64x2.sub(b2, f64x2.sub(s2, a2))
  let h2 = f64x2.add(s2, c2)
  const r2 = f64x2.sub(c2, f64x2.sub(h2, s2))
  let l2 = f64x2.add(d2, r2)
  let u2 = f64x2.sub(r2, f64x2.sub(l2, d2))
  const a3 = termOf(v128.load(terms, 48))
  const b3 = termOf(v128.load(terms, 112))
  const c3 = termOf(v128.load(terms, 176))
  const s3 = f64x2.add(a3, b3)
  const d3 = f64x2.sub(b3, f64x2.sub(s3, a3))
  let h3 = f64x2.add(s3, c3)
  const r3 = f64x2.sub(c3, f64x2.sub(h3, s3))
  let l3 = f64x2.add(d3, r3)
  let u3 = f64x2.sub(r3, f64x2.sub(l3, d3))
  for (let at = terms + 192; at < end; at += 64) {
    const x0 = termOf(v128.load(at))
    const g0 = f64x2.add(h0, x0)
    const e0 = f64x2.sub(x0, f64x2.sub(g0, h0))
    h0 = g0
    const m0 = f64x2.add(l0, e0)
    const v0 = f64x2.add(u0, f64x2.sub(e0, f64x2.sub(m0, l0)))
    l0 = f64x2.add(m0, v0)
    u0 = f64x2.sub(v0, f64x2.sub(l0, m0))
    const x1 = termOf(v128.load(at, 16))
    const g1 = f64x2.add(h1, x1)
    const e1 = f64x2.sub(x1, f64x2.sub(g1, h1))
    h1 = g1
    const m1 = f64x2.add(l1, e1)
    const v1 = f64x2.add(u1, f64x2.sub(e1, f64x2.sub(m1, l1)))
    l1 = f64x2.add(m1, v1)
    u1 = f64x2.sub(v1, f64x2.sub(l1, m1))
    const x2 = termOf(v128.load(at, 32))
    const g2 = f64x2.add(h2, x2)
    const e2 = f64x2.sub(x2, f64x2.sub(g2, h2))
    h2 = g2
    const m2 = f64x2.add(l2, e2)
    const v2 = f64x2.add(u2, f64x2.sub(e2, f64x2.sub(m2, l2)))
    l2 = f64x2.add(m2, v2)
    u2 = f64x2.sub(v2, f64x2.sub(l2, m2))
    const x3 = termOf(v128.load(at, 48))
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
}

/** Rows of eight products of two f32. They are used up, and so is the room up to the next 4, 8 or 16 rows. */
export function sumSorted(terms: usize, k: i32, out: usize): void {
  const count = k <= 4 ? 4 : k <= 8 ? 8 : 16
  const end = terms + (<usize>k << 6)
  for (let at = end; at < terms + (<usize>count << 6); at += 16) v128.store(at, f64x2.splat(0))
  sortRows(terms, count)
  descend(terms, end, out)
}
