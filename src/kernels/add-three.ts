/** Three f64 values added with one rounding. */
import { errorOfSum } from '../core/libm.ts'

const cell = new DataView(new ArrayBuffer(8))

/** a + b rounded to odd: where it is inexact, the neighbour whose last bit is 1, so that no later rounding is a second one. */
function addToOdd(a: number, b: number): number {
  const sum = a + b
  const error = errorOfSum(a, b, sum)
  if (error === 0) return sum
  if (!Number.isFinite(error)) return Number.NaN
  cell.setFloat64(0, sum)
  const bits = cell.getBigUint64(0)
  if ((bits & 1n) === 1n) return sum
  cell.setBigUint64(0, error < 0 === sum < 0 ? bits + 1n : bits - 1n)
  return cell.getFloat64(0)
}

/** RN(a + b + c), ties to even (Boldo and Melquiond, 2008); not finite where a step on the way overflows. */
export function addThree(a: number, b: number, c: number): number {
  const low = b + c
  const high = a + low
  return high + addToOdd(errorOfSum(a, low, high), errorOfSum(b, c, low))
}
