/**
 * Kernels whose data lie in no cache, against their targets: `npm run build && node benchmarks/kernel-targets.mjs [MIB]`, by default
 * 480 MiB for each row. A target is a share of a memory copy of the same run, read and written, on one thread in its own
 * time; a row is met from eight tenths of it on. Every row counts the bytes that its streams, its output and what it keeps
 * have; of kept sums, which are two planes of f64, the one that ordinary numbers move. Targets were reached by kernels of
 * their own, most of which promise less: the last column says what such a one does. Prints a table.
 */
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ownClock } from './own-clock.mjs'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const { createWasmKernels } = await import(join(root, 'dist', 'src', 'kernels', 'wasm.js'))

const MIB = 2 ** 20
const COLD_BYTES = Number(process.argv[2] ?? 480) * MIB
const RUNS = 3
/** A machine that others use is slow for seconds: all is measured again and again, and the best of each kept. */
const PASSES = 5
const HOT = 32 * 1024
const BLOCK = 4096
const GATE = 0.8

let state = 1
function uniform() {
  state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff
  return state / 0x80000000
}
const bell = () => uniform() + uniform() + uniform() + uniform() - 2

const kernels = createWasmKernels({ memoryBytes: COLD_BYTES + 96 * MIB })
const WEIGHTS = [0.3, 0.5, 0.2].map(Math.fround)
const TOTAL = WEIGHTS.reduce((sum, weight) => sum + weight, 0)
const BYTES = { BF16: 2, F16: 2, F32: 4 }

/** A base and what was trained from it: a piece that a cache holds, said over and over. */
const pieces = Array.from({ length: 4 }, () => new Float64Array(HOT))
for (let i = 0; i < HOT; i++) {
  pieces[0][i] = Math.fround(bell() * 0.035)
  for (const piece of pieces.slice(1)) piece[i] = Math.fround(pieces[0][i] + bell() * 0.0017)
}
function streamOf(dtype, elements, piece) {
  const size = BYTES[dtype]
  const bytes = kernels.allocateBytes(size * elements)
  const encoded = new Uint8Array(size * HOT)
  kernels.encode(dtype, pieces[piece], encoded)
  for (let at = 0; at < bytes.length; at += encoded.length)
    bytes.set(encoded.subarray(0, Math.min(encoded.length, bytes.length - at)), at)
  return bytes
}

/** Elements a nanosecond, the best of some runs over all elements. */
function rate(elements, step, work) {
  let best = 0
  for (let run = 0; run <= RUNS; run++) {
    const start = ownClock()
    for (let first = 0; first < elements; first += step) work(first, Math.min(step, elements - first))
    if (run > 0) best = Math.max(best, elements / (ownClock() - start))
  }
  return best
}

function coldElements(bytesEach) {
  kernels.reset()
  return Math.floor(COLD_BYTES / bytesEach / HOT) * HOT
}

const STEP = 2 ** 18

/** GB/s read and written. */
function copyRate() {
  const elements = coldElements(2)
  const from = kernels.allocateBytes(elements)
  const to = kernels.allocateBytes(elements)
  from.fill(1)
  to.fill(2)
  return 2 * rate(elements, 2 * STEP, (at, n) => to.set(from.subarray(at, at + n), at))
}

const rows = new Map()
/** `isCold`: its target is a share of a copy of so many bytes an element, and not Gel/s. */
function row(name, gels, bytesEach, target, peer, isCold = true) {
  rows.set(name, { gels: Math.max(gels, rows.get(name)?.gels ?? 0), bytesEach, target, peer, isCold })
}

/** A program over cold streams of one dtype; `stepsOf` says what comes after the reads. */
function programRow(
  name,
  target,
  peer,
  { dtype = 'BF16', streams, narrow = true, writes = true, buffers, constants = [], stepsOf },
) {
  const size = BYTES[dtype]
  const bytesEach = size * (streams + (writes ? 1 : 0))
  const elements = coldElements(bytesEach)
  const inputs = Array.from({ length: streams }, (_, i) => streamOf(dtype, elements, i))
  const out = writes ? kernels.allocateBytes(size * elements) : undefined
  const reads = inputs.map((_, i) => ({ do: 'read', stream: i, narrow, out: i }))
  const run = kernels.compile({
    steps: [...reads, ...stepsOf()],
    constants,
    buffers,
    streams: inputs.map(() => dtype),
    dtype: writes ? dtype : undefined,
  })
  const gels = rate(elements, STEP, (first, n) => {
    const part = (bytes) => bytes.subarray(size * first, size * (first + n))
    if (!run(inputs.map(part), first, n, out && part(out))) throw new Error(`${name} stopped`)
  })
  row(name, gels, bytesEach, target, peer)
}

const CUTOFF = 0x3a000000
const DIVISORS = Array.from({ length: 8 }, (_, members) =>
  members === 0 ? 1 : WEIGHTS.reduce((sum, weight, i) => (members & (1 << i) ? sum + weight : sum), 0),
)
const changes = [1, 2, 3].map((i) => ({ do: 'change', a: i, b: 0, out: i }))
const end = (base) => [
  { do: 'widen', a: 0, out: base },
  { do: 'binary', op: 'plus', a: base, b: 4, out: 4 },
  { do: 'write', a: 4 },
]
const PLAIN = 'sums in f64, rounding at each step'
/** Kept sums have a second plane, which is moved where something was lost; the kernels of the targets have none. */
const FLAGGED = 'one plane of f64; tells where a sum was not exact, and loses it'
const UNROUNDED = 'one plane of f64; sums of F16 are exact there'
function averageRow(name, dtype, weights, target, peer) {
  const size = BYTES[dtype]
  const elements = coldElements(4 * size)
  const inputs = [1, 2, 3].map((piece) => streamOf(dtype, elements, piece))
  const out = kernels.allocateBytes(size * elements)
  const own = weights.map(Math.fround)
  const divisor = own.reduce((sum, weight) => sum + weight, 0)
  const gels = rate(elements, STEP, (first, n) => {
    const part = (bytes) => bytes.subarray(size * first, size * (first + n))
    if (!kernels.average(dtype, inputs.map(part), own, divisor, part(out))) throw new Error(`${name} stopped`)
  })
  row(name, gels, 4 * size, target, peer)
}

function measureAll() {
  programRow('TIES count, one of BF16 and its base', 0.31, 'the same', {
    streams: 2,
    writes: false,
    buffers: 3,
    stepsOf() {
      const range = { low: CUTOFF, high: CUTOFF + 0xffff, shift: 0 }
      const measure = { measure: 'histogram', range, counts: kernels.allocateCounts(1 + 2 ** 17) }
      return [
        { do: 'change', a: 1, b: 0, out: 2 },
        { do: 'measure', measure, planes: [2], narrow: true },
      ]
    },
  })
  for (const [dtype, target] of [
    ['BF16', 0.25],
    ['F32', 0.25],
  ])
    programRow(`TIES merge, k = 3 and a base, ${dtype}`, target, 'sums and divides in f32, rounding at each step', {
      dtype,
      streams: 4,
      buffers: 6,
      stepsOf: () => [
        ...changes,
        ...[1, 2, 3].map((a) => ({ do: 'trim', a, key: CUTOFF, lastTie: 1e6, offset: 0, out: a })),
        { do: 'elect', planes: [1, 2, 3], weights: WEIGHTS, divisors: DIVISORS, out: 4 },
        ...end(5),
      ],
    })
  programRow('DARE, Philox of 32 bits, BF16 and a base', 0.15, 'multiplies and adds in f32, rounding at each step', {
    streams: 2,
    buffers: 6,
    stepsOf: () => [
      { do: 'change', a: 1, b: 0, out: 1 },
      { do: 'drop', key: { low: 1, high: 2 }, probability: 0.5, a: 1, out: 1 },
      { do: 'scale', op: 'over', a: 1, by: 0.5, out: 1 },
      { do: 'widen', a: 1, out: 4 },
      ...end(5),
    ],
  })
  programRow('SLERP, a dot and two norms, BF16', 0.3, 'the same', {
    streams: 2,
    writes: false,
    buffers: 2,
    stepsOf() {
      const pairs = [[0, 0], [0, 1], [1, 1]] // prettier-ignore
      const measure = { measure: 'sums', op: 'dot', pairs, totals: new Float64Array(3) }
      return [{ do: 'measure', measure, planes: [0, 1], narrow: true }]
    },
  })

  averageRow('average, k = 3, F32, any weights', 'F32', [0.731, 1.137, 0.881], 0.78, PLAIN)
  averageRow('average, k = 3, BF16, 0.3, 0.5, 0.2, one rounding', 'BF16', [0.3, 0.5, 0.2], 0.33, PLAIN)

  kernels.reset()
  const hot = [1, 2, 3].map((piece) => streamOf('F16', HOT, piece))
  const hotOut = kernels.allocateBytes(2 * HOT)
  const hotRate = rate(2 ** 26, HOT, () => kernels.average('F16', hot, WEIGHTS, TOTAL, hotOut))
  row('average, k = 3, F16, in cache: Gel/s', hotRate, 8, 0.49, `${PLAIN}, the output twice`, false)

  for (const [dtype, target] of [
    ['BF16', 0.74],
    ['F32', 0.93],
    ['F16', 0.8],
  ]) {
    const size = BYTES[dtype]
    const elements = coldElements(16 + size)
    const stream = streamOf(dtype, elements, 1)
    const sums = Array.from({ length: elements / BLOCK }, () => kernels.exactSums(BLOCK))
    const plane = kernels.allocate(BLOCK)
    const gels = rate(elements, BLOCK, (first) => {
      kernels.decode(dtype, stream.subarray(size * first, size * (first + BLOCK)), plane)
      sums[first / BLOCK].addScaled(plane, 1, 1)
    })
    const peer = dtype === 'F16' ? UNROUNDED : FLAGGED
    row(`${dtype} added to kept exact sums`, gels, 16 + size, target, peer)
    if (dtype !== 'BF16') continue
    const read = rate(elements, BLOCK, (first) => {
      sums[first / BLOCK].read(plane)
      kernels.encode(dtype, plane, stream.subarray(size * first, size * (first + BLOCK)))
    })
    row('BF16 read from kept exact sums', read, 8 + size, 0.44, 'one plane of f64')
  }
}

let copy = 0
for (let pass = 0; pass < PASSES; pass++) {
  copy = Math.max(copy, copyRate())
  measureAll()
}
console.log(`memory copy: ${copy.toFixed(1)} GB/s read and written\n`)
console.log('| kernel | Gel/s | bytes each | of copy | target | gate | met | what reached the target |')
console.log('| --- | ---: | ---: | ---: | ---: | ---: | --- | --- |')
for (const [name, { gels, bytesEach, target, peer, isCold }] of rows) {
  const reached = isCold ? (gels * bytesEach) / copy : gels
  const met = reached >= GATE * target ? 'yes' : 'no'
  const [share, wanted, gate] = [reached, target, GATE * target].map((value) => value.toFixed(2))
  console.log(`| ${name} | ${gels.toFixed(3)} | ${bytesEach} | ${share} | ${wanted} | ${gate} | ${met} | ${peer} |`)
}
