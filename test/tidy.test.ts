/** House rules that no linter knows. Each failure lists the offenders, so that the message is the to-do list. */
import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { ERROR_CODES } from '../src/core/errors.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const SKIPPED = new Set(['node_modules', 'dist', 'vectors', 'out', '__pycache__'])

/** Paths below these folders, relative to the project, that end in one of the given ways. */
function filesIn(folders: readonly string[], ...endings: readonly string[]): string[] {
  const found: string[] = []
  const walk = (folder: string): void => {
    for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
      if (SKIPPED.has(entry.name)) continue
      const path = `${folder}/${entry.name}`
      if (entry.isDirectory()) walk(path)
      else if (endings.some((ending) => path.endsWith(ending))) found.push(path)
    }
  }
  for (const folder of folders) if (existsSync(join(root, folder))) walk(folder)
  return found.sort()
}

const read = (path: string): string => readFileSync(join(root, path), 'utf8')
/** `path:line: text` of each line that a check objects to. */
const linesWhere = (paths: readonly string[], objects: (line: string, before: string) => boolean): string[] =>
  paths.flatMap((path) =>
    read(path)
      .split('\n')
      .flatMap((line, i, all) => (objects(line, all[i - 1] ?? '') ? [`${path}:${i + 1}: ${line.trim()}`] : [])),
  )

const SOURCE = filesIn(['src', 'merge-strategies'], '.ts')
const PROGRAMS = filesIn(['src', 'merge-strategies', 'scripts', 'benchmarks', 'examples'], '.ts', '.mjs')
const TESTS = filesIn(['test'], '.ts')
const PROSE = [
  ...filesIn(['docs', 'examples'], '.md', '.yml', '.yaml'),
  ...readdirSync(root).filter((name) => /\.md$|^Dockerfile$/.test(name)),
]
const THIS = 'test/tidy.test.ts'

/** Files of more than 350 lines, and why each may be. Tables, schemas and state machines may be long; control flow may not. */
const LONG: Readonly<Record<string, string>> = {
  'src/kernels/wasm-module.ts': 'generated: the compiled kernels as text',
}

/** Codes that the list of errors keeps a place for and nothing raises yet. It only ever gets shorter. */
const NOT_RAISED_YET: readonly string[] = []

const rulesIn = (text: string, pattern: RegExp): Set<string> =>
  new Set(Array.from(text.matchAll(pattern), ([, id]) => id!))
const written = rulesIn(read('SPEC.md'), /^- \*\*([A-Z]{2,5}-\d+)\*\* /gm)

test('[HOU-1] each rule of SPEC.md has a test, and each rule that a test quotes is in SPEC.md', () => {
  const names = TESTS.flatMap((path) => read(path).match(/['"`](\[[A-Z]{2,5}-\d+\][ '"`])+/g) ?? [])
  const quoted = rulesIn(names.join('\n'), /\[([A-Z]{2,5}-\d+)\]/g)
  expect([...written].filter((id) => !quoted.has(id)).map((id) => `${id} has no test`)).toEqual([])
  expect([...quoted].filter((id) => !written.has(id)).map((id) => `${id} is not in SPEC.md`)).toEqual([])
})

test('[HOU-1] no rule of SPEC.md is numbered twice', () => {
  const all = Array.from(read('SPEC.md').matchAll(/^- \*\*(.+?)\*\*/gm), ([, id]) => id!)
  expect(all.filter((id, i) => all.indexOf(id) !== i)).toEqual([])
  expect(all.filter((id) => !written.has(id))).toEqual([])
})

/** A test inside a `describe` that begins with a rule has that rule at the front of its whole name. */
function unruled(path: string): string[] {
  const open: { indent: number; ruled: boolean }[] = []
  return read(path)
    .split('\n')
    .flatMap((line, i) => {
      const [, indent, word] = /^(\s*)(describe\b|(?:test|it)(?:\.\w+)?\(\s*(?=['"`]))/.exec(line) ?? []
      if (indent === undefined || word === undefined) return []
      while ((open.at(-1)?.indent ?? -1) >= indent.length) open.pop()
      const ruled = open.at(-1)?.ruled === true || /['"`](\[[A-Z]{2,5}-\d+\] |\$\{rule\} )/.test(line)
      if (word === 'describe') open.push({ indent: indent.length, ruled })
      return ruled || word === 'describe' ? [] : [`${path}:${i + 1}: ${line.trim()}`]
    })
}

test('[HOU-1] the name of a test begins with the rule that it holds', () => {
  expect(TESTS.filter((path) => path.endsWith('.test.ts')).flatMap(unruled)).toEqual([])
})

test('[HOU-2] error codes are distinct and in upper case', () => {
  expect(new Set(ERROR_CODES).size).toBe(ERROR_CODES.length)
  expect(ERROR_CODES.filter((code) => !/^[A-Z]+(_[A-Z]+)*$/.test(code))).toEqual([])
})

test('[HOU-2] each error code is raised somewhere, or waits on a list that only gets shorter', () => {
  const code = [...SOURCE, ...filesIn(['src'], '.js', '.mjs')]
    .filter((path) => path !== 'src/core/errors.ts')
    .map(read)
    .join('\n')
  const silent = ERROR_CODES.filter((one) => !code.includes(`'${one}'`))
  expect(silent.filter((one) => !NOT_RAISED_YET.includes(one)).map((one) => `${one} is never raised`)).toEqual([])
  const stale = NOT_RAISED_YET.filter((one) => !(silent as string[]).includes(one))
  expect(stale.map((one) => `${one} is raised by now: take it off the list`)).toEqual([])
})

test('[HOU-3] no module is longer than 350 lines without a reason', () => {
  const long = SOURCE.filter((path) => read(path).trimEnd().split('\n').length > 350)
  expect(long.filter((path) => !LONG[path])).toEqual([])
  expect(Object.keys(LONG).filter((path) => !long.includes(path))).toEqual([])
})

test('[HOU-3] no file is called after what it is not', () => {
  const vague = /^(utils?|helpers?|common|misc|shared|manager|stuff)\b/
  expect([...PROGRAMS, ...TESTS].filter((path) => vague.test(basename(path)))).toEqual([])
})

test('[HOU-3] each module opens with a comment', () => {
  const opens = /^(#!.*\n)?\s*(\/\*\*|\/\/)/
  const modules = [...PROGRAMS, ...TESTS.filter((path) => !path.endsWith('.test.ts'))]
  expect(modules.filter((path) => !opens.test(read(path)))).toEqual([])
})

test('[HOU-4] nothing is left for later in the code', () => {
  const later = /\b(TODO|FIXME|XXX|HACK)\b/
  expect(
    linesWhere(
      [...PROGRAMS, ...TESTS].filter((path) => path !== THIS),
      (line) => later.test(line),
    ),
  ).toEqual([])
})

test('[HOU-4] no test is singled out, and none is skipped without a reason beside it', () => {
  const tests = TESTS.filter((path) => path !== THIS)
  expect(linesWhere(tests, (line) => /\b(test|it|describe)\.only\b/.test(line))).toEqual([])
  const bare = (line: string, before: string) =>
    /\b(test|it|describe)\.(skip|todo|skipIf|runIf)\b/.test(line) &&
    !line.includes('// ') &&
    !/^\s*(\/\/|\*)/.test(before)
  expect(linesWhere(tests, bare)).toEqual([])
})

test('[HOU-5] no file names a path of a machine', () => {
  const machine = /(^|[\s'"`(=])\/(home|Users|root|work|tmp|private)\/\w/
  const all = [...PROGRAMS, ...TESTS, ...filesIn(['test', 'merge-strategies'], '.py'), ...PROSE]
  expect(
    linesWhere(
      all.filter((path) => path !== THIS),
      (line) => machine.test(line),
    ),
  ).toEqual([])
})

test('[HOU-6] merge-strategies/index.ts lists the strategies that are there', () => {
  const check = () => execFileSync(process.execPath, ['scripts/generate-strategy-index.mjs', '--check'], { cwd: root })
  expect(check).not.toThrow()
})
