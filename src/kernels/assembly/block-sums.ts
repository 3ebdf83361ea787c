/** Sums over a block in eight lanes: element i joins lane i mod 8, then ((0+1)+(2+3))+((4+5)+(6+7)). */

@inline const SUM: i32 = 0
@inline export const L1: i32 = 1
@inline export const L2: i32 = 2
@inline export const DOT: i32 = 3
@inline export const DISTANCE: i32 = 4

/** Bytes from one state to the next. */
@inline const STATE_BYTES: i32 = 80

@inline
function term(op: i32, a: v128, b: v128): v128 {
  if (op == SUM) return a
  if (op == L1) return f64x2.abs(a)
  if (op == L2) return f64x2.mul(a, a)
  if (op == DOT) return f64x2.mul(a, b)
  const d = f64x2.sub(a, b)
  return f64x2.mul(d, d)
}

@inline
export function pair(lanes: v128): f64 {
  return f64x2.extract_lane(lanes, 0) + f64x2.extract_lane(lanes, 1)
}

/** Adds a block's terms, or a part of whole eights of them, to four vectors of lanes. */
@inline
function addLanes(op: i32, a: usize, b: usize, lanes: usize, n: i32): void {
  let l0 = v128.load(lanes)
  let l1 = v128.load(lanes, 16)
  let l2 = v128.load(lanes, 32)
  let l3 = v128.load(lanes, 48)
  let left = n
  for (; left >= 8; left -= 8) {
    l0 = f64x2.add(l0, term(op, v128.load(a), v128.load(b)))
    l1 = f64x2.add(l1, term(op, v128.load(a, 16), v128.load(b, 16)))
    l2 = f64x2.add(l2, term(op, v128.load(a, 32), v128.load(b, 32)))
    l3 = f64x2.add(l3, term(op, v128.load(a, 48), v128.load(b, 48)))
    a += 64
    b += 64
  }
  if (left >= 2) l0 = f64x2.add(l0, term(op, v128.load(a), v128.load(b)))
  if (left >= 4) l1 = f64x2.add(l1, term(op, v128.load(a, 16), v128.load(b, 16)))
  if (left >= 6) l2 = f64x2.add(l2, term(op, v128.load(a, 32), v128.load(b, 32)))
  if (left & 1) {
    // The last one joins an even lane; the lane beside it takes +0, which changes no lane: none is ever −0.
    const at = <usize>(left - 1) << 3
    const last = term(op, v128.load_zero<u64>(a + at), v128.load_zero<u64>(b + at))
    if (left == 1) l0 = f64x2.add(l0, last)
    else if (left == 3) l1 = f64x2.add(l1, last)
    else if (left == 5) l2 = f64x2.add(l2, last)
    else l3 = f64x2.add(l3, last)
  }
  v128.store(lanes, l0)
  v128.store(lanes, l1, 16)
  v128.store(lanes, l2, 32)
  v128.store(lanes, l3, 48)
}

function addTerms(op: i32, a: usize, b: usize, lanes: usize, n: i32): void {
  switch (op) {
    case SUM: return addLanes(SUM, a, b, lanes, n)
    case L1: return addLanes(L1, a, b, lanes, n)
    case L2: return addLanes(L2, a, b, lanes, n)
    case DOT: return addLanes(DOT, a, b, lanes, n)
    default: return addLanes(DISTANCE, a, b, lanes, n)
  }
}

function clear(lanes: usize): void {
  memory.fill(lanes, 0, 64)
}

/** ((0+1)+(2+3))+((4+5)+(6+7)) */
function folded(lanes: usize): f64 {
  return pair(v128.load(lanes)) + pair(v128.load(lanes, 16)) + (pair(v128.load(lanes, 32)) + pair(v128.load(lanes, 48)))
}

const ofBlock: usize = memory.data(64, 16)

export function blockSum(op: i32, a: usize, b: usize, n: i32): f64 {
  clear(ofBlock)
  addTerms(op, a, b, ofBlock, n)
  return folded(ofBlock)
}

/**
 * A strip of a block. `state` is eight lanes and the sum of the blocks before, to which a block that ends is added; or, where
 * an address stands behind them, the block's sum goes there, and the address on by what stands behind it.
 */
export function laneSum(op: i32, a: usize, b: usize, state: usize, n: i32, ends: bool): void {
  addTerms(op, a, b, state, n)
  if (ends) endBlock(state)
}

@inline
export function endBlock(state: usize): void {
  const sum = folded(state)
  clear(state)
  const to = load<u32>(state, 72)
  if (to == 0) store<f64>(state, load<f64>(state, 64) + sum, 64)
  else {
    store<f64>(to, sum)
    store<u32>(state, to + load<u32>(state, 76), 72)
  }
}

/** Two f32 of a narrow plane. Loading eight bytes leaves the shuffles to others. */
@inline
function two(a: usize): v128 {
  return f64x2.promote_low_f32x4(v128.load_zero<u64>(a))
}

/** Rows of eight of a narrow plane. */
@inline
function addRows(op: i32, a: usize, lanes: usize, rows: i32): void {
  let l0 = v128.load(lanes)
  let l1 = v128.load(lanes, 16)
  let l2 = v128.load(lanes, 32)
  let l3 = v128.load(lanes, 48)
  for (; rows > 0; rows--) {
    const x0 = two(a)
    const x1 = two(a + 8)
    const x2 = two(a + 16)
    const x3 = two(a + 24)
    l0 = f64x2.add(l0, term(op, x0, x0))
    l1 = f64x2.add(l1, term(op, x1, x1))
    l2 = f64x2.add(l2, term(op, x2, x2))
    l3 = f64x2.add(l3, term(op, x3, x3))
    a += 32
  }
  v128.store(lanes, l0)
  v128.store(lanes, l1, 16)
  v128.store(lanes, l2, 32)
  v128.store(lanes, l3, 48)
}

/** The last of two planes, fewer than eight, and zeros behind them, which change no lane: none is ever −0. */
const rests: usize = memory.data(64, 16)

@inline
function rest(a: usize, n: i32, to: usize): usize {
  v128.store(to, i32x4.splat(0))
  v128.store(to, i32x4.splat(0), 16)
  memory.copy(to, a + (<usize>(n & ~7) << 2), <usize>(n & 7) << 2)
  return to
}

@inline
function narrowLanes(op: i32, a: usize, state: usize, n: i32): void {
  addRows(op, a, state, n >> 3)
  if ((n & 7) != 0) addRows(op, rest(a, n, rests), state, 1)
}

/** laneSum of a plane of f32 with itself, but for distances. */
export function narrowSum(op: i32, a: usize, state: usize, n: i32, ends: bool): void {
  if (op == SUM) narrowLanes(SUM, a, state, n)
  else if (op == L1) narrowLanes(L1, a, state, n)
  else narrowLanes(L2, a, state, n)
  if (ends) endBlock(state)
}

/** Of each row of eight, the four lanes from byte `at` on, of both dots and the one between. */
@inline
function dotRows(a: usize, b: usize, lanes: usize, at: usize, rows: i32): void {
  const to = lanes + (at << 1)
  let p0 = v128.load(to)
  let p1 = v128.load(to, 16)
  let q0 = v128.load(to, STATE_BYTES)
  let q1 = v128.load(to, STATE_BYTES + 16)
  let r0 = v128.load(to, 2 * STATE_BYTES)
  let r1 = v128.load(to, 2 * STATE_BYTES + 16)
  a += at
  b += at
  for (; rows > 0; rows--) {
    const x0 = two(a)
    const y0 = two(b)
    const x1 = two(a + 8)
    const y1 = two(b + 8)
    p0 = f64x2.add(p0, f64x2.mul(x0, x0))
    q0 = f64x2.add(q0, f64x2.mul(x0, y0))
    r0 = f64x2.add(r0, f64x2.mul(y0, y0))
    p1 = f64x2.add(p1, f64x2.mul(x1, x1))
    q1 = f64x2.add(q1, f64x2.mul(x1, y1))
    r1 = f64x2.add(r1, f64x2.mul(y1, y1))
    a += 32
    b += 32
  }
  v128.store(to, p0)
  v128.store(to, p1, 16)
  v128.store(to, q0, STATE_BYTES)
  v128.store(to, q1, STATE_BYTES + 16)
  v128.store(to, r0, 2 * STATE_BYTES)
  v128.store(to, r1, 2 * STATE_BYTES + 16)
}

/** Of two planes of f32: the dots of the first with itself, of both, and of the second with itself, in states side by side. */
export function narrowDots(a: usize, b: usize, state: usize, n: i32, ends: bool): void {
  dotRows(a, b, state, 0, n >> 3)
  dotRows(a, b, state, 16, n >> 3)
  if ((n & 7) != 0) {
    const x = rest(a, n, rests)
    const y = rest(b, n, rests + 32)
    dotRows(x, y, state, 0, 1)
    dotRows(x, y, state, 16, 1)
  }
  if (!ends) return
  endBlock(state)
  endBlock(state + STATE_BYTES)
  endBlock(state + 2 * STATE_BYTES)
}

/** Finite where all elements are finite and none is huge. */
export function strip(a: usize, n: i32): f64 {
  return blockSum(SUM, a, a, n)
}

/** The greatest magnitude so far; false where an element is not finite. */
export function greatest(a: usize, state: usize, n: i32): bool {
  let most = v128.load_splat<u64>(state)
  let odd = f64x2.splat(0)
  let left = n
  for (; left >= 2; left -= 2) {
    const value = v128.load(a)
    most = f64x2.pmax(most, f64x2.abs(value))
    odd = f64x2.add(odd, f64x2.sub(value, value))
    a += 16
  }
  if (left == 1) {
    const value = v128.load_zero<u64>(a)
    most = f64x2.pmax(most, f64x2.abs(value))
    odd = f64x2.add(odd, f64x2.sub(value, value))
  }
  store<f64>(state, max(f64x2.extract_lane(most, 0), f64x2.extract_lane(most, 1)))
  return f64x2.extract_lane(odd, 0) == 0 && f64x2.extract_lane(odd, 1) == 0
}
