/**
 * A sum of planes by their weights, added to a base and rounded to bf16, all in f32: taken where no value that the exact result can
 * have is rounded to another code. The others are made the exact way, and so are those of which an element is so small that f32
 * could be slow, or lose more than a share of it.
 */
import { planeOf } from './camps'
import { binary, PLUS } from './element-wise'
import { encodeBf16 } from './encode'
import { scaled, scaledPair, weightedSum } from './exact'
import { scale, widen } from './narrow'
import { codes, constantOf, gather, gatheredBase, gatheredPlanes, MOST, places, rankOf, RESTING, scatter } from './unsure'

/** How far off a result may be, in parts of what all terms come to without their signs; then what each plane is multiplied by. */
const parts: usize = memory.data(20, 16)
@inline
function partOf(place: usize): v128 {
  return v128.load_splat<u32>(parts + 4 * place)
}

/** Strips of planes, of the base, and of the sum, as f64; and where the planes lie. */
@inline const STRIP_BYTES: usize = 8 * 512
const wide: usize = memory.data(6 * 8 * 512, 16)
const wideBase: usize = wide + 4 * STRIP_BYTES
const sum: usize = wide + 5 * STRIP_BYTES
const widePlanes: usize = memory.data<u32>([0, 0, 0, 0])
for (let i: usize = 0; i < 4; i++) store<u32>(widePlanes + 4 * i, <u32>(wide + STRIP_BYTES * i))

/** All of n elements by the steps that this one stands for. */
function exactly(from: usize, args: usize, base: usize, out: usize, n: i32): bool {
  const weights = <usize>load<u32>(args)
  const k = load<i32>(args, 4)
  const scales = <usize>load<u32>(args, 8)
  const overs = load<i32>(args, 12)
  for (let i = 0; i < k; i++) {
    const plane = planeOf(from, i)
    const by = load<f64>(scales + (<usize>i << 3))
    if (by != 1) scale((overs & (1 << i)) != 0, plane, by, plane, n)
    widen(plane, planeOf(widePlanes, i), n)
  }
  if (k == 1) scaled(wide, load<f64>(weights), sum, n)
  else if (k == 2) scaledPair(wide, wide + STRIP_BYTES, load<f64>(weights), load<f64>(weights, 8), sum, n)
  else weightedSum(widePlanes, weights, k, sum, n)
  widen(base, wideBase, n)
  binary(PLUS, wideBase, sum, sum, n)
  return encodeBf16(sum, out, n) < 0
}

/** Of the places that are not shown. */
let end: usize = 0

/** Rows of four; answers how many elements are not shown. */
@inline
function open(k: i32, from: usize, base: usize, plan: usize, out: usize, n: i32): i32 {
  for (let at: usize = 0; at < 20; at += 4) store<u32>(parts + at, load<u32>(plan + at))
  const px = planeOf(from, 0)
  const py = k > 1 ? planeOf(from, 1) : 0
  const pz = k > 2 ? planeOf(from, 2) : 0
  const pw = k > 3 ? planeOf(from, 3) : 0
  let next = places
  let unsure = 0
  let greatest = i32x4.splat(0)
  for (let at: usize = 0; at < <usize>n << 2; at += 16) {
    const x = v128.load(px + at)
    let rank = rankOf(x)
    let total = f32x4.mul(x, partOf(1))
    let size = f32x4.abs(total)
    if (k > 1) {
      const y = v128.load(py + at)
      const term = f32x4.mul(y, partOf(2))
      rank = i32x4.min_u(rank, rankOf(y))
      total = f32x4.add(total, term)
      size = f32x4.add(size, f32x4.abs(term))
    }
    if (k > 2) {
      const z = v128.load(pz + at)
      const term = f32x4.mul(z, partOf(3))
      rank = i32x4.min_u(rank, rankOf(z))
      total = f32x4.add(total, term)
      size = f32x4.add(size, f32x4.abs(term))
    }
    if (k > 3) {
      const w = v128.load(pw + at)
      const term = f32x4.mul(w, partOf(4))
      rank = i32x4.min_u(rank, rankOf(w))
      total = f32x4.add(total, term)
      size = f32x4.add(size, f32x4.abs(term))
    }
    const result = f32x4.add(v128.load(base + at), total)
    const error = v128.xor(f32x4.mul(size, partOf(0)), v128.and(result, constantOf(0)))
    const near = i32x4.shr_u(i32x4.add(f32x4.sub(result, error), constantOf(2)), 16)
    const far = i32x4.shr_u(i32x4.add(f32x4.add(result, error), constantOf(3)), 16)
    const both = i16x8.narrow_i32x4_u(far, far)
    greatest = i16x8.max_u(greatest, i16x8.shl(both, 1))
    v128.store_lane<u64>(out + (at >> 1), both, 0)
    // which ones they are no processor foresees: so without a branch
    const isSure = v128.and(i32x4.eq(near, far), i32x4.ge_u(rank, constantOf(4)))
    const isShown = v128.andnot(isSure, i32x4.eq(far, constantOf(3))) // what is so small that its code is −0 is +0
    const bits = i32x4.bitmask(isShown) ^ 15
    store<u32>(next, <u32>at | bits)
    next += <usize>(bits != 0) << 2
    unsure += popcnt(bits)
  }
  end = next
  return v128.any_true(i16x8.ge_u(greatest, i16x8.splat(MOST))) ? n : unsure
}

@inline
function openAny(k: i32, from: usize, base: usize, plan: usize, out: usize, n: i32): i32 {
  if (k == 1) return open(1, from, base, plan, out, n)
  if (k == 2) return open(2, from, base, plan, out, n)
  return k == 3 ? open(3, from, base, plan, out, n) : open(4, from, base, plan, out, n)
}

let resting: i32 = 0

/**
 * Of up to four planes. `args`: weights, how many, what planes are first multiplied by, or, where a bit is set, divided. Planes are
 * used up. False where a result is not finite.
 */
export function sumOnto(from: usize, args: usize, base: usize, plan: usize, out: usize, n: i32): bool {
  if (resting > 0) resting--
  else if ((n & 3) == 0) {
    const unsure = openAny(load<i32>(args, 4), from, base, plan, out, n)
    if (unsure == 0) return true
    if (unsure <= n >> 2) {
      const count = gather(from, load<i32>(args, 4), base, end)
      if (!exactly(gatheredPlanes, args, gatheredBase, codes, count)) return false
      scatter(out, count)
      return true
    }
    resting = RESTING
  }
  return exactly(from, args, base, out, n)
}
