/**
 * The parts of the built program: each a file of CommonJS, and beside it what V8 compiled of it when the program was built,
 * which takes a fifth of the time to load. V8 looks at its flags itself, and at no more: damaged code it would run.
 */
import { createHash } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { Script } from 'node:vm'

const MACHINE = `${process.version} ${process.platform} ${process.arch}`
const DIGEST_BYTES = 32

export const compiledPath = (path: string): string => `${path}.compiled`

const digestOf = (code: Uint8Array, compiled: Uint8Array): Buffer =>
  createHash('sha256').update(MACHINE).update(code).update(compiled).digest()

type Require = (id: string) => unknown
type Body = (exports: object, require: Require, module: object, filename: string, folder: string) => void

/** Answers what loads a part of this folder by its name, with those that it requires, each once. */
export function partsIn(folder: string): (name: string) => unknown {
  const outside = createRequire(join(folder, 'parts.cjs'))
  const loaded = new Map<string, { readonly exports: object }>()

  const load = (file: string): object => {
    const known = loaded.get(file)
    if (known) return known.exports
    const path = join(folder, file)
    const body = scriptOf(path).runInThisContext() as Body
    const module = { exports: {} }
    loaded.set(file, module) // before it runs: parts may require each other
    body.call(module.exports, module.exports, require, module, path, folder)
    return module.exports
  }
  const require: Require = (id) => (id.startsWith('./') ? load(id.slice(2)) : outside(id))
  return (name) => load(`${name}.cjs`)
}

function scriptOf(path: string): Script {
  const code = readFileSync(path)
  const cachedData = recall(path, code)
  return new Script(`(function (exports, require, module, __filename, __dirname) {${code.toString()}\n})`, {
    filename: path,
    ...(cachedData && { cachedData }),
  })
}

/** What V8 compiled of exactly this code, for this machine. */
function recall(path: string, code: Uint8Array): Buffer | undefined {
  try {
    const bytes = readFileSync(compiledPath(path))
    const compiled = bytes.subarray(DIGEST_BYTES)
    return digestOf(code, compiled).equals(bytes.subarray(0, DIGEST_BYTES)) ? compiled : undefined
  } catch {
    return undefined
  }
}

/** For the next time that the part of this path is loaded. */
export function keepCompiled(path: string, script: Script): void {
  const compiled = script.createCachedData()
  writeFileSync(compiledPath(path), Buffer.concat([digestOf(readFileSync(path), compiled), compiled]))
}
