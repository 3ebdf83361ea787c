/** Philox4x32-10, four blocks at a time. */

@inline const M0: i32 = <i32>0xd2511f53
@inline const M1: i32 = <i32>0xcd9e8d57
@inline const W0: i32 = <i32>0x9e3779b9
@inline const W1: i32 = <i32>0xbb67ae85

/** The keys of ten rounds, each in all lanes. */
const keys: usize = memory.data(320, 16)
/** The words of the row at hand. */
export const words: usize = memory.data(64, 16)

export function setKey(low: i32, high: i32): void {
  for (let at: usize = 0; at < 320; at += 32) {
    v128.store(keys + at, i32x4.splat(low))
    v128.store(keys + at, i32x4.splat(high), 16)
    low += W0
    high += W1
  }
}

/** Low and high words of two pairs of 64-bit products. */
@inline
function lows(first: v128, second: v128): v128 {
  return v128.shuffle<i32>(first, second, 0, 2, 4, 6)
}
@inline
function highs(first: v128, second: v128): v128 {
  return v128.shuffle<i32>(first, second, 1, 3, 5, 7)
}

@inline
function store16(c0: v128, c1: v128, c2: v128, c3: v128, to: usize): void {
  // from one vector a word of four blocks to one vector a block of four words
  const a = v128.shuffle<i32>(c0, c1, 0, 4, 1, 5)
  const b = v128.shuffle<i32>(c2, c3, 0, 4, 1, 5)
  const c = v128.shuffle<i32>(c0, c1, 2, 6, 3, 7)
  const d = v128.shuffle<i32>(c2, c3, 2, 6, 3, 7)
  v128.store(to, v128.shuffle<i64>(a, b, 0, 2))
  v128.store(to, v128.shuffle<i64>(a, b, 1, 3), 16)
  v128.store(to, v128.shuffle<i64>(c, d, 0, 2), 32)
  v128.store(to, v128.shuffle<i64>(c, d, 1, 3), 48)
}

/** Of the second round, in whose first word no counter is: the product of that word. */
@inline
function secondProduct(block: u64): u64 {
  return <u64>(<u32>M0) * <u64>(<u32>(block >> 32) ^ load<u32>(keys))
}

/** Sixteen words, of the blocks `block` … `block` + 3; `block` is a multiple of four, so nothing carries. */
@inline
export function row(block: u64): void {
  const m0 = i32x4.splat(M0)
  const m1 = i32x4.splat(M1)
  // two words of the counter are zero, so that the first two rounds have one product each
  const second = secondProduct(block)
  let c0 = i32x4.add(i32x4.splat(<i32>block), i32x4(0, 1, 2, 3))
  let p0 = i64x2.extmul_low_i32x4_u(m0, c0)
  let p1 = i64x2.extmul_high_i32x4_u(m0, c0)
  let c2 = v128.xor(highs(p0, p1), v128.load(keys, 16))
  let q0 = i64x2.extmul_low_i32x4_u(m1, c2)
  let q1 = i64x2.extmul_high_i32x4_u(m1, c2)
  c0 = v128.xor(highs(q0, q1), v128.load(keys, 32))
  let c1 = lows(q0, q1)
  c2 = v128.xor(v128.xor(i32x4.splat(<i32>(second >> 32)), lows(p0, p1)), v128.load(keys, 48))
  let c3 = i32x4.splat(<i32>second)
  for (let at: usize = 64; at < 320; at += 32) {
    p0 = i64x2.extmul_low_i32x4_u(m0, c0)
    p1 = i64x2.extmul_high_i32x4_u(m0, c0)
    q0 = i64x2.extmul_low_i32x4_u(m1, c2)
    q1 = i64x2.extmul_high_i32x4_u(m1, c2)
    c0 = v128.xor(v128.xor(highs(q0, q1), c1), v128.load(keys + at))
    c1 = lows(q0, q1)
    c2 = v128.xor(v128.xor(highs(p0, p1), c3), v128.load(keys + at, 16))
    c3 = lows(p0, p1)
  }
  store16(c0, c1, c2, c3, words)
}

/** M0 times 0 … 7, one after the other. */
const multiples: usize = memory.data(64, 16)
for (let i: usize = 0; i < 8; i++) store<u64>(multiples + (i << 3), <u64>(<u32>M0) * <u64>i)

/** What the second round is the same in for all blocks of a draw; and the last keys, for words of which the sign is the other. */
const alike: usize = memory.data(64, 16)

/** Before words of these blocks are compared: their high word is that of `block`. Keys are set. */
export function setBlocks(block: u64): void {
  const second = secondProduct(block)
  v128.store(alike, v128.xor(i32x4.splat(<i32>(second >> 32)), v128.load(keys, 48)))
  v128.store(alike, i32x4.splat(<i32>second), 16)
  const sign = i32x4.splat(0x80000000)
  v128.store(alike, v128.xor(v128.load(keys, 288), sign), 32)
  v128.store(alike, v128.xor(v128.load(keys, 304), sign), 48)
}

/** A limit of unsigned words, as `kept` wants it. */
@inline
export function limitOf(below: i32): v128 {
  return i32x4.splat(below ^ 0x80000000)
}

/** Of four words each of two rows of blocks: which are below the limit, as half words. */
@inline
function belows(limit: v128, first: v128, second: v128): v128 {
  return i16x8.narrow_i32x4_s(i32x4.gt_s(limit, first), i32x4.gt_s(limit, second))
}

/**
 * Of the 32 words of eight blocks, as bits: which are below the limit. `block` is a multiple of eight. Two rows at once: what
 * one waits for, the other computes in.
 */
@inline
export function kept(block: u64, limit: v128): i32 {
  const m0 = i32x4.splat(M0)
  const m1 = i32x4.splat(M1)
  const product = i64x2.splat(<u64>(<u32>M0) * <u64>(<u32>block))
  let p0 = i64x2.add(product, v128.load(multiples))
  let p1 = i64x2.add(product, v128.load(multiples, 16))
  let r0 = i64x2.add(product, v128.load(multiples, 32))
  let r1 = i64x2.add(product, v128.load(multiples, 48))
  let c2 = v128.xor(highs(p0, p1), v128.load(keys, 16))
  let d2 = v128.xor(highs(r0, r1), v128.load(keys, 16))
  const own2 = v128.xor(v128.load(alike), lows(p0, p1))
  const own3 = v128.xor(v128.load(alike), lows(r0, r1))
  let q0 = i64x2.extmul_low_i32x4_u(m1, c2)
  let q1 = i64x2.extmul_high_i32x4_u(m1, c2)
  let s0 = i64x2.extmul_low_i32x4_u(m1, d2)
  let s1 = i64x2.extmul_high_i32x4_u(m1, d2)
  let c0 = v128.xor(highs(q0, q1), v128.load(keys, 32))
  let d0 = v128.xor(highs(s0, s1), v128.load(keys, 32))
  let c1 = lows(q0, q1)
  let d1 = lows(s0, s1)
  c2 = own2
  d2 = own3
  let c3 = v128.load(alike, 16)
  let d3 = c3
  for (let at: usize = 64; at < 288; at += 32) {
    p0 = i64x2.extmul_low_i32x4_u(m0, c0)
    p1 = i64x2.extmul_high_i32x4_u(m0, c0)
    q0 = i64x2.extmul_low_i32x4_u(m1, c2)
    q1 = i64x2.extmul_high_i32x4_u(m1, c2)
    c0 = v128.xor(v128.xor(highs(q0, q1), c1), v128.load(keys + at))
    c1 = lows(q0, q1)
    c2 = v128.xor(v128.xor(highs(p0, p1), c3), v128.load(keys + at, 16))
    c3 = lows(p0, p1)
    r0 = i64x2.extmul_low_i32x4_u(m0, d0)
    r1 = i64x2.extmul_high_i32x4_u(m0, d0)
    s0 = i64x2.extmul_low_i32x4_u(m1, d2)
    s1 = i64x2.extmul_high_i32x4_u(m1, d2)
    d0 = v128.xor(v128.xor(highs(s0, s1), d1), v128.load(keys + at))
    d1 = lows(s0, s1)
    d2 = v128.xor(v128.xor(highs(r0, r1), d3), v128.load(keys + at, 16))
    d3 = lows(r0, r1)
  }
  // the last round, with its words as signed ones
  const sign = i32x4.splat(0x80000000)
  p0 = i64x2.extmul_low_i32x4_u(m0, c0)
  p1 = i64x2.extmul_high_i32x4_u(m0, c0)
  q0 = i64x2.extmul_low_i32x4_u(m1, c2)
  q1 = i64x2.extmul_high_i32x4_u(m1, c2)
  r0 = i64x2.extmul_low_i32x4_u(m0, d0)
  r1 = i64x2.extmul_high_i32x4_u(m0, d0)
  s0 = i64x2.extmul_low_i32x4_u(m1, d2)
  s1 = i64x2.extmul_high_i32x4_u(m1, d2)
  c0 = v128.xor(v128.xor(highs(q0, q1), c1), v128.load(alike, 32))
  d0 = v128.xor(v128.xor(highs(s0, s1), d1), v128.load(alike, 32))
  c2 = v128.xor(v128.xor(highs(p0, p1), c3), v128.load(alike, 48))
  d2 = v128.xor(v128.xor(highs(r0, r1), d3), v128.load(alike, 48))
  const w0 = belows(limit, c0, d0)
  const w1 = belows(limit, v128.xor(lows(q0, q1), sign), v128.xor(lows(s0, s1), sign))
  const w2 = belows(limit, c2, d2)
  const w3 = belows(limit, v128.xor(lows(p0, p1), sign), v128.xor(lows(r0, r1), sign))
  // from a word of eight blocks to blocks of four words
  const even = i8x16.narrow_i16x8_s(w0, w2)
  const odd = i8x16.narrow_i16x8_s(w1, w3)
  const a = v128.shuffle<i8>(even, odd, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
  const b = v128.shuffle<i8>(even, odd, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)
  const low = v128.shuffle<i16>(a, b, 0, 8, 1, 9, 2, 10, 3, 11)
  const high = v128.shuffle<i16>(a, b, 4, 12, 5, 13, 6, 14, 7, 15)
  return i8x16.bitmask(low) | (i8x16.bitmask(high) << 16)
}
