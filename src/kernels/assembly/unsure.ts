/**
 * Elements of a strip of which f32 does not show what code of bf16 they come to: a step that goes by intervals lists their places, and
 * makes them another way, side by side.
 */
import { planeOf } from './camps'

/** Loaded where they are used, for the compiler makes a constant again in every turn of a loop. */
const constants: usize = memory.data<u32>([
  0x80000000,
  0xffffffff,
  // just below half a code, and half a code
  0x7fff,
  0x8000,
  // twice the bits of 2⁻⁷⁰, less one
  0x38ffffff,
])
@inline
export function constantOf(place: usize): v128 {
  return v128.load_splat<u32>(constants + 4 * place)
}
/** Twice the code of 2⁶⁴: what is below, and shown, comes of nothing that is infinite on the way. */
@inline export const MOST: i16 = <i16>0xbf00

/** Twice the bits of a magnitude, less one: so zeros, which are welcome, are the greatest. */
@inline
export function rankOf(values: v128): v128 {
  return i32x4.add(i32x4.shl(values, 1), constantOf(1))
}

/** Strips that are made the exact way after one of which much was not shown, so that trying costs next to nothing. */
@inline export const RESTING: i32 = 31

/** Places of fours with elements that are not shown, a bit for each of these. */
export const places: usize = memory.data(4 * 129, 16)

/** Planes that may be gathered, besides the base. */
@inline const PLANES_MAX: usize = 4
@inline const ROW: usize = 4 * 512
/** Those elements side by side: planes and the base, where they come from, and their codes. */
const rows: usize = memory.data(5 * 4 * 512 + 16, 16)
export const gatheredBase: usize = rows + PLANES_MAX * ROW
/** Where each comes from: twice the byte of its code. */
export const sources: usize = memory.data(4 * 512, 16)
export const codes: usize = memory.data(2 * 512, 16)
/** The planes they are gathered in. */
export const gatheredPlanes: usize = memory.data<u32>([0, 0, 0, 0])
for (let i: usize = 0; i < PLANES_MAX; i++) store<u32>(gatheredPlanes + 4 * i, <u32>(rows + ROW * i))

/** Elements of the places up to `end`, whose rows of four are whole; answers how many they are. */
export function gather(from: usize, k: i32, base: usize, end: usize): i32 {
  let next: usize = 0
  for (let place = places; place < end; place += 4) {
    const four = load<i32>(place)
    for (let bits = four & 15; bits != 0; bits &= bits - 1) {
      const at = <usize>((four & ~15) + (ctz(bits) << 2))
      for (let i = 0; i < k; i++) store<u32>(rows + ROW * <usize>i + next, load<u32>(planeOf(from, i) + at))
      store<u32>(gatheredBase + next, load<u32>(base + at))
      store<u32>(sources + next, <u32>at)
      next += 4
    }
  }
  for (let i: usize = 0; i < <usize>k; i++) v128.store(rows + ROW * i + next, i32x4.splat(0))
  v128.store(gatheredBase + next, i32x4.splat(0))
  return <i32>(next >> 2)
}

/** Their codes, to where they come from. */
export function scatter(out: usize, count: i32): void {
  for (let at: usize = 0; at < <usize>count << 2; at += 4)
    store<u16>(out + (<usize>load<u32>(sources + at) >> 1), load<u16>(codes + (at >> 1)))
}
