import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { noPeers } from './fake-operations.ts'
import { createListener } from './listener.ts'

test('[API-13] /healthz says that it is there, /readyz whether it can work', async () => {
  const { call, operations } = createListener()
  expect((await call('GET', '/healthz')).json).toEqual({ status: 'ok' })
  const ready = await call('GET', '/readyz')
  expect([ready.status, ready.json]).toEqual([200, { ready: true, checks: { database: 'ok' } }])
  operations.ready = false
  const unready = await call('GET', '/readyz')
  expect([unready.status, unready.json.ready]).toEqual([503, false])
})

test('[API-14] /metrics has the process, the requests by route, and the figures of the replica', async () => {
  const { call } = createListener()
  for (const name of ['x', 'y', 'z']) await call('GET', `/v1/spaces/${name}`)
  await call('GET', '/somewhere/else')
  const { text, headers } = await call('GET', '/metrics')
  expect(headers['content-type']).toMatch(/^text\/plain/)
  const count = 'tributary_http_request_duration_seconds_count'
  expect(text).toContain(`${count}{method="GET",route="/v1/spaces/:space",status="4xx"} 3`)
  expect(text).toContain(`${count}{method="GET",route="none",status="4xx"} 1`)
  expect(text).toContain('tributary_merges{state="done"} 2')
  expect(text).toContain('tributary_free_bytes 1000')
  expect(text).toMatch(/^process_resident_memory_bytes \d+/m)
  expect(text).not.toMatch(/somewhere|spaces\/x/)
})

test('[API-14] docs/operations.md lists the figures that /metrics has, and no other', async () => {
  const links = { frameBytesMax: 1024, accept: () => undefined, close: () => undefined }
  const { call } = createListener({ replicas: { links, peers: noPeers } })
  const { text } = await call('GET', '/metrics')
  const served = Array.from(text.matchAll(/^# TYPE (tributary_\w+) /gm), ([, name]) => name!)
  const page = readFileSync(new URL('../../docs/operations.md', import.meta.url), 'utf8')
  const listed = page.split('\n').flatMap((line) => /^\| `(tributary_\w+)/.exec(line)?.[1] ?? [])
  expect(listed.sort()).toEqual(served.sort())
  const named = Array.from(page.matchAll(/`(tributary_\w+)/g), ([, name]) => name!)
  expect(named.filter((name) => !served.includes(name))).toEqual([])
})

interface Document {
  openapi: string
  paths: Record<string, Record<string, { responses: Record<string, unknown>; summary?: string; tags?: string[] }>>
  components: { schemas: Record<string, unknown> }
}

async function documented() {
  const links = { frameBytesMax: 1024, accept: () => undefined, close: () => undefined }
  const { app, call } = createListener({ replicas: { links, peers: noPeers } })
  await app.ready()
  return { routes: app.routes.list(), document: (await call('GET', '/openapi.json')).json as Document }
}

/** Routes by which the API describes itself. */
const ITSELF = / (\/docs|\/openapi\.json)/

test('[API-15] /openapi.json is OpenAPI 3.1 and has every route, each with its answers and problems', async () => {
  const { routes, document } = await documented()
  expect(document.openapi).toBe('3.1.0')
  const written = Object.entries(document.paths).flatMap(([path, verbs]) =>
    Object.keys(verbs).map(
      (verb) => `${verb.toUpperCase()} ${path.replace(/\{wildcard\}|\{\*\}/, '*').replace(/\{(\w+)\}/g, ':$1')}`,
    ),
  )
  const served = routes.filter((route) => !route.startsWith('HEAD') && !ITSELF.test(route))
  expect(written.sort()).toEqual(served)
  for (const verbs of Object.values(document.paths))
    for (const verb of Object.values(verbs)) {
      expect(verb.summary).toMatch(/\S/)
      expect(verb.tags?.length).toBe(1)
      expect(Object.keys(verb.responses)).toEqual(expect.arrayContaining(['4XX', '5XX']))
    }
})

test('[API-15] every reference in /openapi.json leads to a component, under its own name', async () => {
  const { document } = await documented()
  expect(Object.keys(document.components.schemas)).toEqual(expect.arrayContaining(['Space', 'Merge', 'Problem']))
  const references = Array.from(JSON.stringify(document).matchAll(/"\$ref":"([^"]+)"/g), ([, reference]) => reference!)
  expect(references.length).toBeGreaterThan(20)
  for (const reference of references) {
    const name = /^#\/components\/schemas\/(\w+)$/.exec(reference)?.[1]
    expect([reference, Object.keys(document.components.schemas)]).toEqual([reference, expect.arrayContaining([name])])
  }
})

test('[API-15] docs/http-api.md names every route, and none that is not there', async () => {
  const { routes } = await documented()
  const text = readFileSync(new URL('../../docs/http-api.md', import.meta.url), 'utf8')
  const listed = Array.from(
    text.matchAll(/^\| `(GET|POST|PUT|DELETE|HEAD) (\/\S*)`/gm),
    ([, verb, path]) => `${verb!} ${path!.replace(/\{path\}/, '*').replace(/\{(\w+)\}/g, ':$1')}`,
  )
  const served = routes.filter((route) => !route.startsWith('HEAD') && !/ \/docs\/./.test(route))
  expect(listed.sort()).toEqual(served)
})
