/**
 * What exact sums cost on the worst inputs, beside ordinary ones of the same shape in the same run, as kernels alone and as
 * whole merges: `node benchmarks/sums.mjs` after `npm run build`. Writes docs/benchmarks/sums.md, the worst of each dtype
 * and count first.
 */
import { createHash } from 'node:crypto'
import { closeSync, mkdtempSync, openSync, readSync, rmSync, writeFileSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { column, FORMS, FOUND, setsOf } from './hard-numbers.mjs'
import { ownClock } from './own-clock.mjs'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const { createWasmKernels } = await import(join(root, 'dist', 'src', 'kernels', 'wasm.js'))

const RUN_NS = 5e6
const RUNS = 5
const COUNTS = [3, 4, 6, 8, 12, 16, 24, 64]
/** A merge reads pieces of files as long as this; kernels alone take as much as stays in a cache. */
const PIECE_BYTES = 1 << 17
const STRIP = 2048
const MEMORY_BYTES = 32 << 20
const WEIGHTS = {
  equal: (k) => Array(k).fill(1),
  small: (k) => Array.from({ length: k }, (_, i) => (i % 3 === 1 ? 2 : 1)),
  any: (k) => Array.from({ length: k }, (_, i) => Math.fround(0.731 + 0.137 * (((i >> 1) * 7) % 11))),
}

/** Nanoseconds an element, of so many calls that asking for the time takes none of it. */
function price({ elements, work }) {
  let calls = 1
  for (;;) {
    const start = ownClock()
    for (let n = 0; n < calls; n++) work()
    const spent = ownClock() - start
    if (spent >= RUN_NS) return spent / calls / elements
    calls = Math.ceil(calls * Math.min(16, Math.max(1.2, (1.2 * RUN_NS) / Math.max(spent, 1))))
  }
}

const folder = mkdtempSync(join(tmpdir(), 'tributary-sums-'))

/** What is done with one kind of numbers, and on how many elements. Each kind has kernels of its own, which learn nothing of others. */
function worksOf(dtype, weights, make, name) {
  const kernels = createWasmKernels({ memoryBytes: MEMORY_BYTES })
  const { bytes } = FORMS[dtype]
  const k = weights.length
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  const length = k === 64 ? 8192 : 16384
  const columns = Array.from({ length }, (_, i) => make(k, i))
  const plane = kernels.allocate(length)
  const streams = weights.map((_, j) => {
    for (let i = 0; i < length; i++) plane[i] = columns[i][j]
    const whole = kernels.allocateBytes(PIECE_BYTES)
    kernels.encode(dtype, plane, whole.subarray(0, length * bytes))
    for (let at = length * bytes; at < PIECE_BYTES; at += length * bytes) whole.copyWithin(at, 0, length * bytes)
    return whole
  })
  const whole = kernels.allocateBytes(PIECE_BYTES)
  const out = whole.subarray(0, length * bytes)
  const parts = streams.map((stream) => stream.subarray(0, length * bytes))
  const pathOf = (j) => join(folder, `${name} ${j}`)
  streams.forEach((stream, j) => writeFileSync(pathOf(j), stream))
  const paths = streams.map((_, j) => openSync(pathOf(j)))
  const written = openSync(join(folder, 'out'), 'w')
  const close = () => [...paths, written].forEach((file) => closeSync(file))

  const average = () => kernels.average(dtype, parts, weights, total, out)
  const merge = () => {
    streams.forEach((stream, j) => readSync(paths[j], stream, 0, PIECE_BYTES, 0))
    kernels.average(dtype, streams, weights, total, whole)
    createHash('sha256').update(whole).digest()
    writeSync(written, whole, 0, PIECE_BYTES, 0)
  }
  const both = {
    average: { elements: length, work: average },
    merge: { elements: PIECE_BYTES / bytes, work: merge },
  }
  if (dtype !== 'F32') return { works: both, close }

  const planes = parts.map((stream) => {
    const own = kernels.allocate(STRIP)
    kernels.decode(dtype, stream.subarray(0, STRIP * bytes), own)
    return own
  })
  const sum = kernels.allocate(STRIP)
  const kept = kernels.exactSums(STRIP)
  const keep = () => {
    kept.clear()
    planes.forEach((one, j) => kept.addScaled(one, weights[j], 1))
    kept.read(sum)
  }
  // as a merge whose sums are kept reads, decodes and hashes
  const piece = out.subarray(0, STRIP * bytes)
  const keepAll = () => {
    kept.clear()
    planes.forEach((one, j) => {
      readSync(paths[j], parts[j], 0, STRIP * bytes, 0)
      kernels.decode(dtype, parts[j].subarray(0, STRIP * bytes), sum)
      kept.addScaled(one, weights[j], 1)
    })
    kernels.encode(dtype, kept.read(sum), piece)
    createHash('sha256').update(piece).digest()
  }
  const works = {
    ...both,
    weightedSum: { elements: STRIP, work: () => kernels.weightedSum(planes, weights, sum) },
    exactSums: { elements: STRIP, work: keep },
    kept: { elements: STRIP, work: keepAll },
  }
  return { works, close }
}

/** The least price of each work on each kind. Kinds take turns, so that what else the machine does falls on all of them. */
function pricesOf(dtype, weights, kinds) {
  const all = Object.entries(kinds).map(([name, make]) => ({ name, ...worksOf(dtype, weights, make, name) }))
  for (let run = 0; run < RUNS; run++)
    for (const work of Object.keys(all[0].works))
      for (const kind of all) kind[work] = Math.min(kind[work] ?? Infinity, price(kind.works[work]))
  for (const { close } of all) close()
  return all
}

const NAMES = {
  average: (dtype) => `average, ${dtype}`,
  merge: (dtype) => `the same read, hashed and written, ${dtype}`,
  weightedSum: () => 'weightedSum, f64 planes',
  exactSums: () => 'exactSums, f64 planes',
  kept: () => 'the same read, decoded, encoded and hashed, F32',
}
const kindsOf = (dtype) => ({
  ...setsOf(FORMS[dtype]),
  ...Object.fromEntries(
    Object.entries(FOUND).map(([name, pattern]) => [name, (k, i) => column(pattern, k, i, FORMS[dtype])]),
  ),
})

const [only] = process.argv.slice(2) // a dtype and a count, as BF16-4, and nothing is written
const rows = []
const worst = []
const kinds = Object.keys(kindsOf('BF16'))
for (const k of COUNTS)
  for (const dtype of Object.keys(FORMS))
    for (const [weighting, weigh] of Object.entries(WEIGHTS)) {
      if (only && only !== `${dtype}-${k}`) continue
      if (weighting === 'small' && dtype !== 'BF16') continue // which has a way of its own for them
      const weights = weigh(k)
      const all = pricesOf(dtype, weights, kindsOf(dtype))
      const [usual, ...hard] = all
      for (const work of Object.keys(NAMES).filter((one) => one in usual)) {
        const times = hard.map((one) => one[work] / usual[work])
        const most = Math.max(...times)
        const name = NAMES[work](dtype)
        worst.push({ k, weighting, name, usual: usual[work], most, kind: hard[times.indexOf(most)].name })
        const cells = times.map((one) => one.toFixed(1))
        rows.push(`| ${name} | ${k} | ${weighting} | ${usual[work].toFixed(2)} | ${cells.join(' | ')} |`)
        console.log(
          `${name}, ${k} ${weighting}: ${usual[work].toFixed(2)} ns, at worst ${most.toFixed(1)} × (${worst.at(-1).kind})`,
        )
      }
    }
rmSync(folder, { recursive: true })
if (only) process.exit()

const worstRows = [...worst]
  .sort((a, b) => a.name.localeCompare(b.name))
  .map(({ k, weighting, name, usual, most, kind }) =>
    [`| ${name}`, k, weighting, usual.toFixed(2), (usual * most).toFixed(2), most.toFixed(1), `${kind} |`].join(' | '),
  )
const above = (names) => worst.filter(({ name, most }) => names(name) && most >= 3.05).length
const isMerge = (name) => name.startsWith('the same')
writeFileSync(
  join(root, 'docs', 'benchmarks', 'sums.md'),
  `# Exact sums on the worst inputs

Written by \`node benchmarks/sums.mjs\`. One thread, the thread's own time, best of ${RUNS}. The reference of each figure is the same work on
ordinary numbers (gaussian, of like sizes) of the same dtype, count and weights in the same run, and all elements are of the kind that a
column names. There are two works: a kernel alone, on data that lie in a cache; and a merge, which reads its inputs from files that the
system has in memory, and hashes and writes its output over an older one. What whole programs take is in [worst-merges](worst-merges.md): there
the bound is three times as long. Of ${worst.filter(({ name }) => isMerge(name)).length} merges here ${above(isMerge)} are above that, and of ${worst.filter(({ name }) => !isMerge(name)).length} kernels alone ${above((name) => !isMerge(name))}. The kinds found by search are the worst patterns that
\`node scripts/worst-sums.mjs\` came upon.

## The worst of each

| work | k | weights | ordinary, ns an element | worst, ns | times | kind |
| --- | ---: | --- | ---: | ---: | ---: | --- |
${worstRows.join('\n')}

## Every kind

| work | k | weights | ordinary, ns an element | ${kinds.slice(1).join(' | ')} |
| --- | ---: | --- | ---: | ${kinds
    .slice(1)
    .map(() => '---:')
    .join(' | ')} |
${rows.join('\n')}
`,
)
