import { afterEach, expect, test } from 'vitest'
import { BYTES_PER_SECOND_MIN, startPace, WINDOW_MS } from '../../src/api/pace.ts'
import { TributaryError } from '../../src/core/errors.ts'
import { createServer, type Server } from '../../src/api/server.ts'
import { collect, createFakeOperations } from './fake-operations.ts'
import { CONFIG, createListener, BYTES, problemIn } from './listener.ts'
import { type Conversation, converse, listen } from './raw-socket.ts'
import { HeldClock } from '../support/held-clock.ts'

let server: Server | undefined
afterEach(async () => server?.close())

/** Serves the fake operations on a free port, under a held clock. */
async function serve(more: { uploadBytesMax?: number; uploadsAtOnceMax?: number } = {}) {
  const clock = new HeldClock()
  const operations = createFakeOperations()
  server = createServer({ operations, config: { ...CONFIG, port: 0 }, version: '0', clock, ...more })
  return { clock, operations, port: await listen(server) }
}
const head = (port: number, path: string, length: number, type = 'application/octet-stream') =>
  `POST ${path} HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\ncontent-type: ${type}\r\ncontent-length: ${length}\r\n\r\n`
const settled = async () => {
  for (let i = 0; i < 20; i++) await new Promise(setImmediate)
}

test('[API-17] who sends nothing is given up after the grace and one more window', async () => {
  const clock = new HeldClock()
  const pace = startPace(clock)
  let refused: unknown
  pace.wait(new Promise(() => {})).catch((error: unknown) => (refused = error))
  clock.pass(2 * WINDOW_MS - 1)
  await settled()
  expect(refused).toBeUndefined()
  clock.pass(1)
  await settled()
  expect(refused).toMatchObject({ code: 'TIMED_OUT' })
})

test('[API-17] just fast enough is fast enough for ever, one byte less is not', async () => {
  const run = async (bytesPerWindow: number) => {
    const clock = new HeldClock()
    const pace = startPace(clock)
    for (let window = 0; window < 10; window++)
      for (const part of [1, bytesPerWindow - 1]) {
        let arrive = () => {}
        const waited = pace.wait(new Promise<void>((resolve) => (arrive = resolve)))
        waited.catch(() => {})
        clock.pass(WINDOW_MS / 2 - 1)
        arrive()
        await settled()
        clock.pass(0)
        await waited
        pace.arrived(part)
        clock.pass(1000 * WINDOW_MS) // our own work, which is not the client's fault
      }
  }
  const enough = (WINDOW_MS / 1000) * BYTES_PER_SECOND_MIN
  await run(enough * 2)
  await expect(run(enough / 2)).rejects.toMatchObject({ code: 'TIMED_OUT' })
})

test('[API-17] a client that trickles an upload is answered 408 and cut off', async () => {
  const { clock, port } = await serve()
  const talk = converse(port, `${head(port, '/v1/models', 1_000_000)}x`)
  while (clock.waiting === 0) await settled()
  for (let i = 0; i < 8; i++) {
    talk.socket.write('x')
    clock.pass(WINDOW_MS / 4)
    await settled()
  }
  const answer = await talk.ended
  expect(answer).toMatch(/^HTTP\/1\.1 408 /)
  expect(answer).toContain('"code":"TIMED_OUT"')
})

test('[API-17] a client that trickles JSON is answered 408 as well', async () => {
  const { clock, port } = await serve()
  const talk = converse(port, `${head(port, '/v1/spaces', 100, 'application/json')}{`)
  while (clock.waiting === 0) await settled()
  clock.pass(2 * WINDOW_MS)
  expect(await talk.ended).toMatch(/^HTTP\/1\.1 408 .*"code":"TIMED_OUT"/s)
})

test('[API-24] more uploads at once than there is room for are told to come again, and room is made by answers and by clients that go', async () => {
  const { port, operations } = await serve({ uploadsAtOnceMax: 2 })
  const talks: Conversation[] = []
  const talk = (opening: string) => {
    const made = converse(port, opening)
    talks.push(made)
    return made
  }
  const begin = () => talk(`${head(port, '/v1/models', 3)}x`)
  const [one, two] = [begin(), begin()]
  while (operations.calls.length < 2) await settled()
  const refused = await begin().until(/retry-after/i)
  expect(refused).toMatch(/^HTTP\/1\.1 429 /)
  expect(refused).toContain('"code":"TOO_MANY_REQUESTS"')
  const asked = talk(`GET /healthz HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\n\r\n`)
  expect(await asked.until(/\r\n\r\n/)).toMatch(/^HTTP\/1\.1 200 /)
  one.socket.write('yz')
  expect(await one.until(/^HTTP/)).toMatch(/^HTTP\/1\.1 20[01] /)
  two.socket.destroy()
  await two.ended
  for (const again of [begin(), begin()]) {
    again.socket.write('yz')
    expect(await again.until(/^HTTP/)).toMatch(/^HTTP\/1\.1 20[01] /)
  }
  for (const { socket } of talks) socket.destroy()
})

test('[API-18] more than may be uploaded is refused by what it announces, or when it gets there', async () => {
  const { call, operations } = createListener({ uploadBytesMax: 10 })
  problemIn(await call('POST', '/v1/models', { payload: 'x'.repeat(11), headers: BYTES }), 'REQUEST_TOO_LARGE', 413)
  expect(operations.calls).toEqual([])
  expect((await call('POST', '/v1/models', { payload: 'x'.repeat(10), headers: BYTES })).status).toBe(201)

  const { port } = await serve({ uploadBytesMax: 10 })
  const chunked = `POST /v1/models HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\ncontent-type: application/octet-stream\r\ntransfer-encoding: chunked\r\n\r\n`
  const talk = converse(port, `${chunked}8\r\naaaaaaaa\r\n8\r\nbbbbbbbb\r\n`)
  expect(await talk.until(/\}$/)).toMatch(/^HTTP\/1\.1 413 .*"code":"REQUEST_TOO_LARGE"/s)
  talk.socket.destroy()
})

test('[API-18] a refused upload may be sent to its end, so that its sender reads why', async () => {
  const { port } = await serve()
  const size = 3_000_000
  const talk = converse(port, head(port, '/v1/spaces/none/contributions?name=a', size) + 'x'.repeat(size))
  expect(await talk.until(/\}$/)).toMatch(/^HTTP\/1\.1 404 .*"code":"SPACE_NOT_FOUND"/s)
  talk.socket.write(`GET /healthz HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\n\r\n`)
  expect(await talk.until(/"status":"ok"\}$/)).toMatch(/HTTP\/1\.1 200 /)
  talk.socket.destroy()
})

test('[API-18] a refusal half-way through an upload leaves the connection whole', async () => {
  const { port, operations } = await serve()
  operations.uploadModel = async (body) => {
    for await (const chunk of body) if (chunk.length > 0) break
    throw new TributaryError('PICKLE_REFUSED', 'a pickle', { hint: 'use safetensors' })
  }
  const size = 3_000_000
  const talk = converse(port, `${head(port, '/v1/models', size)}x`)
  expect(await talk.until(/\}$/)).toMatch(/^HTTP\/1\.1 415 .*"code":"PICKLE_REFUSED"/s)
  talk.socket.write('x'.repeat(size - 1))
  talk.socket.write(`GET /healthz HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\n\r\n`)
  expect(await talk.until(/"status":"ok"\}$/)).toMatch(/HTTP\/1\.1 200 /)
  talk.socket.destroy()
}, 8_000)

test('[API-18] who goes on sending for more than five seconds after a refusal is cut off', async () => {
  const { port, clock } = await serve()
  const endless = converse(port, `${head(port, '/v1/spaces/none/contributions?name=a', 3_000_000)}x`)
  await endless.until(/SPACE_NOT_FOUND/)
  while (clock.waiting === 0) await settled()
  clock.pass(5_000)
  await endless.ended
}, 8_000) // less than an idle connection is kept

test('[API-18] a connection that breaks off is told to the reader, never passed off as the end', async () => {
  const { port, operations } = await serve()
  let failure: unknown
  const read = new Promise<void>((resolve) => {
    operations.uploadModel = async (body) => {
      await collect(body).catch((error: unknown) => (failure = error))
      resolve()
      throw failure instanceof Error ? failure : new Error('it ended well')
    }
  })
  const talk = converse(port, `${head(port, '/v1/models', 1000)}some`)
  await settled()
  talk.socket.destroy()
  await read
  expect(failure).toMatchObject({ code: 'UPLOAD_TRUNCATED' })
})

test('[API-18] a body is read no faster than it is taken', async () => {
  const { port, operations } = await serve()
  let taken = 0
  let goOn = () => {}
  const held = new Promise<void>((resolve) => (goOn = resolve))
  operations.uploadModel = async (body) => {
    for await (const chunk of body) {
      taken += chunk.length
      await held
    }
    return { model: 'm', content: 'c', created: true, warnings: [] }
  }
  const size = 64 * 1024 * 1024
  const talk = converse(port, head(port, '/v1/models', size))
  talk.socket.write(Buffer.alloc(size))
  while (taken === 0) await settled()
  await settled()
  expect(talk.socket.writableLength).toBeGreaterThan(size / 2)
  goOn()
  await talk.until(/^HTTP\/1\.1 201 /)
  expect(taken).toBe(size)
  talk.socket.destroy()
})

test('[API-18] an output that fails half-way breaks the connection instead of ending short', async () => {
  const { port, operations } = await serve()
  operations.readModelFile = async () => ({
    bytes: 100_000,
    etag: 'e',
    contentType: 'application/octet-stream',
    async *read() {
      yield new Uint8Array(50_000)
      throw new Error('the disk is gone')
    },
  })
  const talk = converse(port, `GET /v1/models/a/files/b HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\n\r\n`)
  const answer = await talk.ended
  expect(answer).toContain('content-length: 100000')
  expect(answer.length).toBeLessThan(60_000)
})

test('[API-16] a replica that is stopping says so', async () => {
  const app = createServer({ operations: createFakeOperations(), config: { ...CONFIG, port: 0 }, version: '0' })
  let answer = ''
  let port = 0
  app.addHook('preClose', async () => {
    answer = await converse(port, `GET /healthz HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\n\r\n`).ended
  })
  port = await listen(app)
  await app.close()
  expect(answer).toMatch(/^HTTP\/1\.1 503 .*retry-after: 5.*"code":"SERVER_STOPPING"/s)
})

test('[API-16] a stop waits ten seconds for what is under way, and no longer', async () => {
  const { port, clock } = await serve()
  const talk = converse(port, `${head(port, '/v1/models', 1000)}x`)
  while (clock.waiting === 0) await settled()
  let isClosed = false
  const closed = server!.close().then(() => (isClosed = true))
  while (clock.waiting < 2) await settled()
  clock.pass(9_999)
  await settled()
  expect(isClosed).toBe(false)
  clock.pass(1)
  await closed
  expect(await talk.ended).not.toContain('200')
}, 8_000)
