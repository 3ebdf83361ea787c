import { beforeEach, expect, test } from 'vitest'
import { TributaryError } from '../../src/core/errors.ts'
import { parseReceipt } from '../../src/core/receipt.ts'
import { hex } from './fake-operations.ts'
import { createListener, type Listener, problemIn } from './listener.ts'

const AT = '/v1/spaces/atlas/merges'
let listener: Listener
beforeEach(async () => {
  listener = createListener()
  await listener.call('POST', '/v1/spaces', { payload: { name: 'atlas' } })
})
const start = (recipe: unknown) => listener.call('POST', AT, { payload: { recipe } })

test('[API-9] the least recipe starts a merge: 202 and where to look; 200 when it is known', async () => {
  const begun = await start({ strategy: 'weight_average' })
  expect(begun.status).toBe(202)
  expect(begun.json).toMatchObject({ state: 'queued', bytes_done: 0, bytes_total: 8 })
  expect(begun.headers['location']).toBe(`${AT}/${begun.json.id}`)
  expect((await start({ strategy: 'weight_average' })).status).toBe(200)
  expect((await listener.call('GET', begun.headers['location']!)).json).toEqual(begun.json)
  expect((await listener.call('DELETE', begun.headers['location']!)).json.state).toBe('cancelled')
  problemIn(await listener.call('GET', `${AT}/${hex('none')}`), 'MERGE_NOT_FOUND', 404)
})

test('[API-9] a recipe may be text, for mergekit speaks YAML, and is handed on as it came', async () => {
  await start('merge_method: linear\n')
  expect(listener.operations.calls.at(-1)).toEqual(['startMerge', 'atlas', 'merge_method: linear\n'])
  const deep = { strategy: { id: 'x', params: { a: [1, '2', true, null] } }, weights: [['atlas/a', 0.5]] }
  await start(deep)
  expect(listener.operations.calls.at(-1)?.[2]).toEqual(deep)
})

test.each([
  [{}, '/recipe'],
  [{ recipe: 3 }, '/recipe'],
  [{ recipe: null }, '/recipe'],
  [{ recipe: ['a'] }, '/recipe'],
  [{ recipe: {}, recipes: {} }, '/recipes'],
])('[API-9] %j is no request to merge', async (payload, pointer) => {
  expect(problemIn(await listener.call('POST', AT, { payload }), 'REQUEST_INVALID', 400).pointer).toBe(pointer)
})

test('[API-9] what stands in the way of a merge has a status that says whose turn it is', async () => {
  const refusals = [
    ['RECIPE_INVALID', 422],
    ['NOTHING_SELECTED', 422],
    ['SLOT_CONFLICT', 409],
    ['MANIFEST_MISSING', 409],
    ['RULES_UNKNOWN', 409],
    ['CONTENT_REVOKED', 409],
  ] as const
  for (const [code, status] of refusals) {
    const details = { ids: [hex('a'), hex('b')] }
    listener.operations.fail('startMerge', new TributaryError(code, 'no', { details, pointer: '/recipe', hint: 'x' }))
    const problem = problemIn(await start({}), code, status)
    expect([problem.details, problem.pointer, problem.hint]).toEqual([details, '/recipe', 'x'])
  }
})

test('[API-10] merges come in pages, each with the way to the next', async () => {
  for (const n of [1, 2, 3]) await start({ seed: n })
  const first = await listener.call('GET', `${AT}?limit=2`)
  expect(first.json.items.length).toBe(2)
  expect(first.headers['link']).toBe(`<${AT}?limit=2&cursor=${first.json.next_cursor}>; rel="next"`)
  const second = await listener.call('GET', /<(.*)>/.exec(first.headers['link']!)![1]!)
  expect(second.json.items.length).toBe(1)
  expect(second.json).not.toHaveProperty('next_cursor')
  expect(second.headers['link']).toBeUndefined()
  await listener.call('GET', AT)
  expect(listener.operations.calls.at(-1)).toEqual(['listMerges', 'atlas', { limit: 50, cursor: '0' }])
})

test.each(['0', '501', '-1', '1.5', 'ten', '', '1e1', '0x5', 'true'])(
  '[API-10] a limit of "%s" is refused',
  async (limit) => {
    const answer = await listener.call('GET', `${AT}?limit=${limit}`)
    expect(problemIn(answer, 'REQUEST_INVALID', 400).pointer).toBe('/limit')
  },
)

test('[API-11] the output is taken in parts with the digest of the whole, once it is done', async () => {
  const { json } = await start({})
  const url = `${AT}/${json.id}/model.safetensors`
  problemIn(await listener.call('GET', url), 'MERGE_NOT_DONE', 409)
  const output = Buffer.from('the merged weights')
  listener.operations.finishMerge(json.id, output)
  const whole = await listener.call('GET', url)
  expect(whole.bytes.equals(output)).toBe(true)
  const digest = `sha-256=:${Buffer.from(hex(output), 'hex').toString('base64')}:`
  expect(whole.headers).toMatchObject({ 'repr-digest': digest, etag: `"${hex(output).slice(0, 32)}"` })
  const part = await listener.call('GET', url, { headers: { range: 'bytes=4-9' } })
  expect([part.status, part.text, part.headers['repr-digest']]).toEqual([206, 'merged', digest])
  const head = await listener.call('HEAD', url)
  expect([head.status, head.headers['content-length'], head.bytes.length]).toEqual([200, '18', 0])
})

test('[API-11] the receipt comes as the very file that an audit reads', async () => {
  const { json } = await start({})
  problemIn(await listener.call('GET', `${AT}/${json.id}/receipt`), 'RECEIPT_NOT_FOUND', 404)
  listener.operations.finishMerge(json.id, Buffer.from('x'))
  const answer = await listener.call('GET', `${AT}/${json.id}/receipt`)
  expect(answer.headers['content-type']).toBe('application/json; charset=utf-8')
  expect(parseReceipt(answer.bytes)).toEqual(answer.json)
})

test('[API-12] strategies are listed and shown', async () => {
  const list = await listener.call('GET', '/v1/strategies')
  expect(list.json.items.map(({ id }: { id: string }) => id)).toEqual(['weight_average'])
  expect((await listener.call('GET', '/v1/strategies/weight_average')).json).toEqual(list.json.items[0])
  problemIn(await listener.call('GET', '/v1/strategies/nope'), 'STRATEGY_NOT_FOUND', 404)
})
