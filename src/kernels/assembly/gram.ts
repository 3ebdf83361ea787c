/**
 * Sums over every pair of many planes, as laneSum has them one by one. Nine pairs share the loads of six planes; each pair's
 * own lanes keep their order, so its bits are the same.
 */
import { addTerms, DISTANCE, DOT, endBlock } from './block-sums'

/** Bytes from the lanes of one pair to those of the next. */
@inline const PAIR_BYTES: usize = 80
/** Elements of one turn of the inner loop. */
@inline const ROW: i32 = 16

/** Of the pairs of a tile that are none: those below the diagonal, and behind the last plane. */
const nowhere: usize = memory.data(64, 16)

@inline
function planeOf(table: usize, i: i32): usize {
  return <usize>load<u32>(table + (<usize>i << 2))
}

/** Pairs are listed row by row, each from the diagonal on. */
@inline
function lanesOf(lanes: usize, k: i32, i: i32, j: i32): usize {
  return lanes + PAIR_BYTES * <usize>(i * k - ((i * (i - 1)) >> 1) + j - i)
}

@inline
function lanesOrNowhere(lanes: usize, k: i32, i: i32, j: i32): usize {
  return i <= j && j < k ? lanesOf(lanes, k, i, j) : nowhere
}

@inline
function term(op: i32, a: v128, b: v128): v128 {
  if (op == DOT) return f64x2.mul(a, b)
  const d = f64x2.sub(a, b)
  return f64x2.mul(d, d)
}

/** Planes i, i + 1, i + 2 with j, j + 1, j + 2. */
@inline
function tile(op: i32, table: usize, k: i32, lanes: usize, i: i32, j: i32, n: i32): void {
  const last = k - 1
  const a = planeOf(table, i)
  const b = planeOf(table, min(i + 1, last))
  const c = planeOf(table, min(i + 2, last))
  const x = planeOf(table, j)
  const y = planeOf(table, min(j + 1, last))
  const z = planeOf(table, min(j + 2, last))
  const ax = lanesOrNowhere(lanes, k, i, j)
  const ay = lanesOrNowhere(lanes, k, i, j + 1)
  const az = lanesOrNowhere(lanes, k, i, j + 2)
  const bx = lanesOrNowhere(lanes, k, i + 1, j)
  const by = lanesOrNowhere(lanes, k, i + 1, j + 1)
  const bz = lanesOrNowhere(lanes, k, i + 1, j + 2)
  const cx = lanesOrNowhere(lanes, k, i + 2, j)
  const cy = lanesOrNowhere(lanes, k, i + 2, j + 1)
  const cz = lanesOrNowhere(lanes, k, i + 2, j + 2)
  const end = <usize>n << 3
  // two lanes of every pair at a time: nine vectors of them, and what enters, are as many as there are registers
  for (let two: usize = 0; two < 64; two += 16) {
    let s0 = v128.load(ax + two)
    let s1 = v128.load(ay + two)
    let s2 = v128.load(az + two)
    let s3 = v128.load(bx + two)
    let s4 = v128.load(by + two)
    let s5 = v128.load(bz + two)
    let s6 = v128.load(cx + two)
    let s7 = v128.load(cy + two)
    let s8 = v128.load(cz + two)
    for (let at = two; at < end; at += 128) {
      let u = v128.load(a + at)
      let v = v128.load(b + at)
      let w = v128.load(c + at)
      let t = v128.load(x + at)
      s0 = f64x2.add(s0, term(op, u, t))
      s3 = f64x2.add(s3, term(op, v, t))
      s6 = f64x2.add(s6, term(op, w, t))
      t = v128.load(y + at)
      s1 = f64x2.add(s1, term(op, u, t))
      s4 = f64x2.add(s4, term(op, v, t))
      s7 = f64x2.add(s7, term(op, w, t))
      t = v128.load(z + at)
      s2 = f64x2.add(s2, term(op, u, t))
      s5 = f64x2.add(s5, term(op, v, t))
      s8 = f64x2.add(s8, term(op, w, t))
      u = v128.load(a + at, 64)
      v = v128.load(b + at, 64)
      w = v128.load(c + at, 64)
      t = v128.load(x + at, 64)
      s0 = f64x2.add(s0, term(op, u, t))
      s3 = f64x2.add(s3, term(op, v, t))
      s6 = f64x2.add(s6, term(op, w, t))
      t = v128.load(y + at, 64)
      s1 = f64x2.add(s1, term(op, u, t))
      s4 = f64x2.add(s4, term(op, v, t))
      s7 = f64x2.add(s7, term(op, w, t))
      t = v128.load(z + at, 64)
      s2 = f64x2.add(s2, term(op, u, t))
      s5 = f64x2.add(s5, term(op, v, t))
      s8 = f64x2.add(s8, term(op, w, t))
    }
    v128.store(ax + two, s0)
    v128.store(ay + two, s1)
    v128.store(az + two, s2)
    v128.store(bx + two, s3)
    v128.store(by + two, s4)
    v128.store(bz + two, s5)
    v128.store(cx + two, s6)
    v128.store(cy + two, s7)
    v128.store(cz + two, s8)
  }
}

function dots(table: usize, k: i32, lanes: usize, i: i32, j: i32, n: i32): void {
  tile(DOT, table, k, lanes, i, j, n)
}
function distances(table: usize, k: i32, lanes: usize, i: i32, j: i32, n: i32): void {
  tile(DISTANCE, table, k, lanes, i, j, n)
}

/** A strip of a block. `lanes` has the state of laneSum for each pair. */
export function pairSums(op: i32, table: usize, k: i32, lanes: usize, n: i32, ends: bool): void {
  const whole = n & ~(ROW - 1)
  for (let i = 0; whole > 0 && i < k; i += 3) {
    for (let j = i; j < k; j += 3) {
      if (op == DOT) dots(table, k, lanes, i, j, whole)
      else distances(table, k, lanes, i, j, whole)
    }
  }
  if (whole == n && !ends) return
  const rest = <usize>whole << 3
  let pair = lanes
  for (let i = 0; i < k; i++) {
    const a = planeOf(table, i) + rest
    for (let j = i; j < k; j++) {
      if (whole < n) addTerms(op, a, planeOf(table, j) + rest, pair, n - whole)
      if (ends) endBlock(pair)
      pair += PAIR_BYTES
    }
  }
}
