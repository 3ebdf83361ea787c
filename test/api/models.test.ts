import { beforeEach, expect, test } from 'vitest'
import { TributaryError } from '../../src/core/errors.ts'
import { hex } from './fake-operations.ts'
import { BYTES, createListener, type Listener, problemIn } from './listener.ts'

const FILE = Buffer.from(Array.from({ length: 5000 }, (_, i) => i % 251))
let listener: Listener
let url: string
const read = (headers: Record<string, string> = {}, method = 'GET') => listener.call(method, url, { headers })

beforeEach(async () => {
  listener = createListener()
  const stored = await listener.call('POST', '/v1/models', { payload: FILE, headers: BYTES })
  url = `/v1/models/${stored.json.model}/files/model.safetensors`
})

test('[API-2] a safetensors body becomes a model: 201 at first, 200 when it was there', async () => {
  const { call } = createListener()
  const first = await call('POST', '/v1/models', { payload: FILE, headers: BYTES })
  const again = await call('POST', '/v1/models', {
    payload: FILE,
    headers: { 'content-type': 'application/x-safetensors' },
  })
  expect([first.status, again.status]).toEqual([201, 200])
  expect(Object.keys(first.json)).toEqual(['model', 'content', 'warnings'])
  expect(again.json).toEqual(first.json)
  expect(first.headers['location']).toBe(`/v1/models/${first.json.model}`)
  expect((await call('GET', first.headers['location']!)).json).toMatchObject({ id: first.json.model, bytes: 5000 })
  problemIn(await call('GET', `/v1/models/${hex('none')}`), 'MODEL_NOT_FOUND', 404)
})

test('[API-2] the length that was announced is handed on', async () => {
  expect(listener.operations.calls[0]).toEqual(['uploadModel', { bytes: 5000 }])
})

test('[API-2] what the operations refuse is answered by its own name', async () => {
  const pickle = await listener.call('POST', '/v1/models', { payload: Buffer.from([0x80, 2, 1]), headers: BYTES })
  expect(problemIn(pickle, 'PICKLE_REFUSED', 415).hint).toBe('convert it to safetensors')
  listener.operations.fail('uploadModel', new TributaryError('DISK_FULL', 'the disk is full', { hint: 'make room' }))
  problemIn(await listener.call('POST', '/v1/models', { payload: FILE, headers: BYTES }), 'DISK_FULL', 507)
})

test('[API-3] a file is given back byte for byte, with its length, ETag and digest, and never as a page', async () => {
  const whole = await read()
  expect(whole.status).toBe(200)
  expect(whole.bytes.equals(FILE)).toBe(true)
  expect(whole.headers).toMatchObject({
    'content-length': '5000',
    'accept-ranges': 'bytes',
    etag: `"${hex(FILE).slice(0, 32)}"`,
    'repr-digest': `sha-256=:${Buffer.from(hex(FILE), 'hex').toString('base64')}:`,
    'content-disposition': 'attachment; filename="model.safetensors"',
    'x-content-type-options': 'nosniff',
  })
  expect(whole.headers['content-encoding']).toBeUndefined()
})

test.each([
  ['bytes=0-0', 0, 1],
  ['bytes=0-4999', 0, 5000],
  ['bytes=1500-3500', 1500, 3501],
  ['bytes=4990-', 4990, 5000],
  ['bytes=4990-99999', 4990, 5000],
  ['bytes=-10', 4990, 5000],
  ['bytes=-99999', 0, 5000],
  ['BYTES=1-2', 1, 3],
])('[API-3] Range %s is answered by that part and the digest of the whole', async (range, start, end) => {
  const part = await read({ range })
  expect(part.status).toBe(206)
  expect(part.bytes.equals(FILE.subarray(start, end))).toBe(true)
  expect(part.headers).toMatchObject({
    'content-range': `bytes ${start}-${end - 1}/5000`,
    'content-length': String(end - start),
    'repr-digest': (await read()).headers['repr-digest'],
  })
})

test.each(['bytes=5000-', 'bytes=99999-', 'bytes=-0'])(
  '[API-3] Range %s lies outside and is refused',
  async (range) => {
    const answer = await read({ range })
    problemIn(answer, 'RANGE_NOT_SATISFIABLE', 416)
    expect(answer.headers['content-range']).toBe('bytes */5000')
    expect(answer.headers['etag']).toBeUndefined()
  },
)

test.each(['bytes=0-1,3-4', 'bytes=5-2', 'lines=0-1', 'bytes=', 'bytes=a-b', 'bytes=--1', `bytes=${'9'.repeat(400)}-`])(
  '[API-3] Range %s asks for nothing that is served in part: the whole is given',
  async (range) => {
    const answer = await read({ range })
    expect(answer.status).toBe(200)
    expect(answer.bytes.length).toBe(5000)
    expect(answer.headers['content-range']).toBeUndefined()
  },
)

test('[API-3] If-Range gives the part where the file is the same, else the whole', async () => {
  const etag = (await read()).headers['etag']!
  expect((await read({ range: 'bytes=0-9', 'if-range': etag })).status).toBe(206)
  expect((await read({ range: 'bytes=0-9', 'if-range': '"other"' })).status).toBe(200)
  expect((await read({ range: 'bytes=0-9', 'if-range': `W/${etag}` })).status).toBe(200)
})

test('[API-3] If-None-Match spares the bytes of a known file', async () => {
  const etag = (await read()).headers['etag']!
  for (const known of [etag, `W/${etag}`, `"x", ${etag}`, '*']) {
    const answer = await read({ 'if-none-match': known })
    expect([answer.status, answer.bytes.length, answer.headers['etag']]).toEqual([304, 0, etag])
  }
  expect((await read({ 'if-none-match': '"x"' })).status).toBe(200)
})

test('[API-3] HEAD tells the length and reads nothing', async () => {
  const head = await read({ range: 'bytes=0-1' }, 'HEAD')
  expect(head.status).toBe(200)
  expect(head.bytes.length).toBe(0)
  expect(head.headers).toMatchObject({ 'content-length': '5000', 'accept-ranges': 'bytes' })
  problemIn({ ...(await listener.call('GET', `${url}x`)) }, 'FILE_NOT_FOUND', 404)
})

test('[API-4] uploads go on where they stopped, and become one model', async () => {
  const { call } = listener
  const files = [
    { path: 'sub/config.json', bytes: 2 },
    { path: 'model.safetensors', bytes: 10, sha256: hex('x') },
  ]
  const begun = await call('POST', '/v1/uploads', { payload: { files } })
  expect(begun.status).toBe(201)
  const at = begun.headers['location']!
  expect(at).toBe(`/v1/uploads/${begun.json.id}`)
  const put = (path: string, offset: string, payload: string | Buffer, type = 'application/offset+octet-stream') =>
    call('PUT', `${at}/files/${path}`, { payload, headers: { 'upload-offset': offset, 'content-type': type } })

  const first = await put('model.safetensors', '0', 'abcd')
  expect([first.status, first.headers['upload-offset'], first.text]).toEqual([204, '4', ''])
  const wrong = await put('model.safetensors', '7', 'zz')
  expect(problemIn(wrong, 'UPLOAD_OFFSET_MISMATCH', 409).details['offset']).toBe(4)
  expect(wrong.headers['upload-offset']).toBe('4')
  problemIn(await call('POST', `${at}/finish`), 'UPLOAD_INCOMPLETE', 409)
  expect((await put('model.safetensors', '4', 'efghij', 'application/octet-stream')).headers['upload-offset']).toBe(
    '10',
  )
  expect((await put('sub/config.json', '0', '{}')).status).toBe(204)
  expect((await call('GET', at)).json.files).toEqual([
    { path: 'sub/config.json', bytes: 2, offset: 2 },
    { path: 'model.safetensors', bytes: 10, offset: 10 },
  ])
  const done = await call('POST', `${at}/finish`)
  expect(done.status).toBe(201)
  expect(Object.keys(done.json)).toEqual(['model', 'content', 'warnings'])
  expect((await call('POST', `${at}/finish`)).status).toBe(200)
  const config = await call('GET', `${done.headers['location']}/files/sub/config.json`)
  expect(config.text).toBe('{}')
})

test.each([undefined, '-1', '1.5', '0x10', ' 1', '01', '1e3', '99999999999999999999', 'true'])(
  '[API-4] an Upload-Offset of %s is refused before a byte is taken',
  async (offset) => {
    const begun = await listener.call('POST', '/v1/uploads', { payload: { files: [{ path: 'a', bytes: 1 }] } })
    const headers = { ...BYTES, ...(offset === undefined ? {} : { 'upload-offset': offset }) }
    const answer = await listener.call('PUT', `/v1/uploads/${begun.json.id}/files/a`, { payload: 'x', headers })
    expect(problemIn(answer, 'REQUEST_INVALID', 400).pointer).toBe('/upload-offset')
    expect(listener.operations.calls.map(([name]) => name)).not.toContain('writeUpload')
  },
)

test.each(['..%2Fetc', 'a%2F..%2Fb', '%2Fetc', 'a//b', 'a%5Cb', 'a%00b', './/', 'a%2F.', 'a/', 'a%0Ab', ''])(
  '[API-5] the path %s of a file is refused',
  async (path) => {
    const model = url.split('/')[3]!
    problemIn(await listener.call('GET', `/v1/models/${model}/files/${path}`), 'PATH_INVALID', 400)
    expect(listener.operations.calls.map(([name]) => name)).not.toContain('readModelFile')
  },
)

test('[API-5] dots inside the names of files are only dots', async () => {
  const model = url.split('/')[3]!
  await listener.call('GET', `/v1/models/${model}/files/a..b/.hidden/c...`)
  expect(listener.operations.calls.at(-1)).toEqual(['readModelFile', model, 'a..b/.hidden/c...'])
})
