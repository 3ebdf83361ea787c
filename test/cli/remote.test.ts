import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { temporaryDirectory } from '../support/temp-dir.ts'
import { contribution, id, peer, routes, space } from './answers.ts'
import { type Answer, fakeReplica, makeStage, problem } from './stage.ts'
import { run, sent } from './one-run.ts'

describe('the client', () => {
  test('[CLI-14] the token of the environment or of a file goes out as bearer, and is never printed', async () => {
    const directory = await temporaryDirectory()
    const file = join(directory, 'token')
    await writeFile(file, 'file-token-0123456789\n')
    const replica = await fakeReplica(() => problem(401, 'UNAUTHORIZED', 'no such token', { hint: 'ask the operator' }))
    const env = { TRIBUTARY_URL: replica.url, TRIBUTARY_TOKEN: 'env-token-0123456789' }
    const stage = makeStage({ env })
    expect(await stage.run('ls')).toBe(4)
    expect(await stage.run('ls', '--token-file', file)).toBe(4)
    expect(await makeStage({ env: { ...env, TRIBUTARY_TOKEN: '', TRIBUTARY_TOKEN_FILE: file } }).run('ls')).toBe(4)
    expect(replica.requests.map(({ headers }) => headers.authorization)).toEqual([
      'Bearer env-token-0123456789',
      'Bearer file-token-0123456789',
      'Bearer file-token-0123456789',
    ])
    expect(stage.stderr()).toContain('error[UNAUTHORIZED]: no such token\nhelp: ask the operator\n')
    expect(stage.stdout() + stage.stderr()).not.toMatch(/token-0123456789/)
  })

  test('[CLI-14] a token that is none, or an address with a password, is refused without repeating it', async () => {
    const stage = makeStage({ env: { TRIBUTARY_TOKEN: 'two words\n' } })
    expect(await stage.run('ls')).toBe(2)
    expect(await stage.run('ls', '--url', 'http://me:geheim@127.0.0.1:1')).toBe(2)
    expect(stage.stderr()).not.toMatch(/two words|geheim/)
    expect(stage.stderr()).toMatchSnapshot()
  })

  test('[CLI-14] a redirect is not followed: the token stays', async () => {
    const other = await fakeReplica(() => ({ json: { items: [] } }))
    const replica = await fakeReplica(() => ({ status: 307, headers: { location: `${other.url}/v1/spaces` } }))
    const stage = makeStage({ env: { TRIBUTARY_URL: replica.url, TRIBUTARY_TOKEN: 'env-token-0123456789' } })
    expect(await stage.run('ls')).toBe(5)
    expect(other.requests).toEqual([])
    expect(stage.stderr()).toContain('give the address of the replica itself')
  })

  test('[CLI-15] a problem comes back with its code, words, facts and hint', async () => {
    const replica = await fakeReplica(() =>
      problem(409, 'SPACE_NAME_AMBIGUOUS', 'two spaces are called med', {
        details: { ids: ['a', 'b'] },
        hint: 'use an id',
      }),
    )
    const stage = makeStage({ env: { TRIBUTARY_URL: replica.url } })
    expect(await stage.run('ls', 'med')).toBe(1)
    expect(stage.stderr()).toBe(
      'error[SPACE_NAME_AMBIGUOUS]: two spaces are called med\n  = ids: a\n  = ids: b\nhelp: use an id\n',
    )
  })

  test.each<[string, Answer, number, string]>([
    ['403 without a reason', { status: 403, body: 'no' }, 4, 'NOT_ALLOWED'],
    ['401 without a reason', { status: 401 }, 4, 'UNAUTHORIZED'],
    ['a code of a later version', problem(422, 'BRAND_NEW', 'something new'), 1, 'REQUEST_INVALID'],
    ['a refusal of a later version', problem(403, 'BRAND_NEW', 'something new'), 4, 'NOT_ALLOWED'],
    ['a stopping replica', problem(503, 'SERVER_STOPPING', 'it stops'), 5, 'SERVER_STOPPING'],
    ['a proxy', { status: 502, body: '<html>Bad gateway</html>' }, 5, 'NETWORK'],
    ['a web page', { body: '<html>Welcome</html>' }, 5, 'NETWORK'],
    ['another service', { json: { hello: 'world' } }, 5, 'NETWORK'],
    ['a cut connection', { headers: { 'content-length': '500' }, body: '{"items":[', cut: true }, 5, 'NETWORK'],
  ])('[CLI-15] %s is told by name, with the exit code for it', async (_, answer, exitCode, code) => {
    const replica = await fakeReplica(() => answer)
    const stage = makeStage({ env: { TRIBUTARY_URL: replica.url } })
    expect(await stage.run('ls')).toBe(exitCode)
    expect(stage.stderr()).toMatch(new RegExp(`^error\\[${code}\\]: .+\n`))
    expect(stage.stdout()).toBe('')
  })

  test('[CLI-15] nobody listening is a network error that says how to start a replica', async () => {
    // a port that was free a moment ago: fetch itself refuses some low ones
    const { createServer } = await import('node:net')
    const server = createServer().listen(0, '127.0.0.1')
    await new Promise((resolve) => server.once('listening', resolve))
    const { port } = server.address() as { port: number }
    await new Promise((resolve) => server.close(resolve))
    const stage = makeStage()
    expect(await stage.run('status', '--url', `http://127.0.0.1:${port}/`)).toBe(5)
    expect(stage.stderr()).toBe(
      `error[NETWORK]: http://127.0.0.1:${port}: nothing listens there\nhelp: start a replica with \`tributary up\`, or name another with --url\n`,
    )
  })
})

describe('looking at a replica', () => {
  const lists = routes({
    'GET /v1/spaces': { json: { items: [space] } },
    'GET /v1/spaces/med/contributions': {
      json: {
        items: [
          contribution({ license: 'mit\u001b[2J', tags: ['a', 'b'], here: false }),
          contribution({ id: id('4'), conflict: true }),
        ],
      },
    },
    'GET /v1/spaces/med/merges': {
      json: {
        items: [{ id: id('a'), state: 'running', root: id('f'), bytes_done: 30, bytes_total: 100, created_at: 'then' }],
        next_cursor: 'n&2',
      },
    },
    'GET /v1/spaces/med/merges?cursor=n%262': {
      json: {
        items: [{ id: id('b'), state: 'done', root: id('f'), bytes_done: 0, bytes_total: 0, created_at: 'now' }],
      },
    },
    'GET /readyz': { json: { ready: true, checks: { database: 'ok' } } },
    'GET /v1/peers': { json: { replica: id('e'), items: [peer] } },
    [`GET /v1/spaces/${space.id}/merges`]: { json: { items: [] } },
  })

  test.each([[['ls']], [['ls', 'med']], [['ls', 'med', '--merges']]])('[CLI-16] %j', async (argv) => {
    const replica = await fakeReplica(lists)
    const stage = makeStage({ env: { TRIBUTARY_URL: replica.url } })
    expect(await stage.run(...argv)).toBe(0)
    expect(stage.stdout()).toMatchSnapshot()
  })

  test('[CLI-16] status tells readiness and roots; a replica that is not ready exits with 1', async () => {
    const replica = await fakeReplica(lists)
    const stage = makeStage()
    expect(await stage.run('status', '--url', replica.url, '--json')).toBe(0)
    expect(stage.json()).toEqual({
      url: replica.url,
      replica: id('e'),
      ready: true,
      checks: { database: 'ok' },
      spaces: [space],
      peers: [peer],
    })
    const people = makeStage()
    expect(await people.run('status', '--url', replica.url)).toBe(0)
    expect(people.stdout()).toContain(`\nkey      ${id('e')}\n`)
    expect(people.stdout()).toMatch(
      /^PEER +STATE +IN SYNC +NOTES\nhttp:..other:8420 +linked +1 space of 2 not +offers 1 space$/m,
    )
    const ill = await fakeReplica(
      routes({ 'GET /readyz': { status: 503, json: { ready: false, checks: { database: 'ok', disk: 'full' } } } }),
    )
    const other = makeStage()
    expect(await other.run('status', '--url', ill.url)).toBe(1)
    expect(other.stdout()).toBe(`replica  ${ill.url}\nready    no\ndisk     full\n`)
  })

  const until = async (isSo: () => boolean) => {
    while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 10)) // asks again; the test's own limit ends it
  }
  const told = (event: string, data: object) => `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`

  test('[CLI-41] status --watch tells each change once, as events tell of it, until it is stopped', async () => {
    const merge = { space: space.id, merge: id('a'), state: 'running', bytes_done: 50, bytes_total: 100 }
    let go = (): void => undefined
    const end = new Promise<void>((resolve) => (go = resolve))
    const replica = await fakeReplica((request) =>
      request.path === '/v1/events'
        ? { body: `: watching\n\n${told('merge', merge)}${told('odd', {})}event: space\ndata: {\n\n`, cut: () => end }
        : lists(request),
    )
    const stage = makeStage()
    const running = stage.run('status', '--watch', '--url', replica.url, '--json')
    await until(() => stage.stdout().includes('"event":"merge"'))
    stage.interrupt()
    expect(await running).toBe(0)
    go()
    const lines = stage.stdout().trimEnd().split('\n')
    expect(lines.map((line) => (JSON.parse(line) as { event: string }).event).sort()).toEqual(
      ['merge', 'peer', 'ready', 'space'], // each once
    )
    expect(stage.stdout()).toContain('"bytes_done":50')
    expect(stage.stderr()).toBe('')
  })

  test('[CLI-41] how a merge ended is told, once', async () => {
    const merge = { space: space.id, merge: id('a'), state: 'done', bytes_done: 100, bytes_total: 100 }
    const running = {
      id: id('a'),
      state: 'running',
      root: id('f'),
      bytes_done: 30,
      bytes_total: 100,
      created_at: 'then',
    }
    let looks = 0
    const replica = await fakeReplica((request) => {
      if (request.path === `/v1/spaces/${space.id}/merges`) return { json: { items: [running] } }
      if (request.path === '/v1/peers') looks++
      // told after the first look, and never again
      if (request.path === '/v1/events' && looks < 9) return { body: told('merge', merge) }
      return lists(request)
    })
    const stage = makeStage()
    const watching = stage.run('status', '--watch', '--url', replica.url)
    await until(() => stage.stdout().includes('  done  ') && looks > 2)
    stage.interrupt()
    expect(await watching).toBe(0)
    const lines = stage
      .stdout()
      .split('\n')
      .filter((line) => line.startsWith('merge'))
    expect(lines.at(-1)).toBe(`merge ${id('a').slice(0, 12)}  done  ${'#'.repeat(24)} 100 %`)
    expect(stage.stdout()).not.toContain('is over')
  })

  test('[CLI-41] without a stream of events it looks again; a terminal is drawn over, and what hides is escaped', async () => {
    let contributions = 2
    const replica = await fakeReplica((request) =>
      request.path === '/v1/spaces'
        ? { json: { items: [{ ...space, name: 'med\u001b[2J', contributions: contributions++ }] } }
        : lists(request),
    )
    const plain = makeStage()
    const watching = plain.run('status', '--watch', '--url', replica.url)
    await until(() => plain.stdout().split('contributions').length > 2)
    plain.interrupt()
    expect(await watching).toBe(0)
    expect(plain.stdout()).toContain('space med\\u001b[2J  root ffffffffffff  3 contributions\n')

    const terminal = makeStage({ isTTY: true })
    const drawing = terminal.run('status', '--watch', '--url', replica.url)
    await until(() => terminal.stdout().split('\u001b[J').length > 2)
    terminal.interrupt()
    expect(await drawing).toBe(0)
    expect(terminal.stdout()).toMatch(/\u001b\[\d+A\u001b\[Jreplica/)
    expect(terminal.stdout()).not.toContain('\u001b[2J')
  })
})

describe('changing a space', () => {
  test('[CLI-17] spaces create', async () => {
    const { exitCode, stage, requests } = await run(
      { 'POST /v1/spaces': { status: 201, json: space } },
      ...['spaces', 'create', 'med', '--access', 'members', '--base', `model:${id('2')}`],
    )
    expect(exitCode).toBe(0)
    expect(sent(requests[0]!)).toEqual({ name: 'med', access: 'members', base: `model:${id('2')}` })
    expect(stage.stdout()).toBe(`space   med\nid      ${space.id}\naccess  open\n`)
  })

  test('[CLI-17] whoever makes an open space without saying so is told what that means', async () => {
    const said = async (...more: string[]) => {
      const { stage } = await run(
        { 'POST /v1/spaces': { status: 201, json: space } },
        'spaces',
        'create',
        'med',
        ...more,
      )
      return stage.stderr()
    }
    expect(await said()).toContain('whoever links to a replica that keeps it may read it and write in it')
    expect([await said('--access', 'open'), await said('--json')]).toEqual(['', ''])
  })

  test('[CLI-45] a name that can be none is a mistake of the command line', async () => {
    const { exitCode, stage, requests } = await run({}, 'spaces', 'create', 'med/7b')
    expect([exitCode, requests]).toEqual([2, []])
    expect(stage.stderr()).toContain('error[USAGE]: "med/7b" is no name of a space\n')
  })

  const two = [contribution({}), contribution({ id: id('4') }), contribution({ id: id('5'), name: 'bonn' })]
  const retracting = {
    'GET /v1/spaces/med/contributions': { json: { items: two } },
    [`DELETE /v1/spaces/med/contributions/${id('5')}`]: { json: space },
    [`DELETE /v1/spaces/med/contributions/${id('4')}`]: { json: space },
  }
  test.each([
    ['its name', 'bonn', '5'],
    ['its id', id('4'), '4'],
    ['name@id-prefix', 'oslo@44', '4'],
  ])('[CLI-17] retract by %s', async (_, which, digit) => {
    const { exitCode, stage } = await run(retracting, 'retract', 'med', which)
    expect(exitCode).toBe(0)
    expect(stage.stdout()).toBe(`retracted  ${id(digit)}\nroot       ${space.root}\n`)
  })

  test('[CLI-17] a name that shows several, or none, is refused with the way to say which', async () => {
    const several = await run(retracting, 'retract', 'med', 'oslo')
    expect(several.exitCode).toBe(1)
    expect(several.stage.stderr()).toMatchSnapshot()
    const none = await run(retracting, 'retract', 'med', 'bon')
    expect(none.exitCode).toBe(1)
    expect(none.stage.stderr()).toMatchSnapshot()
    expect([...several.requests, ...none.requests].map(({ method }) => method)).toEqual(['GET', 'GET'])
  })

  test('[CLI-17] revoke takes a content root and a reason', async () => {
    const { exitCode, requests } = await run(
      { 'POST /v1/spaces/med/revocations': { json: space } },
      ...['revoke', 'med', id('3'), '--reason', 'consent'],
    )
    expect(exitCode).toBe(0)
    expect(sent(requests[0]!)).toEqual({ content: id('3'), reason: 'consent' })
    const refused = await run({}, 'revoke', 'med', 'oslo')
    expect(refused.exitCode).toBe(2)
    expect(refused.stage.stderr()).toContain('error[USAGE]: "oslo" is not a content root')
    expect(refused.requests).toEqual([])
  })
})
