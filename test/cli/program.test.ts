import { readdirSync, readFileSync } from 'node:fs'
import { PassThrough, Writable } from 'node:stream'
import { describe, expect, test, vi } from 'vitest'
import { COMMANDS } from '../../src/cli/commands/index.ts'
import { asTributaryError, errorText, exitCodeOf } from '../../src/cli/errors.ts'
import { sinkOf, wantsColour } from '../../src/cli/io.ts'
import { VERSION } from '../../src/cli/version.ts'
import { ERROR_CODES, type ErrorCode, TributaryError } from '../../src/core/errors.ts'
import { makeStage } from './stage.ts'

const root = new URL('../../', import.meta.url)
const fileOf = (path: string) => readFileSync(new URL(path, root), 'utf8')
const sources = () =>
  readdirSync(new URL('src', root), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts'))
    .map((path) => fileOf(`src/${path}`))

describe('help', () => {
  test('[CLI-1] help opens nothing, goes to stdout and exits with 0', async () => {
    const stage = makeStage()
    expect(await stage.run('--help')).toBe(0)
    expect(stage.stdout()).toMatchSnapshot()
    expect(stage.stderr()).toBe('')
  })

  test.each(COMMANDS.map(({ name }) => name))('[CLI-1] %s has help with an example', async (name) => {
    const stage = makeStage()
    expect(await stage.run(name, '--help')).toBe(0)
    expect(stage.stdout()).toMatchSnapshot()
    expect(stage.stdout()).toContain(`Example:\n  tributary ${name}`)
    const again = makeStage()
    expect(await again.run('help', name)).toBe(0)
    expect(again.stdout()).toBe(stage.stdout())
  })

  test('[CLI-1] every line of help fits into 100 columns', async () => {
    for (const { name } of COMMANDS) {
      const stage = makeStage()
      await stage.run(name, '--help')
      const [help = ''] = stage.stdout().split('\nExample:')
      expect(help.split('\n').filter((line) => line.length > 100)).toEqual([])
    }
  })

  test('[CLI-1] the version is that of package.json', async () => {
    const stage = makeStage()
    expect(await stage.run('--version')).toBe(0)
    expect(stage.stdout()).toBe(`${VERSION}\n`)
    expect(VERSION).toBe((JSON.parse(fileOf('package.json')) as { version: string }).version)
  })

  test('[CLI-1] docs/cli.md has a section with an example for every command, and for no other', () => {
    const docs = fileOf('docs/cli.md')
    const sections = Array.from(docs.matchAll(/^### `tributary ([a-z]+)/gm), ([, name]) => name)
    expect(sections).toEqual(COMMANDS.map(({ name }) => name))
    for (const { name } of COMMANDS) expect(docs).toMatch(new RegExp(`^\\$ tributary ${name}\\b`, 'm'))
  })

  test('[CLI-1] docs/cli.md names every option of every command', async () => {
    const sections = fileOf('docs/cli.md').split(/^### /m)
    for (const entry of COMMANDS) {
      const { name } = entry
      const section = sections.find((text) => text.startsWith(`\`tributary ${name}`)) ?? ''
      const { options = [] } = await entry.load()
      const flags = options.map((option) => option.flags.split(' ')[0]!)
      const isShared = (flag: string) => ['--url', '--token-file'].includes(flag) && name !== 'up'
      expect(flags.filter((flag) => !isShared(flag) && !section.includes(flag))).toEqual([])
    }
  })

  /** Pages for people who run it; options of other programs in their examples are those of these lines. */
  const pages = [
    'docs/cli.md',
    'docs/http-api.md',
    'docs/operations.md',
    'docs/replication.md',
    'docs/threat-model.md',
    'docs/determinism.md',
  ]
  const FOREIGN =
    /\b(curl|rsync|npx vitest|node (scripts|benchmarks)|cp|sqlite3)\b|^ +-H |^ +--data-binary|--data-binary|--upload-file/

  test('[CLI-1] no page names an option or a variable of the environment that does not exist', async () => {
    const known = new Set(['--help', '--version', '--json'])
    for (const entry of COMMANDS)
      for (const { flags } of (await entry.load()).options ?? []) known.add(/--[a-z-]+/.exec(flags)![0])
    const variables = new Set(sources().flatMap((text) => text.match(/TRIBUTARY_[A-Z_]+/g) ?? []))
    for (const page of [...pages, 'README.md', 'SECURITY.md']) {
      const text = fileOf(page)
      const lines = text.split('\n').filter((line) => !FOREIGN.test(line))
      const named = lines.flatMap((line) => line.match(/(?<![\w-])--[a-z][a-z-]+/g) ?? [])
      expect([page, named.filter((flag) => !known.has(flag))]).toEqual([page, []])
      const told = text.match(/TRIBUTARY_[A-Z_]+/g) ?? []
      expect([page, told.filter((name) => !variables.has(name))]).toEqual([page, []])
    }
    const documented = new Set(pages.flatMap((page) => fileOf(page).match(/TRIBUTARY_[A-Z_]+/g) ?? []))
    expect([...variables].filter((name) => !documented.has(name))).toEqual([])
  })
})

describe('usage', () => {
  test.each([
    ['nothing', []],
    ['an unknown command', ['frobnicate']],
    ['a command that does not exist yet', ['search']],
    ['an unknown option', ['ls', '--frob']],
    ['an option of a later version', ['plan', 'x', '--sketch']],
    ['a missing argument', ['merge', '--out', 'x']],
    ['a missing option', ['merge', 'recipe.yml']],
    ['an empty option', ['merge', 'recipe.yml', '--out', '']],
    ['too many arguments', ['digest', 'a', 'b']],
    ['an unknown choice', ['spaces', 'destroy', 'x']],
    ['a port that is none', ['up', '--port', 'eighty']],
    ['an address that is none', ['ls', '--url', 'nowhere']],
  ])('[CLI-2] %s is a usage error, exit 2', async (_, argv) => {
    const stage = makeStage()
    expect(await stage.run(...argv)).toBe(2)
    expect(stage.stdout()).toBe('')
    expect(stage.stderr()).toMatchSnapshot()
  })

  test.each([
    [['pus'], 'did you mean push?'],
    [['push', 'x', '--spac', 's'], 'did you mean --space?'],
    [['merge', 'r.yml', '--aut', 'd'], 'did you mean --out?'],
  ])('[CLI-2] %j: %s', async (argv, hint) => {
    const stage = makeStage()
    expect(await stage.run(...argv)).toBe(2)
    expect(stage.stderr()).toContain(`help: ${hint}\n`)
  })
})

describe('failures', () => {
  const failing = (error: unknown) =>
    makeStage({
      local: {
        inspectPath: async () => {
          throw error
        },
      },
    })

  test.each<[ErrorCode, number]>([
    ['SHAPE_MISMATCH', 1],
    ['INTERNAL', 1],
    ['AUDIT_INPUTS_MISSING', 1],
    ['USAGE', 2],
    ['CONFIG_INVALID', 2],
    ['TOO_MANY_REQUESTS', 5],
    ['AUDIT_FAILED', 3],
    ['DIGEST_MISMATCH', 3],
    ['RECEIPT_INVALID', 3],
    ['UNAUTHORIZED', 4],
    ['NOT_ALLOWED', 4],
    ['HOST_REFUSED', 4],
    ['NETWORK', 5],
    ['SERVER_STOPPING', 5],
    ['INTERRUPTED', 130],
  ])('[CLI-3] %s ends with exit code %i', async (code, exitCode) => {
    expect(await failing(new TributaryError(code, 'what happened')).run('inspect', 'x')).toBe(exitCode)
  })

  test('[CLI-3] no code of the list ends with another exit code than those documented', () => {
    const codes = new Set(ERROR_CODES.map(exitCodeOf))
    expect([...codes].sort((a, b) => a - b)).toEqual([1, 2, 3, 4, 5, 130])
  })

  const full = new TributaryError('SHAPE_MISMATCH', '2 tensors differ', {
    details: { tensors: Array.from({ length: 10 }, (_, i) => `t${i}`), wanted: '[2, 2]', count: 2 },
    pointer: '/inputs/0',
    hint: 'say mismatch: exclude',
  })

  test('[CLI-4] an error says what happened, its facts, and what to do', async () => {
    const stage = failing(full)
    await stage.run('inspect', 'x')
    expect(stage.stderr()).toMatchInlineSnapshot(`
      "error[SHAPE_MISMATCH]: 2 tensors differ
        = at: /inputs/0
        = tensors: t0
        = tensors: t1
        = tensors: t2
        = tensors: t3
        = tensors: t4
        = tensors: t5
        = tensors: t6
        = tensors: t7
        = tensors: and 2 more
        = wanted: [2, 2]
        = count: 2
      help: say mismatch: exclude
      "
    `)
  })

  test('[CLI-4] with --json an error is one line of JSON on stderr, and nothing else is', async () => {
    const stage = failing(full)
    expect(await stage.run('inspect', 'x', '--json')).toBe(1)
    expect(stage.stdout()).toBe('')
    const lines = stage.stderr().trimEnd().split('\n')
    expect(lines).toHaveLength(1)
    expect(JSON.parse(lines[0]!)).toEqual({
      error: {
        code: 'SHAPE_MISMATCH',
        message: '2 tensors differ',
        hint: 'say mismatch: exclude',
        pointer: '/inputs/0',
        details: full.details,
        exit_code: 1,
      },
    })
    const before = failing(full)
    expect(await before.run('--json', 'inspect', 'x')).toBe(1)
    expect(before.stderr()).toBe(stage.stderr())
  })

  test('[CLI-4] a bug is told without its stack', async () => {
    const stage = failing(new TypeError('x is not a function'))
    expect(await stage.run('inspect', 'x')).toBe(1)
    expect(stage.stderr()).toBe(
      'error[INTERNAL]: a bug in tributary: x is not a function\nhelp: please report it, with the command and this line\n',
    )
  })

  test.each([
    ['ENOENT', 'FILE_NOT_FOUND'],
    ['EACCES', 'STORAGE_FAILED'],
    ['ENOSPC', 'DISK_FULL'],
    ['EISDIR', 'STORAGE_FAILED'],
    ['EWHATEVER', 'INTERNAL'],
  ])('[CLI-4] the system error %s is told as %s, with its path', (code, known) => {
    const told = asTributaryError(Object.assign(new Error(`${code}: a/b`), { code, path: 'a/b' }))
    expect(told.code).toBe(known)
    expect(told.message).toContain('a/b')
    expect(told.hint).toBeDefined()
  })

  test('[CLI-5] control characters of others are escaped in errors and JSON', async () => {
    const evil = new TributaryError('INTERNAL', 'a\u001b[2Jb\nhelp: rm -rf\r\u202e\u009b', {
      details: { 'x\u0007': 'y\u001b' },
    })
    const text = errorText(evil, { json: false, colour: false })
    expect(text).toBe('error[INTERNAL]: a\\u001b[2Jb\n  = help: rm -rf\\u000d\\u202e\\u009b\n  = x\\u0007: y\\u001b\n')
    const json = errorText(evil, { json: true, colour: false })

    expect(json.trimEnd()).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202e]/)
    expect((JSON.parse(json) as { error: { message: string } }).error.message).toBe(evil.message)
  })

  test('[CLI-6] colour only on a terminal, and as NO_COLOR and FORCE_COLOR say', () => {
    const on = (isTTY: boolean, env: Record<string, string>) => wantsColour(makeStage({ isTTY, env }).io)
    expect(on(true, {})).toBe(true)
    expect(on(false, {})).toBe(false)
    expect(on(true, { NO_COLOR: '1' })).toBe(false)
    expect(on(true, { TERM: 'dumb' })).toBe(false)
    expect(on(false, { FORCE_COLOR: '1' })).toBe(true)
    expect(on(false, { FORCE_COLOR: '1', NO_COLOR: '1' })).toBe(false)
    expect(errorText(new TributaryError('USAGE', 'm', { hint: 'h' }), { json: false, colour: true })).toBe(
      '\u001b[1;31merror[USAGE]\u001b[0m: m\n\u001b[1mhelp\u001b[0m: h\n',
    )
  })
})

describe('streams', () => {
  const failingWith = (code: string) =>
    new Writable({
      write: (_chunk, _encoding, done) => done(Object.assign(new Error(code), { code })),
    })

  test('[CLI-7] a reader that has gone is no failure, and nothing more is written to it', async () => {
    const stream = failingWith('EPIPE')
    const write = vi.spyOn(stream, 'write')
    const sink = sinkOf(stream)
    sink.write('one')
    await new Promise((resolve) => setImmediate(resolve))
    expect(() => sink.write('two')).not.toThrow()
    await new Promise((resolve) => setImmediate(resolve))
    expect(stream.errored).toMatchObject({ code: 'EPIPE' })
    expect(write).toHaveBeenCalledTimes(1)
  })

  test('[CLI-7] any other failure of stdout is told', () => {
    const stream = new PassThrough()
    sinkOf(stream)
    expect(() => stream.emit('error', Object.assign(new Error('no space'), { code: 'ENOSPC' }))).toThrow('no space')
  })
})
