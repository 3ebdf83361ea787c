/**
 * Runs many seeds of the simulator, on every core: `node scripts/soak-simulation.mjs [SEEDS] [FIRST]`. Each failing seed is
 * printed as SIM_SEED=n and replays alone with `SIM_SEED=n npx vitest run --project simulation`. After 45 minutes it ends, and
 * says how many it ran.
 */
import { fork } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

const LONGEST_MS = 45 * 60_000

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const [seeds = 2000, first = 1] = process.argv.slice(2).map(Number)

/** The simulator and what it stands on, as JavaScript. */
function compile(to) {
  for (const top of ['src', 'merge-strategies', 'test/simulation', 'test/core', 'test/merging', 'test/support'])
    for (const name of readdirSync(join(root, top), { recursive: true })) {
      if (!/(?<!\.test|\.d)\.ts$/.test(name) || name.startsWith('kernels/assembly')) continue
      const { outputText } = ts.transpileModule(readFileSync(join(root, top, name), 'utf8'), {
        compilerOptions: {
          target: 'es2022',
          module: 'esnext',
          rewriteRelativeImportExtensions: true,
          verbatimModuleSyntax: true,
        },
      })
      const file = join(to, top, name.replace(/\.ts$/, '.js'))
      mkdirSync(dirname(file), { recursive: true })
      writeFileSync(file, outputText)
    }
  writeFileSync(join(to, 'package.json'), '{"type":"module"}')
  symlinkSync(join(root, 'node_modules'), join(to, 'node_modules'))
}

const folder = mkdtempSync(join(tmpdir(), 'tributary-simulation-'))
compile(folder)
const workers = Math.max(1, availableParallelism())
const began = performance.now()
const sums = { seeds: 0, failed: 0, ops: 0, acknowledged: 0, frames: 0, crashes: 0, rollbacks: 0, byzantine: 0, forks_in_honest_runs: 0, with_bytes: 0, lies: 0, namings: 0, slowest_heal_ms: 0, slowest_fetch_ms: 0 } // prettier-ignore
let open = workers

for (let worker = 0; worker < workers; worker++) {
  const child = fork(join(folder, 'test', 'simulation', 'sweep.js'), [first, seeds, worker, workers].map(String), {
    execArgv: ['--max-semi-space-size=64'], // a run makes much garbage: a fifth more seeds for the same time
  })
  child.on('message', (run) => {
    sums.seeds++
    for (const key of ['ops', 'acknowledged', 'frames', 'crashes', 'rollbacks']) sums[key] += run[key]
    for (const key of ['lies', 'namings']) sums[key] += run[key] ?? 0
    if (run.bytesHealMs !== undefined) sums.with_bytes++
    sums.slowest_fetch_ms = Math.max(sums.slowest_fetch_ms, run.bytesHealMs ?? 0)
    if (run.byzantine > 0) sums.byzantine++
    if (run.byzantine === 0 && run.rollbacks === 0) sums.forks_in_honest_runs += run.forks
    sums.slowest_heal_ms = Math.max(sums.slowest_heal_ms, run.healMs ?? 0)
    if (run.failures.length === 0) return
    sums.failed++
    console.log(`SIM_SEED=${run.seed} ${run.failures.join('; ')}`)
  })
  setTimeout(() => (sums.unfinished = true) && child.kill(), LONGEST_MS).unref()
  child.on('exit', (code) => {
    if (code !== 0 && !sums.unfinished) sums.failed++
    if (--open === 0) end()
  })
}

function end() {
  rmSync(folder, { recursive: true })
  const seconds = (performance.now() - began) / 1000
  console.log(
    JSON.stringify({ ...sums, seconds: Math.round(seconds), seeds_per_second: +(sums.seeds / seconds).toFixed(1) }),
  )
  process.exitCode = sums.failed === 0 ? 0 : 1
}
