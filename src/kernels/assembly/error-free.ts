/** What an addition loses, exactly; and three values added with one rounding. */

@inline
export function lostTwo(a: v128, b: v128, sum: v128): v128 {
  const part = f64x2.sub(sum, a)
  return f64x2.add(f64x2.sub(a, f64x2.sub(sum, part)), f64x2.sub(b, part))
}

@inline
export function lost(a: f64, b: f64, sum: f64): f64 {
  const part = sum - a
  return a - (sum - part) + (b - part)
}

/** a + b rounded to odd. */
function addToOdd(a: f64, b: f64): f64 {
  const sum = a + b
  const error = lost(a, b, sum)
  if (error == 0) return sum
  if (error - error != 0) return NaN
  const bits = reinterpret<u64>(sum)
  if ((bits & 1) == 1) return sum
  return reinterpret<f64>(error < 0 == sum < 0 ? bits + 1 : bits - 1)
}

/** RN(a + b + c), ties to even (Boldo and Melquiond, 2008); not finite where a step on the way overflows. */
export function addThree(a: f64, b: f64, c: f64): f64 {
  const low = b + c
  const high = a + low
  return high + addToOdd(lost(a, low, high), lost(b, c, low))
}
