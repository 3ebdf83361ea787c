import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { temporaryDirectory } from '../support/temp-dir.ts'
import { contribution, id, routes } from './answers.ts'
import { type Answer, fakeReplica, makeStage, type Request, type StageOptions } from './stage.ts'

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
    const { replica, out, make } = await pulling({
      [`GET /v1/models/${id('2')}/files/model.safetensors`]: brokenFor(6, () => out),
    })
    const first = make()
    expect(await first.run('pull', 'med/oslo', '--out', out)).toBe(5)
    expect(first.waits).toEqual([1000, 2000, 4000, 8000, 16_000])
    expect(await readdir(out)).not.toContain('model.safetensors')
    const before = replica.requests.length
    expect(await make().run('pull', 'med/oslo', '--out', out)).toBe(0)
    expect(await readFile(join(out, 'model.safetensors'))).toEqual(weights)
    const ranges = replica.requests.slice(before).flatMap(({ headers }) => headers.range ?? [])
    expect(ranges).toEqual(['bytes=600-'])
  })

  /** The first answer breaks off after 600 bytes, those after it at once. */
  const brokenFor = (times: number, out: () => string) => {
    let cuts = 0
    return (request: Request): Answer => {
      if (++cuts > times) return fileRoute(weights)(request)
      if (cuts > 1) return { status: 206, headers: { 'content-length': '400' }, cut: true }
      return { headers: { 'content-length': '1000' }, body: weights.subarray(0, 600), cut: () => partThere(out()) }
    }
  }

  test('[CLI-44] a pull that is broken off goes on by itself, and counts each byte once', async () => {
    const { replica, out, make } = await pulling({
      [`GET /v1/models/${id('2')}/files/model.safetensors`]: brokenFor(2, () => out),
    })
    const stage = make()
    expect(await stage.run('pull', 'med/oslo', '--out', out, '--json')).toBe(0)
    expect([stage.waits, stage.json()]).toMatchObject([[1000, 2000], { bytes: 1007 }])
    expect(await readFile(join(out, 'model.safetensors'))).toEqual(weights)
    expect(replica.requests.flatMap(({ headers }) => headers.range ?? [])).toEqual(['bytes=600-', 'bytes=600-'])
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
