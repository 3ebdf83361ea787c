/**
 * What three elect, added to a base and rounded to bf16, all in f32: taken where no value that the exact result can have is
 * rounded to another code. Eight elements of which that is not shown are made the exact way, and so are those of which one is
 * so small that f32 could be slow, or lose more than a share of it.
 */
import { planeOf } from './camps'
import { elect } from './elect'
import { binary, PLUS } from './element-wise'
import { encodeBf16 } from './encode'
import { scale, widen } from './narrow'
import { codes, constantOf, gather, gatheredBase, gatheredPlanes, MOST, places, rankOf, RESTING, scatter } from './unsure'

/**
 * Of the plan at hand, which elect-onto.ts made: how far off a vote, and a result, may be, in parts of what won; the least
 * weight; and of each contribution what its plane is multiplied by, then its weight.
 */
const parts: usize = memory.data(48, 16)
@inline
function partOf(place: usize): v128 {
  return v128.load_splat<u32>(parts + 4 * place)
}

/** What is positive; never −0. */
@inline
function positive(values: v128): v128 {
  return f32x4.pmax(i32x4.splat(0), values)
}
@inline
function weighed(values: v128, weight: v128): v128 {
  return v128.and(f32x4.gt(values, i32x4.splat(0)), weight)
}

/** A strip of the base. */
const wide: usize = memory.data(8 * 512, 16)

/** All of n elements by the steps that this one stands for. */
export function exactly(table: usize, args: usize, base: usize, spare: usize, out: usize, n: i32): bool {
  const k = load<i32>(args, 4)
  const scales = <usize>load<u32>(args, 12)
  const overs = load<i32>(args, 16)
  for (let i = 0; i < k; i++) {
    const plane = planeOf(table, i)
    const by = load<f64>(scales + (<usize>i << 3))
    if (by != 1) scale((overs & (1 << i)) != 0, plane, by, plane, n)
  }
  if (!elect(table, load<u32>(args), k, load<u32>(args, 8), spare, n)) return false
  widen(base, wide, n)
  binary(PLUS, wide, spare, spare, n)
  return encodeBf16(spare, out, n) < 0
}

/** What is not shown, together. */
function exactlyThose(from: usize, args: usize, base: usize, spare: usize, out: usize): bool {
  const count = gather(from, 3, base, end)
  if (!exactly(gatheredPlanes, args, gatheredBase, spare, codes, count)) return false
  scatter(out, count)
  return true
}

/** Of the places that are not shown. */
let end: usize = 0

/**
 * Rows of four; answers how many elements are not shown. Where the sign of the vote is right, the side that lost is no greater
 * than the one that won, so that the latter says how far off the vote may be. `isLarge`: no element can be too small.
 */
@inline
function open(isLarge: bool, divides: bool, from: usize, base: usize, plan: usize, out: usize, n: i32): i32 {
  for (let at: usize = 0; at < 48; at += 16) v128.store(parts + at, v128.load(plan + at))
  const px = planeOf(from, 0)
  const py = planeOf(from, 1)
  const pz = planeOf(from, 2)
  const zero = i32x4.splat(0)
  let next = places
  let unsure = 0
  let greatest = zero
  for (let at: usize = 0; at < <usize>n << 2; at += 16) {
    const x = v128.load(px + at)
    const y = v128.load(py + at)
    const z = v128.load(pz + at)
    if (!isLarge) {
      const rank = i32x4.min_u(i32x4.min_u(rankOf(x), rankOf(y)), rankOf(z))
      if (i32x4.bitmask(i32x4.ge_u(rank, constantOf(4))) != 15) {
        store<u32>(next, <u32>at | 15)
        unsure += 4
        next += 4
        continue
      }
    }
    const a = f32x4.mul(x, partOf(3))
    const b = f32x4.mul(y, partOf(4))
    const c = f32x4.mul(z, partOf(5))
    const vote = f32x4.add(f32x4.add(a, b), c)
    const flip = v128.and(vote, constantOf(0))
    const u = v128.xor(a, flip)
    const v = v128.xor(b, flip)
    const w = v128.xor(c, flip)
    let won = f32x4.add(f32x4.add(positive(u), positive(v)), positive(w))
    let isSure = f32x4.ge(v128.xor(vote, flip), f32x4.mul(won, partOf(0)))
    if (divides) {
      const weight = f32x4.add(f32x4.add(weighed(u, partOf(6)), weighed(v, partOf(7))), weighed(w, partOf(8)))
      won = f32x4.div(won, f32x4.pmax(weight, partOf(2))) // where nobody is in the camp, 0 is divided
    }
    const result = f32x4.add(v128.load(base + at), v128.xor(won, flip))
    const error = v128.xor(f32x4.mul(won, partOf(1)), v128.and(result, constantOf(0)))
    const near = i32x4.shr_u(i32x4.add(f32x4.sub(result, error), constantOf(2)), 16)
    const far = i32x4.shr_u(i32x4.add(f32x4.add(result, error), constantOf(3)), 16)
    const codes = i16x8.narrow_i32x4_u(far, far)
    greatest = i16x8.max_u(greatest, i16x8.shl(codes, 1))
    v128.store_lane<u64>(out + (at >> 1), codes, 0)
    // a code of −0 is not shown: what is that small is +0
    isSure = v128.andnot(v128.and(isSure, i32x4.eq(near, far)), i32x4.eq(far, constantOf(3)))
    // which ones they are no processor foresees: so without a branch
    const bits = i32x4.bitmask(isSure) ^ 15
    store<u32>(next, <u32>at | bits)
    next += <usize>(bits != 0) << 2
    unsure += popcnt(bits)
  }
  end = next
  return v128.any_true(i16x8.ge_u(greatest, i16x8.splat(MOST))) ? n : unsure
}

let resting: i32 = 0

/**
 * `args`: weights, how many, divisors or 0, what the planes are first multiplied by, or, where a bit is set, divided; and whether
 * all elements but zeros are at least 2⁻⁷⁰. Planes are used up, and `spare` is written over. False where a result is not finite.
 */
export function electOnto(from: usize, args: usize, base: usize, plan: usize, spare: usize, out: usize, n: i32): bool {
  if (resting > 0) resting--
  else if ((n & 3) == 0) {
    const divides = load<u32>(args, 8) != 0
    const unsure = load<i32>(args, 20) != 0
      ? divides ? open(true, true, from, base, plan, out, n) : open(true, false, from, base, plan, out, n)
      : divides ? open(false, true, from, base, plan, out, n) : open(false, false, from, base, plan, out, n)
    if (unsure == 0) return true
    if (unsure <= n >> 2) return exactlyThose(from, args, base, spare, out)
    resting = RESTING
  }
  return exactly(from, args, base, spare, out, n)
}
