/** Element by element: eight at a time, then two, then one. `out` may be an input. */

@inline export const PLUS: i32 = 0
@inline const MINUS: i32 = 1
@inline const TIMES: i32 = 2
@inline export const OVER: i32 = 3
@inline const MIN: i32 = 4
@inline const MAX: i32 = 5
@inline const ABOVE: i32 = 6
@inline const AT_LEAST: i32 = 7

@inline
function both(op: i32, a: v128, b: v128): v128 {
  if (op == PLUS) return f64x2.add(a, b)
  if (op == MINUS) return f64x2.sub(a, b)
  if (op == TIMES) return f64x2.mul(a, b)
  if (op == OVER) return f64x2.div(a, b)
  if (op == MIN) return f64x2.pmin(a, b) // b < a ? b : a, as the reference has it
  if (op == MAX) return f64x2.pmax(a, b)
  if (op == ABOVE) return v128.and(f64x2.gt(a, b), f64x2.splat(1))
  return v128.and(f64x2.ge(a, b), f64x2.splat(1))
}

@inline
function binaryLoop(op: i32, a: usize, b: usize, out: usize, n: i32): void {
  let left = n
  for (; left >= 8; left -= 8) {
    v128.store(out, both(op, v128.load(a), v128.load(b)))
    v128.store(out, both(op, v128.load(a, 16), v128.load(b, 16)), 16)
    v128.store(out, both(op, v128.load(a, 32), v128.load(b, 32)), 32)
    v128.store(out, both(op, v128.load(a, 48), v128.load(b, 48)), 48)
    a += 64
    b += 64
    out += 64
  }
  for (; left >= 2; left -= 2) {
    v128.store(out, both(op, v128.load(a), v128.load(b)))
    a += 16
    b += 16
    out += 16
  }
  if (left == 1) v128.store_lane<u64>(out, both(op, v128.load_zero<u64>(a), v128.load_zero<u64>(b)), 0)
}

/** The six binaries, then the two compares. */
export function binary(op: i32, a: usize, b: usize, out: usize, n: i32): void {
  switch (op) {
    case PLUS: return binaryLoop(PLUS, a, b, out, n)
    case MINUS: return binaryLoop(MINUS, a, b, out, n)
    case TIMES: return binaryLoop(TIMES, a, b, out, n)
    case OVER: return binaryLoop(OVER, a, b, out, n)
    case MIN: return binaryLoop(MIN, a, b, out, n)
    case MAX: return binaryLoop(MAX, a, b, out, n)
    case ABOVE: return binaryLoop(ABOVE, a, b, out, n)
    default: return binaryLoop(AT_LEAST, a, b, out, n)
  }
}

@inline const ABS: i32 = 0
@inline const SQRT: i32 = 1
@inline const F32: i32 = 2

@inline
function one(op: i32, a: v128): v128 {
  if (op == ABS) return f64x2.abs(a)
  if (op == SQRT) return f64x2.sqrt(a)
  return f64x2.promote_low_f32x4(f32x4.demote_f64x2_zero(a))
}

@inline
function unaryLoop(op: i32, a: usize, out: usize, n: i32): void {
  let left = n
  for (; left >= 8; left -= 8) {
    v128.store(out, one(op, v128.load(a)))
    v128.store(out, one(op, v128.load(a, 16)), 16)
    v128.store(out, one(op, v128.load(a, 32)), 32)
    v128.store(out, one(op, v128.load(a, 48)), 48)
    a += 64
    out += 64
  }
  for (; left >= 2; left -= 2) {
    v128.store(out, one(op, v128.load(a)))
    a += 16
    out += 16
  }
  if (left == 1) v128.store_lane<u64>(out, one(op, v128.load_zero<u64>(a)), 0)
}

export function unary(op: i32, a: usize, out: usize, n: i32): void {
  switch (op) {
    case ABS: return unaryLoop(ABS, a, out, n)
    case SQRT: return unaryLoop(SQRT, a, out, n)
    default: return unaryLoop(F32, a, out, n)
  }
}

/** a where the mask is not 0, else b. */
export function choose(mask: usize, a: usize, b: usize, out: usize, n: i32): void {
  const zero = f64x2.splat(0)
  let left = n
  for (; left >= 2; left -= 2) {
    v128.store(out, v128.bitselect(v128.load(b), v128.load(a), f64x2.eq(v128.load(mask), zero)))
    mask += 16
    a += 16
    b += 16
    out += 16
  }
  if (left == 1) store<f64>(out, load<f64>(mask) == 0 ? load<f64>(b) : load<f64>(a))
}

export function fill(out: usize, value: f64, n: i32): void {
  const all = f64x2.splat(value)
  let left = n
  for (; left >= 2; left -= 2) {
    v128.store(out, all)
    out += 16
  }
  if (left == 1) store<f64>(out, value)
}
