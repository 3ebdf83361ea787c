/**
 * `tributary merge` beside `mergekit-yaml`: the same recipe, the same generated checkpoints, whole process against whole
 * process. `npm run build && node benchmarks/peers/compare.mjs [--mega N] [--dtypes bfloat16,float32] [--methods linear,ties] [--runs N]`.
 * mergekit is run by its command line alone, found on PATH or by MERGEKIT=PATH. Prints a table.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, cpus, loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { bytesOf, writeCheckpoint } from '../checkpoints.mjs'
import { best, catAndDd, foreign, tributary } from '../measure.mjs'
import { difference } from './difference.mjs'
import { INPUTS, llama, recipes } from './recipes.mjs'

const given = (name, otherwise) => {
  const at = process.argv.indexOf(name)
  return at > 0 ? process.argv[at + 1] : otherwise
}
const parameters = Number(given('--mega', 72)) * 1e6
const dtypes = given('--dtypes', 'bfloat16,float32').split(',')
const runs = Number(given('--runs', 2))
const methods = given('--methods', Object.keys(INPUTS).join(',')).split(',')
const CODES = { bfloat16: 'BF16', float32: 'F32' }

const mergekit = process.env.MERGEKIT ?? 'mergekit-yaml'
const OFFLINE = { HF_HUB_OFFLINE: '1', TRANSFORMERS_OFFLINE: '1' }
if (spawnSync(mergekit, ['--help'], { env: { ...process.env, ...OFFLINE } }).status !== 0) {
  console.log(`mergekit is not installed: ${mergekit} does not run, so there is nothing to compare with.`)
  console.log('python3 -m venv peers && peers/bin/pip install mergekit, then MERGEKIT=peers/bin/mergekit-yaml')
  process.exit(0)
}

const folder = mkdtempSync(join(tmpdir(), 'tributary-peers-'))
const inFolder = (...parts) => join(folder, ...parts)
const emptied = (path) => {
  rmSync(path, { recursive: true, force: true })
  return path
}
const fixed = (value, digits = 2) => value.toFixed(digits)

try {
  console.log(
    `${availableParallelism()} × ${cpus()[0]?.model}, Node ${process.version}; load ${fixed(loadavg()[0], 1)}; best of ${runs}\n`,
  )
  console.log(
    '| recipe | dtype | mergekit s | first sight s | × faster | roots known s | × faster | in CPU time | mergekit MiB | tributary MiB | × (cat + dd) in CPU time | units apart: most | mean | equal |',
  )
  console.log('| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |')
  for (const dtype of dtypes) {
    const { shapes, config } = llama(parameters)
    for (const [seed, name] of ['base', 'm1', 'm2', 'm3'].entries())
      writeCheckpoint(inFolder(name), { dtype: CODES[dtype], seed, shapes, config: config(dtype) })
    for (const [method, text] of Object.entries(recipes(dtype, folder)).filter(([method]) =>
      methods.includes(method),
    )) {
      const options = { cwd: folder, peak: inFolder('peak') }
      writeFileSync(inFolder('recipe.yml'), text)
      const cache = inFolder('cache')
      const merge = () =>
        tributary(['merge', 'recipe.yml', '--out', emptied(inFolder('ours'))], {
          ...options,
          env: { TRIBUTARY_CACHE: cache },
        })
      const files = ['m1', 'm2', 'm3', 'base']
        .slice(0, INPUTS[method])
        .map((name) => inFolder(name, 'model.safetensors'))
      const reference = catAndDd(files, files[0], inFolder('dd'), runs)
      const first = best(runs, () => {
        emptied(cache)
        return merge()
      })
      const known = best(runs, merge)
      const peer = best(runs, () =>
        foreign(mergekit, ['recipe.yml', emptied(inFolder('theirs')), '--no-copy-tokenizer'], {
          ...options,
          env: OFFLINE,
        }),
      )
      const apart = difference(inFolder('ours'), inFolder('theirs'))
      const cells = [
        fixed(peer.seconds),
        fixed(first.seconds),
        fixed(peer.seconds / first.seconds, 1),
        fixed(known.seconds),
        fixed(peer.seconds / known.seconds, 1),
        fixed(peer.cpu / known.cpu, 1),
        Math.round(peer.mib),
        Math.round(known.mib),
        fixed(known.cpu / reference.cpu, 1),
        apart.most < 1000 ? fixed(apart.most) : apart.most.toExponential(1),
        apart.mean < 1000 ? fixed(apart.mean, 3) : apart.mean.toExponential(1),
        `${fixed(100 * apart.equal, 1)} %`,
      ]
      console.log(`| ${method} | ${dtype} | ${cells.join(' | ')} |`)
    }
    const written = bytesOf(shapes, CODES[dtype]) / 2 ** 20
    console.log(`\n${dtype}: ${Math.round(written)} MiB a checkpoint, ${shapes.length} tensors\n`)
  }
} finally {
  if (existsSync(folder)) rmSync(folder, { recursive: true, force: true })
}
