/**
 * A whole merge, as a user runs it, beside reading its inputs with cat and writing as much as its output with dd in the
 * same run: `node benchmarks/merge.mjs [MIB]`, by default 1024 a checkpoint. Prints a table.
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { loadavg, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { writeCheckpoint } from './checkpoints.mjs'

const RUNS = 3
const mib = Number(process.argv[2] ?? 1024)
const root = dirname(dirname(fileURLToPath(import.meta.url)))
const program = join(root, 'dist', 'src', 'main.js')
const folder = mkdtempSync(join(tmpdir(), 'tributary-merge-'))
const inFolder = (...parts) => join(folder, ...parts)

/** Tells the peak of its memory, in MiB, when it ends. */
const TELL = `data:text/javascript,${encodeURIComponent(
  "import { writeFileSync } from 'node:fs'; process.on('exit', () => writeFileSync(process.env.PEAK_FILE, String(process.resourceUsage().maxRSS)))",
)}`

function seconds(command, args, env = {}) {
  const start = performance.now()
  const { status, stderr } = spawnSync(command, args, {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  if (status !== 0) throw new Error(`${command} ended with ${status}: ${stderr}`)
  return (performance.now() - start) / 1000
}
const best = (work) => Math.min(...Array.from({ length: RUNS }, work))

const RECIPES = {
  'weight_average, equal': 'strategy: weight_average\nweights: [[m1, 1], [m2, 1], [m3, 1]]\n',
  'linear, 0.3 0.5 0.2': 'strategy: linear\nweights: [[m1, 0.3], [m2, 0.5], [m3, 0.2]]\n',
  'linear, any weights': 'strategy: linear\nweights: [[m1, 0.731], [m2, 1.137], [m3, 0.881]]\n',
  'task_arithmetic, 0.3 0.5 0.2': 'strategy: task_arithmetic\nbase: base\nweights: [[m1, 0.3], [m2, 0.5], [m3, 0.2]]\n',
}

try {
  for (const [seed, name] of ['base', 'm1', 'm2', 'm3'].entries())
    writeCheckpoint(inFolder(name), { bytes: mib * 2 ** 20, seed })
  const files = ['m1', 'm2', 'm3'].map((name) => inFolder(name, 'model.safetensors'))
  const read = best(() => seconds('cat', files))
  const write = best(() => seconds('dd', [`if=${files[0]}`, `of=${inFolder('dd')}`, 'bs=2M', 'conv=notrunc']))
  const start = best(() => seconds(process.execPath, [program, '--version']))
  const reference = read + write
  console.log(
    `3 × ${mib} MiB of bf16; cat ${read.toFixed(2)} s + dd ${write.toFixed(2)} s; load ${loadavg()[0].toFixed(1)}`,
  )
  console.log(`starting the program takes ${start.toFixed(2)} s, which is part of what follows`)
  console.log('| merge | first sight s | × cat + dd | roots known s | × cat + dd | peak MiB |')
  console.log('| --- | ---: | ---: | ---: | ---: | ---: |')
  for (const [name, text] of Object.entries(RECIPES)) {
    const recipe = inFolder('recipe.yml')
    writeFileSync(recipe, `tributary: 1\n${text}`)
    const cache = inFolder('cache')
    const merge = () => {
      rmSync(inFolder('out'), { recursive: true, force: true })
      const args = ['--import', TELL, program, 'merge', recipe, '--out', inFolder('out')]
      return seconds(process.execPath, args, { TRIBUTARY_CACHE: cache, PEAK_FILE: inFolder('peak') })
    }
    rmSync(cache, { recursive: true, force: true })
    const first = merge()
    const known = best(merge)
    const peak = Number(readFileSync(inFolder('peak'), 'utf8')) / 1024
    const columns = [first, first / reference, known, known / reference].map((value) => value.toFixed(2))
    console.log(`| ${name} | ${columns.join(' | ')} | ${Math.round(peak)} |`)
  }
} finally {
  rmSync(folder, { recursive: true, force: true })
}
