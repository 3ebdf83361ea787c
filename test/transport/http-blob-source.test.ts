/** A source that is not what it should be: every way to answer wrongly is a failure by name, and no redirect is followed. */
import { createServer, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import type { TensorRoot } from '../../src/core/ids.ts'
import { createHttpBlobSource } from '../../src/transport/http/http-blob-source.ts'

const root = 'a'.repeat(64) as TensorRoot
const stops: (() => void)[] = []
afterEach(() => {
  for (const stop of stops.splice(0)) stop()
})

async function answering(answer: (response: ServerResponse, url: string, host: string) => void) {
  const source = await sourceAt(answer)
  return async () => {
    const pieces: Uint8Array[] = []
    for await (const piece of source.read(root, 2, 6, new AbortController().signal)) pieces.push(piece)
    return Buffer.concat(pieces).toString()
  }
}

async function sourceAt(answer: (response: ServerResponse, url: string, host: string) => void, silentMs?: number) {
  const server: Server = createServer(({ url = '', headers }, response) => answer(response, url, headers.host ?? ''))
  server.keepAliveTimeout = 0
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const address = { url: `http://replica.invalid:${port}/team`, pinned: '127.0.0.1' }
  const source = createHttpBlobSource({ id: 'them', address, ...(silentMs !== undefined && { silentMs }) })
  stops.push(() => {
    source.close()
    server.closeAllConnections()
    server.close()
  })
  return source
}

test('[XCH-9] [ADR-6] a range is asked for at the judged address, under its name and below its path', async () => {
  const read = await answering((response, url, host) => {
    expect([url, host.startsWith('replica.invalid:')]).toEqual([`/team/v1/blobs/${root}`, true])
    response.writeHead(206, { 'content-range': 'bytes 2-5/9' }).end('cdef')
  })
  expect(await read()).toBe('cdef')
  expect(await read()).toBe('cdef')
})

test.each<[string, (response: ServerResponse) => void]>([
  ['another status', (response) => response.writeHead(503).end('no')],
  ['the whole', (response) => response.writeHead(200).end('abcdefghi')],
  ['a redirect', (response) => response.writeHead(307, { location: 'http://127.0.0.1:1/' }).end()],
  ['another range', (response) => response.writeHead(206, { 'content-range': 'bytes 3-6/9' }).end('defg')],
  ['too little', (response) => response.writeHead(206, { 'content-range': 'bytes 2-5/9' }).end('cde')],
  ['too much', (response) => response.writeHead(206, { 'content-range': 'bytes 2-5/9' }).end('cdefg')],
  [
    'a part of it',
    (response) => {
      response.writeHead(206, { 'content-length': '4' })
      response.write('cd', () => response.destroy())
    },
  ],
])('[XCH-9] who answers with %s has failed', async (_, answer) => {
  await expect((await answering(answer))()).rejects.toMatchObject({ code: 'NETWORK', details: { source: 'them' } })
})

test('[XCH-9] an answer that is of no use leaves its connection to the next request', async () => {
  let asked = 0
  const read = await answering((response) => {
    asked += 1
    response.writeHead(404).end('no') // the server keeps the connection as long as the test lasts
  })
  for (let i = 0; i < 20; i++) await expect(read()).rejects.toMatchObject({ code: 'BLOB_NOT_FOUND' })
  expect(asked).toBe(20) // more than there may be connections
})

test('[XCH-32] who answers that it is not there does not have it, which is no failure', async () => {
  const asked = await answering((response) => response.writeHead(404).end('no'))
  await expect(asked()).rejects.toMatchObject({ code: 'BLOB_NOT_FOUND', details: { source: 'them' } })
})

test('[XCH-9] what is called off fails at once; called off after its end it leaves the connection as it is', async () => {
  let connections = 0
  const server = createServer((_, response) => {
    response.writeHead(206, { 'content-range': 'bytes 2-5/9' })
    if (connections === 1) response.end('cdef')
    else response.write('cd')
  })
  server.on('connection', () => (connections += 1))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const source = createHttpBlobSource({ id: 'them', address: { url: `http://127.0.0.1:${port}` } })
  stops.push(() => {
    source.close()
    server.closeAllConnections()
    server.close()
  })
  const read = async (signal: AbortSignal, each: () => void = () => undefined) => {
    for await (const piece of source.read(root, 2, 6, signal)) if (piece.length > 0) each()
  }
  const done = new AbortController()
  await read(done.signal)
  done.abort()
  await read(new AbortController().signal)
  expect(connections).toBe(1)
  for (let i = 0; i < 20; i++) {
    const last = new AbortController()
    const ends = await Promise.allSettled([read(last.signal, () => queueMicrotask(() => last.abort()))])
    expect(ends).toHaveLength(1) // whole or called off; nothing that nobody hears
    connections = 1
  }
  connections = 2
  const under = new AbortController()
  await expect(read(under.signal, () => under.abort())).rejects.toMatchObject({ code: 'NETWORK' })
  await expect(read(under.signal)).rejects.toMatchObject({ code: 'NETWORK' })
})

test('[XCH-41] who never says whether it has a model has failed', async () => {
  const source = await sourceAt(() => undefined, 20)
  await expect(source.has(root, new AbortController().signal)).rejects.toMatchObject({ code: 'NETWORK' })
})
