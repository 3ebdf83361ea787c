import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, stat, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { ContributionView, SpaceView } from '../../src/operations/operations.ts'
import { temporaryDirectory } from '../support/temp-dir.ts'
import { type Answer, fakeReplica, makeStage, problem, type Request, type StageOptions } from './stage.ts'

const id = (digit: string) => digit.repeat(64)
const space = {
  id: '0'.repeat(32),
  name: 'med',
  root: id('f'),
  contributions: 2,
  ops: 3,
  policy: { access: 'open', rules: 1 },
} as unknown as SpaceView
const contribution = (more: Partial<ContributionView>): ContributionView => ({
  id: id('1'),
  name: 'oslo',
  model: id('2'),
  content: id('3'),
  weight: '1',
  kind: 'full',
  dots: [],
  conflict: false,
  here: true,
  ...more,
})

const peer = {
  url: 'http://other:8420',
  state: 'linked',
  source: 'operator',
  since: 'then',
  spaces: [
    { id: space.id, in_sync: false },
    { id: '1'.repeat(32), in_sync: true },
  ],
  offered: ['2'.repeat(32)],
}

/** `METHOD /path` → answer; anything else is refused as a replica refuses it. */
const routes = (table: Readonly<Record<string, Answer | ((request: Request) => Answer)>>) => (request: Request) => {
  const answer = table[`${request.method} ${request.path}`]
  if (answer === undefined) return problem(404, 'ROUTE_NOT_FOUND', `there is nothing at ${request.path}`)
  return typeof answer === 'function' ? answer(request) : answer
}

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
    'GET /v1/peers': { json: { items: [peer] } },
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
      ready: true,
      checks: { database: 'ok' },
      spaces: [space],
      peers: [peer],
    })
    const people = makeStage()
    expect(await people.run('status', '--url', replica.url)).toBe(0)
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

const run = async (table: Parameters<typeof routes>[0], ...argv: string[]) => {
  const replica = await fakeReplica(routes(table))
  const stage = makeStage({ env: { TRIBUTARY_URL: replica.url } })
  return { exitCode: await stage.run(...argv), stage, requests: replica.requests }
}
const sent = ({ body }: Request): unknown => JSON.parse(body.toString())

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
    expect(refused.exitCode).toBe(1)
    expect(refused.stage.stderr()).toContain('error[ID_INVALID]')
    expect(refused.requests).toEqual([])
  })
})

describe('membership', () => {
  const member = (more: object) => ({
    key: id('5'),
    role: 'writer',
    from_epoch: 0,
    creator: false,
    forked_epochs: [],
    amnesty: false,
    ...more,
  })
  const AT = '/v1/spaces/med/members'

  test('[CLI-30] the members of a space are listed, for people and for programs', async () => {
    const items = [
      member({ key: id('4'), role: 'admin', creator: true }),
      member({ from_epoch: 3, forked_epochs: [1, 2], amnesty: true }),
    ]
    const { exitCode, stage } = await run({ [`GET ${AT}`]: { json: { items } } }, 'members', 'med')
    expect([exitCode, stage.stdout()]).toEqual([
      0,
      [
        `KEY${' '.repeat(61)}  ROLE    FROM EPOCH  NOTES`,
        `${id('4')}  admin   0           creator`,
        `${id('5')}  writer  3           forked in 1, 2, forgiven`,
        '',
      ].join('\n'),
    ])
    const asJson = await run({ [`GET ${AT}`]: { json: { items } } }, 'members', 'med', 'list', '--json')
    expect(asJson.stage.json()).toEqual({ items })
  })

  test('[CLI-30] add, remove and amnesty send what was given', async () => {
    const added = await run({ [`POST ${AT}`]: { status: 201, json: member({}) } }, 'members', 'med', 'add', id('5'))
    expect([added.exitCode, sent(added.requests[0]!)]).toEqual([0, { key: id('5'), role: 'writer' }])
    const removed = await run(
      { [`DELETE ${AT}/${id('5')}?reason=gone%20%26%20lost`]: { json: { items: [] } } },
      ...['members', 'med', 'remove', id('5'), '--reason', 'gone & lost', '--json'],
    )
    expect([removed.exitCode, removed.stage.json()]).toEqual([0, { removed: id('5'), items: [] }])
    const forgiven = await run(
      { 'POST /v1/spaces/med/amnesties': { json: { key: id('5'), from_epoch: 4 } } },
      ...['members', 'med', 'amnesty', id('5'), '--from-epoch', '4'],
    )
    expect([forgiven.exitCode, sent(forgiven.requests[0]!)]).toEqual([0, { key: id('5'), from_epoch: 4 }])
    expect(forgiven.stage.stdout()).toBe(`forgiven    ${id('5')}\nfrom epoch  4\n`)
  })

  test('[CLI-30] without the right to it the exit code is 4', async () => {
    const denied = { [`POST ${AT}`]: problem(403, 'NOT_ALLOWED', 'this key may not', { hint: 'ask an admin' }) }
    const { exitCode, stage } = await run(denied, 'members', 'med', 'add', id('5'), '--role', 'admin')
    expect(exitCode).toBe(4)
    expect(stage.stderr()).toContain('error[NOT_ALLOWED]: this key may not')
  })

  test.each([
    [2, ['add']],
    [1, ['add', 'ana']],
    [2, ['remove', id('5'), '--role', 'admin']],
    [2, ['add', id('5'), '--from-epoch', '3']],
    [2, ['amnesty', id('5'), '--from-epoch', 'later']],
    [2, ['list', id('5')]],
    [2, ['promote', id('5')]],
  ])('[CLI-30] exits with %i before anything is sent: %j', async (expected, argv) => {
    const { exitCode, requests } = await run({}, 'members', 'med', ...argv)
    expect([exitCode, requests]).toEqual([expected, []])
  })
})

/** Uploads as a replica keeps them. `failAt`: the connection is cut once so many bytes of a file are there. */
function uploadServer({ failAt = Infinity, offsetLag = 0 } = {}) {
  const files = new Map<string, { bytes: number; there: Buffer }>()
  let [started, broken, lagging, finished] = [0, false, offsetLag > 0, false]
  const view = () => ({
    id: 'upload-1',
    expires_at: 'later',
    files: [...files].map(([path, { bytes, there }]) => ({ path, bytes, offset: there.length })),
    ...(finished && { model: id('2') }),
  })
  const answer = (request: Request): Answer => {
    const { method, path, body } = request
    if (path === '/v1/spaces/med') return { json: space }
    if (method === 'POST' && path === '/v1/uploads') {
      started++
      const asked = (JSON.parse(body.toString()) as { files: { path: string; bytes: number }[] }).files
      for (const file of asked) files.set(file.path, { bytes: file.bytes, there: Buffer.alloc(0) })
      return { status: 201, json: view() }
    }
    if (path === '/v1/uploads/upload-1') return { json: view() }
    if (method === 'PUT') {
      const file = files.get(decodeURIComponent(path.replace('/v1/uploads/upload-1/files/', '')))!
      if (Number(request.headers['upload-offset']) !== file.there.length)
        return problem(409, 'UPLOAD_OFFSET_MISMATCH', 'the file is elsewhere')
      file.there = Buffer.concat([file.there, body])
      if (lagging) {
        lagging = false
        file.there = file.there.subarray(0, file.there.length - offsetLag)
      }
      if (!broken && file.there.length >= failAt) {
        broken = true
        return { headers: { 'content-length': '9' }, body: 'x', cut: true }
      }
      return { status: 204 }
    }
    if (path === '/v1/uploads/upload-1/finish') {
      finished = true
      return { status: 201, json: { model: id('2'), content: id('3'), warnings: ['an index was made anew'] } }
    }
    if (path === '/v1/spaces/med/contributions')
      return { status: 201, json: { id: id('1'), model: id('2'), content: id('3'), dot: id('6'), root: id('f') } }
    return problem(404, 'ROUTE_NOT_FOUND', path)
  }
  return { answer, files, started: () => started, forget: () => files.clear() }
}

async function checkpoint() {
  const directory = await temporaryDirectory()
  const model = join(directory, 'model')
  await mkdir(join(model, 'sub dir'), { recursive: true })
  await mkdir(join(model, '.git'))
  const put = async (path: string, text: string, modifiedSeconds = 1) => {
    await writeFile(join(model, path), text)
    await utimes(join(model, path), modifiedSeconds, modifiedSeconds)
  }
  await put('model.safetensors', 'w'.repeat(1000))
  await put('sub dir/tokenizer.json', '{}')
  await put('empty.txt', '')
  await put('old.bin', 'pickle')
  await put('.git/HEAD', 'ref')
  const local: NonNullable<StageOptions['local']> = {
    inspectPath: async (path) => ({
      path,
      files: [],
      tensors: [],
      dtypes: [],
      bytes: 0,
      elements: 0,
      left_out: [{ path: 'old.bin', why: 'its name is that of a pickle' }],
    }),
  }
  const options = (url: string): StageOptions => ({
    env: { TRIBUTARY_URL: url, TRIBUTARY_CACHE: join(directory, 'cache') },
    local,
  })
  return { directory, model, options, put }
}

describe('push', () => {
  const argv = (path: string) => ['push', path, '--space', 'med', '--name', 'oslo']

  test('[CLI-18] sends every file of the model and contributes it with what was said about it', async () => {
    const { model, options, directory } = await checkpoint()
    const server = uploadServer()
    const replica = await fakeReplica(server.answer)
    const stage = makeStage(options(replica.url))
    const said = [
      '--weight',
      '-0.5',
      '--samples',
      '18000',
      '--license',
      'mit',
      '--tag',
      'a',
      '--tag',
      'b',
      '--base',
      'med/base',
    ]
    expect(await stage.run(...argv(model), ...said)).toBe(0)
    expect([...server.files].map(([path, { there }]) => [path, there.length])).toEqual([
      ['empty.txt', 0],
      ['model.safetensors', 1000],
      ['sub dir/tokenizer.json', 2],
    ])
    expect(JSON.parse(replica.requests.at(-1)!.body.toString())).toEqual({
      model: id('2'),
      name: 'oslo',
      weight: '-0.5',
      samples: 18000,
      license: 'mit',
      tags: ['a', 'b'],
      base: 'med/base',
    })
    expect(stage.stdout()).toMatchSnapshot()
    expect(stage.stderr()).toContain('warning: old.bin was left out: its name is that of a pickle\n')
    expect(stage.stderr()).toContain('warning: an index was made anew\n')
    expect(await readdir(join(directory, 'cache', 'uploads'))).toEqual([])
  })

  test('[CLI-18] one file is a whole model, under the name that loaders look for', async () => {
    const { directory, options } = await checkpoint()
    await writeFile(join(directory, 'step-900.safetensors'), 'abc')
    const server = uploadServer()
    const replica = await fakeReplica(server.answer)
    expect(await makeStage(options(replica.url)).run(...argv(join(directory, 'step-900.safetensors')))).toBe(0)
    expect([...server.files.keys()]).toEqual(['model.safetensors'])
  })

  test('[CLI-19] an upload that was broken off goes on where it stopped, with the same command', async () => {
    const { model, options } = await checkpoint()
    const server = uploadServer({ failAt: 1000 })
    const replica = await fakeReplica(server.answer)
    const first = makeStage(options(replica.url))
    expect(await first.run(...argv(model))).toBe(5)
    expect(first.stderr()).toContain('help: run the same command again; what was sent or fetched is kept\n')
    const before = replica.requests.length
    const second = makeStage(options(replica.url))
    expect(await second.run(...argv(model))).toBe(0)
    expect(server.started()).toBe(1)
    expect(second.stderr()).toContain('going on with an upload of which 1.00 kB are there\n')
    const puts = replica.requests.slice(before).filter(({ method }) => method === 'PUT')
    expect(puts.map(({ path }) => path)).toEqual(['/v1/uploads/upload-1/files/sub%20dir/tokenizer.json'])
    expect(server.files.get('model.safetensors')!.there.toString()).toBe('w'.repeat(1000))
  })

  test('[CLI-19] files that changed since, or another replica, are another upload', async () => {
    const { model, options, put } = await checkpoint()
    const server = uploadServer({ failAt: 1000 })
    const replica = await fakeReplica(server.answer)
    expect(await makeStage(options(replica.url)).run(...argv(model))).toBe(5)
    await put('model.safetensors', 'v'.repeat(1000), 2)
    server.forget()
    expect(await makeStage(options(replica.url)).run(...argv(model))).toBe(0)
    expect(server.started()).toBe(2)
    expect(server.files.get('model.safetensors')!.there.toString()).toBe('v'.repeat(1000))
  })

  test('[CLI-19] where the replica holds less than was sent, it is asked, and sent the rest', async () => {
    const { model, options } = await checkpoint()
    const server = uploadServer({ offsetLag: 400 })
    const replica = await fakeReplica((request) => {
      const answer = server.answer(request)
      // the slice was only stored in part, and the replica says so
      return request.method === 'PUT' && server.files.get('model.safetensors')!.there.length === 600
        ? problem(409, 'UPLOAD_OFFSET_MISMATCH', 'stored in part')
        : answer
    })
    expect(await makeStage(options(replica.url)).run(...argv(model))).toBe(0)
    expect(server.files.get('model.safetensors')!.there.toString()).toBe('w'.repeat(1000))
  })

  test.each([
    [
      'a space that is not there',
      ['--space', 'nope', '--name', 'oslo'],
      'create it first: tributary spaces create nope',
    ],
    ['a name that is none', ['--space', 'med', '--name', 'a/b'], 'use letters, digits, dots, dashes and underscores'],
    ['a weight that is none', ['--space', 'med', '--name', 'a', '--weight', 'heavy'], 'write it like 0.25, 3 or 1e-4'],
    ['a count that is none', ['--space', 'med', '--name', 'a', '--samples', '1.5'], 'give a whole number'],
  ])('[CLI-18] %s is refused before a byte is sent', async (_, more, hint) => {
    const { model, options } = await checkpoint()
    const server = uploadServer()
    const replica = await fakeReplica((request) =>
      request.path === '/v1/spaces/nope' ? problem(404, 'SPACE_NOT_FOUND', 'no space nope') : server.answer(request),
    )
    const stage = makeStage(options(replica.url))
    expect(await stage.run('push', model, ...more)).toBeGreaterThan(0)
    expect(stage.stderr()).toContain(hint)
    expect(replica.requests.filter(({ method }) => method !== 'GET')).toEqual([])
  })
})

describe('pull', () => {
  const weights = Buffer.from('w'.repeat(1000))
  const config = Buffer.from('{"a":1}')
  const digestOf = (bytes: Buffer) => `sha-256=:${createHash('sha256').update(bytes).digest('base64')}:`
  const local = (content: string): NonNullable<StageOptions['local']> => ({
    digestPath: async (path) => ({ path, content, model: id('2'), tensors: 1, bytes: 1, not_finite: [], left_out: [] }),
  })
  const fileRoute =
    (bytes: Buffer) =>
    (request: Request): Answer => {
      const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? 'bytes=0-')![1])
      const part = bytes.subarray(from)
      return {
        status: from === 0 ? 200 : 206,
        headers: { 'content-length': String(part.length), 'repr-digest': digestOf(bytes) },
        body: part,
      }
    }
  const model = (paths: readonly string[]) => ({
    id: id('2'),
    content: id('3'),
    bytes: 1000,
    tensors: [],
    files: paths.map((path) => ({ path, bytes: 1000 })),
    created_at: 'then',
  })
  const table = {
    'GET /v1/spaces/med/contributions': { json: { items: [contribution({})] } },
    [`GET /v1/models/${id('2')}`]: { json: model(['model.safetensors', 'sub/config.json']) },
    [`GET /v1/models/${id('2')}/files/model.safetensors`]: fileRoute(weights),
    [`GET /v1/models/${id('2')}/files/sub/config.json`]: fileRoute(config),
  }
  /** Until the bytes before the cut are on disk: a broken connection drops what is still on its way. */
  const partThere = async (out: string): Promise<void> => {
    const size = () =>
      stat(join(out, 'model.safetensors.part')).then(
        ({ size }) => size,
        () => 0,
      )
    while ((await size()) < 600) await new Promise((resolve) => setImmediate(resolve))
  }
  const pulling = async (more: Parameters<typeof routes>[0], content = id('3')) => {
    const replica = await fakeReplica(routes({ ...table, ...more }))
    const out = join(await temporaryDirectory(), 'out')
    const make = () => makeStage({ env: { TRIBUTARY_URL: replica.url }, local: local(content) })
    return { replica, out, make }
  }

  const refs = ['med/oslo', 'med/oslo@1111', `model:${id('2')}`]
  test.each(refs)('[CLI-20] %s gives back every file', async (ref) => {
    const { out, make } = await pulling({})
    const stage = make()
    expect(await stage.run('pull', ref, '--out', out)).toBe(0)
    expect((await readdir(out)).sort()).toEqual(['model.safetensors', 'sub'])
    expect(await readFile(join(out, 'model.safetensors'))).toEqual(weights)
    expect(await readFile(join(out, 'sub', 'config.json'))).toEqual(config)
    expect(stage.stdout()).toContain(`content  ${id('3')}\nfetched  2 files, 1.01 kB\n`)
  })

  test('[CLI-20] what was broken off goes on where it stopped, with the same command', async () => {
    let cuts = 1
    const { replica, out, make } = await pulling({
      [`GET /v1/models/${id('2')}/files/model.safetensors`]: (request) =>
        cuts-- > 0
          ? { headers: { 'content-length': '1000' }, body: weights.subarray(0, 600), cut: () => partThere(out) }
          : fileRoute(weights)(request),
    })
    expect(await make().run('pull', 'med/oslo', '--out', out)).toBe(5)
    expect(await readdir(out)).not.toContain('model.safetensors')
    expect(await make().run('pull', 'med/oslo', '--out', out)).toBe(0)
    expect(await readFile(join(out, 'model.safetensors'))).toEqual(weights)
    const ranges = replica.requests.map(({ headers }) => headers.range).filter((range) => range !== undefined)
    expect(ranges).toEqual(['bytes=600-'])
  })

  test('[CLI-21] a file that is not what the replica says, or weights that are not the content, exit with 3', async () => {
    const damaged = await pulling({
      [`GET /v1/models/${id('2')}/files/model.safetensors`]: {
        headers: { 'content-length': '1000', 'repr-digest': digestOf(weights) },
        body: Buffer.alloc(1000),
      },
    })
    const stage = damaged.make()
    expect(await stage.run('pull', 'med/oslo', '--out', damaged.out)).toBe(3)
    expect(stage.stderr()).toContain('error[DIGEST_MISMATCH]: model.safetensors is not what the replica says it is\n')
    expect(await readdir(damaged.out)).toEqual(['.tributary'])
    const other = await pulling({}, id('9'))
    const said = other.make()
    expect(await said.run('pull', 'med/oslo', '--out', other.out)).toBe(3)
    expect(said.stderr()).toContain(`  = expected: ${id('3')}\n  = found: ${id('9')}\n`)
  })

  test('[CLI-20] a replica that answers with the whole file, asked for the rest, is understood', async () => {
    let cuts = 1
    const { out, make } = await pulling({
      [`GET /v1/models/${id('2')}/files/model.safetensors`]: () =>
        cuts-- > 0
          ? { headers: { 'content-length': '1000' }, body: weights.subarray(0, 600), cut: () => partThere(out) }
          : { headers: { 'content-length': '1000' }, body: weights },
    })
    expect(await make().run('pull', 'med/oslo', '--out', out)).toBe(5)
    expect(await make().run('pull', 'med/oslo', '--out', out)).toBe(0)
    expect(await readFile(join(out, 'model.safetensors'))).toEqual(weights)
  })

  test.each(['../evil', '/etc/evil', 'a/../../evil', 'a\\evil', 'c:evil', '', 'a//b', '.tributary/pull', 'a\nb'])(
    '[CLI-21] a replica that lists the file %j is refused, and nothing is written',
    async (path) => {
      const { out, make } = await pulling({ [`GET /v1/models/${id('2')}`]: { json: model(['ok.json', path]) } })
      const stage = make()
      expect(await stage.run('pull', 'med/oslo', '--out', out)).toBe(1)
      expect(stage.stderr()).toContain('error[PATH_INVALID]')
      await expect(readdir(out)).rejects.toMatchObject({ code: 'ENOENT' })
    },
  )

  test('[CLI-20] a directory that holds something else is left alone', async () => {
    const { out, make } = await pulling({})
    await mkdir(out)
    await writeFile(join(out, 'mine.txt'), 'mine')
    const stage = make()
    expect(await stage.run('pull', 'med/oslo', '--out', out)).toBe(1)
    expect(stage.stderr()).toContain('error[OUTPUT_EXISTS]')
    expect(await readdir(out)).toEqual(['mine.txt'])
  })

  test('[CLI-20] a merge that is not done cannot be pulled', async () => {
    const { out, make } = await pulling({
      [`GET /v1/spaces/med/merges/${id('a')}`]: { json: { id: id('a'), state: 'running', root: id('f') } },
    })
    const stage = make()
    expect(await stage.run('pull', `merge:med/${id('a')}`, '--out', out)).toBe(1)
    expect(stage.stderr()).toContain(`error[MERGE_NOT_DONE]: the merge ${id('a')} is running\n`)
  })

  test.each(['oslo', 'model:abc', 'a/b/c', 'merge:med', 'med/'])('[CLI-20] %s is no reference: exit 2', async (ref) => {
    const { out, make } = await pulling({})
    expect(await make().run('pull', ref, '--out', out)).toBe(2)
  })

  test('[CLI-20] Ctrl-C during a pull keeps what was fetched and says how to go on', async () => {
    const replica = await fakeReplica(async (request) => {
      if (request.path.endsWith('model.safetensors')) {
        stage.interrupt()
        return new Promise(() => undefined)
      }
      return routes(table)(request)
    })
    const out = join(await temporaryDirectory(), 'out')
    const stage = makeStage({ env: { TRIBUTARY_URL: replica.url }, local: local(id('3')) })
    expect(await stage.run('pull', 'med/oslo', '--out', out)).toBe(130)
    expect(stage.stderr()).toContain('help: run the same command again: what was fetched is kept\n')
  })
})
