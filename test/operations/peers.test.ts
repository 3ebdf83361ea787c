import { expect, test } from 'vitest'
import { addPeer, listPeers, type Peers, peerUrl } from '../../src/operations/peers/peers.ts'
import { refusalOf } from '../support/refusal.ts'
import { aReplica } from '../support/replica.ts'
import { idOf } from '../support/stored-facts.ts'

test('[SVC-34] a peer is named once, dialed from then on, and shown with what its link says', async () => {
  const { context, storage } = await aReplica()
  const kept: string[] = []
  const links: Peers = {
    stateOf: (url) => (url.includes('b.example') ? { state: 'connected', spaces_behind: 2 } : undefined),
    keep: (url) => kept.push(url),
  }
  expect(addPeer(context, links, 'http://A.example:8420/')).toEqual({
    peer: { url: 'http://a.example:8420', origin: 'operator', state: 'waiting' },
    created: true,
  })
  expect(addPeer(context, links, 'http://a.example:8420').created).toBe(false)
  expect(addPeer(context, links, 'https://b.example/team/').created).toBe(true)
  storage.peers.saw('https://b.example/team', idOf('rid'), 0)
  expect(listPeers(context, links)[1]).toEqual({
    url: 'https://b.example/team',
    origin: 'operator',
    state: 'connected',
    spaces_behind: 2,
    rid: idOf('rid'),
    last_seen: '1970-01-01T00:00:00.000Z',
  })
  expect(kept).toEqual(['http://a.example:8420', 'http://a.example:8420', 'https://b.example/team'])
})

test('[SVC-34] what is no address of a replica is refused, and so is one peer too many', async () => {
  for (const url of [
    '',
    'a.example',
    'ftp://a.example',
    'http://me@a.example',
    'http://a.example/?x',
    'http://a.example/#x',
  ])
    expect(refusalOf(() => peerUrl(url)).code).toBe('REQUEST_INVALID')
  expect(peerUrl('http://127.0.0.1:8420')).toBe('http://127.0.0.1:8420') // the operator is trusted
  const { context } = await aReplica()
  const links: Peers = { stateOf: () => undefined, keep: () => undefined }
  for (let i = 0; i < 256; i++) addPeer(context, links, `http://h${i}.example`)
  expect(refusalOf(() => addPeer(context, links, 'http://more.example')).code).toBe('TOO_MANY_REQUESTS')
  expect(addPeer(context, links, 'http://h0.example').created).toBe(false)
})
