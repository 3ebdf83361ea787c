import { expect, test } from 'vitest'
import type { PeerView } from '../../src/operations/peers.ts'
import { createServer } from '../../src/api/server.ts'
import { createFakeOperations, noPeers } from './fake-operations.ts'

const links = { frameBytesMax: 1024, accept: () => undefined, close: () => undefined }
const config = { host: '127.0.0.1', port: 8420, token: undefined, publicHosts: [], logLevel: 'silent' }
const peer: PeerView = {
  url: 'http://10.0.0.7:8420',
  state: 'linked',
  source: 'operator',
  since: '2026-01-01T00:00:00.000Z',
  spaces: [{ id: 'a'.repeat(32), in_sync: true }],
  offered: [],
}

test('[RPL-7] peers are listed and named over HTTP; naming one again answers 200', async () => {
  const known = new Set<string>()
  const peers = {
    ...noPeers,
    list: () => [peer],
    counts: () => new Map([['ops.admitted', 3]]),
    add(url: string) {
      const created = !known.has(url)
      known.add(url)
      return { peer: { ...peer, url }, created }
    },
  }
  const app = createServer({ operations: createFakeOperations(), config, version: '0', replicas: { links, peers } })
  const headers = { host: '127.0.0.1:8420' }
  const listed = await app.inject({ url: '/v1/peers', headers })
  expect(listed.json()).toEqual({ replica: 'e'.repeat(64), items: [peer] })
  const name = () => app.inject({ method: 'POST', url: '/v1/peers', headers, payload: { url: 'http://10.0.0.8:8420' } })
  const answers = [await name(), await name()]
  expect(answers.map(({ statusCode }) => statusCode)).toEqual([201, 200])
  expect(answers[0]!.json()).toMatchObject({ url: 'http://10.0.0.8:8420' })
  const { payload } = await app.inject({ url: '/metrics', headers })
  expect(payload).toContain('tributary_peers{state="linked"} 1')
  expect(payload).toContain('tributary_replication_events{event="ops.admitted"} 3')
  expect(payload).toContain('tributary_peer_spaces_out_of_sync 0')
  expect(payload).toContain('tributary_peer_lag_seconds 0')
  await app.close()
})

test('[RPL-8] the longest lag behind a peer is in the metrics, and each in the list of peers', async () => {
  const spaces = [12, undefined, 75].map((seconds, i) => ({
    id: String(i).repeat(32),
    in_sync: seconds === undefined,
    ...(seconds !== undefined && { lag_seconds: seconds }),
  }))
  const peers = { ...noPeers, list: () => [peer, { ...peer, spaces }] }
  const app = createServer({ operations: createFakeOperations(), config, version: '0', replicas: { links, peers } })
  const headers = { host: '127.0.0.1:8420' }
  const { payload } = await app.inject({ url: '/metrics', headers })
  expect(payload).toContain('tributary_peer_lag_seconds 75')
  expect(payload).toContain('tributary_peer_spaces_out_of_sync 2')
  const listed = await app.inject({ url: '/v1/peers', headers })
  expect(listed.json<{ items: PeerView[] }>().items[1]!.spaces).toEqual(spaces)
  await app.close()
})
