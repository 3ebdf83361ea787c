import { beforeEach, expect, test } from 'vitest'
import { TributaryError } from '../../src/core/errors.ts'
import { promising } from './answers.ts'
import { hex } from './fake-operations.ts'
import { createListener, type Listener, problemIn } from './listener.ts'

const AT = '/v1/spaces/atlas/members'
let listener: Listener
let call: Listener['call']
beforeEach(async () => {
  listener = createListener()
  call = await promising(listener)
  await call('POST', '/v1/spaces', { payload: { name: 'atlas', access: 'members' } })
})

test('[API-30] members are added, listed and removed by key', async () => {
  const key = hex('ana')
  const added = await call('POST', AT, { payload: { key, role: 'writer' } })
  expect([added.status, added.json]).toMatchObject([201, { key, role: 'writer', from_epoch: 0 }])
  expect((await call('POST', AT, { payload: { key, role: 'writer' } })).status).toBe(200)
  expect((await call('GET', AT)).json).toEqual({ items: [added.json] })
  const removed = await call('DELETE', `${AT}/${key}?reason=left%20us`)
  expect([removed.status, removed.json]).toEqual([200, { items: [] }])
  expect(listener.operations.calls.at(-1)).toEqual(['removeMember', 'atlas', key, 'left us'])
  problemIn(await call('DELETE', `${AT}/${key}`), 'MEMBER_NOT_FOUND', 404)
})

test('[API-30] an amnesty is given for a key, from an epoch if one is named', async () => {
  const give = (payload: object) => call('POST', '/v1/spaces/atlas/amnesties', { payload })
  const key = hex('ana')
  const given = await give({ key, reason: 'restored' })
  expect([given.status, given.json]).toEqual([201, { key, from_epoch: 1 }])
  expect((await give({ key, from_epoch: 4 })).status).toBe(200)
  expect(problemIn(await give({ key, from_epoch: 0 }), 'REQUEST_INVALID', 400).pointer).toBe('/from_epoch')
})

test('[API-30] who may not manage members is refused, and so is a field that nobody reads', async () => {
  listener.operations.fail('addMember', new TributaryError('NOT_ALLOWED', 'only an admin may', { hint: 'ask one' }))
  problemIn(await call('POST', AT, { payload: { key: hex('ana'), role: 'writer' } }), 'NOT_ALLOWED', 403)
  listener.operations.fail('removeMember', new TributaryError('NOT_ALLOWED', 'only an admin may', { hint: 'ask one' }))
  problemIn(await call('DELETE', `${AT}/${hex('ana')}`), 'NOT_ALLOWED', 403)
  listener.operations.fail('addMember', new TributaryError('SPACE_OPEN', 'it is open', { hint: 'make another' }))
  problemIn(await call('POST', AT, { payload: { key: hex('ana'), role: 'writer' } }), 'SPACE_OPEN', 409)
  expect(problemIn(await call('POST', AT, { payload: { key: hex('ana') } }), 'REQUEST_INVALID', 400).pointer).toBe(
    '/role',
  )
  const odd = { key: hex('ana'), role: 'writer', epoch: 3 }
  expect(problemIn(await call('POST', AT, { payload: odd }), 'REQUEST_INVALID', 400).pointer).toBe('/epoch')
})
