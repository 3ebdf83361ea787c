/** What V8 compiled of the program when it was built: used where it fits, and missed by nobody where it does not. */
import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import type { LocalMerge } from '../../src/operations/local/local-operations.ts'
import { compiledPath } from '../../src/parts.ts'
import { cleanEnvironment, PROGRAM } from '../support/product.ts'
import { temporaryDirectory } from '../support/temp-dir.ts'

/** Has every thread tell of each script whether V8 took what was compiled of it. */
const TELL = `data:text/javascript,${encodeURIComponent(
  `import vm from 'node:vm'
   import { writeSync } from 'node:fs'
   import { syncBuiltinESMExports } from 'node:module'
   vm.Script = class extends vm.Script {
     constructor(code, options) {
       super(code, options)
       writeSync(2, 'script ' + this.cachedDataRejected + ' ' + options.filename + '\\n')
     }
   }
   syncBuiltinESMExports()`,
)}`

async function aRecipe(): Promise<string> {
  const folder = await temporaryDirectory()
  const header = Buffer.from('{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}')
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(header.length))
  for (const [name, value] of Object.entries({ a: 1, b: 3 })) {
    mkdirSync(join(folder, name))
    const bytes = Buffer.from(Float32Array.of(value, value).buffer)
    writeFileSync(join(folder, name, 'model.safetensors'), Buffer.concat([length, header, bytes]))
  }
  writeFileSync(join(folder, 'recipe.yml'), 'tributary: 1\nstrategy: linear\nweights: [[a, 1], [b, 1]]\n')
  return folder
}

function merge(folder: string, program: string, ...flags: readonly string[]) {
  rmSync(join(folder, 'out'), { recursive: true, force: true })
  const args = [...flags, '--import', TELL, program, 'merge', 'recipe.yml', '--out', 'out', '--json']
  const ended = spawnSync(process.execPath, args, {
    cwd: folder,
    env: cleanEnvironment(join(folder, '.cache')),
    encoding: 'utf8',
  })
  expect(ended.status, ended.stderr).toBe(0)
  const lines = ended.stderr.trim().split('\n')
  const told = Array.from(ended.stderr.matchAll(/^script (\w+) .*[\\/](.+)$/gm), ([, rejected, file]) => ({
    rejected,
    file: file!.replace(/-[\w-]{8}[.]cjs$/, ''),
  }))
  expect(lines.length, ended.stderr).toBe(told.length) // and nothing else is said
  return { told, content: (JSON.parse(ended.stdout) as LocalMerge).content }
}

test('[CLI-46] a merge runs what V8 compiled when the program was built, in every thread', async () => {
  const { told } = merge(await aRecipe(), PROGRAM)
  expect(told.filter(({ rejected }) => rejected !== 'false')).toEqual([])
  expect(told.map(({ file }) => file)).toEqual(
    expect.arrayContaining(['command-line.cjs', 'part-program', 'part-local', 'merge-worker.cjs']),
  )
})

test('[CLI-46] another version of Node does the same without it', async () => {
  const folder = await aRecipe()
  const other = `data:text/javascript,Object.defineProperty(process, 'version', { value: 'v20.0.0' })`
  const { told, content } = merge(folder, PROGRAM, '--import', other)
  expect(new Set(told.map(({ rejected }) => rejected))).toEqual(new Set(['undefined']))
  expect(content).toBe(merge(folder, PROGRAM).content)
})

test('[CLI-46] with other flags, and where it is missing or damaged, the program does the same', async () => {
  const folder = await aRecipe()
  const { content } = merge(folder, PROGRAM)
  const flagged = merge(folder, PROGRAM, '--max-old-space-size=1000')
  expect(flagged.content).toBe(content)
  expect(new Set(flagged.told.map(({ rejected }) => rejected))).toEqual(new Set(['true']))

  const copy = join(folder, 'copy')
  cpSync(join(dirname(PROGRAM), '..'), join(copy, 'dist'), { recursive: true })
  const parts = join(copy, 'dist/src')
  const compiled = readdirSync(parts).filter((file) => file.endsWith(compiledPath('.cjs')))
  expect(compiled.length).toBeGreaterThan(4)
  compiled.forEach((file, i) => {
    const path = join(parts, file)
    if (i % 3 === 0) rmSync(path)
    if (i % 3 === 1) truncateSync(path, 100)
    if (i % 3 !== 2) return
    const bytes = readFileSync(path)
    bytes[bytes.length >> 1]! ^= 0x10
    writeFileSync(path, bytes)
  })
  const damaged = merge(folder, join(parts, 'main.cjs'))
  expect(damaged.content).toBe(content)
  expect(new Set(damaged.told.map(({ rejected }) => rejected))).toEqual(new Set(['undefined']))
})
