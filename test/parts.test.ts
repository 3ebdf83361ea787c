/** Parts of the built program, loaded from files: each once, with those it requires, whatever lies beside them. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Script } from 'node:vm'
import { describe, expect, test } from 'vitest'
import { compiledPath, keepCompiled, partsIn } from '../src/parts.ts'
import { temporaryDirectory } from './support/temp-dir.ts'

async function folderOf(parts: Readonly<Record<string, string>>): Promise<string> {
  const folder = await temporaryDirectory()
  for (const [file, text] of Object.entries(parts)) writeFileSync(join(folder, file), text)
  return folder
}

test('[CLI-46] a part is loaded once, with its own place and what it requires', async () => {
  const folder = await folderOf({
    'a.cjs':
      "exports.b = require('./b.cjs'); exports.place = [__filename, __dirname]; exports.join = require('node:path').join",
    'b.cjs': 'exports.times = globalThis.timesLoaded = (globalThis.timesLoaded ?? 0) + 1 // as the last line',
  })
  const load = partsIn(folder)
  expect(load('a')).toEqual({ b: { times: 1 }, place: [join(folder, 'a.cjs'), folder], join })
  expect(load('b')).toEqual({ times: 1 })
})

test('[CLI-46] parts may require each other, and see what is there by then', async () => {
  const folder = await folderOf({
    'a.cjs': "exports.early = 1; exports.b = require('./b.cjs').seen; exports.late = 2",
    'b.cjs': "exports.seen = Object.keys(require('./a.cjs'))",
  })
  expect(partsIn(folder)('a')).toEqual({ early: 1, b: ['early'], late: 2 })
})

test('[CLI-46] an error in a part names the file and the line', async () => {
  const folder = await folderOf({ 'a.cjs': "'use strict'\nexports.fail = () => {\n  throw new Error('no')\n}" })
  const { fail } = partsIn(folder)('a') as { fail: () => void }
  let stack = ''
  try {
    fail()
  } catch (error) {
    stack = (error as Error).stack ?? ''
  }
  expect(stack).toContain(`${join(folder, 'a.cjs')}:3:9`)
})

describe('what V8 compiled of a part', () => {
  const TEXT = 'exports.one = 1'
  /** As the part would be, of this text. */
  const scriptOf = (text: string) =>
    new Script(`(function (exports, require, module, __filename, __dirname) {${text}\n})`, { filename: 'a.cjs' })

  test('[CLI-46] runs in its place', async () => {
    const folder = await folderOf({ 'a.cjs': TEXT })
    // V8 compares the lengths of texts alone, so this tells whose code runs
    keepCompiled(join(folder, 'a.cjs'), scriptOf('exports.one = 2'))
    expect(partsIn(folder)('a')).toEqual({ one: 2 })
  })

  test('[CLI-46] is passed over where it is damaged in any place, is cut off or was of another text', async () => {
    const folder = await folderOf({ 'a.cjs': TEXT })
    const path = join(folder, 'a.cjs')
    keepCompiled(path, scriptOf('exports.one = 2'))
    const good = readFileSync(compiledPath(path))
    const damaged = Array.from({ length: 40 }, (_, i) => {
      const bytes = Uint8Array.from(good)
      bytes[Math.floor((i * good.length) / 40)]! ^= 1 << (i % 8)
      return bytes
    })
    const cut = [0, 3, 32, 33, good.length - 1].map((end) => good.subarray(0, end))
    for (const bytes of [...damaged, ...cut, new Uint8Array(4096)]) {
      writeFileSync(compiledPath(path), bytes)
      expect(partsIn(folder)('a')).toEqual({ one: 1 })
    }
    writeFileSync(compiledPath(path), good)
    writeFileSync(path, 'exports.one = 3')
    expect(partsIn(folder)('a')).toEqual({ one: 3 })
  })
})
