/**
 * How fast each kernel is, on one thread, beside a memory copy and beside plain f64 sums of the same run: `npm run bench`.
 * Time is the thread's own where the system tells it, so other programs disturb less. Writes docs/benchmarks/kernels.md.
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, loadavg, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { bars } from './plot.mjs'
import { ownClock } from './own-clock.mjs'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const { createWasmKernels } = await import(join(root, 'dist', 'src', 'kernels', 'wasm.js'))
const { referenceKernels } = await import(join(root, 'dist', 'src', 'kernels', 'reference.js'))

const HOT = 32 * 1024
const STRIP = 4096
const RUN_NS = 2e8
const RUNS = 5

/** The best of some runs, in elements a nanosecond, which are Gel/s. */
function rate(elements, work) {
  work()
  let best = 0
  for (let run = 0; run < RUNS; run++) {
    const start = ownClock()
    let done = 0
    let spent = 0
    while (spent < RUN_NS) {
      for (let i = 0; i < 32; i++) work()
      done += 32 * elements
      spent = ownClock() - start
    }
    best = Math.max(best, done / spent)
  }
  return best
}

let state = 1
function uniform() {
  state = (state * 1103515245 + 12345) & 0x7fffffff
  return state / 0x80000000
}
const bell = () => uniform() + uniform() + uniform() + uniform() - 2
const base = Float64Array.from({ length: HOT }, () => bell() * 0.035)

function plainModule() {
  const folder = mkdtempSync(join(tmpdir(), 'tributary-bench-'))
  try {
    const binary = join(folder, 'plain.wasm')
    const compiler = join(root, 'node_modules', 'assemblyscript', 'bin', 'asc.js')
    const options = '-O3 --converge --runtime stub --noAssert --importMemory --enable simd'.split(' ')
    execFileSync(process.execPath, [compiler, 'src/kernels/assembly/plain.ts', '-o', binary, ...options], { cwd: root })
    const memory = new WebAssembly.Memory({ initial: 64 })
    const module = new WebAssembly.Module(readFileSync(binary))
    return { memory, words: new WebAssembly.Instance(module, { env: { memory } }).exports }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const rows = []
function row(name, elements, bytesPerElement, work, plain) {
  const own = rate(elements, work)
  rows.push({ name, rate: own, bytes: own * bytesPerElement, plain })
  console.log(
    `${name.padEnd(46)} ${own.toFixed(3)} Gel/s${plain === undefined ? '' : `  ${(own / plain).toFixed(2)} × plain`}`,
  )
}

const kernels = createWasmKernels()
const copyFrom = kernels.allocateBytes(512 * 1024)
const copyTo = kernels.allocateBytes(512 * 1024)
row('memory copy in cache', copyTo.length, 2, () => copyTo.set(copyFrom))
const hotCopy = rows[0].bytes

const { memory, words } = plainModule()
/** Where the plain module has its table of streams, its weights and the streams. */
const [TABLE, LIST, FIRST] = [1024, 2048, 4096]
const ANY = [0.731, 1.137, 0.881]
const TWO_DIGITS = Array.from({ length: 64 }, (_, i) => (1 + ((i * 37) % 99)) / 100)
const WEIGHTS = { equal: [1, 1, 1], '0.3, 0.5, 0.2': [0.3, 0.5, 0.2], 'any weights': ANY }
const totalOf = (weights) => weights.reduce((sum, weight) => sum + weight, 0)

/** A base, and what was trained from it. */
function streamsOf(dtype, size, count, elements = HOT) {
  return Array.from({ length: count }, (_, i) => {
    const plane = kernels.allocate(elements)
    for (let at = 0; at < elements; at++) plane[at] = base[at] + (i === 0 ? 0 : bell() * 0.0017)
    const bytes = kernels.allocateBytes(size * elements)
    kernels.encode(dtype, plane, bytes)
    return bytes
  })
}

/** Gel/s of a plain word on the same streams. */
function plainRate(streams, weights, elements, call) {
  new Uint32Array(memory.buffer, TABLE, streams.length).set(streams.map((bytes, i) => FIRST + i * bytes.length))
  streams.forEach((bytes, i) => new Uint8Array(memory.buffer).set(bytes, FIRST + i * bytes.length))
  new Float64Array(memory.buffer, LIST, weights.length).set(weights)
  return rate(elements, () => call(FIRST + streams.length * streams[0].length, streams[0].length))
}

for (const [dtype, plainWord, size] of [
  ['BF16', 'plainBf16', 2],
  ['F16', 'plainF16', 2],
  ['F32', 'plainF32', 4],
]) {
  const streams = streamsOf(dtype, size, 4).slice(1)
  const out = kernels.allocateBytes(size * HOT)
  const plain = plainRate(streams, [0.3, 0.5, 0.2], HOT, (to, bytes) => words[plainWord](TABLE, LIST, 3, 1, to, bytes))
  rows.push({ name: `${dtype}, k = 3, plain f64 sums (another law)`, rate: plain, bytes: plain * 4 * size, plain })
  for (const [name, list] of Object.entries(WEIGHTS)) {
    const weights = list.map(Math.fround)
    const average = () => kernels.average(dtype, streams, weights, totalOf(weights), out)
    row(`${dtype}, k = 3, average, ${name}`, HOT, 4 * size, average, plain)
  }
  if (dtype === 'F32') continue
  const plane = kernels.allocate(STRIP)
  row(`${dtype}, decode to f64`, STRIP, 10, () => kernels.decode(dtype, streams[0].subarray(0, 2 * STRIP), plane))
  row(`${dtype}, encode from f64, one rounding`, STRIP, 10, () =>
    kernels.encode(dtype, plane, out.subarray(0, 2 * STRIP)),
  )
}
{
  const streams = streamsOf('F32', 4, 65, STRIP).slice(1)
  const out = kernels.allocateBytes(4 * STRIP)
  const weights = TWO_DIGITS.map(Math.fround)
  const total = totalOf(weights)
  const call = (to, bytes) => words.plainF32(TABLE, LIST, 64, total, to, bytes)
  const plain = plainRate(streams, weights, STRIP, call)
  rows.push({ name: 'F32, k = 64, plain f64 sums (another law)', rate: plain, bytes: plain * 65 * 4, plain })
  row(
    'F32, k = 64, average, two digits',
    STRIP,
    65 * 4,
    () => kernels.average('F32', streams, weights, total, out),
    plain,
  )
}
{
  const streams = streamsOf('BF16', 2, 4)
  const out = kernels.allocateBytes(2 * HOT)
  const weights = [0.3, 0.5, 0.2].map(Math.fround)
  const key = 0x3a000000
  const cutoff = new Float32Array(Uint32Array.of(key).buffer)[0]
  const plain = plainRate(streams, weights, HOT, (to, bytes) => words.plainTies(TABLE, LIST, cutoff, to, bytes))
  rows.push({ name: 'BF16, k = 3 and a base, plain TIES in f64', rate: plain, bytes: plain * 10, plain })
  const divisors = Array.from({ length: 8 }, (_, members) => totalOf(weights.filter((_, i) => members & (1 << i))) || 1)
  const three = [1, 2, 3]
  const run = kernels.compile({
    steps: [
      ...[0, ...three].map((i) => ({ do: 'read', stream: i, narrow: true, out: i })),
      ...three.map((a) => ({ do: 'change', a, b: 0, out: a })),
      ...three.map((a) => ({ do: 'trim', a, key, lastTie: 1e6, offset: 0, out: a })),
      { do: 'elect', planes: three, weights, divisors, out: 4 },
      { do: 'widen', a: 0, out: 5 },
      { do: 'binary', op: 'plus', a: 5, b: 4, out: 4 },
      { do: 'write', a: 4 },
    ],
    constants: [],
    buffers: 6,
    streams: ['BF16', 'BF16', 'BF16', 'BF16'],
    dtype: 'BF16',
  })
  row('BF16, k = 3 and a base, TIES', HOT, 10, () => run(streams, 0, HOT, out), plain)
}

const strip = () => {
  const plane = kernels.allocate(STRIP)
  for (let i = 0; i < STRIP; i++) plane[i] = Math.fround(base[i] + bell() * 0.0017)
  return plane
}
const [a, b, c, out] = [strip(), strip(), strip(), kernels.allocate(STRIP)]
const weights = [0.3, 0.5, 0.2].map(Math.fround)
const half = kernels.fill(STRIP, 0.5)
const counts = kernels.allocateCounts(1 + 2 ** 17)
const kept = kernels.exactSums(STRIP)
row('f64 planes: exact weighted sum, k = 3', STRIP, 32, () => kernels.weightedSum([a, b, c], weights, out))
row('f64 planes: add to kept exact sums', STRIP, 40, () => kept.addScaled(a, 0.3, 1))
row('f64 planes: plus', STRIP, 24, () => kernels.binary('plus', a, b, out))
row('f64 planes: over', STRIP, 24, () => kernels.binary('over', a, b, out))
row('f64 planes: dot in eight lanes', STRIP, 16, () => kernels.reduce('dot', a, b))
row('f64 planes: keep, Philox of 32 bits', STRIP, 16, () => kernels.keep({ low: 1, high: 2 }, 0, half, out))
row('f64 planes: histogram of magnitudes', STRIP, 8, () =>
  kernels.histogram(a, { low: 0, high: 0x7fffffff, shift: 15 }, counts),
)
row('f64 planes: mask above a cutoff', STRIP, 16, () => kernels.aboveCutoff(a, 0, 0x3c000000, 10, out))
row('readable kernels: exact weighted sum, k = 3', STRIP, 32, () =>
  referenceKernels.weightedSum([Float64Array.from(a), Float64Array.from(b), Float64Array.from(c)], weights),
)

const cell = (value) => (value === undefined ? '' : value.toFixed(2))
const table = rows.map(
  ({ name, rate: own, bytes, plain }) =>
    `| ${name} | ${own.toFixed(3)} | ${(bytes / hotCopy).toFixed(3)} | ${cell(plain && own / plain)} |`,
)
const shown = rows.slice(1).map(({ name, rate: own }) => ({ name, value: own }))
const svg = bars('Elements a second, one thread', shown, 'Gel/s', 6)
const folder = join(root, 'docs', 'benchmarks')
mkdirSync(folder, { recursive: true })
writeFileSync(join(folder, 'kernels.svg'), svg)
writeFileSync(
  join(folder, 'kernels.md'),
  `# Kernels

Written by \`npm run bench\`. One thread, data in cache, best of ${RUNS}, the thread's own time. Ratios are of one run on one
machine: ${cpus().length} × ${cpus()[0]?.model ?? 'CPU'}, Node ${process.version}; load when it ended: ${loadavg()[0].toFixed(1)}.

"of copy" is bytes read and written over those of a memory copy in cache in the same run; "of plain" is elements over those
of plain f64 sums, which round at every step and so give other bits for other orders.

| kernel | Gel/s | of copy | of plain |
| --- | ---: | ---: | ---: |
${table.join('\n')}

![Elements a second](kernels.svg)
`,
)
