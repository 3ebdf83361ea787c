/** Sums over a block in eight lanes: element i joins lane i mod 8, then ((0+1)+(2+3))+((4+5)+(6+7)). */

@inline const SUM: i32 = 0
@inline const L1: i32 = 1
@inline const L2: i32 = 2
@inline const DOT: i32 = 3
@inline const DISTANCE: i32 = 4

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
function pair(lanes: v128): f64 {
  return f64x2.extract_lane(lanes, 0) + f64x2.extract_lane(lanes, 1)
}

@inline
function sumLoop(op: i32, a: usize, b: usize, n: i32): f64 {
  let l0 = f64x2.splat(0)
  let l1 = f64x2.splat(0)
  let l2 = f64x2.splat(0)
  let l3 = f64x2.splat(0)
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
  return pair(l0) + pair(l1) + (pair(l2) + pair(l3))
}

export function blockSum(op: i32, a: usize, b: usize, n: i32): f64 {
  switch (op) {
    case SUM: return sumLoop(SUM, a, b, n)
    case L1: return sumLoop(L1, a, b, n)
    case L2: return sumLoop(L2, a, b, n)
    case DOT: return sumLoop(DOT, a, b, n)
    default: return sumLoop(DISTANCE, a, b, n)
  }
}
