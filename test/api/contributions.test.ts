import { beforeEach, expect, test } from 'vitest'
import { TributaryError } from '../../src/core/errors.ts'
import { hex } from './fake-operations.ts'
import { BYTES, createListener, type Listener, problemIn } from './listener.ts'

const AT = '/v1/spaces/atlas/contributions'
let listener: Listener
beforeEach(async () => {
  listener = createListener()
  await listener.call('POST', '/v1/spaces', { payload: { name: 'atlas' } })
})
const upload = (query: string, payload = 'weights', headers: Record<string, string> = BYTES) =>
  listener.call('POST', `${AT}${query}`, { payload, headers })
const lastOffer = () => listener.operations.calls.findLast(([name]) => name === 'contribute')?.[2]

test('[API-6] a safetensors body and a query contribute in one call', async () => {
  const base = hex('base')
  const query = `?name=oslo&weight=0.5&base=${base}&samples=1200&license=apache-2.0&tag=a&tag=b`
  const first = await upload(query)
  expect(first.status).toBe(201)
  expect(Object.keys(first.json)).toEqual(['id', 'model', 'content', 'dot', 'root'])
  expect(first.headers['location']).toBe(`${AT}/${first.json.id}`)
  const { model } = first.json
  const offer = { model, name: 'oslo', weight: '0.5', base, samples: 1200, license: 'apache-2.0', tags: ['a', 'b'] }
  expect(lastOffer()).toEqual(offer)
  const again = await upload(query)
  expect([again.status, again.json]).toEqual([200, first.json])
})

test('[API-6] one tag is a list of one', async () => {
  await upload('?name=oslo&tag=only')
  expect(lastOffer()).toMatchObject({ tags: ['only'] })
})

test('[API-6] a stored model is contributed by JSON, numbers or decimals alike', async () => {
  const stored = await listener.call('POST', '/v1/models', { payload: 'weights', headers: BYTES })
  const offer = {
    model: stored.json.model,
    name: 'oslo',
    weight: 0.25,
    kind: 'full',
    samples: 3,
    tags: ['x'],
    sidecars: { fisher: stored.json.model },
    meta: [['lr', '1e-5']],
  }
  const made = await listener.call('POST', AT, { payload: offer })
  expect(made.status).toBe(201)
  expect(lastOffer()).toEqual(offer)
  await listener.call('POST', AT, { payload: { ...offer, weight: '0.125' } })
  expect(lastOffer()).toMatchObject({ weight: '0.125' })
})

test('[API-6] what a long upload would be refused for is said before it is read', async () => {
  expect(problemIn(await upload('?weight=1'), 'REQUEST_INVALID', 400).pointer).toBe('/name')
  const nowhere = await listener.call('POST', '/v1/spaces/nowhere/contributions?name=a', {
    payload: 'w',
    headers: BYTES,
  })
  problemIn(nowhere, 'SPACE_NOT_FOUND', 404)
  expect(listener.operations.calls.map(([name]) => name)).not.toContain('uploadModel')
})

test('[API-6] a query beside a JSON body is refused, for one of the two would be passed over', async () => {
  const answer = await listener.call('POST', `${AT}?weight=2`, { payload: { model: hex('m'), name: 'a' } })
  expect(problemIn(answer, 'REQUEST_INVALID', 400).pointer).toBe('/weight')
})

test('[API-7] contributions are listed, shown, proved and retracted', async () => {
  const { json } = await upload('?name=oslo')
  const shown = await listener.call('GET', `${AT}/${json.id}`)
  expect(shown.json).toMatchObject({ id: json.id, name: 'oslo', weight: '1', conflict: false })
  expect((await listener.call('GET', AT)).json).toEqual({ items: [shown.json] })
  expect((await listener.call('GET', `${AT}/${json.id}/proof`)).json).toMatchObject({ id: json.id, index: 0, size: 1 })
  const retracted = await listener.call('DELETE', `${AT}/${json.id}`)
  expect([retracted.status, retracted.json.name]).toEqual([200, 'atlas'])
  problemIn(await listener.call('GET', `${AT}/${json.id}`), 'CONTRIBUTION_NOT_FOUND', 404)
  problemIn(await listener.call('GET', `${AT}/${json.id}/proof`), 'CONTRIBUTION_NOT_FOUND', 404)
  problemIn(await listener.call('DELETE', `${AT}/${json.id}`), 'CONTRIBUTION_NOT_FOUND', 404)
})

test('[API-8] content is revoked with a reason, or refused to who may not', async () => {
  const revoke = (payload: object) => listener.call('POST', '/v1/spaces/atlas/revocations', { payload })
  const content = hex('bad')
  const revoked = await revoke({ content, reason: 'leaked data' })
  expect([revoked.status, revoked.json.revoked]).toEqual([200, [{ content, reason: 'leaked data' }]])
  listener.operations.fail('revoke', new TributaryError('NOT_ALLOWED', 'only an admin revokes', { hint: 'ask one' }))
  problemIn(await revoke({ content }), 'NOT_ALLOWED', 403)
  expect(problemIn(await revoke({ contents: content }), 'REQUEST_INVALID', 400).pointer).toBe('/content')
})
