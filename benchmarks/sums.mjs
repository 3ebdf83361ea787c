/**
 * What exact sums cost on the worst inputs, beside the same kernel on ordinary ones in the same run: `node
 * benchmarks/sums.mjs` after `npm run build`. Writes docs/benchmarks/sums.md.
 */
import { createHash } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ownClock } from './own-clock.mjs'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const { createWasmKernels } = await import(join(root, 'dist', 'src', 'kernels', 'wasm.js'))

const RUN_NS = 3e7
const RUNS = 3

let state = 1
function uniform() {
  state = (state * 1103515245 + 12345) & 0x7fffffff
  return state / 0x80000000
}
const bell = () => uniform() + uniform() + uniform() + uniform() - 2
const FORMS = {
  BF16: { bytes: 2, digits: 7, top: 120, normal: -126 },
  F16: { bytes: 2, digits: 10, top: 14, normal: -14 },
  F32: { bytes: 4, digits: 23, top: 120, normal: -126 },
}

/** Each answers the k values of one element. */
const setsOf = ({ digits, top, normal }) => {
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
  return {
    gaussian: each(() => bell() * 0.035),
    subnormal: each(() => Math.round((uniform() - 0.5) * 2 ** digits) * 2 ** bottom),
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
const WEIGHTS = {
  equal: (k) => Array(k).fill(1),
  any: (k) => Array.from({ length: k }, (_, i) => Math.fround(0.731 + 0.137 * (((i >> 1) * 7) % 11))),
}

function rate(elements, work) {
  work()
  let best = 0
  for (let run = 0; run < RUNS; run++) {
    const start = ownClock()
    let done = 0
    let spent = 0
    while (spent < RUN_NS) {
      work()
      done += elements
      spent = ownClock() - start
    }
    best = Math.max(best, done / spent)
  }
  return best
}

const kernels = createWasmKernels()
const rows = []
let names
for (const k of [3, 4, 8, 16, 64]) {
  const length = k === 64 ? 8192 : 16384
  const strip = 2048
  for (const [dtype, form] of Object.entries(FORMS))
    for (const [weighting, weigh] of Object.entries(WEIGHTS)) {
      const weights = weigh(k)
      const total = weights.reduce((sum, weight) => sum + weight, 0)
      const rates = { average: [], whole: [], weightedSum: [], exactSums: [] }
      const sets = setsOf(form)
      names = Object.keys(sets)
      for (const make of Object.values(sets)) {
        kernels.reset()
        const columns = Array.from({ length }, () => make(k))
        const plane = kernels.allocate(length)
        const streams = weights.map((_, j) => {
          for (let i = 0; i < length; i++) plane[i] = columns[i][j]
          const bytes = kernels.allocateBytes(length * form.bytes)
          kernels.encode(dtype, plane, bytes)
          return bytes
        })
        const out = kernels.allocateBytes(length * form.bytes)
        rates.average.push(rate(length, () => kernels.average(dtype, streams, weights, total, out)))
        const files = streams.map((bytes) => bytes.slice())
        rates.whole.push(
          rate(length, () => {
            streams.forEach((bytes, j) => bytes.set(files[j]))
            kernels.average(dtype, streams, weights, total, out)
            createHash('sha256').update(out).digest()
          }),
        )
        if (dtype !== 'F32') continue
        const planes = streams.map((bytes) => {
          const own = kernels.allocate(strip)
          kernels.decode(dtype, bytes.subarray(0, strip * form.bytes), own)
          return own
        })
        const sum = kernels.allocate(strip)
        rates.weightedSum.push(rate(strip, () => kernels.weightedSum(planes, weights, sum)))
        const kept = kernels.exactSums(strip)
        rates.exactSums.push(
          rate(strip, () => {
            kept.clear()
            planes.forEach((one, j) => kept.addScaled(one, weights[j], 1))
            kept.read(sum)
          }),
        )
      }
      for (const [kernel, all] of Object.entries(rates)) {
        if (all.length === 0) continue
        const average = { average: `average, ${dtype}`, whole: `the same, read and hashed, ${dtype}` }
        const name = average[kernel] ?? `${kernel}, f64 planes`
        const cells = all.slice(1).map((one) => (all[0] / one).toFixed(1))
        rows.push(`| ${name} | ${k} | ${weighting} | ${all[0].toFixed(3)} | ${cells.join(' | ')} |`)
        console.log(rows.at(-1))
      }
    }
}
writeFileSync(
  join(root, 'docs', 'benchmarks', 'sums.md'),
  `# Exact sums on the worst inputs

Written by \`node benchmarks/sums.mjs\`. One thread, data in cache, the thread's own time, best of ${RUNS}. "gaussian" is Gel/s;
every other column is how many times longer the same kernel took in the same run, all elements being of that kind. The target is 3.

| kernel | k | weights | gaussian | ${names.slice(1).join(' | ')} |
| --- | ---: | --- | ---: | ${names
    .slice(1)
    .map(() => '---:')
    .join(' | ')} |
${rows.join('\n')}
`,
)
