/**
 * A hundred contributions of 512 × 512 f32, as papers measure merging: `node benchmarks/tier3.mjs [--runs N]`. The engine
 * alone, in as many threads as the program takes, and the whole process, beside copying the inputs in memory in the same run.
 * Prints a table: times on the clock and of CPU, and the first as a multiple of what copying takes on the clock.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { writeCheckpoint } from './checkpoints.mjs'
import { best, root, tributary } from './measure.mjs'

const asked = process.argv.indexOf('--runs')
const RUNS = asked > 0 ? Number(process.argv[asked + 1]) : 5
const COUNT = 100
const SHAPES = [['w', [512, 512]]]
const load = (...parts) => import(join(root, 'dist', ...parts))
const [{ createWorkerMerger }, { createNodeFileSystem }, local, { strategies }] = await Promise.all([
  load('src', 'merging', 'worker-merger.js'),
  load('src', 'storage', 'fs', 'node-file-system.js'),
  load('src', 'operations', 'local', 'create-local-operations.js'),
  load('merge-strategies', 'index.js'),
])

const folder = mkdtempSync(join(tmpdir(), 'tributary-tier3-'))
const inFolder = (...parts) => join(folder, ...parts)
const cpuNow = () => {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1e6
}
/** { seconds, cpu } of some work in this process. */
async function timed(work) {
  const [start, cpu] = [performance.now(), cpuNow()]
  await work()
  return { seconds: (performance.now() - start) / 1000, cpu: cpuNow() - cpu }
}
async function bestOf(work) {
  const all = []
  for (let i = 0; i < RUNS; i++) all.push(await timed(work))
  return leastOf(all)
}
const leastOf = (all) => ({
  seconds: Math.min(...all.map(({ seconds }) => seconds)),
  cpu: Math.min(...all.map(({ cpu }) => cpu)),
})

/** Times only what the merger does with its task: no recipe, no hashing of inputs, no receipt. */
function watched(merger) {
  let last = { seconds: 0, cpu: 0 }
  return {
    last: () => last,
    merger: {
      ...merger,
      dismiss: () => undefined, // threads are there from run to run, as those of a replica are
      merge: async (task, watch) => {
        let outcomes
        last = await timed(async () => (outcomes = await merger.merge(task, watch)))
        return outcomes
      },
    },
  }
}

try {
  const names = Array.from({ length: COUNT }, (_, i) => `m${i}`)
  names.forEach((name, i) => writeCheckpoint(inFolder(name), { seed: i + 1, dtype: 'F32', shapes: SHAPES }))
  const inputs = names.map((name) => new Uint8Array(readFileSync(inFolder(name, 'model.safetensors'))))
  const copies = inputs.map((bytes) => new Uint8Array(bytes.length))
  const copy = await bestOf(() => inputs.forEach((bytes, i) => copies[i].set(bytes)))
  console.log(
    `${COUNT} × 512 × 512 f32, ${COUNT} MiB; copying them in memory takes ${(copy.seconds * 1e3).toFixed(1)} ms; ${availableParallelism()} threads; load ${loadavg()[0].toFixed(1)}`,
  )
  console.log('| strategy | engine ms | CPU ms | × copy | whole process ms | CPU ms | × copy |')
  console.log('| --- | ---: | ---: | ---: | ---: | ---: | ---: |')
  const worker = pathToFileURL(join(root, 'dist', 'src', 'start-merge-worker.cjs'))
  const engine = watched(createWorkerMerger(worker, { workers: availableParallelism() }))
  const operations = local.createLocalOperations({
    merger: engine.merger,
    files: createNodeFileSystem(),
    strategies,
    version: 'benchmark',
    cacheDirectory: inFolder('cache'),
  })
  const out = () => {
    rmSync(inFolder('out'), { recursive: true, force: true })
    return inFolder('out')
  }
  for (const strategy of ['weight_average', 'slerp']) {
    const recipe = inFolder('recipe.yml')
    writeFileSync(
      recipe,
      `tributary: 1\nstrategy: ${strategy}\nweights: [${names.map((name) => `[${name}, 1]`).join(', ')}]\n`,
    )
    const runs = []
    for (let i = 0; i < RUNS; i++) {
      await operations.mergeLocal({ recipe, out: out() })
      runs.push(engine.last())
    }
    const own = leastOf(runs)
    const whole = best(RUNS, () =>
      tributary(['merge', recipe, '--out', out()], {
        peak: inFolder('peak'),
        env: { TRIBUTARY_CACHE: inFolder('cache') },
      }),
    )
    const cells = [own, whole].flatMap(({ seconds, cpu }) => [
      (seconds * 1e3).toFixed(0),
      (cpu * 1e3).toFixed(0),
      (seconds / copy.seconds).toFixed(1),
    ])
    console.log(`| ${strategy} | ${cells.join(' | ')} |`)
  }
  await operations.close()
} finally {
  rmSync(folder, { recursive: true, force: true })
}
