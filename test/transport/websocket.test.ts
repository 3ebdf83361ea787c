/** What only websockets have: upgrades that are refused, frames of text, silence, redirects, names and their addresses. */
import { createServer as createHttpServer } from 'node:http'
import { type AddressInfo, connect, createServer as createTcpServer, type Socket } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { createServer } from '../../src/api/server.ts'
import { hashToken } from '../../src/api/token.ts'
import { CLOSE, type Link, LINK_LIMITS } from '../../src/transport/transport.ts'
import { createWebSocketDialer } from '../../src/transport/websocket/websocket-dialer.ts'
import { createWebSocketListener } from '../../src/transport/websocket/websocket-listener.ts'
import { createFakeOperations, noPeers } from '../api/fake-operations.ts'
import { CONFIG, createListener, problemIn } from '../api/listener.ts'
import { until, watch } from '../contracts/transport-contract.ts'
import { HeldClock } from '../support/held-clock.ts'

const stops: (() => unknown)[] = []
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop()
})

async function replica(more: { publicHosts?: readonly string[]; tokenSha256?: string } = {}) {
  const { publicHosts = [], ...options } = more
  const clock = new HeldClock()
  const listener = createWebSocketListener(clock)
  const accepted: Link[] = []
  listener.onLink((link) => accepted.push(link))
  const links = { frameBytesMax: LINK_LIMITS.frameBytesMax, accept: listener.accept, close: listener.close }
  const config = { ...CONFIG, port: 0, publicHosts }
  const app = createServer({
    operations: createFakeOperations(),
    config,
    version: '0',
    replicas: { links, peers: noPeers },
    ...options,
  })
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  const sockets = new Set<Socket>()
  app.server.on('connection', (socket) => sockets.add(socket))
  stops.push(() => {
    for (const socket of sockets) socket.destroy()
    return app.close()
  })
  return { app, clock, accepted, listener, url, port: Number(new URL(url).port), dialer: createWebSocketDialer(clock) }
}

/** Speaks HTTP by hand, and answers the status line. */
function upgrade(port: number, path: string, headers: readonly string[]): Promise<string> {
  const key = 'dGhlIHNhbXBsZSBub25jZQ=='
  const fixed = ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13', `Sec-WebSocket-Key: ${key}`]
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.write([`GET ${path} HTTP/1.1`, ...fixed, ...headers, '', ''].join('\r\n'))
    })
    stops.push(() => socket.destroy())
    socket.on('data', (chunk) => resolve(chunk.toString().split('\r\n')[0]!))
    socket.on('error', reject)
  })
}

test('[SEC-30] a websocket is opened only by the name of the listener, and never from a foreign page', async () => {
  const { port, accepted } = await replica()
  const here = `Host: 127.0.0.1:${port}`
  expect(await upgrade(port, '/v1/replicate', ['Host: evil.example'])).toMatch(/^HTTP\/1\.1 421 /)
  expect(await upgrade(port, '/v1/replicate', [here, 'Origin: https://evil.example'])).toMatch(/^HTTP\/1\.1 403 /)
  expect(accepted).toEqual([])
  expect(await upgrade(port, '/v1/replicate', [here])).toMatch(/^HTTP\/1\.1 101 /)
  await until(() => accepted.length === 1)
})

test('[SEC-30] links ask for no token, for replicas say who they are in frames; everything else goes on asking', async () => {
  const { port, url } = await replica({ tokenSha256: hashToken('0123456789abcdef') })
  const here = `Host: 127.0.0.1:${port}`
  expect(await upgrade(port, '/v1/replicate', [here])).toMatch(/ 101 /)
  expect(await upgrade(port, '/v1/spaces', [here])).toMatch(/ 401 /)
  for (const path of ['/v1/spaces', '/v1/replicate/', '/v1/replicate/x', '/v1//replicate'])
    expect((await fetch(`${url}${path}`)).status).toBe(401)
})

test('[SEC-31] /v1/replicate without an upgrade is 426, and absent where no links are taken', async () => {
  const { url } = await replica()
  const answer = await fetch(`${url}/v1/replicate`)
  expect([answer.status, answer.headers.get('upgrade')]).toEqual([426, 'websocket'])
  expect(await answer.json()).toMatchObject({ code: 'UPGRADE_REQUIRED' })
  problemIn(await createListener().call('GET', '/v1/replicate'), 'ROUTE_NOT_FOUND', 404)
})

test('[SEC-31] a listener that stops ends its links first', async () => {
  const { app, dialer, url } = await replica()
  const seen = watch(await dialer.dial({ url }))
  await app.close()
  await until(() => seen.ends.length === 1)
  expect(seen.ends[0]).toMatchObject({ code: CLOSE.goingAway, by: 'them' })
})

test('[TRN-3] text, and frames that are none, end the link', async () => {
  const { url, accepted } = await replica()
  const client = new WebSocket(`${url.replace('http', 'ws')}/v1/replicate`)
  await new Promise((resolve) => client.once('open', resolve))
  await until(() => accepted.length === 1)
  const seen = watch(accepted[0]!)
  client.send('hello')
  await until(() => seen.ends.length === 1)
  expect([seen.frames, seen.ends[0]?.code]).toEqual([[], CLOSE.notBytes])
})

test('[TRN-3] nothing on a link is compressed, whoever asks for it', async () => {
  const { url } = await replica()
  const client = new WebSocket(`${url.replace('http', 'ws')}/v1/replicate`, { perMessageDeflate: true })
  await new Promise((resolve) => client.once('open', resolve))
  expect(client.extensions).toBe('')
  client.terminate()
})

test('[TRN-10] a side that gives no sign of life is let go; one that answers pings is kept', async () => {
  const { clock, accepted, url } = await replica()
  const client = new WebSocket(`${url.replace('http', 'ws')}/v1/replicate`, { autoPong: false })
  let pings = 0
  client.on('ping', () => pings++)
  await new Promise((resolve) => client.once('open', resolve))
  await until(() => accepted.length === 1)
  accepted[0]!.welcome()
  const seen = watch(accepted[0]!)
  const quiet = LINK_LIMITS.pingMs
  for (let i = 1; i <= 3; i++) {
    clock.pass(quiet)
    await until(() => pings === i || seen.ends.length === 1)
    if (i < 3) {
      client.pong()
      const answered = new Promise((resolve) => client.once('pong', resolve))
      client.ping() // what is answered came after the pong
      await answered
    }
  }
  expect(seen.ends).toEqual([])
  for (let i = 0; i < 2; i++) clock.pass(quiet)
  await until(() => seen.ends.length === 1)
  expect(seen.ends[0]).toMatchObject({ code: CLOSE.lost, by: 'us', why: 'no sign of life' })
})

test('[TRN-7] a dial gives up on a side that does not answer, on a redirect, on what is no replica, and when it is called off', async () => {
  const { clock, dialer, url: elsewhere } = await replica()
  const silent = createTcpServer(() => undefined).listen(0, '127.0.0.1')
  const redirecting = createHttpServer().listen(0, '127.0.0.1')
  redirecting.on('upgrade', (_, socket) => {
    socket.end(`HTTP/1.1 307 Temporary Redirect\r\nlocation: ${elsewhere}/v1/replicate\r\n\r\n`)
  })
  const other = createHttpServer((_, answer) => answer.writeHead(404).end()).listen(0, '127.0.0.1')
  stops.push(() => {
    for (const server of [silent, redirecting, other]) server.close()
  })
  const urlOf = async (server: typeof silent) => {
    if (!server.listening) await new Promise((resolve) => server.once('listening', resolve))
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  }
  const late = dialer.dial({ url: await urlOf(silent) })
  clock.pass(LINK_LIMITS.openingMsMax)
  await expect(late).rejects.toMatchObject({ code: 'NETWORK', message: expect.stringContaining('no answer in time') })
  const stop = new AbortController()
  const calledOff = dialer.dial({ url: await urlOf(silent) }, stop.signal)
  stop.abort()
  await expect(calledOff).rejects.toMatchObject({ code: 'NETWORK' })
  for (const [server, status] of [
    [redirecting, '307'],
    [other, '404'],
  ] as const)
    await expect(dialer.dial({ url: await urlOf(server) })).rejects.toMatchObject({
      code: 'NETWORK',
      message: expect.stringContaining(status),
    })
  expect(clock.waiting).toBe(0)
})

test('[ADR-6] a link goes to the address that was judged, whatever its name means; the other side is called by its name', async () => {
  const { dialer, port, accepted } = await replica({ publicHosts: ['replica.invalid'] })
  const link = await dialer.dial({ url: `http://replica.invalid:${port}`, pinned: '127.0.0.1' })
  await until(() => accepted.length === 1)
  expect(link.remote).toBe(`replica.invalid:${port}`)
  link.close(CLOSE.done, '')
})
