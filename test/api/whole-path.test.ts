/** The skin over the real operations: what a group does on its first day, by REST alone. */
import { afterEach, expect, test } from 'vitest'
import { parseReceipt } from '../../src/core/receipt.ts'
import { createServer } from '../../src/api/server.ts'
import { aReplica } from '../support/replica.ts'
import { tinyFile } from '../support/safetensors.ts'
import { promising } from './answers.ts'
import { BYTES, CONFIG, callerOf, problemIn } from './listener.ts'

const closing: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0)) await close()
})

async function serve() {
  const replica = await aReplica()
  const app = createServer({ operations: replica, config: CONFIG, version: '0.1.0' })
  closing.push(async () => {
    await app.close()
    await replica.stop()
  })
  const bare = callerOf(app)
  return { replica, call: await promising({ app, call: bare }), bare }
}

test('[API-15] each answer of the whole path is what /openapi.json promises, over the real operations', async () => {
  const { replica, call, bare } = await serve()
  const space = await call('POST', '/v1/spaces', { payload: { name: 'atlas' } })
  const at = '/v1/spaces/atlas'
  const offered = await call('POST', `${at}/contributions?name=oslo&weight=0.5&samples=3&tag=b&tag=a`, {
    payload: Buffer.from(tinyFile(1)),
    headers: BYTES,
  })
  expect(offered.status).toBe(201)

  const file = Buffer.from(tinyFile(2))
  const files = [
    { path: 'model.safetensors', bytes: file.length },
    { path: 'config.json', bytes: 2 },
  ]
  const upload = await call('POST', '/v1/uploads', { payload: { files } })
  const put = (path: string, offset: number, payload: Buffer) =>
    bare('PUT', `${upload.headers['location']}/files/${path}`, {
      payload,
      headers: { ...BYTES, 'upload-offset': String(offset) },
    })
  expect((await put('model.safetensors', 0, file.subarray(0, 50))).headers['upload-offset']).toBe('50')
  const wrong = await put('model.safetensors', 3, file)
  problemIn(wrong, 'UPLOAD_OFFSET_MISMATCH', 409)
  expect(wrong.headers['upload-offset']).toBe('50')
  expect((await put('model.safetensors', 50, file.subarray(50))).status).toBe(204)
  expect((await put('config.json', 0, Buffer.from('{}'))).status).toBe(204)
  await call('GET', upload.headers['location']!)
  const finished = await call('POST', `${upload.headers['location']}/finish`)
  const { model } = finished.json
  await call('GET', `/v1/models/${model}`)
  const back = await bare('GET', `/v1/models/${model}/files/model.safetensors`)
  expect(back.bytes.equals(file)).toBe(true)
  const part = await bare('GET', `/v1/models/${model}/files/model.safetensors`, { headers: { range: 'bytes=7-99' } })
  expect(part.bytes.equals(file.subarray(7, 100))).toBe(true)

  const kyiv = await call('POST', `${at}/contributions`, {
    payload: { model, name: 'kyiv', weight: 2, meta: [['lr', '1e-5']] },
  })
  expect(
    (await call('POST', `${at}/contributions`, { payload: { model, name: 'kyiv', weight: 2, meta: [['lr', '1e-5']] } }))
      .status,
  ).toBe(200)
  const list = await call('GET', `${at}/contributions`)
  expect(list.json.items.map(({ name }: { name: string }) => name).sort()).toEqual(['kyiv', 'oslo'])
  await call('GET', `${at}/contributions/${kyiv.json.id}`)
  const proof = await call('GET', `${at}/contributions/${kyiv.json.id}/proof`)
  expect(proof.json.root).toBe((await call('GET', at)).json.root)

  const begun = await call('POST', `${at}/merges`, { payload: { recipe: { strategy: 'weight_average' } } })
  expect(begun.status).toBe(202)
  await replica.idle()
  const merge = begun.headers['location']!
  expect((await call('GET', merge)).json).toMatchObject({ state: 'done' })
  expect((await call('POST', `${at}/merges`, { payload: { recipe: { strategy: 'weight_average' } } })).status).toBe(200)
  await call('GET', `${at}/merges?limit=1`)
  const output = await bare('GET', `${merge}/model.safetensors`)
  expect(output.status).toBe(200)
  expect(output.bytes.length).toBe(file.length)
  const receipt = await call('GET', `${merge}/receipt`)
  expect(parseReceipt(receipt.bytes).statement.inputs.length).toBe(2)

  await call('DELETE', `${at}/contributions/${kyiv.json.id}`)
  await call('POST', `${at}/revocations`, { payload: { content: offered.json.content, reason: 'leaked' } })
  await call('DELETE', merge)
  expect((await call('GET', at)).json).toMatchObject({ id: space.json.id, contributions: 0 })
  for (const url of ['/v1/spaces', '/v1/strategies', '/v1/strategies/weight_average', '/healthz', '/readyz'])
    await call('GET', url)
  expect((await bare('GET', '/metrics')).text).toMatch(/^tributary_spaces 1$/m)
})

test('[API-15] the refusals of the real operations are what /openapi.json promises', async () => {
  const { call } = await serve()
  await call('POST', '/v1/spaces', { payload: { name: 'atlas' } })
  const at = '/v1/spaces/atlas'
  const model = '0'.repeat(64)
  const bytes = (payload: string | Buffer) => ({ payload, headers: BYTES })
  problemIn(await call('POST', '/v1/spaces', { payload: { name: 'atlas' } }), 'SPACE_NAME_TAKEN', 409)
  problemIn(await call('POST', '/v1/spaces', { payload: { name: '../x' } }), 'NAME_INVALID', 400)
  problemIn(await call('GET', '/v1/spaces/none'), 'SPACE_NOT_FOUND', 404)
  problemIn(await call('GET', '/v1/models/xyz'), 'ID_INVALID', 400)
  problemIn(await call('GET', `/v1/models/${model}`), 'MODEL_NOT_FOUND', 404)
  problemIn(await call('POST', '/v1/models', bytes(Buffer.from([0x80, 2, 0x7d, 0x71, 0]))), 'PICKLE_REFUSED', 415)
  problemIn(
    await call('POST', '/v1/models', bytes(Buffer.from(tinyFile(1)).subarray(0, 90))),
    'SAFETENSORS_TRUNCATED',
    422,
  )
  problemIn(await call('POST', `${at}/contributions`, { payload: { model, name: 'a' } }), 'MODEL_NOT_FOUND', 404)
  problemIn(
    await call('POST', `${at}/merges`, { payload: { recipe: { strategy: 'weight_averag' } } }),
    'STRATEGY_NOT_FOUND',
    404,
  )
  problemIn(await call('POST', `${at}/merges`, { payload: { recipe: { strategi: 'x' } } }), 'RECIPE_INVALID', 422)
  problemIn(await call('POST', `${at}/merges`, { payload: { recipe: {} } }), 'NOTHING_SELECTED', 422)
  problemIn(await call('GET', `${at}/merges?cursor=zzz`), 'REQUEST_INVALID', 400)
})
