import { expect, test } from 'vitest'
import { createListener, problemIn } from './listener.ts'

test('[API-1] a space is made, listed, and found by id and by name', async () => {
  const { call } = createListener()
  const made = await call('POST', '/v1/spaces', { payload: { name: 'atlas', access: 'members' } })
  expect(made.status).toBe(201)
  expect(made.json).toMatchObject({ name: 'atlas', contributions: 0, policy: { access: 'members', rules: 1 } })
  expect(made.headers['location']).toBe(`/v1/spaces/${made.json.id}`)
  expect((await call('GET', '/v1/spaces')).json).toEqual({ items: [made.json] })
  expect((await call('GET', '/v1/spaces/atlas')).json).toEqual(made.json)
  expect((await call('GET', made.headers['location']!)).json).toEqual(made.json)
})

test('[API-1] a name that two spaces have is answered with both ids', async () => {
  const { call } = createListener()
  const ids = [
    await call('POST', '/v1/spaces', { payload: { name: 'a' } }),
    await call('POST', '/v1/spaces', { payload: { name: 'a' } }),
  ]
  const problem = problemIn(await call('GET', '/v1/spaces/a'), 'SPACE_NAME_AMBIGUOUS', 409)
  expect(problem.details['ids']).toEqual(ids.map(({ json }) => json.id))
  problemIn(await call('GET', '/v1/spaces/b'), 'SPACE_NOT_FOUND', 404)
})
