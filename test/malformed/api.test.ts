import { afterAll, expect, test } from 'vitest'
import { BYTES, createListener, problemIn } from '../api/listener.ts'
import { converse, listen } from '../api/raw-socket.ts'

const { app, call, operations } = createListener()
afterAll(() => app.close())
const JSON_TYPE = { 'content-type': 'application/json' }
const post = (payload: string, headers: Record<string, string> = JSON_TYPE, url = '/v1/spaces') =>
  call('POST', url, { payload, headers })

test.each([
  ['cut off', '{"name":'],
  ['a comment', '{"name":"a"} // b'],
  ['two documents', '{"name":"a"}{}'],
  ['NaN', '{"name":NaN}'],
  ['nothing', ''],
  ['a polluted prototype', '{"name":"a","__proto__":{"admin":true}}'],
  ['a polluted prototype by escape', '{"name":"a","\\u005f_proto__":{"admin":true}}'],
  ['a polluted constructor', '{"name":"a","constructor":{"prototype":{"admin":true}}}'],
  ['a polluted prototype deep down', '{"name":{"x":[{"__proto__":1}]}}'],
])('[API-19] a JSON body of %s is refused', async (_, payload) => {
  problemIn(await post(payload), 'REQUEST_INVALID', 400)
  expect(operations.calls).toEqual([])
  expect(({} as { admin?: boolean }).admin).toBeUndefined()
})

test.each([
  ['null', ''],
  ['[]', ''],
  ['"atlas"', ''],
  ['{}', '/name'],
  ['{"name":1}', '/name'],
  ['{"name":null}', '/name'],
  ['{"name":"a","access":"closed"}', '/access'],
  ['{"name":"a","bases":"x"}', '/bases'],
  ['{"name":"a","a/b~c":1}', '/a~1b~0c'],
])('[API-19] the space %s is refused at its field', async (payload, pointer) => {
  expect(problemIn(await post(payload), 'REQUEST_INVALID', 400).pointer).toBe(pointer)
  expect(operations.calls).toEqual([])
})

test('[API-19] a mistyped field is refused with the field that was meant', async () => {
  const body = problemIn(await post('{"name":"a","acess":"open"}'), 'REQUEST_INVALID', 400)
  expect(body).toMatchObject({ pointer: '/acess', hint: 'did you mean access?' })
  const files = '{"files":[{"path":"a","bytes":1},{"path":"b","byte":1,"bytes":1}]}'
  const nested = problemIn(await post(files, JSON_TYPE, '/v1/uploads'), 'REQUEST_INVALID', 400)
  expect(nested).toMatchObject({ pointer: '/files/1/byte', hint: 'did you mean bytes?' })
  const url = '/v1/spaces/a/contributions?name=a&wieght=2'
  const query = problemIn(await post('x', BYTES, url), 'REQUEST_INVALID', 400)
  expect(query).toMatchObject({ pointer: '/wieght', hint: 'did you mean weight?' })
})

test('[API-19] nothing in a body is coerced', async () => {
  for (const payload of [
    '{"files":[{"path":"a","bytes":"1"}]}',
    '{"files":{"path":"a","bytes":1}}',
    '{"files":[{"path":1,"bytes":1}]}',
    '{"files":[{"path":"a","bytes":1.5}]}',
    '{"files":[{"path":"a","bytes":-1}]}',
    '{"files":[{"path":"a","bytes":9007199254740993}]}',
    '{"files":[]}',
  ])
    problemIn(await post(payload, JSON_TYPE, '/v1/uploads'), 'REQUEST_INVALID', 400)
  expect(operations.calls).toEqual([])
})

test('[API-20] more than 1 MiB of JSON is refused, announced or not', async () => {
  const payload = `{"name":"${'x'.repeat(1024 * 1024)}"}`
  problemIn(await post(payload), 'REQUEST_TOO_LARGE', 413)
  expect(operations.calls).toEqual([])
})

test.each(['[', '{"a":', '[{"a":'])(
  '[API-20] JSON nested a hundred thousand times (%s) is refused, and no stack overflows',
  async (opening) => {
    problemIn(await post(opening.repeat(100_000)), 'REQUEST_INVALID', 400)
    const closed = '['.repeat(100_000) + ']'.repeat(100_000)
    problemIn(await post(`{"recipe":${closed}}`, JSON_TYPE, '/v1/spaces/a/merges'), 'REQUEST_INVALID', 400)
  },
)

test.each([
  ['POST', '/v1/spaces', 'text/plain'],
  ['POST', '/v1/spaces', 'application/x-www-form-urlencoded'],
  ['POST', '/v1/spaces', 'application/octet-stream'],
  ['POST', '/v1/spaces', 'application/jsonx'],
  ['POST', '/v1/uploads', 'multipart/form-data; boundary=x'],
  ['POST', '/v1/models', 'application/json'],
  ['POST', '/v1/models', 'application/x-www-form-urlencoded'],
  ['PUT', '/v1/uploads/a/files/b', 'application/json'],
  ['POST', '/v1/spaces/a/contributions?name=x', 'application/x-pickle'],
  ['POST', '/v1/spaces', 'nonsense'],
])('[API-21] %s %s does not take %s', async (method, url, type) => {
  const answer = await call(method, url, {
    payload: '{"name":"a"}',
    headers: { 'content-type': type, 'upload-offset': '0' },
  })
  expect(problemIn(answer, 'MEDIA_TYPE_UNSUPPORTED', 415).hint).toContain('application/')
  expect(operations.calls).toEqual([])
})

test('[API-21] a compressed body is not taken for what it is not', async () => {
  const headers = { ...BYTES, 'content-encoding': 'gzip' }
  problemIn(await call('POST', '/v1/models', { payload: 'x', headers }), 'MEDIA_TYPE_UNSUPPORTED', 415)
})

test('[API-21] bytes need no type where only bytes are taken, and JSON may name its charset', async () => {
  const other = createListener()
  expect((await other.call('POST', '/v1/models', { payload: Buffer.from('x') })).status).toBe(201)
  const headers = { 'content-type': 'Application/JSON; charset=utf-8' }
  expect((await other.call('POST', '/v1/spaces', { payload: '{"name":"a"}', headers })).status).toBe(201)
})

test.each(['/v1/spaces/%', '/v1/spaces/%zz', '/v1/spaces/%ff', '/v1/spaces/%c0%ae', '/v1/models/a/files/%e0%80%80'])(
  '[API-22] the path %s does not decode and is refused',
  async (url) => {
    problemIn(await call('GET', url), 'REQUEST_INVALID', 400)
    expect(operations.calls).toEqual([])
  },
)

test.each(['?limit=1&limit=2', '?__proto__=1', '?constructor=1', '?Limit=1', '?limit[]=1', '?cursor=%00&x'])(
  '[API-22] the query %s is refused',
  async (query) => {
    problemIn(await call('GET', `/v1/spaces/a/merges${query}`), 'REQUEST_INVALID', 400)
    expect(operations.calls).toEqual([])
  },
)

const get = 'GET /healthz HTTP/1.1\r\n'
const made = 'POST /v1/spaces HTTP/1.1\r\nhost: 127.0.0.1:PORT\r\ncontent-type: application/json\r\n'
const JSON_BODY = '{"name":"a"}'

test.each([
  ['two lengths', `${made}content-length: 12\r\ncontent-length: 5\r\n\r\n${JSON_BODY}`, 400],
  ['a length and chunks', `${made}content-length: 12\r\ntransfer-encoding: chunked\r\n\r\n${JSON_BODY}`, 400],
  ['chunks that are not last', `${made}transfer-encoding: chunked, identity\r\n\r\n${JSON_BODY}`, 400],
  ['a length that is no number', `${made}content-length: +12\r\n\r\n${JSON_BODY}`, 400],
  ['a space before the colon', `${get}host : 127.0.0.1:PORT\r\n\r\n`, 400],
  ['a folded header', `${get}host: 127.0.0.1:PORT\r\nx-a: b\r\n c\r\n\r\n`, 400],
  ['a NUL in a header', `${get}host: 127.0.0.1:PORT\r\nx-a: b\0c\r\n\r\n`, 400],
  ['a bare line feed', `${get}host: 127.0.0.1:PORT\nx-a: b\r\n\r\n`, 400],
  ['no host', `${get}\r\n`, 400],
  ['two hosts', `${get}host: 127.0.0.1:PORT\r\nhost: evil.example\r\n\r\n`, 421],
  ['headers of 20 KiB', `${get}host: 127.0.0.1:PORT\r\nx-a: ${'b'.repeat(20_000)}\r\n\r\n`, 413],
  ['another protocol', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', 400],
])('[API-23] a request with %s is refused', async (_, request, status) => {
  const own = createListener({
    config: { host: '127.0.0.1', port: 0, token: undefined, publicHosts: [], logLevel: 'silent' },
  })
  const port = await listen(own.app)
  const talk = converse(port, request.replaceAll('PORT', String(port)))
  const answer = await talk.until(/^HTTP\/1\.1 \d+/)
  expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `))
  expect(own.operations.calls).toEqual([])
  talk.socket.destroy()
  await own.app.close()
})

test('[API-23] a path that climbs before any client tidies it is refused', async () => {
  const own = createListener({
    config: { host: '127.0.0.1', port: 0, token: undefined, publicHosts: [], logLevel: 'silent' },
  })
  const port = await listen(own.app)
  for (const path of [
    '/v1/models/a/files/../../../etc/passwd',
    '/docs/static/../../../package.json',
    '/docs/static/..%2f..%2f..%2fpackage.json',
  ]) {
    const talk = converse(port, `GET ${path} HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\nconnection: close\r\n\r\n`)
    expect(await talk.ended).toMatch(/^HTTP\/1\.1 40[034] .*"code":/s)
  }
  await own.app.close()
})
