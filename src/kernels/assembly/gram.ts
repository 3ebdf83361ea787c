/**
 * Sums over every pair of many planes, as laneSum has them one by one. Planes lie in fours, two lanes of each side by side,
 * and eight pairs share the loads of six planes; each pair's own lanes keep their order, so its bits are the same.
 */
import { DISTANCE, DOT, pair } from './block-sums'

/** Two lanes of four planes, in rows of eight elements. */
@inline const ROW_BYTES: usize = 64
/** Two lanes of a strip of four planes. */
@inline const TWO_BYTES: usize = 4096
/** All lanes of them, and some bytes more, lest fours begin in the same place of the cache. */
@inline const FOUR_BYTES: usize = 4 * TWO_BYTES + 1024
/** Two lanes of the sums of four planes with four others: of the first two, then of the others. */
@inline const LANES_BYTES: usize = 256
/** Fours that stay in the nearest cache while others pass by. */
@inline const PANEL: i32 = 6

/** Of an area: where the sums of the next block go, and from there those of the block after; 0 where they are added up. */
@inline const TO: usize = 0
@inline const STEP: usize = 4
/** Whether a block begins. */
@inline const FRESH: usize = 8
@inline const HEAD_BYTES: usize = 16

const eight: usize = memory.data(64, 16)

@inline
function packRow(from: usize, to: usize): void {
  v128.store(to, v128.load(from))
  v128.store(to, v128.load(from, 16), TWO_BYTES)
  v128.store(to, v128.load(from, 32), 2 * TWO_BYTES)
  v128.store(to, v128.load(from, 48), 3 * TWO_BYTES)
}

/** A plane to its place in an area, with zeros behind: no lane is ever −0, so that +0 changes none. */
export function pack(plane: usize, area: usize, i: i32, n: i32): void {
  let to = area + HEAD_BYTES + FOUR_BYTES * <usize>(i >> 2) + (<usize>(i & 3) << 4)
  let left = n
  for (; left >= 8; left -= 8) {
    packRow(plane, to)
    plane += 64
    to += ROW_BYTES
  }
  if (left == 0) return
  memory.fill(eight, 0, 64)
  memory.copy(eight, plane, <usize>left << 3)
  packRow(eight, to)
}

/** Two f32. */
@inline
function two(a: usize): v128 {
  return f64x2.promote_low_f32x4(v128.load_zero<u64>(a))
}

/** Rows of eight of four planes, of which each line is written once. */
function packFourF32(a: usize, b: usize, c: usize, d: usize, to: usize, rows: i32): void {
  for (; rows > 0; rows--) {
    for (let at: usize = 0; at < 4; at++) {
      const own = to + at * TWO_BYTES
      const from = at << 3
      v128.store(own, two(a + from))
      v128.store(own, two(b + from), 16)
      v128.store(own, two(c + from), 32)
      v128.store(own, two(d + from), 48)
    }
    a += 32
    b += 32
    c += 32
    d += 32
    to += ROW_BYTES
  }
}

/** Four bf16 to two pairs of lanes. */
@inline
function packFourOf(a: usize, to: usize): void {
  const values = v128.shuffle<i16>(i16x8.splat(0), v128.load_zero<u64>(a), 0, 8, 1, 9, 2, 10, 3, 11)
  v128.store(to, f64x2.promote_low_f32x4(values))
  v128.store(to, f64x2.promote_low_f32x4(v128.shuffle<i64>(values, values, 1, 0)), TWO_BYTES)
}

function packFourBf16(a: usize, b: usize, c: usize, d: usize, to: usize, rows: i32): void {
  for (; rows > 0; rows--) {
    packFourOf(a, to)
    packFourOf(b, to + 16)
    packFourOf(c, to + 32)
    packFourOf(d, to + 48)
    packFourOf(a + 8, to + 2 * TWO_BYTES)
    packFourOf(b + 8, to + 2 * TWO_BYTES + 16)
    packFourOf(c + 8, to + 2 * TWO_BYTES + 32)
    packFourOf(d + 8, to + 2 * TWO_BYTES + 48)
    a += 16
    b += 16
    c += 16
    d += 16
    to += ROW_BYTES
  }
}

/**
 * Four planes from `at` on of f32, or of bf16, to their places in an area, a whole number of rows. What is not finite is told
 * by the sum of its plane with itself.
 */
export function packFour(isF32: bool, a: usize, b: usize, c: usize, d: usize, area: usize, i: i32, n: i32): void {
  const to = area + HEAD_BYTES + FOUR_BYTES * <usize>(i >> 2)
  if (isF32) packFourF32(a, b, c, d, to, n >> 3)
  else packFourBf16(a, b, c, d, to, n >> 3)
}

@inline
function term(op: i32, a: v128, b: v128): v128 {
  if (op == DOT) return f64x2.mul(a, b)
  const d = f64x2.sub(a, b)
  return f64x2.mul(d, d)
}

/** Two lanes of two planes with four others: eight vectors, and what enters, are as many as there are registers. */
@inline
function tile(op: i32, a: usize, b: usize, lanes: usize, bytes: usize, fresh: bool): void {
  let s0 = f64x2.splat(0)
  let s1 = s0
  let s2 = s0
  let s3 = s0
  let s4 = s0
  let s5 = s0
  let s6 = s0
  let s7 = s0
  if (!fresh) {
    s0 = v128.load(lanes)
    s1 = v128.load(lanes, 16)
    s2 = v128.load(lanes, 32)
    s3 = v128.load(lanes, 48)
    s4 = v128.load(lanes, 64)
    s5 = v128.load(lanes, 80)
    s6 = v128.load(lanes, 96)
    s7 = v128.load(lanes, 112)
  }
  const end = a + bytes
  do {
    const u = v128.load(a)
    const v = v128.load(a, 16)
    const w = v128.load(b)
    const x = v128.load(b, 16)
    const y = v128.load(b, 32)
    const z = v128.load(b, 48)
    s0 = f64x2.add(s0, term(op, u, w))
    s1 = f64x2.add(s1, term(op, u, x))
    s2 = f64x2.add(s2, term(op, u, y))
    s3 = f64x2.add(s3, term(op, u, z))
    s4 = f64x2.add(s4, term(op, v, w))
    s5 = f64x2.add(s5, term(op, v, x))
    s6 = f64x2.add(s6, term(op, v, y))
    s7 = f64x2.add(s7, term(op, v, z))
    a += ROW_BYTES
    b += ROW_BYTES
  } while (a < end)
  v128.store(lanes, s0)
  v128.store(lanes, s1, 16)
  v128.store(lanes, s2, 32)
  v128.store(lanes, s3, 48)
  v128.store(lanes, s4, 64)
  v128.store(lanes, s5, 80)
  v128.store(lanes, s6, 96)
  v128.store(lanes, s7, 112)
}

function dots(a: usize, b: usize, lanes: usize, bytes: usize, fresh: bool): void {
  tile(DOT, a, b, lanes, bytes, fresh)
}
function distances(a: usize, b: usize, lanes: usize, bytes: usize, fresh: bool): void {
  tile(DISTANCE, a, b, lanes, bytes, fresh)
}

/** Lanes of four planes with four others: of all fours, row by row from the diagonal on. */
@inline
function lanesOf(lanes: usize, fours: i32, g: i32, h: i32): usize {
  return lanes + 4 * LANES_BYTES * <usize>(g * fours - ((g * (g - 1)) >> 1) + h - g)
}

/** A strip of a block. Of planes at address 0 the area has been packed before. */
export function pairSums(op: i32, table: usize, k: i32, area: usize, n: i32, ends: bool): void {
  for (let i = 0; i < k; i++) {
    const plane = <usize>load<u32>(table + (<usize>i << 2))
    if (plane != 0) pack(plane, area, i, n)
  }
  const fours = (k + 3) >> 2
  const twos = (k + 1) >> 1
  const packed = area + HEAD_BYTES
  const lanes = packed + FOUR_BYTES * <usize>fours
  const bytes = ROW_BYTES * ((<usize>n + 7) >> 3)
  const fresh = load<u32>(area, FRESH) != 0
  for (let two: usize = 0; two < 4; two++) {
    const own = packed + two * TWO_BYTES
    for (let from = 0; from < fours; from += PANEL) {
      const to = min(from + PANEL, fours)
      for (let i = 0; i < min(2 * to, twos); i++) {
        const g = i >> 1
        const second = <usize>(i & 1)
        const a = own + FOUR_BYTES * <usize>g + (second << 5)
        for (let h = max(from, g); h < to; h++) {
          const b = own + FOUR_BYTES * <usize>h
          const at = lanesOf(lanes, fours, g, h) + two * LANES_BYTES + (second << 7)
          if (op == DOT) dots(a, b, at, bytes, fresh)
          else distances(a, b, at, bytes, fresh)
        }
      }
    }
  }
  if (ends) endBlock(k, area, lanes)
  store<u32>(area, ends ? 1 : 0, FRESH)
}

function endBlock(k: i32, area: usize, lanes: usize): void {
  const fours = (k + 3) >> 2
  const step = load<u32>(area, STEP)
  let to = <usize>load<u32>(area, TO)
  store<u32>(area, <u32>to + step, TO)
  for (let i = 0; i < k; i++) {
    for (let j = i; j < k; j++) {
      const own = lanesOf(lanes, fours, i >> 2, j >> 2) + (<usize>(4 * (i & 3) + (j & 3)) << 4)
      const low = pair(v128.load(own)) + pair(v128.load(own, LANES_BYTES))
      const sum = low + (pair(v128.load(own, 2 * LANES_BYTES)) + pair(v128.load(own, 3 * LANES_BYTES)))
      store<f64>(to, step == 0 ? load<f64>(to) + sum : sum)
      to += 8
    }
  }
}
