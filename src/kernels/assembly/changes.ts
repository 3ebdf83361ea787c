/**
 * Changes of a stream to a base, straight from the stream's bytes, and what a mask of bits leaves of them: what a step would store
 * for the next one stays where it is. Streams are of f32, or of bf16.
 */
import { endBlock, L1, L2, narrowSum } from './block-sums'
import { pick } from './drop'
import { change, readBf16, readF32 } from './narrow'

/** Loaded where they are used, for the compiler makes a constant again in every turn: 32 bits, by lanes of four and of two. */
const fours: usize = memory.data(128, 16)
const twos: usize = memory.data(256, 16)
for (let bit: usize = 0; bit < 32; bit++) {
  store<u32>(fours + (bit << 2), 1 << <u32>bit)
  store<u64>(twos + (bit << 3), 1 << <u64>bit)
}

/** Elements of one word of a mask. */
@inline const WORD: i32 = 32

/** Four elements and the next; of bf16 both are of one vector of codes. */
@inline
function first(isF32: bool, stream: usize): v128 {
  if (isF32) return v128.load(stream)
  return v128.shuffle<i16>(i32x4.splat(0), v128.load(stream), 0, 8, 1, 9, 2, 10, 3, 11)
}
@inline
function second(isF32: bool, stream: usize): v128 {
  if (isF32) return v128.load(stream, 16)
  return v128.shuffle<i16>(i32x4.splat(0), v128.load(stream), 4, 12, 5, 13, 6, 14, 7, 15)
}

/** All bits where the mask has one. */
@inline
function laneMask(word: v128, place: usize): v128 {
  const own = v128.load(place)
  return i32x4.eq(v128.and(word, own), own)
}
@inline
function wideMask(word: v128, place: usize): v128 {
  const own = v128.load(place)
  return i64x2.eq(v128.and(word, own), own)
}

/** Whole words of a mask. */
@inline
function readRows(isF32: bool, masked: bool, stream: usize, base: usize, mask: usize, out: usize, words: i32): bool {
  const exponent = i32x4.splat(0x7f800000)
  let bad = i32x4.splat(0)
  for (; words > 0; words--) {
    const word = masked ? v128.load_splat<u32>(mask) : i32x4.splat(0)
    for (let bits = fours; bits < fours + 128; bits += 32) {
      let x = f32x4.sub(first(isF32, stream), v128.load(base))
      let y = f32x4.sub(second(isF32, stream), v128.load(base, 16))
      bad = v128.or(bad, i32x4.eq(v128.and(x, exponent), exponent))
      bad = v128.or(bad, i32x4.eq(v128.and(y, exponent), exponent))
      if (masked) {
        x = v128.and(x, laneMask(word, bits))
        y = v128.and(y, laneMask(word, bits + 16))
      }
      v128.store(out, x)
      v128.store(out, y, 16)
      stream += isF32 ? 32 : 16
      base += 32
      out += 32
    }
    mask += 4
  }
  return !v128.any_true(bad)
}

/** The last elements, fewer than a word has; zeros follow them. `out` may be where the base is. */
const rest: usize = memory.data(128, 16)

function readRest(isF32: bool, stream: usize, base: usize, out: usize, n: i32): bool {
  const finite = isF32 ? readF32(stream, rest, n) : readBf16(stream, rest, n)
  memory.fill(rest + (<usize>n << 2), 0, <usize>(((n + 15) & ~15) - n) << 2)
  change(rest, base, out, n)
  return finite
}

/**
 * `stream` less `base`, which is a plane, and 0 where the mask has no bit; there may be no mask. False where one is not finite,
 * be it kept or not.
 */
export function readChange(isF32: bool, stream: usize, base: usize, mask: usize, out: usize, n: i32): bool {
  const words = n / WORD
  const whole = <usize>(words * WORD)
  const finite = isF32
    ? mask != 0 ? readRows(true, true, stream, base, mask, out, words) : readRows(true, false, stream, base, 0, out, words)
    : mask != 0 ? readRows(false, true, stream, base, mask, out, words) : readRows(false, false, stream, base, 0, out, words)
  const left = n - <i32>whole
  if (!finite || left == 0) return finite
  out += whole << 2
  if (!readRest(isF32, stream + (whole << (isF32 ? 2 : 1)), base + (whole << 2), out, left)) return false
  if (mask != 0) pick(mask + (whole >> 3), out, out, left)
  return true
}

@inline
function term(op: i32, x: v128): v128 {
  return op == L2 ? f64x2.mul(x, x) : x
}

/** Of L1 and L2, whose terms never are −0. */
@inline
function sumRows(isF32: bool, op: i32, stream: usize, base: usize, mask: usize, all: usize, kept: usize, words: i32): void {
  let a0 = v128.load(all)
  let a1 = v128.load(all, 16)
  let a2 = v128.load(all, 32)
  let a3 = v128.load(all, 48)
  let k0 = v128.load(kept)
  let k1 = v128.load(kept, 16)
  let k2 = v128.load(kept, 32)
  let k3 = v128.load(kept, 48)
  for (; words > 0; words--) {
    const word = v128.load_splat<u32>(mask)
    for (let bits = twos; bits < twos + 256; bits += 64) {
      const x = f32x4.abs(f32x4.sub(first(isF32, stream), v128.load(base)))
      const x0 = term(op, f64x2.promote_low_f32x4(x))
      const x1 = term(op, f64x2.promote_low_f32x4(v128.shuffle<i64>(x, x, 1, 0)))
      a0 = f64x2.add(a0, x0)
      a1 = f64x2.add(a1, x1)
      k0 = f64x2.add(k0, v128.and(x0, wideMask(word, bits)))
      k1 = f64x2.add(k1, v128.and(x1, wideMask(word, bits + 16)))
      const y = f32x4.abs(f32x4.sub(second(isF32, stream), v128.load(base, 16)))
      const y0 = term(op, f64x2.promote_low_f32x4(y))
      const y1 = term(op, f64x2.promote_low_f32x4(v128.shuffle<i64>(y, y, 1, 0)))
      a2 = f64x2.add(a2, y0)
      a3 = f64x2.add(a3, y1)
      k2 = f64x2.add(k2, v128.and(y0, wideMask(word, bits + 32)))
      k3 = f64x2.add(k3, v128.and(y1, wideMask(word, bits + 48)))
      stream += isF32 ? 32 : 16
      base += 32
    }
    mask += 4
  }
  v128.store(all, a0)
  v128.store(all, a1, 16)
  v128.store(all, a2, 32)
  v128.store(all, a3, 48)
  v128.store(kept, k0)
  v128.store(kept, k1, 16)
  v128.store(kept, k2, 32)
  v128.store(kept, k3, 48)
}

/**
 * Sums over such changes, all of them and what the mask leaves: states as narrowSum has them, `op` L1 or L2, and `spare` is room for
 * a plane. They are not finite where an element is not.
 */
export function sumChanges(
  isF32: bool, op: i32, stream: usize, base: usize, mask: usize, spare: usize, all: usize, kept: usize, n: i32, ends: bool,
): void {
  const words = n / WORD
  const whole = <usize>(words * WORD)
  if (isF32) {
    if (op == L1) sumRows(true, L1, stream, base, mask, all, kept, words)
    else sumRows(true, L2, stream, base, mask, all, kept, words)
  } else {
    if (op == L1) sumRows(false, L1, stream, base, mask, all, kept, words)
    else sumRows(false, L2, stream, base, mask, all, kept, words)
  }
  const left = n - <i32>whole
  if (left > 0) {
    readRest(isF32, stream + (whole << (isF32 ? 2 : 1)), base + (whole << 2), spare, left)
    narrowSum(op, spare, all, left, false)
    pick(mask + (whole >> 3), spare, spare, left)
    narrowSum(op, spare, kept, left, false)
  }
  if (!ends) return
  endBlock(all)
  endBlock(kept)
}
