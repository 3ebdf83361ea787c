/**
 * How fast whole strategies are on one thread, from bytes in memory to hashed bytes in memory, beside a memory copy of the
 * same run: `npm run build && node benchmarks/strategies.mjs [ELEMENTS_MI] [STRATEGY…]`, by default 8 Mi elements. Prints a table.
 */
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ownClock } from './own-clock.mjs'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const load = (...parts) => import(join(root, 'dist', ...parts))
const { chooseKernels } = await load('src', 'kernels', 'choose-kernels.js')
const { runMerge } = await load('src', 'merging', 'run-merge.js')
const { strategies } = await load('merge-strategies', 'index.js')
const { prepareStrategy } = await load('src', 'core', 'prepare.js')

const [size = '8', ...asked] = process.argv.slice(2)
const ELEMENTS = Number(size) * 2 ** 20
const RUNS = 3

let state = 1
function uniform() {
  state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff
  return state / 0x80000000
}
const bell = () => uniform() + uniform() + uniform() + uniform() - 2

/** A base and what was trained from it, as bytes. */
function checkpoints(dtype, count, elements) {
  const bytesEach = dtype === 'F32' ? 4 : 2
  const bases = Float32Array.from({ length: elements }, () => bell() * 0.035)
  const encoded = (values) => {
    const bytes = new Uint8Array(elements * bytesEach)
    if (dtype === 'F32') new Float32Array(bytes.buffer).set(values)
    else {
      const words = new Uint32Array(values.buffer)
      new Uint16Array(bytes.buffer).set(words.map((word) => (word + 0x7fff + ((word >>> 16) & 1)) >>> 16))
    }
    return bytes
  }
  return [
    encoded(bases),
    ...Array.from({ length: count }, () => encoded(bases.map((value) => value + bell() * 0.0017))),
  ]
}

class MemoryFiles {
  constructor(files) {
    this.files = files
  }
  openForReading = (path) => this.#open(path)
  openForWriting = (path) => this.#open(path)
  #open(path) {
    const bytes = this.files.get(path)
    return {
      read: (into, position) => into.set(bytes.subarray(position, position + into.length)),
      write: (from, position) => bytes.set(from, position),
      close: () => undefined,
    }
  }
}

function taskOf(strategy, params, own, dtype, streams, elements, withBase) {
  const declared = strategies.find(({ id }) => id === strategy)
  const weights = [0.3, 0.5, 0.2, 0.7, 0.4, 0.6, 0.9, 0.8]
  const prepared = prepareStrategy({
    strategy: declared,
    params,
    inputs: streams.slice(1).map((_, i) => ({ weight: weights[i % 8], params: own })),
    hasBase: withBase,
  })
  const files = new Map(streams.map((bytes, i) => [`in${i}`, bytes]))
  const bytes = streams[0].length
  files.set('out', new Uint8Array(bytes))
  const slice = (i) => ({ path: `in${i}`, offset: 0, bytes, dtype })
  const task = {
    merge: '00'.repeat(32),
    seed: '11'.repeat(32),
    inputs: streams.slice(1).map((_, i) => ({ content: `${i}`.padStart(64, '0'), label: `m${i}` })),
    tileBytes: 2 ** 19,
    tensors: [
      {
        name: 'layer.weight',
        shape: [elements],
        elements,
        dtype,
        target: { path: 'out', offset: 0, bytes },
        rule: {
          kind: 'merge',
          strategy,
          params: prepared.params,
          ...(withBase && { base: slice(0) }),
          inputs: prepared.inputs.map((input, i) => ({
            input: i,
            weight: input.weight,
            params: input.params,
            value: slice(i + 1),
          })),
        },
      },
    ],
  }
  return { files, task }
}

/** Bytes a nanosecond, read and written, where neither is in cache. */
function copyRate() {
  const from = new Uint8Array(2 ** 28).fill(1)
  const to = new Uint8Array(2 ** 28).fill(2)
  let best = 0
  for (let run = 0; run < 4; run++) {
    const start = ownClock()
    for (let at = 0; at < from.length; at += 2 ** 19) to.set(from.subarray(at, at + 2 ** 19), at)
    best = Math.max(best, (2 * from.length) / (ownClock() - start))
  }
  return best
}

const kernels = chooseKernels('fastest', console.warn)
const copy = copyRate()
console.log(`memory copy: ${copy.toFixed(1)} GB/s read and written\n`)
console.log('| strategy | dtype | k | Mel/s | of copy |')
console.log('| --- | --- | ---: | ---: | ---: |')
const CASES = [
  ['weight_average', {}, {}, false],
  ['linear', {}, {}, false],
  ['task_arithmetic', {}, {}, true],
  ['ties', {}, { density: 0.5 }, true],
  ['dare_linear', { rescale_mode: 'inverse_prob' }, { density: 0.5 }, true],
  ['dare_linear', {}, { density: 0.5 }, true],
  ['dare_ties', { rescale_mode: 'inverse_prob' }, { density: 0.5 }, true],
  ['dare_ties', {}, { density: 0.5 }, true],
  ['slerp', {}, {}, false, 2],
]
for (const dtype of ['BF16', 'F32'])
  for (const [strategy, params, own, withBase, k = 3] of CASES) {
    if (asked.length > 0 && !asked.includes(strategy)) continue
    const streams = checkpoints(dtype, k, ELEMENTS)
    const { files, task } = taskOf(strategy, params, own, dtype, streams, ELEMENTS, withBase)
    const engine = { files: new MemoryFiles(files), kernels, strategies }
    let best = Infinity
    for (let run = 0; run < RUNS; run++) {
      const start = ownClock()
      runMerge(task, engine)
      best = Math.min(best, ownClock() - start)
    }
    const rate = ELEMENTS / best
    const bytes = (streams[0].length / ELEMENTS) * (k + 1 + (withBase ? 1 : 0))
    const name = [strategy, ...Object.values(params)].join(', ')
    console.log(`| ${name} | ${dtype} | ${k} | ${(rate * 1000).toFixed(1)} | ${((rate * bytes) / copy).toFixed(3)} |`)
  }
