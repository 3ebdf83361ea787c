/**
 * Compiles to dist/ (`npm run typecheck` checks the types, once for all) and puts beside the code what it reads at run time:
 * migrations and static files. The program and its workers are each put together from few files, and what V8 compiles of them
 * is kept: loading hundreds, and compiling them, would take longer than a small merge.
 */
import { execFileSync } from 'node:child_process'
import { chmodSync, cpSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, extname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { rolldown } from 'rolldown'
import { prepareParts } from './compile-parts.mjs'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const at = (...parts) => join(root, ...parts)
const ASSEMBLY = at('src', 'kernels', 'assembly')

const compile = prepareParts()
rmSync(at('dist'), { recursive: true, force: true })
execFileSync(process.execPath, [at('node_modules', 'typescript', 'bin', 'tsc'), '-p', at('tsconfig.build.json')], {
  cwd: root,
  stdio: 'inherit',
})

const isFolder = (path) => extname(path) === ''
cpSync(at('src'), at('dist', 'src'), {
  recursive: true,
  filter: (path) => !path.startsWith(ASSEMBLY) && (isFolder(path) || extname(path) !== '.ts'),
})
if (existsSync(at('migrations'))) cpSync(at('migrations'), at('dist', 'migrations'), { recursive: true })

const program = at('dist', 'src', 'main.cjs')
await bundle()
if (existsSync(program)) {
  const text = readFileSync(program, 'utf8')
  if (!text.startsWith('#!')) writeFileSync(program, `#!/usr/bin/env node\n${text}`)
  chmodSync(program, 0o755)
  await compile(program)
  linkProgram()
}

/** `npx tributary` in the checkout runs this build, without asking a registry. */
function linkProgram() {
  const folder = at('node_modules', '.bin')
  mkdirSync(folder, { recursive: true })
  const link = join(folder, 'tributary')
  rmSync(link, { force: true })
  if (process.platform !== 'win32') symlinkSync(relative(folder, program), link)
}

/**
 * The program and the thread that merges are entries that load parts: files that lie beside them. Each file costs some of
 * a millisecond, so what a merge on this machine loads is in few, and the thread's part is one file. A module still finds
 * what lay beside it before.
 */
async function bundle() {
  const folder = at('dist', 'src')
  const INSIDE = ['commander', 'fast-json-stable-stringify', 'typebox', 'yaml']
  const isOutside = (id) =>
    !/^[./]/.test(id) && !INSIDE.some((name) => id === name || id.startsWith(`${name}/`)) && !id.startsWith('\0')
  const keepPlace = {
    name: 'keep-place',
    transform: (code, id) => {
      if (!id.startsWith(folder) || !code.includes('import.meta.url')) return null
      const place = JSON.stringify(`./${relative(folder, id)}`)
      return code.replaceAll('import.meta.url', `new URL(${place}, import.meta.url).href`)
    },
  }
  const inFolder = (...names) => names.map((name) => join(folder, `${name}.js`))
  const groups = [
    ['program', inFolder('cli/program')],
    ['merger', inFolder('cli/commands/merge', 'merger', 'config')],
    ['local', inFolder('local')],
  ].map(([name, paths]) => {
    const loaded = loadedBy(paths)
    return { name, test: (id) => loaded.has(id) }
  })
  await write('command-line', 'cjs', { groups })
  await write('merge-worker', 'cjs')
  await write('start-merge-worker', 'cjs')
  await write('compaction-worker', 'esm')
  await write('main', 'cjs')

  async function write(entry, format, codeSplitting = false) {
    const input = { [entry]: join(folder, `${entry}.js`) }
    const made = await rolldown({ input, platform: 'node', external: isOutside, plugins: [keepPlace] })
    const ending = format === 'cjs' ? 'cjs' : 'js'
    const names = { entryFileNames: `[name].${ending}`, chunkFileNames: `part-[name]-[hash].${ending}` }
    const { output } = await made.write({ dir: folder, format, codeSplitting, ...names })
    for (const { type, fileName, code } of output)
      if (type === 'chunk') writeFileSync(join(folder, fileName), inAscii(code))
    await made.close()
  }
}

/** V8 keeps text with any other character in twice the bytes, and takes three times as long to read it. */
function inAscii(code) {
  return code.replace(/(?<!\\)[^\x00-\x7f]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

/** Modules that are loaded with these, and these. */
function loadedBy(paths, known = new Set()) {
  for (const path of paths) {
    if (known.has(path)) continue
    known.add(path)
    const named = readFileSync(path, 'utf8').matchAll(/^(?:import|export)\b[^;'"=]*['"](\.[^'"]*)['"]/gm)
    loadedBy(
      Array.from(named, ([, name]) => join(dirname(path), name)),
      known,
    )
  }
  return known
}
