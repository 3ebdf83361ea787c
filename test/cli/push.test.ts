import { mkdir, readdir, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { temporaryDirectory } from '../support/temp-dir.ts'
import { id, space } from './answers.ts'
import { type Answer, fakeReplica, makeStage, problem, type Request, type StageOptions } from './stage.ts'

/** Uploads as a replica keeps them. `failAt`: the connection is cut once so many bytes of a file are there, for so many requests. */
function uploadServer({ failAt = Infinity, cuts = 1, offsetLag = 0 } = {}) {
  const files = new Map<string, { bytes: number; there: Buffer }>()
  let [started, cut, lagging, finished] = [0, 0, offsetLag > 0, false]
  const CUT = { headers: { 'content-length': '9' }, body: 'x', cut: true }
  const view = () => ({
    id: 'upload-1',
    expires_at: 'later',
    files: [...files].map(([path, { bytes, there }]) => ({ path, bytes, offset: there.length })),
    ...(finished && { model: id('2') }),
  })
  const answer = (request: Request): Answer => {
    const { method, path, body } = request
    if (cut > 0 && cut < cuts) {
      cut++
      return CUT
    }
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
      if (cut === 0 && file.there.length >= failAt) {
        cut++
        return CUT
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
    const server = uploadServer({ failAt: 1000, cuts: 6 })
    const replica = await fakeReplica(server.answer)
    const first = makeStage(options(replica.url))
    expect(await first.run(...argv(model))).toBe(5)
    expect(first.waits).toEqual([1000, 2000, 4000, 8000, 16_000])
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

  test('[CLI-44] what a moment may mend is tried again from where the replica stands, and told', async () => {
    const { model, options } = await checkpoint()
    const server = uploadServer({ failAt: 1000, cuts: 3 })
    const replica = await fakeReplica(server.answer)
    const stage = makeStage(options(replica.url))
    expect(await stage.run(...argv(model))).toBe(0)
    expect([stage.waits, server.started()]).toEqual([[1000, 2000, 4000], 1])
    expect(stage.stderr()).toContain('trying again in 2 s (2 of 5)\n')
    const puts = replica.requests.filter(({ method }) => method === 'PUT').map(({ path }) => path)
    expect(puts.filter((path) => path.endsWith('model.safetensors'))).toHaveLength(1)
    expect(server.files.get('model.safetensors')!.there.toString()).toBe('w'.repeat(1000))
  })

  test('[CLI-44] a replica that has no time is asked again when it said, and what was refused for good is not', async () => {
    const { model, options } = await checkpoint()
    const server = uploadServer()
    let busy = 2
    const replica = await fakeReplica((request) =>
      request.method === 'PUT' && busy-- > 0
        ? { ...problem(429, 'TOO_MANY_REQUESTS', '32 uploads'), headers: { 'retry-after': '7' } }
        : request.path === '/v1/spaces/med/contributions'
          ? problem(409, 'CONTENT_REVOKED', 'it was revoked')
          : server.answer(request),
    )
    const stage = makeStage(options(replica.url))
    expect(await stage.run(...argv(model))).toBe(1)
    expect(stage.waits).toEqual([7000, 7000])
    expect(stage.stderr()).toContain('warning: 32 uploads; trying again in 7 s (1 of 5)\n')
    expect(replica.requests.filter(({ path }) => path.endsWith('/contributions'))).toHaveLength(1)
  })

  test('[CLI-44] Ctrl-C ends the waiting, and nobody waits for a replica that never answered', async () => {
    const { model, options } = await checkpoint()
    const server = uploadServer({ failAt: 1000, cuts: Infinity })
    const replica = await fakeReplica(server.answer)
    const stage = makeStage(options(replica.url))
    const wait = stage.io.wait.bind(stage.io)
    Object.assign(stage.io, {
      wait: (ms: number, signal: AbortSignal) => {
        stage.interrupt()
        return wait(ms, signal)
      },
    })
    expect(await stage.run(...argv(model))).toBe(130)
    expect(stage.stderr()).toContain('help: run the same command again: the upload goes on where it stopped\n')
    const away = makeStage(options('http://127.0.0.1:1'))
    expect([await away.run(...argv(model)), away.waits]).toEqual([5, []])
  })

  test('[CLI-19] files that changed since, or another replica, are another upload', async () => {
    const { model, options, put } = await checkpoint()
    const server = uploadServer({ failAt: 1000, cuts: 6 })
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

  test('[CLI-18] who may not contribute to a space of members is told before a byte is sent', async () => {
    const { model, options } = await checkpoint()
    const server = uploadServer()
    const own = id('5')
    const roleOf = new Map<string, string>()
    const replica = await fakeReplica((request) => {
      if (request.path === '/v1/spaces/med') return { json: { ...space, policy: { access: 'members', rules: 1 } } }
      if (request.path === '/v1/peers') return { json: { replica: own, items: [] } }
      if (request.path === '/v1/spaces/med/members')
        return { json: { items: [...roleOf].map(([key, role]) => ({ key, role })) } }
      return server.answer(request)
    })
    for (const role of [undefined, 'reader']) {
      if (role !== undefined) roleOf.set(own, role)
      const stage = makeStage(options(replica.url))
      expect(await stage.run(...argv(model))).toBe(4)
      expect(stage.stderr()).toContain(`help: let an admin of the space add it: tributary members med add ${own}\n`)
    }
    expect(replica.requests.filter(({ method }) => method !== 'GET')).toEqual([])
    roleOf.set(own, 'writer')
    expect(await makeStage(options(replica.url)).run(...argv(model))).toBe(0)
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
    expect(await stage.run('push', model, ...more)).toBe(more[1] === 'nope' ? 1 : 2)
    expect(stage.stderr()).toContain(hint)
    expect(replica.requests.filter(({ method }) => method !== 'GET')).toEqual([])
  })
})
