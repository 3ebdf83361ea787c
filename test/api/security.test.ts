import { expect, test } from 'vitest'
import { createServer, startListening } from '../../src/api/server.ts'
import { InvariantError } from '../../src/core/invariant.ts'
import { createFakeOperations } from './fake-operations.ts'
import { BYTES, CONFIG, createListener, problemIn } from './listener.ts'

const TOKEN = 'trib_0123456789abcdefghij'
const beyond = { ...CONFIG, host: '10.1.2.3', publicHosts: ['models.example.org', 'hub.example.org:9443'] }
const shared = createListener()
const guarded = () => createListener({ config: { ...CONFIG, token: TOKEN } })
const sharedGuarded = guarded()

test.each(['127.0.0.1:8420', 'localhost:8420', 'LOCALHOST:8420', '[::1]:8420'])(
  '[SEC-1] on loopback the name %s is its own',
  async (host) => {
    expect((await shared.call('GET', '/v1/spaces', { headers: { host } })).status).toBe(200)
  },
)

test.each([
  'evil.example:8420',
  'localhost.evil.example:8420',
  '127.0.0.1:8421',
  '127.0.0.1',
  'localhost',
  '127.0.0.1:8420@evil.example',
  'evil.example#127.0.0.1:8420',
  '127.0.0.1:8420, evil.example',
  '127.0.0.1:084200',
  '10.1.2.3:8420',
  '',
])('[SEC-1] the name "%s" is refused on every route', async (host) => {
  for (const [method, url] of [
    ['GET', '/v1/spaces'],
    ['GET', '/healthz'],
    ['GET', '/docs'],
    ['POST', '/v1/models'],
    ['GET', '/none'],
  ] as const) {
    problemIn(await shared.call(method, url, { headers: { host } }), 'HOST_REFUSED', 421)
  }
})

test('[SEC-1] beyond loopback the address and the public names are its own, loopback is not', async () => {
  const { call } = createListener({ config: { ...beyond, token: TOKEN } })
  const ask = async (host: string) => (await call('GET', '/healthz', { headers: { host } })).status
  for (const host of ['10.1.2.3:8420', 'models.example.org', 'Models.Example.org:8420', 'hub.example.org:9443'])
    expect([host, await ask(host)]).toEqual([host, 200])
  for (const host of ['localhost:8420', '10.1.2.3', 'models.example.org:9443', 'hub.example.org', 'hub.example.org:1'])
    expect([host, await ask(host)]).toEqual([host, 421])
})

test('[SEC-1] on all interfaces each own address is a name, with the port that is really listened on', async () => {
  const { app, call } = createListener({ config: { ...CONFIG, host: '0.0.0.0', port: 0, token: TOKEN } })
  await app.listen({ host: '127.0.0.1', port: 0 })
  const [address] = app.addresses()
  const port = typeof address === 'object' ? address.port : 0
  const ask = async (host: string) => (await call('GET', '/healthz', { headers: { host } })).status
  expect([await ask(`127.0.0.1:${port}`), await ask(`localhost:${port}`)]).toEqual([200, 200])
  expect([await ask('127.0.0.1:8420'), await ask(`0.0.0.0:${port}`), await ask(`evil.example:${port}`)]).toEqual([
    421, 421, 421,
  ])
  await app.close()
})

test.each([
  'http://evil.example',
  'null',
  'http://127.0.0.1',
  'http://127.0.0.1:1',
  'https://localhost:8420',
  'ftp://127.0.0.1:8420',
  'x',
  '',
])('[SEC-2] the foreign origin "%s" is refused whatever the method', async (origin) => {
  const { call, operations } = createListener()
  for (const method of ['GET', 'POST', 'DELETE', 'OPTIONS', 'HEAD', 'PUT']) {
    const answer = await call(method, '/v1/spaces', { headers: { origin } })
    expect([method, answer.status]).toEqual([method, 403])
    expect(answer.headers['access-control-allow-origin']).toBeUndefined()
  }
  problemIn(await call('GET', '/v1/spaces', { headers: { origin } }), 'ORIGIN_REFUSED', 403)
  expect(operations.calls).toEqual([])
})

test('[SEC-2] a page of this replica may call it, behind TLS as well', async () => {
  const own = await createListener().call('GET', '/v1/spaces', { headers: { origin: 'http://127.0.0.1:8420' } })
  expect(own.status).toBe(200)
  const { call } = createListener({ config: beyond })
  const headers = { host: 'models.example.org', origin: 'https://models.example.org' }
  expect((await call('GET', '/v1/spaces', { headers })).status).toBe(200)
})

test('[SEC-3] where a token is set every route but the health checks wants it', async () => {
  const { app, call, operations } = guarded()
  await app.ready()
  const urls = app.routes.list().filter((route) => !/ \/(healthz|readyz)$/.test(route))
  expect(urls.length).toBeGreaterThan(30)
  for (const route of urls) {
    const [method = '', url = ''] = route.split(' ')
    const answer = await call(method, url)
    expect([route, answer.status]).toEqual([route, 401])
    expect(answer.headers['www-authenticate']).toBe('Bearer realm="tributary"')
  }
  problemIn(await call('GET', '/none'), 'UNAUTHORIZED', 401)
  expect(operations.calls).toEqual([])
  expect([(await call('GET', '/healthz?x')).status, (await call('GET', '/readyz')).status]).toEqual([200, 200])
})

test.each([
  '',
  'Bearer',
  'Bearer ',
  `Basic ${TOKEN}`,
  `Bearer ${TOKEN}x`,
  `Bearer ${TOKEN.slice(1)}`,
  `Bearer ${TOKEN} x`,
  TOKEN,
  `Bearer ${'x'.repeat(5000)}`,
])('[SEC-3] "%.30s" is not the token', async (authorization) => {
  problemIn(await sharedGuarded.call('GET', '/v1/spaces', { headers: { authorization } }), 'UNAUTHORIZED', 401)
})

test('[SEC-3] the token opens, and is not taken from a query', async () => {
  const { call } = guarded()
  for (const authorization of [`Bearer ${TOKEN}`, `bearer ${TOKEN}`])
    expect((await call('GET', '/v1/spaces', { headers: { authorization } })).status).toBe(200)
  problemIn(await call('GET', `/v1/spaces?token=${TOKEN}`), 'UNAUTHORIZED', 401)
})

test('[SEC-3] no listener beyond loopback starts without a token', async () => {
  const { app } = createListener({ config: { ...CONFIG, host: '0.0.0.0', port: 0 } })
  await expect(startListening(app, { host: '0.0.0.0', port: 0 })).rejects.toThrow(InvariantError)
  expect(app.addresses()).toEqual([])
})

test('[CLI-43] a port that another program has is told by name, with what to do', async () => {
  const [{ app }, { app: second }] = [createListener(), createListener()]
  const { port } = new URL(await startListening(app, { host: '127.0.0.1', port: 0 }))
  const taken = startListening(second, { host: '127.0.0.1', port: Number(port) })
  await expect(taken).rejects.toMatchObject({ code: 'LISTEN_FAILED', hint: expect.stringContaining('--port') })
  await app.close()
})

test('[SEC-4] every answer says what a browser may do with it', async () => {
  const { call } = createListener()
  for (const url of ['/v1/spaces', '/none', '/healthz', '/docs/', '/openapi.json']) {
    const { headers } = await call('GET', url)
    expect(headers).toMatchObject({
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
      'cross-origin-resource-policy': 'same-origin',
    })
    expect(headers['content-security-policy']).toContain("default-src 'none'")
    expect(headers['content-security-policy']).toContain("frame-ancestors 'none'")
  }
})

test('[SEC-4] the pages of /docs load all they name under their own policy', async () => {
  const { call } = createListener()
  const page = await call('GET', '/docs/')
  expect([page.status, page.headers['content-type']]).toEqual([200, 'text/html; charset=utf-8'])
  expect(page.headers['content-security-policy']).toContain("script-src 'self'")
  expect(page.text).not.toMatch(/<script>|<script[^>]+>\s*[^<\s]|\son\w+=|https?:\/\//)
  const linked = Array.from(page.text.matchAll(/(?:src|href)="\.(\/[^"]+)"/g), ([, path]) => path!)
  expect(linked.length).toBeGreaterThan(4)
  for (const path of linked) expect([path, (await call('GET', `/docs${path}`)).status]).toEqual([path, 200])
})

test('[SEC-5] no token and no body is ever written to the log', async () => {
  const lines: string[] = []
  const operations = createFakeOperations()
  const app = createServer({
    operations,
    config: { ...CONFIG, token: TOKEN, logLevel: 'debug' },
    version: '0',
    log: { write: (line) => void lines.push(line) },
  })
  operations.fail('createSpace', new Error('a bug'))
  for (const authorization of [`Bearer ${TOKEN}`, 'Bearer wrong-but-secret-token'])
    await app.inject({
      method: 'POST',
      url: '/v1/spaces',
      headers: { host: '127.0.0.1:8420', authorization, 'content-type': 'application/json' },
      payload: '{"name":"private-name"}',
    })
  await app.inject({ url: '/v1/spaces/%1b%5b31m', headers: { host: '127.0.0.1:8420', ...BYTES } })
  const log = lines.join('')
  expect(log).toContain('a bug') // with its stack, for the operator
  expect(log).toContain('"status":401')
  expect(log).not.toMatch(/trib_|secret|private-name|\u001b/)
  for (const line of lines) expect(() => JSON.parse(line) as unknown).not.toThrow()
})
