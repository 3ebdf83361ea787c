/**
 * What a whole merge takes whose inputs were made to be slow, beside one of ordinary numbers: `npm run build && node
 * benchmarks/worst-merges.mjs [MIB] [DTYPE]`, by default 1024 MiB of inputs together and all cases, which are the worst of each dtype by
 * sums.mjs. All elements of the inputs are of one kind. Roots are known; CPU time is that of all threads. Both merges take turns, and the
 * least of each counts.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { writeCheckpoint } from './checkpoints.mjs'
import { column, FORMS, FOUND, ordinary, seed, setsOf } from './hard-numbers.mjs'
import { root, tributary } from './measure.mjs'

const { createWasmKernels } = await import(join(root, 'dist', 'src', 'kernels', 'wasm.js'))

const TURNS = 3
const LENGTH = 1 << 16
const bytes = Number(process.argv[2] ?? 1024) * 2 ** 20
const only = process.argv[3]
const folder = mkdtempSync(join(tmpdir(), 'tributary-worst-'))
const kernels = createWasmKernels()

const equal = (k) => Array(k).fill(1)
const small = (k) => Array.from({ length: k }, (_, i) => (i % 3 === 1 ? 2 : 1))
const any = (k) => Array.from({ length: k }, (_, i) => 0.731 + 0.137 * (((i >> 1) * 7) % 11))
const CASES = [
  ['BF16', 4, { equal }],
  ['BF16', 6, { small }],
  ['BF16', 8, { equal, any }],
  ['BF16', 12, { small, any }],
  ['BF16', 16, { equal }],
  ['BF16', 64, { any }],
  ['F16', 4, { equal }],
  ['F32', 8, { any }],
  ['F32', 32, { equal }],
  ['F32', 64, { any }],
]

const NAMED = ['subnormal', 'wide spans', 'ties and a term far below', 'every scale cancels']
const kindsOf = (form) => {
  const sets = setsOf(form)
  return [
    ...NAMED.map((kind) => [kind, sets[kind]]),
    ...Object.entries(FOUND).map(([kind, found]) => [kind, (k, i) => column(found, k, i, form)]),
  ]
}

/** Checkpoints m0, m1, … of one kind of numbers. */
function inputsOf(name, dtype, k, make) {
  seed(1)
  const columns = Array.from({ length: LENGTH }, (_, i) => make(k, i))
  for (let j = 0; j < k; j++) {
    const block = new Uint8Array(2 * LENGTH)
    kernels.encode(
      'BF16',
      Float64Array.from(columns, (values) => values[j]),
      block,
    )
    writeCheckpoint(join(folder, name, `m${j}`), { bytes: bytes / k, dtype, block })
  }
}

/** Merges them once, so that their roots are known, and answers what merges them again. */
function mergeOf(name, weights) {
  const recipe = join(folder, name, 'recipe.yml')
  const list = weights.map((weight, j) => `[m${j}, ${weight.toFixed(3)}]`).join(', ')
  writeFileSync(recipe, `tributary: 1\nstrategy: linear\nweights: [${list}]\n`)
  const out = join(folder, name, 'out')
  const env = { TRIBUTARY_CACHE: join(folder, name, 'cache') }
  const merge = () => {
    rmSync(out, { recursive: true, force: true })
    return tributary(['merge', recipe, '--out', out], { peak: join(folder, 'peak'), env })
  }
  merge()
  return merge
}

try {
  console.log(`${bytes / 2 ** 20} MiB of inputs together, load ${loadavg()[0].toFixed(1)}\n`)
  console.log('| inputs | weights | kind | ordinary, CPU s | this, CPU s | × | ordinary, s | this, s | × |')
  console.log('| --- | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |')
  let most = 0
  for (const [dtype, k, weightings] of CASES) {
    if (only !== undefined && only !== dtype) continue
    inputsOf('ordinary', dtype, k, ordinary)
    for (const [kind, make] of kindsOf(FORMS[dtype])) {
      inputsOf('worst', dtype, k, make)
      for (const [weighting, weigh] of Object.entries(weightings)) {
        const merges = ['ordinary', 'worst'].map((name) => ({
          merge: mergeOf(name, weigh(k)),
          cpu: Infinity,
          took: Infinity,
        }))
        for (let turn = 0; turn < TURNS; turn++)
          for (const one of merges) {
            const { cpu, seconds } = one.merge()
            one.cpu = Math.min(one.cpu, cpu)
            one.took = Math.min(one.took, seconds)
          }
        const [usual, worst] = merges
        most = Math.max(most, worst.cpu / usual.cpu)
        const cells = [usual.cpu, worst.cpu, worst.cpu / usual.cpu, usual.took, worst.took, worst.took / usual.took]
        console.log(
          `| ${k} of ${dtype} | ${weighting} | ${kind} | ${cells.map((value) => value.toFixed(2)).join(' | ')} |`,
        )
      }
      rmSync(join(folder, 'worst'), { recursive: true })
    }
    rmSync(join(folder, 'ordinary'), { recursive: true })
  }
  console.log(`\nThe worst of them takes ${most.toFixed(2)} times the CPU time of the ordinary one; the bound is 3.`)
} finally {
  rmSync(folder, { recursive: true, force: true })
}
