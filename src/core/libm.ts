/**
 * The transcendental functions of hashed paths, from + − × ÷, sqrt and moves of bits alone, in a pinned order: the same
 * bits on every engine, at most one unit in the last place from the truth. Engines differ in theirs, and may change them.
 */

/** Coefficients from the lowest power up. The order of operations is part of the result. */
function horner(x: number, coefficients: readonly number[]): number {
  let sum = 0
  for (let i = coefficients.length - 1; i >= 0; i--) sum = sum * x + coefficients[i]!
  return sum
}

/** What a + b lost when it became `sum`; together they are a + b exactly, unless something overflows. */
export function errorOfSum(a: number, b: number, sum: number): number {
  const part = sum - a
  return a - (sum - part) + (b - part)
}

const cell = new DataView(new ArrayBuffer(8))

/** 2^power, for powers of normal numbers. */
function powerOfTwo(power: number): number {
  cell.setUint32(0, (power + 1023) << 20)
  cell.setUint32(4, 0)
  return cell.getFloat64(0)
}

// π/2 in parts of 33, 33 and 53 bits: a whole number below 2²⁰ times one of the first two is exact.
const HALF_PI = [1.5707963267341256, 6.077100506303966e-11, 2.0222662487959506e-21] as const
const HALF_PI_HIGH = 1.5707963267948966
const HALF_PI_LOW = 6.123233995736766e-17
const PER_HALF_PI = 0.6366197723675814
const QUARTER_PI = 0.7853981633974483
/** Beyond it the parts above no longer hold the turn; the answer is NaN rather than a guess. */
export const TURN_MAX = 2 ** 20

// Taylor: (−1)ᵏ/(2k+1)! from k = 1, (−1)ᵏ/(2k)! from k = 2. What is left out is below 2⁻⁶⁰ up to π/4.
const SIN = [
  -0.16666666666666666, 0.008333333333333333, -0.0001984126984126984, 2.7557319223985893e-6, -2.505210838544172e-8,
  1.6059043836821613e-10, -7.647163731819816e-13, 2.8114572543455206e-15,
] as const
const SIN_REST = SIN.slice(1)
const COS = [
  0.041666666666666664, -0.001388888888888889, 2.48015873015873e-5, -2.755731922398589e-7, 2.08767569878681e-9,
  -1.1470745597729725e-11, 4.779477332387385e-14, -1.5619206968586225e-16,
]

/** sin(x + low) for |x| up to π/4 and a low far below it. */
function sinNear(x: number, low: number): number {
  const z = x * x
  const cube = z * x
  return x - (z * (0.5 * low - cube * horner(z, SIN_REST)) - low - cube * SIN[0])
}

function cosNear(x: number, low: number): number {
  const z = x * x
  const half = 0.5 * z
  const whole = 1 - half
  return whole + (1 - whole - half + (z * z * horner(z, COS) - x * low))
}

/** sin of x, or of x and a quarter turn. */
function turned(x: number, quarters: 0 | 1): number {
  const size = Math.abs(x)
  if (size <= QUARTER_PI) return quarters === 0 ? sinNear(x, 0) : cosNear(x, 0)
  if (!(size <= TURN_MAX)) return Number.NaN
  const turns = Math.floor(x * PER_HALF_PI + 0.5)
  const near = x - turns * HALF_PI[0]
  const middle = turns * HALF_PI[1]
  const rest = near - middle
  const tail = errorOfSum(near, -middle, rest) - turns * HALF_PI[2]
  const high = rest + tail
  const low = errorOfSum(rest, tail, high)
  switch ((turns + quarters) & 3) {
    case 0:
      return sinNear(high, low)
    case 1:
      return cosNear(high, low)
    case 2:
      return -sinNear(high, low)
    default:
      return -cosNear(high, low)
  }
}

// (asin √z − √z) / z√z on [0, ¼] and (tanh √z − √z) / z√z on [0, 0.5625²], fitted at Chebyshev nodes; errors below 2⁻⁶³.
const ASIN = [
  0.16666666666666666, 0.07499999999999991, 0.0446428571428834, 0.030381944441363808, 0.02237215927967998,
  0.017352757477819787, 0.013965009932053607, 0.011549086612987425, 0.009792751320201996, 0.008135829925501657,
  0.00879500607648843, 0.000380853033290726, 0.022553563638202982, -0.024020544918554605, 0.030718768995191097,
]
const TANH = [
  -0.3333333333333333, 0.13333333333333333, -0.05396825396825185, 0.021869488536007134, -0.008863235524525068,
  0.0035921279201211087, -0.0014558327639006777, 0.0005900122238604031, -0.00023903091817063964, 9.647636736943323e-5,
  -3.793165148079466e-5, 1.316642215852823e-5, -2.910322883401469e-6,
]

function acos(x: number): number {
  if (x === 1) return 0
  if (x > 0.5) {
    // acos x = 2 asin √((1 − x)/2), the root taken in two parts
    const z = (1 - x) * 0.5
    const root = Math.sqrt(z)
    const high = Math.fround(root) // 24 bits: its square is exact
    const low = (z - high * high) / (root + high)
    return 2 * (high + (z * horner(z, ASIN) * root + low))
  }
  if (x < -0.5) {
    const z = (1 + x) * 0.5
    const root = Math.sqrt(z)
    return 2 * (HALF_PI_HIGH - (root + (z * horner(z, ASIN) * root - HALF_PI_LOW)))
  }
  const z = x * x
  return HALF_PI_HIGH - (x - (HALF_PI_LOW - x * (z * horner(z, ASIN))))
}

// ln 2, its first 32 bits and the rest.
const LN2_HIGH = 0.6931471803691238
const LN2_LOW = 1.9082149292705877e-10
const PER_LN2 = 1.4426950408889634
const EXP_MAX = 709.782712893384
const EXP_MIN = -745.1332191019412

/** 1/k! from k = 2. */
const EXP = [
  0.5, 0.16666666666666666, 0.041666666666666664, 0.008333333333333333, 0.001388888888888889, 0.0001984126984126984,
  2.48015873015873e-5, 2.7557319223985893e-6, 2.755731922398589e-7, 2.505210838544172e-8, 2.08767569878681e-9,
  1.6059043836821613e-10, 1.1470745597729725e-11,
]

/** eˣ = (1 + more) · 2^power, |more| below 0.42. */
function expParts(x: number): readonly [more: number, power: number] {
  const power = Math.floor(x * PER_LN2 + 0.5)
  const high = x - power * LN2_HIGH
  const low = power * LN2_LOW
  const r = high - low
  const lost = high - r - low
  return [r + (r * r * horner(r, EXP) + (lost + lost * r)), power]
}

function exp(x: number): number {
  if (x > EXP_MAX) return Infinity
  if (x < EXP_MIN) return 0
  if (Number.isNaN(x)) return Number.NaN
  const [more, power] = expParts(x)
  if (power > 1023) return (1 + more) * 2 * powerOfTwo(power - 1)
  if (power > -1022) return (1 + more) * powerOfTwo(power)
  return (1 + more) * powerOfTwo(power + 200) * powerOfTwo(-200) // subnormal: rounded here, once more
}

/** 2/(2k + 1) from k = 1: log((1 + s)/(1 − s)) = 2s + s·Σ. */
const LOG = [
  0.6666666666666666, 0.4, 0.2857142857142857, 0.2222222222222222, 0.18181818181818182, 0.15384615384615385,
  0.13333333333333333, 0.11764705882352941, 0.10526315789473684, 0.09523809523809523, 0.08695652173913043,
]
const ROOT_TWO = 1.4142135623730951

function log(x: number): number {
  if (x === 0) return -Infinity
  if (!(x > 0)) return Number.NaN
  if (x === Infinity) return Infinity
  const subnormal = x < 2 ** -1022
  cell.setFloat64(0, subnormal ? x * 2 ** 54 : x)
  const head = cell.getUint32(0)
  cell.setUint32(0, (head & 0xfffff) | 0x3ff00000)
  const fraction = cell.getFloat64(0)
  const power = (head >>> 20) - 1023 - (subnormal ? 54 : 0) + (fraction > ROOT_TWO ? 1 : 0)
  const f = (fraction > ROOT_TWO ? 0.5 * fraction : fraction) - 1
  const s = f / (2 + f)
  const z = s * s
  const half = 0.5 * f * f
  return power * LN2_HIGH - (half - (s * (half + z * horner(z, LOG)) + power * LN2_LOW) - f)
}

function tanh(x: number): number {
  const size = Math.abs(x)
  if (size < 2 ** -28) return x
  if (size < 0.5625) {
    const z = x * x
    return x + x * (z * horner(z, TANH))
  }
  const [more, power] = expParts(2 * Math.min(size, 22)) // beyond 22 all are 1
  const scale = powerOfTwo(power)
  const e = (1 + more) * scale
  const sum = e + 1
  const lost = errorOfSum(e, 1, sum) + errorOfSum(1, more, 1 + more) * scale
  const quotient = 2 / sum
  const near = 1 - quotient
  const result = near + (errorOfSum(1, -quotient, near) + quotient * (lost / sum))
  return x < 0 ? -result : result
}

export const math = {
  sqrt: (x: number): number => Math.sqrt(x), // one operation of IEEE 754
  sin: (x: number): number => turned(x, 0),
  cos: (x: number): number => turned(x, 1),
  acos,
  exp,
  log,
  tanh,
} as const
