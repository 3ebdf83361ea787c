/**
 * Looks for inputs on which averages cost the most beside ordinary ones of the same merge: patterns at random, then the
 * worst of them changed a little, over dtypes, counts of inputs and weights. `node scripts/worst-sums.mjs [TRIES] [SEED] [DTYPE] [K]`,
 * after `npm run build`; prints the worst pattern of each, and how many times longer it makes the average and the whole merge take.
 */
import { createHash } from 'node:crypto'
import { closeSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { anyPattern, changed, column, FORMS, GENES, ordinary, seed } from '../benchmarks/hard-numbers.mjs'
import { ownClock } from '../benchmarks/own-clock.mjs'

const kernelsAt = join(dirname(dirname(fileURLToPath(import.meta.url))), 'dist', 'src', 'kernels')
const { createWasmKernels } = await import(join(kernelsAt, 'wasm.js'))

const [tries = 40, first = 1] = process.argv.slice(2, 4).map(Number)
const dtypes = process.argv[4] ? [process.argv[4]] : Object.keys(FORMS)
seed(first)
const counts = process.argv[5] ? [Number(process.argv[5])] : [2, 3, 4, 5, 6, 8, 12, 16, 24, 32, 48, 64]
const LENGTH = 8192
const QUICK = { runs: 2, ns: 1.5e6 }
const CAREFUL = { runs: 4, ns: 4e6 }
const WEIGHTS = {
  equal: (k) => Array(k).fill(1),
  pairs: (k) => Array.from({ length: k }, (_, i) => Math.fround(0.731 + 0.137 * (((i >> 1) * 7) % 11))),
  any: (k) => Array.from({ length: k }, (_, i) => Math.fround(0.3 + ((i * 0.618) % 1))),
  decimal: (k) => Array.from({ length: k }, (_, i) => Math.fround([0.3, 0.5, 0.2][i % 3])),
  small: (k) => Array.from({ length: k }, (_, i) => 1 + (i % 3 === 1 ? 1 : 0)),
  'far apart': (k) =>
    Array.from({ length: k }, (_, i) => Math.fround((1 + (i % 7) / 9) * 2 ** ((((i >> 1) * 11) % 41) - 20))),
}

const kernels = createWasmKernels()
/** The least nanoseconds of one call. */
function timeOf(work, { runs, ns }) {
  let best = Infinity
  for (let run = 0; run < runs; run++) {
    const start = ownClock()
    let calls = 0
    // asked for the time at every turn, a clock would take its own part of it
    for (let spent = 0, some = 4; spent < ns; some = 4 * some) {
      for (let n = 0; n < some; n++) work()
      calls += some
      spent = ownClock() - start
    }
    best = Math.min(best, (ownClock() - start) / calls)
  }
  return best
}

/** What a merge does beside averaging, in nanoseconds an element: it reads, hashes and writes. */
function restOf(dtype, k) {
  kernels.reset()
  const size = 1 << 17
  const file = openSync(join(folder, 'piece'), 'w+')
  const pieces = Array.from({ length: k }, () => kernels.allocateBytes(size))
  writeSync(file, pieces[0], 0, size, 0)
  const spent = timeOf(() => {
    for (const piece of pieces) readSync(file, piece, 0, size, 0)
    createHash('sha256').update(pieces[0]).digest()
    writeSync(file, pieces[0], 0, size, 0)
  }, CAREFUL)
  closeSync(file)
  return (spent / size) * FORMS[dtype].bytes
}

/** Nanoseconds an element; 0 where a result is too large. */
function price(dtype, weights, make, how) {
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
  const average = () => kernels.average(dtype, streams, weights, divisor, out)
  if (!average()) return 0
  return timeOf(average, how) / LENGTH
}

const folder = mkdtempSync(join(tmpdir(), 'tributary-worst-'))
console.log('| dtype | k | weights | ordinary, ns | worst, ns | times | as merge | pattern |')
console.log('| --- | ---: | --- | ---: | ---: | ---: | ---: | --- |')
for (const dtype of dtypes)
  for (const k of counts) {
    const rest = restOf(dtype, k)
    for (const [weighting, weigh] of Object.entries(WEIGHTS)) {
      const weights = weigh(k)
      const of = (pattern, how) => price(dtype, weights, (i) => column(pattern, k, i, FORMS[dtype]), how)
      const usual = price(dtype, weights, () => ordinary(k), CAREFUL)
      let worst = { price: 0, pattern: undefined }
      for (let n = 0; n < tries; n++) {
        const pattern = n < tries / 2 || !worst.pattern ? anyPattern() : changed(worst.pattern)
        const found = of(pattern, QUICK)
        if (found > worst.price) worst = { price: found, pattern }
      }
      const most = worst.pattern ? of(worst.pattern, CAREFUL) : 0
      const genes = GENES.map((gene) => `${gene}: ${worst.pattern?.[gene].toFixed(2)}`).join(', ')
      const times = [most / usual, (most + rest) / (usual + rest)].map((one) => one.toFixed(1))
      console.log(`| ${[dtype, k, weighting, usual.toFixed(2), most.toFixed(2), ...times].join(' | ')} | ${genes} |`)
    }
  }
rmSync(folder, { recursive: true })
