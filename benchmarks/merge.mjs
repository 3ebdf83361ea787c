/**
 * Whole merges, as a user runs them, each beside reading its inputs with cat and writing as much as its output with dd in
 * the same run, and beside a program that reads, hashes and writes as a merge must and computes nothing: `npm run build &&
 * node benchmarks/merge.mjs [MIB]`, by default 1024 a checkpoint. Prints what merges take on the clock and on the CPU, at
 * first sight and with known roots, these in turns with cat, dd and that program; where their threads spend it, and what
 * the machine allows at best. No program gets
 * NODE_EXTRA_CA_CERTS, and none is timed while something in it measures CPU and memory: those are of other runs.
 */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { writeCheckpoint } from './checkpoints.mjs'
import { floorOf, ratesOf } from './merge-floor.mjs'
import { best, catAndDd, program, seconds, tributary } from './measure.mjs'

const RUNS = 3
const TURNS = 7
const mib = Number(process.argv[2] ?? 1024)
const folder = mkdtempSync(join(tmpdir(), 'tributary-merge-'))
const inFolder = (...parts) => join(folder, ...parts)
const cores = availableParallelism()

const three = (weights) => `weights: [[m1, ${weights[0]}], [m2, ${weights[1]}], [m3, ${weights[2]}]]\n`
const WRITTEN = [0.3, 0.5, 0.2]
const RECIPES = {
  'weight_average, equal': `strategy: weight_average\n${three([1, 1, 1])}`,
  'linear, 0.3 0.5 0.2': `strategy: linear\n${three(WRITTEN)}`,
  'linear, any weights': `strategy: linear\n${three([0.731, 1.137, 0.881])}`,
  task_arithmetic: `strategy: task_arithmetic\nbase: base\n${three(WRITTEN)}`,
  dare_ties: `strategy: dare_ties\nbase: base\n${three(WRITTEN)}`,
  'dare_ties, density 0.5': `strategy: { id: dare_ties, params: { density: 0.5 } }\nbase: base\n${three(WRITTEN)}`,
  ties: `strategy: ties\nbase: base\n${three(WRITTEN)}`,
  'ties, density 0.5': `strategy: { id: ties, params: { density: 0.5 } }\nbase: base\n${three(WRITTEN)}`,
  'slerp of two': 'strategy: slerp\nweights: [[m1, 0.3], [m2, 0.7]]\n',
}

/** What the functions of a profile are part of. */
const PARTS = {
  read: ({ functionName }) => functionName === 'read',
  kernels: ({ url, functionName }) => url.startsWith('wasm:') || functionName.startsWith('wasm-'),
  write: ({ functionName }) => functionName === 'writeBuffer',
  hash: ({ url }) => url === 'node:internal/crypto/hash',
  wait: ({ functionName }) => functionName === '(idle)',
}

/** Seconds that worker threads spent in each part, summed over them. */
function splitOf(profiles) {
  const split = Object.fromEntries([...Object.keys(PARTS), 'other'].map((part) => [part, 0]))
  for (const name of readdirSync(profiles)) {
    const { nodes, samples, timeDeltas } = JSON.parse(readFileSync(join(profiles, name), 'utf8'))
    const isMain = name.split('.').at(-3) === '0'
    if (isMain) continue
    const frames = new Map(nodes.map(({ id, callFrame }) => [id, callFrame]))
    samples.forEach((id, i) => {
      const part = Object.keys(PARTS).find((key) => PARTS[key](frames.get(id))) ?? 'other'
      split[part] += timeDeltas[i] / 1e6
    })
  }
  return split
}

const shares = (split) => {
  const all = Object.values(split).reduce((sum, each) => sum + each, 0)
  return Object.values(split).map((each) => `${each.toFixed(2)} s, ${Math.round((100 * each) / all)} %`)
}

try {
  for (const [seed, name] of ['base', 'm1', 'm2', 'm3'].entries())
    writeCheckpoint(inFolder(name), { bytes: mib * 2 ** 20, seed })
  const weightsOf = (text) =>
    ['base', 'm1', 'm2', 'm3']
      .filter((name) => new RegExp(`\\b${name}\\b`).test(text))
      .map((name) => inFolder(name, 'model.safetensors'))
  const start = best(RUNS, () => seconds(process.execPath, [program, '--version']))
  console.log(`checkpoints of ${mib} MiB of bf16, ${cores} cores, load ${loadavg()[0].toFixed(1)}`)
  console.log(
    `starting the program takes ${start.toFixed(2)} s, which is part of what follows; NODE_EXTRA_CA_CERTS is unset\n`,
  )
  const rates = ratesOf(inFolder('m1', 'model.safetensors'), inFolder('rates'))
  const said = Object.entries(rates).map(([part, rate]) => `${part} ${rate.toFixed(1)}`)
  console.log(`GB a second of CPU, one thread: ${said.join(', ')}\n`)
  console.log(
    '| merge | cat + dd s | floor s | × | first sight s | × | roots known s | × | CPU of a core × | peak MiB |',
  )
  console.log('| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |')
  const splits = []
  for (const [name, text] of Object.entries(RECIPES)) {
    const recipe = inFolder('recipe.yml')
    const cache = inFolder('cache')
    const out = inFolder('out')
    writeFileSync(recipe, `tributary: 1\n${text}`)
    const args = ['merge', recipe, '--out', out]
    const merge = () => {
      rmSync(out, { recursive: true, force: true })
      return seconds(process.execPath, [program, ...args], { env: { TRIBUTARY_CACHE: cache } })
    }
    const measuredMerge = () => {
      rmSync(out, { recursive: true, force: true })
      return tributary(args, { peak: inFolder('peak'), env: { TRIBUTARY_CACHE: cache } })
    }
    const profiled = (phase) => {
      const profiles = inFolder('profiles')
      rmSync(profiles, { recursive: true, force: true })
      mkdirSync(profiles)
      rmSync(out, { recursive: true, force: true })
      const flags = ['--cpu-prof', `--cpu-prof-dir=${profiles}`]
      seconds(process.execPath, [...flags, program, ...args], { env: { TRIBUTARY_CACHE: cache } })
      splits.push([name, phase, ...shares(splitOf(profiles))])
      rmSync(inFolder('floor'), { force: true })
    }
    const inputs = weightsOf(text)
    rmSync(cache, { recursive: true, force: true })
    const { mib: firstMib } = measuredMerge()
    rmSync(cache, { recursive: true, force: true })
    const first = merge()
    const dd = inFolder('dd')
    const { cpu } = catAndDd(inputs, inputs[0], dd, RUNS)
    // in turns: a machine that others use is not as quick one second as the next
    const turns = { read: [], write: [], floor: [], known: [] }
    for (let turn = 0; turn < TURNS; turn++) {
      turns.read.push(seconds('cat', inputs))
      turns.write.push(seconds('dd', [`if=${inputs[0]}`, `of=${dd}`, 'bs=2M', 'conv=notrunc']))
      turns.known.push(merge())
      turns.floor.push(floorOf(inFolder('floor'), inputs))
    }
    const [read, write, floor, known] = Object.values(turns).map((took) => Math.min(...took))
    const reference = read + write
    const { cpu: knownCpu, mib: knownMib } = best(RUNS, measuredMerge)
    profiled('roots known')
    rmSync(cache, { recursive: true, force: true })
    profiled('first sight')
    const columns = [
      reference,
      floor,
      floor / reference,
      first,
      first / reference,
      known,
      known / reference,
      knownCpu / cores / cpu,
    ].map((value) => value.toFixed(2))
    console.log(`| ${name} | ${columns.join(' | ')} | ${Math.round(Math.max(firstMib, knownMib))} |`)
  }
  console.log('\n| merge | | read | kernels | write | hash | wait | other |')
  console.log('| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |')
  for (const row of splits) console.log(`| ${row.join(' | ')} |`)
  const gb = (mib * 2 ** 20) / 1e9
  const least = [(3 * gb) / rates.read, 0, gb / rates.write, gb / rates.hash].map((s) => s && `${s.toFixed(2)} s`)
  console.log(`| at those rates, three inputs | roots known | ${least.map((s) => s || '').join(' | ')} | | |`)
} finally {
  rmSync(folder, { recursive: true, force: true })
}
