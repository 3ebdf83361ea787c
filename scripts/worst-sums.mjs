/**
 * Looks for inputs on which averages cost the most beside ordinary ones of the same merge: patterns at random, then the
 * worst of them changed a little, over dtypes, counts of inputs and weights. `node scripts/worst-sums.mjs [TRIES] [SEED]`,
 * after `npm run build`; prints the worst pattern of each merge.
 */
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ownClock } from '../benchmarks/own-clock.mjs'

const kernelsAt = join(dirname(dirname(fileURLToPath(import.meta.url))), 'dist', 'src', 'kernels')
const { createWasmKernels } = await import(join(kernelsAt, 'wasm.js'))

const [tries = 40, seed = 1] = process.argv.slice(2).map(Number)
const LENGTH = 8192
const RUN_NS = 8e6
const FORMS = {
  BF16: { bytes: 2, digits: 7, top: 118, bottom: -133 },
  F16: { bytes: 2, digits: 10, top: 13, bottom: -24 },
  F32: { bytes: 4, digits: 23, top: 118, bottom: -149 },
}
const WEIGHTS = {
  equal: (k) => Array(k).fill(1),
  pairs: (k) => Array.from({ length: k }, (_, i) => Math.fround(0.731 + 0.137 * (((i >> 1) * 7) % 11))),
  any: (k) => Array.from({ length: k }, (_, i) => Math.fround(0.3 + ((i * 0.618) % 1))),
  'far apart': (k) =>
    Array.from({ length: k }, (_, i) => Math.fround((1 + (i % 7) / 9) * 2 ** ((((i >> 1) * 11) % 41) - 20))),
}

let state = seed >>> 0
function uniform() {
  state = (state + 0x6d2b79f5) >>> 0
  let t = Math.imul(state ^ (state >>> 15), state | 1)
  t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
  return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
}
const bell = () => uniform() + uniform() + uniform() + uniform() - 2

/** What a pattern is made of, each between 0 and 1. */
const GENES = ['scales', 'apart', 'shift', 'cancel', 'near', 'digits', 'tiny', 'zero', 'share', 'period']
const anyPattern = () => Object.fromEntries(GENES.map((gene) => [gene, uniform()]))
function changed(pattern) {
  const next = { ...pattern }
  for (let n = 0; n < 2; n++) next[GENES[Math.floor(uniform() * GENES.length)]] = uniform()
  return next
}

/** The k values of one element: so many scales, so far apart, whose terms cancel in pairs or nearly do. */
function column(pattern, k, i, { digits, top, bottom }) {
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
  return all
}

const kernels = createWasmKernels()
/** Nanoseconds an element; 0 where a result is too large. */
function price(dtype, weights, make) {
  kernels.reset()
  const { bytes } = FORMS[dtype]
  const columns = Array.from({ length: LENGTH }, (_, i) => make(i))
  const plane = kernels.allocate(LENGTH)
  const streams = weights.map((_, j) => {
    for (let i = 0; i < LENGTH; i++) plane[i] = columns[i][j]
    const stream = kernels.allocateBytes(LENGTH * bytes)
    kernels.encode(dtype, plane, stream)
    return stream
  })
  const out = kernels.allocateBytes(LENGTH * bytes)
  const divisor = weights.reduce((sum, weight) => sum + weight, 0)
  let best = Infinity
  for (let run = 0; run < 3; run++) {
    const start = ownClock()
    let done = 0
    let spent = 0
    while (spent < RUN_NS || done < 3 * LENGTH) {
      if (!kernels.average(dtype, streams, weights, divisor, out)) return 0
      done += LENGTH
      spent = ownClock() - start
    }
    best = Math.min(best, spent / done)
  }
  return best
}

console.log('| dtype | k | weights | ordinary, ns | worst, ns | times | pattern |')
console.log('| --- | ---: | --- | ---: | ---: | ---: | --- |')
for (const dtype of Object.keys(FORMS))
  for (const k of [3, 4, 6, 8, 12, 16, 24, 32, 64])
    for (const [weighting, weigh] of Object.entries(WEIGHTS)) {
      const weights = weigh(k)
      const ordinary = price(dtype, weights, () => Array.from({ length: k }, () => bell() * 0.035))
      let worst = { price: 0, pattern: undefined }
      for (let n = 0; n < tries; n++) {
        const pattern = n < tries / 2 || !worst.pattern ? anyPattern() : changed(worst.pattern)
        const found = price(dtype, weights, (i) => column(pattern, k, i, FORMS[dtype]))
        if (found > worst.price) worst = { price: found, pattern }
      }
      const genes = GENES.map((gene) => `${gene} ${worst.pattern?.[gene].toFixed(2)}`).join(', ')
      const cells = [ordinary.toFixed(2), worst.price.toFixed(2), (worst.price / ordinary).toFixed(1)]
      console.log(`| ${dtype} | ${k} | ${weighting} | ${cells.join(' | ')} | ${genes} |`)
    }
