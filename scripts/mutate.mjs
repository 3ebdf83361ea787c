/**
 * Breaks one constant or comparison after the other, as scripts/mutants/*.mjs list them, and runs the tests that should
 * notice: `node scripts/mutate.mjs [PATTERN]`. Prints what no test noticed, and ends with 1 if there is any. All is
 * done in copies of the project, two at a time, so that work may go on beside it; mutants of the kernels are compiled
 * without optimizing, which changes no bit. By hand, not for every change: a mutant takes some seconds.
 */
import { spawn } from 'node:child_process'
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import asc from 'assemblyscript/asc'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const LANES = 2
const COPIED = ['src', 'test', 'merge-strategies', 'migrations', 'package.json', 'tsconfig.json', 'vitest.config.ts']
const ASSEMBLY = 'src/kernels/assembly/'

const lists = readdirSync(join(root, 'scripts', 'mutants')).sort()
const all = []
for (const name of lists)
  for (const { file, tests, rules, mutants } of (await import(join(root, 'scripts', 'mutants', name))).mutants)
    for (const [from, to, nth = 1] of mutants) all.push({ file, tests, rules, from, to, nth })
const wanted = all.filter(({ file, from, to }) => new RegExp(process.argv[2] ?? '').test(`${file} ${from} -> ${to}`))

function mutated({ file, from, to, nth }) {
  const parts = readFileSync(join(root, file), 'utf8').split(from)
  if (parts.length <= nth) throw new Error(`${file} has no ${nth}. "${from}": the list is out of date`)
  return parts.slice(0, nth).join(from) + to + parts.slice(nth).join(from)
}

async function compile(lane) {
  const options = '-O0 --runtime stub --noAssert --importMemory --enable simd'.split(' ')
  const wasm = join(lane, 'mutant.wasm')
  const { error, stderr } = await asc.main([
    'src/kernels/assembly/index.ts',
    '--baseDir',
    lane,
    '-o',
    'mutant.wasm',
    ...options,
  ])
  if (error) throw new Error(`${error.message}\n${stderr.toString()}`)
  const text = readFileSync(wasm).toString('base64')
  writeFileSync(
    join(lane, 'src/kernels/wasm-module.ts'),
    `export const WASM_SHA256 = ''\nexport const WASM_BASE64 = '${text}'\n`,
  )
}

function testsPass(lane, tests, rules) {
  const program = join(root, 'node_modules', 'vitest', 'vitest.mjs')
  const options = [
    'run',
    '--project=unit',
    '--bail=1',
    '--reporter=dot',
    ...(rules ? ['-t', rules.join('|')] : []),
    ...tests,
  ]
  return new Promise((resolve) => {
    let said = ''
    const run = spawn(process.execPath, [program, ...options], { cwd: lane })
    // a mutant may not come to an end
    const late = setTimeout(() => run.kill('SIGKILL'), 180_000)
    run.stdout.on('data', (more) => (said += more))
    run.on('close', (code) => {
      clearTimeout(late)
      if (said.includes('No test files found')) throw new Error(`no such tests: ${tests.join(' ')}`)
      resolve(code === 0)
    })
  })
}

const survivors = []
let next = 0
let turn = Promise.resolve()
async function work() {
  const lane = mkdtempSync(join(tmpdir(), 'tributary-mutants-'))
  try {
    for (const name of COPIED) cpSync(join(root, name), join(lane, name), { recursive: true })
    symlinkSync(join(root, 'node_modules'), join(lane, 'node_modules'))
    while (next < wanted.length) {
      const mutant = wanted[next++]
      const { file, tests, rules, from, to } = mutant
      const before = readFileSync(join(root, file), 'utf8')
      writeFileSync(join(lane, file), mutated(mutant))
      if (file.startsWith(ASSEMBLY)) await (turn = turn.then(() => compile(lane)))
      else cpSync(join(root, 'src/kernels/wasm-module.ts'), join(lane, 'src/kernels/wasm-module.ts'))
      const survived = await testsPass(lane, tests, rules)
      console.log(`${survived ? 'SURVIVED' : 'killed  '} ${file}: ${from} -> ${to}`)
      if (survived) survivors.push(mutant)
      writeFileSync(join(lane, file), before)
    }
  } finally {
    rmSync(lane, { recursive: true, force: true })
  }
}
await Promise.all(Array.from({ length: LANES }, work))
console.log(`${wanted.length} mutants, ${survivors.length} survived`)
process.exit(survivors.length > 0 ? 1 : 0)
