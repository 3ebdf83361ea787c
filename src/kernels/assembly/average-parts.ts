/**
 * Σ weight · stream ÷ divisor of bf16 in f32 where results lie close to the middle of two codes, as weights like 0.3, 0.5
 * and 0.2 make them. Each normalised weight is a first part of sixteen bits, whose products are exact in f32, and a rest.
 * Products are added to a constant so large that what it keeps of them adds up exactly; what it leaves is exact too, and
 * goes with the rests. High and low part of the sum name the cell, unless it is closer to a middle than some 2⁻³⁷ of the
 * greatest element, or nearly cancels.
 */
import { averageInSpan, mostlyTiny, oneEight } from './average'
import { BF16, streamOf, upper, upperNext } from './codes'
import { partsErrorOf, partsHeadOf, partsOf, reachOf } from './plan'

/**
 * Loaded before the loop, for the compiler makes a constant again in every turn of it: magnitude and exponent of codes, 2⁻⁷⁴
 * and how far from there to 2¹⁰⁰, half a place, and a middle under the upper half of no finite sum.
 */
const constants: usize = memory.data<u32>([0x7fff7fff, 0x7f807f80, 0x1a801a80, 0x56ff56ff, 0x8000, 0x7fff8000])

/** The bits of a sum, one less where what was rounded away lies towards zero: a sum at a middle goes to its own side. */
@inline
function towards(sum: v128, lost: v128): v128 {
  return i32x4.add(sum, i32x4.shr_s(v128.xor(sum, lost), 31))
}

/** Answers how many eights could not prove it, or −1 where an input or a result is not finite. */
export function averageInParts(table: usize, weights: usize, k: i32, divisor: f64, terms: usize, plan: usize, from: usize, to: usize, out: usize): i32 {
  if (mostlyTiny(table, k, from, to))
    return averageInSpan(BF16, table, weights, k, divisor, terms, plan, from, to, out) < 0 ? -1 : <i32>((to - from) >> 4)
  const parts = partsOf(plan)
  const head = partsHeadOf(plan)
  const reach = reachOf(plan)
  const relative = partsErrorOf(plan)
  const magnitude = v128.load_splat<u32>(constants)
  const exponent = v128.load_splat<u32>(constants, 4)
  const smallest = v128.load_splat<u32>(constants, 8)
  const range = v128.load_splat<u32>(constants, 12)
  const half = v128.load_splat<u32>(constants, 16)
  const middle = v128.load_splat<u32>(constants, 20)
  const zero = i16x8.splat(0)
  let open = 0
  for (let at = from; at < to; at += 16) {
    const codes = v128.load(streamOf(table, 0, at))
    let most = v128.and(codes, magnitude)
    for (let i = 1; i < k; i++) most = i16x8.max_u(most, v128.and(v128.load(streamOf(table, i, at)), magnitude))
    const constant = i16x8.add(v128.and(most, exponent), head)
    const c0 = upper(constant)
    const c1 = upperNext(constant)
    let x = upper(codes)
    let y = upperNext(codes)
    let first = v128.load_splat<u32>(parts)
    let rest = v128.load_splat<u32>(parts, 4)
    let p = f32x4.mul(first, x)
    let q = f32x4.mul(first, y)
    let h0 = f32x4.add(c0, p)
    let h1 = f32x4.add(c1, q)
    let l0 = f32x4.add(f32x4.sub(p, f32x4.sub(h0, c0)), f32x4.mul(rest, x))
    let l1 = f32x4.add(f32x4.sub(q, f32x4.sub(h1, c1)), f32x4.mul(rest, y))
    for (let i = 1; i < k; i++) {
      const codes = v128.load(streamOf(table, i, at))
      first = v128.load_splat<u32>(parts + (<usize>i << 3))
      rest = v128.load_splat<u32>(parts + (<usize>i << 3), 4)
      x = upper(codes)
      y = upperNext(codes)
      p = f32x4.mul(first, x)
      q = f32x4.mul(first, y)
      const m = f32x4.add(h0, p)
      const n = f32x4.add(h1, q)
      l0 = f32x4.add(l0, f32x4.add(f32x4.sub(p, f32x4.sub(m, h0)), f32x4.mul(rest, x)))
      l1 = f32x4.add(l1, f32x4.add(f32x4.sub(q, f32x4.sub(n, h1)), f32x4.mul(rest, y)))
      h0 = m
      h1 = n
    }
    h0 = f32x4.sub(h0, c0)
    h1 = f32x4.sub(h1, c1)
    const s0 = f32x4.add(h0, l0)
    const s1 = f32x4.add(h1, l1)
    const d0 = f32x4.add(f32x4.sub(h0, s0), l0)
    const d1 = f32x4.add(f32x4.sub(h1, s1), l1)
    const t0 = v128.and(i16x8.eq(s0, middle), f32x4.le(f32x4.abs(d0), f32x4.mul(relative, c0)))
    const t1 = v128.and(i16x8.eq(s1, middle), f32x4.le(f32x4.abs(d1), f32x4.mul(relative, c1)))
    const p0 = i32x4.add(towards(s0, d0), half)
    const p1 = i32x4.add(towards(s1, d1), half)
    const cells = v128.shuffle<i16>(p0, p1, 1, 3, 5, 7, 9, 11, 13, 15)
    v128.store(out + at, cells)
    // each is zero where all is well
    const far = v128.andnot(i16x8.sub_sat_u(i16x8.sub(most, smallest), range), i16x8.eq(most, zero))
    const small = i16x8.sub_sat_u(i16x8.sub_sat_u(most, reach), v128.and(cells, magnitude))
    if (v128.any_true(v128.or(v128.or(t0, t1), v128.or(far, small)))) {
      open++
      if (oneEight(table, weights, k, divisor, terms, plan, at, out + at) < 0) return -1
    }
  }
  return open
}
