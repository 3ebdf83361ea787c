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
const WEIGHTS = { equal: [1, 1, 1], '0.3, 0.5, 0.2': [0.3, 0.5, 0.2], 'any weights': [0.731, 1.137, 0.881] }
for (const [dtype, plainWord] of [
  ['BF16', 'plainBf16'],
  ['F16', 'plainF16'],
]) {
  const streams = [0, 1, 2].map(() => {
    const plane = kernels.allocate(HOT)
    for (let i = 0; i < HOT; i++) plane[i] = base[i] + bell() * 0.0017
    const bytes = kernels.allocateBytes(2 * HOT)
    kernels.encode(dtype, plane, bytes)
    return bytes
  })
  const out = kernels.allocateBytes(2 * HOT)
  const first = 4096
  new Uint32Array(memory.buffer, 2048, 3).set(streams.map((_, i) => first + i * 2 * HOT))
  streams.forEach((bytes, i) => new Uint8Array(memory.buffer).set(bytes, first + i * 2 * HOT))
  new Float64Array(memory.buffer, 3072, 3).set([0.3, 0.5, 0.2])
  const target = first + 3 * 2 * HOT
  const plain = rate(HOT, () => words[plainWord](2048, 3072, 3, 1, target, 2 * HOT))
  rows.push({ name: `${dtype}, k = 3, plain f64 sums (another law)`, rate: plain, bytes: plain * 8, plain })
  for (const [name, list] of Object.entries(WEIGHTS)) {
    const weights = list.map(Math.fround)
    const total = weights.reduce((sum, weight) => sum + weight, 0)
    row(`${dtype}, k = 3, average, ${name}`, HOT, 8, () => kernels.average(dtype, streams, weights, total, out), plain)
  }
  const plane = kernels.allocate(STRIP)
  row(`${dtype}, decode to f64`, STRIP, 10, () => kernels.decode(dtype, streams[0].subarray(0, 2 * STRIP), plane))
  row(`${dtype}, encode from f64, one rounding`, STRIP, 10, () =>
    kernels.encode(dtype, plane, out.subarray(0, 2 * STRIP)),
  )
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
