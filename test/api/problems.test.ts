import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { problemOf, STATUS } from '../../src/api/problems.ts'
import { ERROR_CODES, TributaryError } from '../../src/core/errors.ts'
import { createListener, problemIn } from './listener.ts'

const shared = createListener()

test('[PRB-1] docs/http-api.md tells what each status means', () => {
  const page = readFileSync(new URL('../../docs/http-api.md', import.meta.url), 'utf8')
  const rows = page.split('\n').filter((line) => /^\| [45][0-9]{2}/.test(line))
  const told = rows.flatMap((line) => line.split('|')[1]!.split(',').map(Number))
  expect(told.sort()).toEqual([...new Set(Object.values(STATUS))].sort())
})

test('[PRB-1] each error code has one status, and codes that are not found are 404', () => {
  expect(Object.keys(STATUS).sort()).toEqual([...ERROR_CODES].sort())
  for (const code of ERROR_CODES) {
    expect(STATUS[code]).toBeGreaterThanOrEqual(400)
    expect(STATUS[code]).toBeLessThan(600)
    if (code.endsWith('_NOT_FOUND')) expect([code, STATUS[code]]).toEqual([code, 404])
  }
})

test('[PRB-1] a failure is a problem with its code, words, hint, pointer and facts', () => {
  const details = { ids: ['a', 'b'], bytes: 3 }
  const error = new TributaryError('SLOT_CONFLICT', 'two share it', { details, hint: 'name one', pointer: '/a/b' })
  expect(problemOf(error, '/v1/x', 'req-1')).toEqual({
    type: 'urn:tributary:problem:slot-conflict',
    title: 'Slot conflict',
    status: 409,
    detail: 'two share it',
    instance: '/v1/x',
    code: 'SLOT_CONFLICT',
    hint: 'name one',
    pointer: '/a/b',
    details,
  })
})

test('[PRB-2] a bug is answered by INTERNAL and nothing of itself', async () => {
  const { call, operations } = createListener()
  operations.fail('createSpace', new TypeError('secret of /var/lib/data'))
  const answer = await call('POST', '/v1/spaces', { payload: { name: 'a' } })
  const problem = problemIn(answer, 'INTERNAL', 500)
  expect(answer.text).not.toContain('secret')
  expect(problem.details['request']).toMatch(/^req-/)
})

test('[PRB-2] a failure of the machine keeps its paths to the log', async () => {
  const { call, operations } = createListener()
  operations.fail('createSpace', new TributaryError('STORAGE_FAILED', 'EIO in /var/lib/data', { hint: '/var/lib' }))
  const answer = await call('POST', '/v1/spaces', { payload: { name: 'a' } })
  problemIn(answer, 'STORAGE_FAILED', 500)
  expect(answer.text).not.toContain('/var')
})

test('[PRB-2] the query of a request is not repeated in its problem', async () => {
  const problem = problemIn(await shared.call('GET', '/v1/spaces/none?a=b'), 'SPACE_NOT_FOUND', 404)
  expect(problem.instance).toBe('/v1/spaces/none')
})

test.each([
  ['/v1/space', 'did you mean /v1/spaces?'],
  ['/v1/spcaes/atlas/merges', 'did you mean /v1/spaces?'],
  ['/v1/spaces/atlas/merge', 'did you mean /v1/spaces/atlas/merges?'],
  ['/v1/model/x/files/y', 'did you mean /v1/models?'],
  ['/healtz', 'did you mean /healthz?'],
  ['/', 'see /openapi.json for what there is'],
  ['/v2/spaces', 'did you mean /v1?'],
  [`/v1/${'x'.repeat(5000)}`, 'see /openapi.json for what there is'],
])('[PRB-3] nothing is at %.40s: %s', async (url, hint) => {
  expect(problemIn(await shared.call('GET', url), 'ROUTE_NOT_FOUND', 404).hint).toBe(hint)
})

test.each(['peers', 'replicate'])('[PRB-3] /v1/%s is not there yet, so it is absent', async (path) => {
  problemIn(await shared.call('GET', `/v1/${path}`), 'ROUTE_NOT_FOUND', 404)
})

test.each([
  ['PATCH', '/v1/spaces', 'GET, HEAD, POST'],
  ['DELETE', '/v1/spaces/a', 'GET, HEAD'],
  ['POST', '/v1/models/a/files/b/c', 'GET, HEAD'],
  ['GET', '/v1/uploads/a/files/b', 'PUT'],
  ['GET', '/v1/uploads/a/finish', 'POST'],
  ['PUT', '/healthz', 'GET, HEAD'],
  ['OPTIONS', '/v1/spaces', 'GET, HEAD, POST'],
])('[PRB-4] %s %s is refused with what is allowed', async (method, url, allowed) => {
  const answer = await shared.call(method, url)
  problemIn(answer, 'METHOD_NOT_ALLOWED', 405)
  expect(answer.headers['allow']).toBe(allowed)
})
