/** What every PeerRepository, AddressRepository, FetchRepository, FetchedRepository and ManifestRepository promises. */
import { describe, expect, test } from 'vitest'
import type { ContentRoot, ModelId, ReplicaId, TensorRoot } from '../../src/core/ids.ts'
import type { StoredFetch } from '../../src/storage/fetch-repository.ts'
import type { Storage } from '../../src/storage/storage.ts'
import { idOf, spaceOf } from '../support/stored-facts.ts'

const aFetch = (word: string, more: Partial<StoredFetch> = {}): StoredFetch => ({
  root: idOf<TensorRoot>(word),
  bytes: 3,
  temporary: idOf(word).slice(0, 32),
  chunks: Uint8Array.of(1, 0),
  updatedAtMs: 5,
  ...more,
})

export function describeReplicas(name: string, open: () => Promise<Storage>): void {
  describe(name, () => {
    test('[STO-30] an address that the operator named is known once, with who answered there last', async () => {
      const { peers } = await open()
      const url = 'http://b.example'
      expect([peers.add({ url, addedAtMs: 1 }), peers.add({ url, addedAtMs: 2 })]).toEqual([true, false])
      expect(peers.add({ url: 'http://a.example', addedAtMs: 3 })).toBe(true)
      expect(peers.list().map((peer) => peer.url)).toEqual(['http://a.example', url])
      const rid = idOf<ReplicaId>('rid')
      peers.saw(url, rid, 9)
      peers.saw('http://nobody.example', rid, 9)
      expect(peers.find(url)).toEqual({ url, rid, addedAtMs: 1, lastSeenMs: 9 })
      expect(peers.find('http://nobody.example')).toBeUndefined()
      expect([peers.remove(url), peers.remove(url), peers.list().length]).toEqual([true, false, 1])
    })

    test('[STO-33] of each replica the latest record of its address is kept, as it was signed, until it is removed', async () => {
      const { addresses } = await open()
      const [a, b] = [idOf<ReplicaId>('a'), idOf<ReplicaId>('b')].sort()
      const of = (rid: ReplicaId, byte: number) => ({ rid, record: Uint8Array.of(byte), toldBy: a!, learnedAtMs: byte })
      addresses.put([of(b!, 1), of(a!, 2)])
      addresses.put([of(b!, 3)])
      expect(addresses.list()).toEqual([of(a!, 2), of(b!, 3)])
      expect([addresses.remove(b!), addresses.remove(b!), addresses.list()]).toEqual([true, false, [of(a!, 2)]])
    })

    test('[STO-32] a manifest is kept once and found by its model and by its content', async () => {
      const { manifests } = await open()
      const [a, b] = [idOf<ModelId>('a'), idOf<ModelId>('b')].sort()
      const content = idOf<ContentRoot>('content')
      const of = (id: ModelId, fetchedAtMs: number) => ({ id, content, manifest: Uint8Array.of(7), fetchedAtMs })
      manifests.put(of(b!, 2))
      manifests.put(of(a!, 1))
      manifests.put(of(a!, 9))
      expect({ ...manifests.find(a!), manifest: [...manifests.find(a!)!.manifest] }).toEqual({
        ...of(a!, 1),
        manifest: [7],
      })
      expect([manifests.has(a!), manifests.has(idOf('other'))]).toEqual([true, false])
      expect(manifests.findByContent(content)).toBe(a)
      expect([manifests.fetchedBefore(1), manifests.fetchedBefore(2)]).toEqual([[a], [a, b]])
      expect([manifests.remove(a!), manifests.remove(a!)]).toEqual([true, false])
      expect([manifests.find(a!), manifests.has(a!), manifests.findByContent(content)]).toEqual([undefined, false, b])
      expect(manifests.findByContent(idOf('other'))).toBeUndefined()
    })

    test('[STO-35] what was fetched is counted for one space, once for each model, until it is said to be gone', async () => {
      const storage = await open()
      const { fetched } = storage
      const [a, b] = [idOf<ModelId>('a'), idOf<ModelId>('b')]
      const [one, two] = [spaceOf('one'), spaceOf('two')]
      expect([fetched.bytesOf(one), fetched.spaces(), fetched.find(a)]).toEqual([0, [], undefined])
      fetched.put({ model: a, space: one, bytes: 5 })
      fetched.put({ model: b, space: one, bytes: 7 })
      expect([fetched.bytesOf(one), fetched.find(b)]).toEqual([12, { model: b, space: one, bytes: 7 }])
      fetched.put({ model: b, space: two, bytes: 20 })
      expect(fetched.spaces()).toEqual([
        { space: two, bytes: 20 },
        { space: one, bytes: 5 },
      ])
      expect(() =>
        storage.transact(() => {
          fetched.remove(b)
          throw new Error('undone')
        }),
      ).toThrow('undone')
      expect([fetched.bytesOf(two), fetched.remove(b), fetched.remove(b), fetched.bytesOf(two)]).toEqual([
        20,
        true,
        false,
        0,
      ])
      expect(fetched.spaces()).toEqual([{ space: one, bytes: 5 }])
    })

    test('[STO-31] a fetch keeps its file while it says again which chunks are durable', async () => {
      const { fetches } = await open()
      const fetch = aFetch('a')
      fetches.put(fetch)
      fetches.put(aFetch('b', { updatedAtMs: 7 }))
      fetches.put({ ...fetch, temporary: idOf('other').slice(0, 32), chunks: Uint8Array.of(3, 1), updatedAtMs: 6 })
      expect(fetches.find(fetch.root)).toEqual({ ...fetch, chunks: Uint8Array.of(3, 1), updatedAtMs: 6 })
      expect(fetches.idleSince(6).map(({ root }) => root)).toEqual([fetch.root])
      expect(fetches.temporaries()).toEqual(new Set([fetch.temporary, aFetch('b').temporary]))
      expect([fetches.remove(fetch.root), fetches.remove(fetch.root)]).toEqual([true, false])
      expect(fetches.find(fetch.root)).toBeUndefined()
    })
  })
}
