/**
 * What a merge costs as contributions, bytes and tensors grow, and what a plan costs, each beside a reference of the same
 * run: `node benchmarks/scaling.mjs [--large] [--runs N]`. Writes docs/benchmarks/scaling.md and scaling.svg.
 */
import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { availableParallelism, cpus, loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { inHalves, inTensors, writeCheckpoint } from './checkpoints.mjs'
import { best, catAndDd, root, seconds, tributary } from './measure.mjs'
import { panels } from './plot.mjs'

const large = process.argv.includes('--large')
const asked = process.argv.indexOf('--runs')
const RUNS = asked > 0 ? Number(process.argv[asked + 1]) : 3
const MIB = 2 ** 20
const COUNTS = [2, 4, 8, 16, 32, 64]
const EACH_MIB = large ? 64 : 16
const SIZES_MIB = large ? [16, 64, 256, 1024] : [16, 64, 256]
const TENSORS = [1, 10, 100, 1000, 5000]
const TENSORS_MIB = 64
const PLANNED = { tensors: 5000, inputs: 10 }

const folder = mkdtempSync(join(tmpdir(), 'tributary-scaling-'))
const inFolder = (...parts) => join(folder, ...parts)
const weightsOf = (count) => Array.from({ length: count }, (_, i) => `[m${i}, ${((i * 37) % 99) / 100 + 0.01}]`)
const recipeOf = (count, strategy = 'linear') =>
  `tributary: 1\nstrategy: ${strategy}\nweights: [${weightsOf(count)
    .map((it) => it.replace(/(\.\d\d)\d+/, '$1'))
    .join(', ')}]\n`

function writeModels(count, shapes, dtype = 'BF16') {
  for (let i = 0; i < count; i++) writeCheckpoint(inFolder(`m${i}`), { seed: i + 1, dtype, shapes })
}

/** A whole merge of the first `count` models whose roots are known, beside cat and dd. */
function merged(count) {
  writeFileSync(inFolder('recipe.yml'), recipeOf(count))
  const files = Array.from({ length: count }, (_, i) => inFolder(`m${i}`, 'model.safetensors'))
  const options = { peak: inFolder('peak'), env: { TRIBUTARY_CACHE: inFolder('cache') } }
  const run = () => {
    rmSync(inFolder('out'), { recursive: true, force: true })
    return tributary(['merge', inFolder('recipe.yml'), '--out', inFolder('out')], options)
  }
  rmSync(inFolder('cache'), { recursive: true, force: true })
  const first = run()
  const known = best(RUNS, run)
  const reference = catAndDd(files, files[0], inFolder('dd'), RUNS)
  return { first, known, mib: Math.max(first.mib, known.mib), reference }
}

function cleared(work) {
  const result = work()
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder)
  return result
}

const start = best(RUNS, () => tributary(['--version'], { peak: inFolder('peak') }))
const rows = { k: [], size: [], tensors: [] }
let threads
const show = (kind, x, row) => {
  const over = (run) => (run.seconds - start.seconds) / row.reference.both
  const shown = {
    x,
    mib: row.mib,
    first: row.first.seconds,
    cold: over(row.first),
    known: row.known.seconds,
    ratio: over(row.known),
    cpu: (row.known.cpu - start.cpu) / row.reference.cpu,
  }
  rows[kind].push(shown)
  console.log(
    `${kind} ${x}: ${shown.known.toFixed(2)} s, ${shown.ratio.toFixed(2)} × cat + dd, ${shown.cpu.toFixed(2)} × in CPU time; ${Math.round(row.mib)} MiB`,
  )
}
const sized = (bytes) => inHalves(bytes, 'BF16')

/** Headers alone: beside reading their bytes, which is the least that a plan can do. */
function planned() {
  writeModels(PLANNED.inputs, inTensors(PLANNED.tensors, PLANNED.tensors * 128, 'BF16'))
  writeFileSync(inFolder('recipe.yml'), recipeOf(PLANNED.inputs))
  const files = Array.from({ length: PLANNED.inputs }, (_, i) => inFolder(`m${i}`, 'model.safetensors'))
  const bytes = files.reduce((sum, file) => sum + statSync(file).size, 0) - PLANNED.inputs * PLANNED.tensors * 128
  const perFile = Math.ceil(bytes / PLANNED.inputs)
  const read = best(RUNS, () => seconds('head', ['-q', '-c', String(perFile), ...files]))
  const plan = best(RUNS, () => tributary(['plan', inFolder('recipe.yml')], { peak: inFolder('peak') }))
  return { plan, read, bytes }
}

/** Merges of the first three models whose roots are known, by one thread, two, and so on. */
function byThreads(strategy) {
  writeFileSync(inFolder('recipe.yml'), recipeOf(3, strategy))
  const options = { peak: inFolder('peak'), env: { TRIBUTARY_CACHE: inFolder('cache') } }
  const run = (workers) => {
    rmSync(inFolder('out'), { recursive: true, force: true })
    return tributary(['merge', inFolder('recipe.yml'), '--out', inFolder('out'), '--workers', String(workers)], options)
  }
  run(1)
  return Array.from({ length: availableParallelism() }, (_, i) => best(RUNS, () => run(i + 1)))
}

try {
  writeModels(COUNTS.at(-1), sized(EACH_MIB * MIB))
  for (const count of COUNTS) show('k', count, merged(count))
  for (const mib of SIZES_MIB)
    cleared(() => {
      writeModels(3, sized(mib * MIB))
      show('size', mib, merged(3))
      if (mib === SIZES_MIB.at(-1)) threads = { linear: byThreads('linear'), slerp: byThreads('slerp') }
    })
  for (const count of TENSORS)
    cleared(() => {
      writeModels(3, inTensors(count, TENSORS_MIB * MIB, 'BF16'))
      show('tensors', count, merged(3))
    })
  const plan = cleared(planned)
  console.log(`plan: ${plan.plan.seconds.toFixed(2)} s, ${Math.round(plan.plan.mib)} MiB`)
  write(plan)
} finally {
  rmSync(folder, { recursive: true, force: true })
}

function table(kind, head) {
  const cells = rows[kind].map(({ x, first, cold, known, ratio, cpu, mib }) =>
    [
      x.toLocaleString('en'),
      first.toFixed(2),
      cold.toFixed(1),
      known.toFixed(2),
      ratio.toFixed(1),
      cpu.toFixed(1),
      Math.round(mib),
    ].join(' | '),
  )
  return `| ${head} | first sight s | × cat + dd | roots known s | × cat + dd | in CPU time | peak MiB |
| ---: | ---: | ---: | ---: | ---: | ---: | ---: |
${cells.map((row) => `| ${row} |`).join('\n')}`
}

/** Beyond starting the program: what a thread more is worth. */
function threadsTable() {
  const beyond = ({ seconds }) => seconds - start.seconds
  const lines = threads.linear.map((_, i) => {
    const cells = ['linear', 'slerp'].flatMap((strategy) => {
      const [one, own] = [threads[strategy][0], threads[strategy][i]]
      return [own.seconds.toFixed(2), (beyond(one) / beyond(own)).toFixed(2), own.cpu.toFixed(2)]
    })
    return `| ${[i + 1, ...cells].join(' | ')} |`
  })
  return `| threads | linear s | × as fast | CPU s | slerp of three s | × as fast | CPU s |
| ---: | ---: | ---: | ---: | ---: | ---: | ---: |
${lines.join('\n')}`
}

function write({ plan, read, bytes }) {
  const cpu = (plan.cpu - start.cpu).toFixed(2)
  const docs = join(root, 'docs', 'benchmarks')
  mkdirSync(docs, { recursive: true })
  const line = (kind, name, pick) => ({ name, points: rows[kind].map((row) => [row.x, pick(row)]) })
  const both = (kind) => [line(kind, 'roots known', (row) => row.ratio), line(kind, 'first sight', (row) => row.cold)]
  writeFileSync(
    join(docs, 'scaling.svg'),
    panels(
      'Whole merges beside cat and dd of the same bytes',
      [
        { title: 'Contributions', x: `contributions of ${EACH_MIB} MiB`, lines: both('k') },
        { title: 'Size', x: 'MiB of each of three', lines: both('size') },
        { title: 'Tensors', x: `tensors, of ${TENSORS_MIB} MiB together`, lines: both('tensors') },
      ],
      '× (cat + dd)',
    ),
  )
  writeFileSync(
    join(docs, 'scaling.md'),
    `# How a merge grows

Written by \`npm run bench\`${large ? ' with --large' : ''}. \`linear\` of bf16 with weights of two digits, as a user runs it, best of ${RUNS}, on
${availableParallelism()} × ${cpus()[0]?.model ?? 'CPU'}, Node ${process.version}; load when it ended: ${loadavg()[0].toFixed(1)}.
Ratios leave out starting the program, which takes ${start.seconds.toFixed(2)} s, and are against reading the inputs with \`cat\` and writing as much as
the output with \`dd\` in the same run: of the wall, and of CPU time of all threads, which other programs disturb less. At first
sight the inputs are hashed too; their roots are known the second time.

## Contributions, ${EACH_MIB} MiB each

${table('k', 'contributions')}

## Size, three contributions

${table('size', 'MiB each')}

## Threads, three contributions of ${SIZES_MIB.at(-1)} MiB, roots known

${threadsTable()}

## Tensors, three contributions of ${TENSORS_MIB} MiB

${table('tensors', 'tensors')}

![How a merge grows](scaling.svg)

## A plan

\`tributary plan\` of ${PLANNED.inputs} checkpoints of ${PLANNED.tensors.toLocaleString('en')} tensors takes ${plan.seconds.toFixed(2)} s and holds ${Math.round(plan.mib)} MiB; beyond the start it takes
${cpu} s of CPU time. It reads ${(bytes / MIB).toFixed(1)} MiB of headers, which \`head\` alone reads in ${read.toFixed(3)} s.
`,
  )
}
