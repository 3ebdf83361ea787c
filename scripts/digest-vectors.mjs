/**
 * Digests of everything whose bits are promised, of the built program: `npm run build && node scripts/digest-vectors.mjs`.
 * Prints "SHA-256  kernels/name" lines, the same on every machine. Fails where two ways to one number disagree, and with
 * `--against FILE` also where a line of that file is missing or has another digest.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { kernelVectors } from './vectors/kernels.mjs'
import { libmVectors } from './vectors/libm.mjs'
import { mergeVectors, writeModels } from './vectors/merges.mjs'

const dist = join(dirname(dirname(fileURLToPath(import.meta.url))), 'dist')
const load = (...parts) => import(join(dist, ...parts))
const [
  graphWords,
  libm,
  { referenceKernels },
  { createWasmKernels },
  { createInlineMerger },
  local,
  files,
  tiles,
  all,
] = await Promise.all([
  load('src', 'core', 'graph-words.js'),
  load('src', 'core', 'libm.js'),
  load('src', 'kernels', 'reference.js'),
  load('src', 'kernels', 'wasm.js'),
  load('src', 'merging', 'inline-merger.js'),
  load('src', 'operations', 'local', 'create-local-operations.js'),
  load('src', 'storage', 'fs', 'node-file-system.js'),
  load('src', 'storage', 'fs', 'node-tile-files.js'),
  load('merge-strategies', 'index.js'),
])

const foreign = new Set()
const SETS = { wasm: createWasmKernels({ onForeign: (word) => foreign.add(word) }), readable: referenceKernels }

async function* vectors(folder) {
  for (const [name, digest] of libmVectors(libm)) yield [`libm/${name}`, digest]
  for (const [set, kernels] of Object.entries(SETS)) {
    for (const [name, digest] of kernelVectors(kernels, graphWords)) yield [`${set}/${name}`, digest]
    const place = join(folder, set)
    writeModels(place)
    const operations = local.createLocalOperations({
      merger: createInlineMerger(tiles.nodeTileFiles, kernels, all.strategies),
      files: files.createNodeFileSystem(),
      strategies: all.strategies,
      version: 'digests',
    })
    for await (const [name, digest] of mergeVectors(operations, all.strategies, place))
      yield [`${set}/merge/${name}`, digest]
    await operations.close()
  }
}

const found = new Map()
const folder = mkdtempSync(join(tmpdir(), 'tributary-digests-'))
try {
  for await (const [name, digest] of vectors(folder)) {
    found.set(name, digest)
    console.log(`${digest}  ${name}`)
  }
} finally {
  rmSync(folder, { recursive: true, force: true })
}

const wrong = [...foreign].map((word) => `the compiled kernels did not do ${word} themselves`)
/** What comes after the set of kernels names the number; all ways to it owe the same digest. */
for (const [name, digest] of found)
  if (name.startsWith('wasm/') && found.get(`readable/${name.slice(5)}`) !== digest)
    wrong.push(`${name} is not what the readable kernels give`)
// cut anywhere, the same bytes
const cuts = [...found].filter(([name]) => name.includes('/average-in-tiles-of-'))
if (new Set(cuts.map(([, digest]) => digest)).size !== 1) wrong.push('tiles of different sizes give different bytes')

const at = process.argv.indexOf('--against')
if (at > 0)
  for (const line of readFileSync(process.argv[at + 1], 'utf8')
    .split('\n')
    .filter(Boolean)) {
    const [digest, name] = line.split('  ')
    if (found.get(name) !== digest) wrong.push(`${name} was ${digest}, and is ${found.get(name) ?? 'missing'}`)
  }
for (const line of wrong) console.error(line)
console.error(
  `${process.platform} ${process.arch}, node ${process.version}: ${found.size} digests, ${wrong.length} wrong`,
)
process.exitCode = wrong.length > 0 ? 1 : 0
