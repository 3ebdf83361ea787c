import { expect, test } from 'vitest'
import { TributaryError } from '../../src/core/errors.ts'
import { hex } from './fake-operations.ts'
import { createListener, problemIn } from './listener.ts'

const AT = `/v1/blobs/${hex('blob')}`
const TOKEN = '0123456789abcdef'
const guarded = () =>
  createListener({
    config: { host: '0.0.0.0', port: 8420, token: TOKEN, publicHosts: ['127.0.0.1'], logLevel: 'silent' },
  })

test('[API-31] a blob is given out whole, in ranges, and by its kind', async () => {
  const { call, operations } = createListener()
  const whole = await call('GET', AT)
  expect([whole.status, whole.text, whole.headers['accept-ranges']]).toEqual([200, 'the bytes of a blob', 'bytes'])
  const part = await call('GET', `${AT}?kind=file`, { headers: { range: 'bytes=4-8' } })
  expect([part.status, part.text, part.headers['content-range']]).toEqual([206, 'bytes', 'bytes 4-8/19'])
  expect((await call('HEAD', AT)).headers['content-length']).toBe('19')
  expect(operations.calls.map(([name, kind]) => [name, kind])).toEqual([
    ['readBlob', 'tensor'],
    ['readBlob', 'file'],
    ['readBlob', 'tensor'],
  ])
  problemIn(await call('GET', `/v1/blobs/${hex('other')}`), 'BLOB_NOT_FOUND', 404)
  problemIn(await call('GET', `${AT}?kind=model`), 'REQUEST_INVALID', 400)
})

test('[API-31] leaves are given out whole, whatever range is asked for', async () => {
  const { call } = createListener()
  const leaves = await call('GET', `${AT}/leaves`, { headers: { range: 'bytes=0-3' } })
  expect([leaves.status, leaves.bytes.toString('hex')]).toEqual([200, hex('leaf')])
})

test('[SEC-32] blobs are given to the token or to a ticket, which opens nothing else', async () => {
  const { call, operations } = guarded()
  const as = (authorization?: string) => ({ headers: authorization === undefined ? {} : { authorization } })
  problemIn(await call('GET', AT), 'UNAUTHORIZED', 401)
  problemIn(await call('GET', AT, as('Bearer wrong-wrong-wrong')), 'UNAUTHORIZED', 401)
  problemIn(await call('GET', AT, as('Ticket ')), 'UNAUTHORIZED', 401)
  expect((await call('GET', AT, as(`Bearer ${TOKEN}`))).status).toBe(200)
  expect(operations.calls.at(-1)).toEqual(['readBlob', 'tensor', hex('blob'), undefined])
  expect((await call('GET', AT, as('Ticket abc'))).status).toBe(200)
  expect(operations.calls.at(-1)).toEqual(['readBlob', 'tensor', hex('blob'), 'abc'])
  expect((await call('GET', `${AT}/leaves`, as('Ticket abc'))).status).toBe(200)
  expect(operations.calls.at(-1)).toEqual(['readLeaves', hex('blob'), 'abc'])
  for (const path of ['/v1/spaces', '/v1/blobs', '/v1/models/x', '/metrics'])
    problemIn(await call('GET', path, as('Ticket abc')), 'UNAUTHORIZED', 401)
  operations.fail('readBlob', new TributaryError('UNAUTHORIZED', 'the ticket is over', { hint: 'ask again' }))
  problemIn(await call('GET', AT, as('Ticket abc')), 'UNAUTHORIZED', 401)
})
