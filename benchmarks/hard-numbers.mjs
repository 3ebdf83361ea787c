/**
 * Numbers chosen to hurt sums, for sums.mjs, which asks what they cost, and scripts/worst-sums.mjs, which looks for worse
 * ones. Values are in the range of a dtype, but not rounded to it.
 */

let state = 1
/** The numbers that follow depend on this alone. */
export function seed(number) {
  state = number >>> 0
}
function uniform() {
  state = (state + 0x6d2b79f5) >>> 0
  let t = Math.imul(state ^ (state >>> 15), state | 1)
  t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
  return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
}
const bell = () => uniform() + uniform() + uniform() + uniform() - 2
export const ordinary = (k) => Array.from({ length: k }, () => bell() * 0.035)

/** Places of a fraction, a scale whose sums are finite, and the least of normal numbers. */
export const FORMS = {
  BF16: { bytes: 2, digits: 7, top: 118, normal: -126 },
  F16: { bytes: 2, digits: 10, top: 13, normal: -14 },
  F32: { bytes: 4, digits: 23, top: 118, normal: -126 },
}

/** Each answers the k values of one element. */
export const setsOf = ({ digits, top, normal }) => {
  const any = () => (uniform() < 0.5 ? -1 : 1) * (1 + uniform())
  const bottom = normal - digits
  const each = (make) => (k) => Array.from({ length: k }, make)
  const pairs = (k, scale, last) => {
    const all = []
    for (let i = 0; all.length + 2 <= k; i++) {
      const one = any() * scale(i)
      all.push(one, -one)
    }
    if (all.length < k) all.push(last)
    else all[k - 1] = last
    return all
  }
  const subnormal = each(() => Math.round((uniform() - 0.5) * 2 ** digits) * 2 ** bottom)
  return {
    gaussian: ordinary,
    subnormal,
    'blocks of subnormal ones': (k, i) => ((i >> 11) % 4 === 3 ? subnormal : ordinary)(k),
    'wide spans': each(() => any() * 2 ** Math.floor(normal + uniform() * (top - normal))),
    ties: each(() => 1 + Math.floor(uniform() * 2 ** digits) * 2 ** -digits),
    cancellation: (k) => pairs(k, () => 1, 0).map((value) => value * (1 + (uniform() < 0.5 ? 2 ** -digits : 0))),
    'exact cancellation and a residue': (k) => pairs(k, () => 1, 2 ** bottom),
    'ties and a term far below': (k) =>
      Array.from({ length: k }, (_, i) =>
        i === 0 ? 1 + 2 ** -digits : i === 1 ? 1 : i === 2 ? (uniform() < 0.5 ? -1 : 1) * 2 ** bottom : 0,
      ),
    'every scale cancels': (k) =>
      shuffled(pairs(k, (i) => 2 ** Math.floor(top - ((top - bottom) * 2 * i) / Math.max(k, 6)), 2 ** bottom)),
  }
}
/** Pairs stay together, since their weights are alike; which of them comes first and which pair does are luck. */
function shuffled(values) {
  const swap = (i, j) => ([values[i], values[j]] = [values[j], values[i]])
  const count = values.length >> 1
  for (let i = count - 1; i >= 0; i--) {
    const j = Math.floor(uniform() * (i + 1))
    const turned = uniform() < 0.5 ? 1 : 0
    for (const side of [0, 1]) swap(2 * i + side, 2 * j + side)
    if (turned) swap(2 * i, 2 * i + 1)
  }
  return values
}
/** What a pattern is made of, each between 0 and 1. */
export const GENES = [
  'scales',
  'apart',
  'shift',
  'cancel',
  'near',
  'digits',
  'tiny',
  'zero',
  'share',
  'period',
  'order',
]
export const anyPattern = () => Object.fromEntries(GENES.map((gene) => [gene, uniform()]))
export function changed(pattern) {
  const next = { ...pattern }
  for (let n = 0; n < 2; n++) next[GENES[Math.floor(uniform() * GENES.length)]] = uniform()
  return next
}

/** The k values of element i: so many scales, so far apart, whose terms cancel in pairs or nearly do, side by side or not. */
export function column(pattern, k, i, { digits, top, normal }) {
  const bottom = normal - digits
  const period = [1, 8, 64, 2048, 4096][Math.floor(pattern.period * 5)]
  if ((Math.floor(i / period) * 0.618) % 1 > pattern.share + 0.4) return Array.from({ length: k }, () => bell() * 0.035)
  const scales = 1 + Math.floor(pattern.scales * Math.min(k, 12))
  const apart = ((top - bottom) / scales) * pattern.apart
  const first = top - pattern.shift * uniform() * (top - bottom - apart * (scales - 1))
  const all = []
  for (let j = 0; j < k; j++) {
    const scale = Math.max(bottom, Math.floor(first - apart * ((j >> 1) % scales)))
    const bits = Math.floor(pattern.digits * (digits + 1))
    const value = (1 + Math.floor(uniform() * 2 ** bits) / 2 ** bits) * 2 ** scale * (uniform() < 0.5 ? -1 : 1)
    if (uniform() < pattern.tiny / 3) all.push(2 ** bottom * Math.round(uniform() * 9))
    else if (uniform() < pattern.zero / 3) all.push(0)
    else if (j % 2 === 1 && uniform() < 2 * pattern.cancel)
      all.push(-all[j - 1] * (uniform() < pattern.near ? 1 + 2 ** -digits : 1))
    else all.push(value)
  }
  if (pattern.order > 0.5)
    for (let j = all.length - 1; j > 0; j--) {
      const other = Math.floor(uniform() * (j + 1))
      ;[all[j], all[other]] = [all[other], all[j]]
    }
  return all
}

/** What scripts/worst-sums.mjs came upon. */
export const FOUND = {
  'found by search, scales near each other': {
    ...{ scales: 0.36, apart: 0.36, shift: 0.11, cancel: 0.84, near: 0.63, digits: 0.88, tiny: 0.43 },
    ...{ zero: 0.23, share: 0.32, period: 0.1 },
  },
  'found by search, here and there': {
    ...{ scales: 0.43, apart: 0.45, shift: 0.47, cancel: 0.26, near: 0.6, digits: 0.51, tiny: 0.85 },
    ...{ zero: 0.37, share: 0.69, period: 0.58 },
  },
  'found by search, in any order': {
    ...{ scales: 0.31, apart: 0.4, shift: 0.94, cancel: 0.04, near: 0.33, digits: 0.9, tiny: 0.07 },
    ...{ zero: 0.47, share: 0.78, period: 0.55, order: 0.65 },
  },
  'found by search, many scales in any order': {
    ...{ scales: 0.67, apart: 0.54, shift: 0.25, cancel: 0.98, near: 0.52, digits: 0.26, tiny: 0.32 },
    ...{ zero: 0.94, share: 0.64, period: 0.17, order: 0.79 },
  },
}
