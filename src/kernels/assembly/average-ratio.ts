/**
 * Averages of two or three bf16 inputs whose weights are nearly as small whole numbers to a whole divisor, as 0.3, 0.5 and 0.2
 * are nearly 3, 5 and 2 to 10. The sum of whole multiples is exact in f32, and its quotient lies on a middle of two codes or
 * farther from every middle than what weights are off can move it. On a middle, the sign of what they are off decides.
 */
import { averageInSpan, BLOCK_BYTES, mostlyTiny, oneEight } from './average'
import { even, halves, isWithin } from './average-few'
import { BF16, streamOf } from './codes'
import { divisorInF32Of, narrowOf, ratioDoubtOf, ratioReachOf, scaledOf } from './plan'

/** Loaded before a loop, for the compiler makes a constant again in every turn of it. */
const constants: usize = memory.data<u32>([0x7fff7fff, 0xffff0000, 0x8000, 0x80008000, 0x00010001])

/** The bits of a quotient, one less where it is off towards zero: at a middle it goes to its own side. */
@inline
function towards(quotient: v128, off: v128): v128 {
  return i32x4.add(quotient, i32x4.shr_s(v128.xor(quotient, off), 31))
}

@inline
function inRatio(k: i32, table: usize, weights: usize, divisor: f64, terms: usize, plan: usize, from: usize, to: usize, out: usize): i32 {
  const scaled = scaledOf(plan)
  const w0 = v128.load_splat<u32>(scaled)
  const o0 = v128.load_splat<u32>(scaled, 4)
  const w1 = v128.load_splat<u32>(scaled, 8)
  const o1 = v128.load_splat<u32>(scaled, 12)
  const w2 = v128.load_splat<u32>(scaled + (k == 3 ? 16 : 0))
  const o2 = v128.load_splat<u32>(scaled + (k == 3 ? 20 : 0))
  const s0 = streamOf(table, 0, 0)
  const s1 = streamOf(table, 1, 0)
  const s2 = k == 3 ? streamOf(table, 2, 0) : 0
  const magnitude = v128.load_splat<u32>(constants)
  const odd = v128.load_splat<u32>(constants, 4)
  const half = v128.load_splat<u32>(constants, 8)
  const middle = v128.load_splat<u32>(constants, 12)
  const one = v128.load_splat<u32>(constants, 16)
  const narrowest = narrowOf(plan)
  const reach = ratioReachOf(plan)
  const doubt = ratioDoubtOf(plan)
  const d = divisorInF32Of(plan)
  const zero = i16x8.splat(0)
  let open = 0
  for (let block = from; block < to; block += BLOCK_BYTES) {
    const end = min(to, block + BLOCK_BYTES)
    let most = zero
    let least = i16x8.splat(-1)
    for (let at = block; at < end; at += 16) {
      const c0 = v128.load(s0 + at)
      const c1 = v128.load(s1 + at)
      let z = v128.and(c0, magnitude)
      const y = v128.and(c1, magnitude)
      let m = i16x8.max_u(z, y)
      let n = i16x8.min_u(i16x8.sub(z, one), i16x8.sub(y, one))
      let x = even(c0)
      let u = even(c1)
      let a = f32x4.add(f32x4.mul(w0, x), f32x4.mul(w1, u))
      let p = f32x4.add(f32x4.mul(o0, x), f32x4.mul(o1, u))
      x = v128.and(c0, odd)
      u = v128.and(c1, odd)
      let b = f32x4.add(f32x4.mul(w0, x), f32x4.mul(w1, u))
      let q = f32x4.add(f32x4.mul(o0, x), f32x4.mul(o1, u))
      if (k == 3) {
        const c2 = v128.load(s2 + at)
        z = v128.and(c2, magnitude)
        m = i16x8.max_u(m, z)
        n = i16x8.min_u(n, i16x8.sub(z, one))
        x = even(c2)
        a = f32x4.add(a, f32x4.mul(w2, x))
        p = f32x4.add(p, f32x4.mul(o2, x))
        x = v128.and(c2, odd)
        b = f32x4.add(b, f32x4.mul(w2, x))
        q = f32x4.add(q, f32x4.mul(o2, x))
      }
      most = i16x8.max_u(most, m)
      least = i16x8.min_u(least, n)
      a = f32x4.div(a, d)
      b = f32x4.div(b, d)
      const cells = v128.andnot(halves(i32x4.add(towards(a, p), half), i32x4.add(towards(b, q), half)), i16x8.eq(m, zero))
      v128.store(out + at, cells)
      // on a middle, and off by so little that its sign is in doubt
      const isMiddle = i16x8.eq(v128.shuffle<i16>(a, i32x4.shl(b, 16), 0, 9, 2, 11, 4, 13, 6, 15), middle)
      const off = v128.and(halves(p, q), magnitude)
      const inDoubt = v128.and(isMiddle, i16x8.eq(i16x8.sub_sat_u(off, i16x8.sub_sat_u(m, doubt)), zero))
      // each is zero where all is well
      const small = i16x8.sub_sat_u(i16x8.sub_sat_u(m, reach), v128.and(cells, magnitude))
      const wide = i16x8.sub_sat_u(i16x8.sub(m, n), narrowest)
      if (v128.any_true(v128.or(v128.or(small, wide), inDoubt))) {
        open++
        if (oneEight(table, weights, k, divisor, terms, plan, at, out + at) < 0) return -1
      }
    }
    if (isWithin(least, most, false)) continue
    if (averageInSpan(BF16, table, weights, k, divisor, terms, plan, block, end, out) < 0) return -1
    open += <i32>((end - block) >> 4)
  }
  return open
}

/** Of two or three inputs. Answers how many eights could not prove it, or −1 where an input or a result is not finite. */
export function averageInRatio(table: usize, weights: usize, k: i32, divisor: f64, terms: usize, plan: usize, from: usize, to: usize, out: usize): i32 {
  if (mostlyTiny(table, k, from, to))
    return averageInSpan(BF16, table, weights, k, divisor, terms, plan, from, to, out) < 0 ? -1 : <i32>((to - from) >> 4)
  if (k == 2) return inRatio(2, table, weights, divisor, terms, plan, from, to, out)
  return inRatio(3, table, weights, divisor, terms, plan, from, to, out)
}
