/** Peers, addresses, fetches, what was fetched, and manifests in maps. */
import { compareUtf8 } from '../../core/bytes.ts'
import type { ModelId, ReplicaId, SpaceId, TensorRoot } from '../../core/ids.ts'
import type { AddressRepository, StoredAddress } from '../address-repository.ts'
import type { FetchRepository, StoredFetch } from '../fetch-repository.ts'
import type { Fetched, FetchedRepository } from '../fetched-repository.ts'
import type { ManifestRepository, StoredManifest } from '../manifest-repository.ts'
import type { PeerRepository, StoredPeer } from '../peer-repository.ts'
import type { Journal } from './journal.ts'

const byUrl = (a: StoredPeer, b: StoredPeer): number => compareUtf8(a.url, b.url)
const seenAt = ({ lastSeenMs = -1 }: StoredPeer): number => lastSeenMs

export function createMemoryPeerRepository(journal: Journal): PeerRepository {
  const peers = journal.map<string, StoredPeer>()
  const of = (origin: StoredPeer['origin']) => peers.values().filter((peer) => peer.origin === origin)
  return {
    add({ url, origin, addedAtMs }) {
      const known = peers.get(url)
      if (known === undefined) peers.set(url, { url, origin, addedAtMs })
      else if (origin === 'operator') peers.set(url, { ...known, origin })
      return known === undefined
    },
    find: (url) => peers.get(url),
    list: () => [...of('operator').sort(byUrl), ...of('learned').sort(byUrl)],
    saw(url, rid, lastSeenMs) {
      const known = peers.get(url)
      if (known !== undefined) peers.set(url, { ...known, rid, lastSeenMs })
    },
    remove: (url) => peers.delete(url),
    trimLearned(keep) {
      const surplus = of('learned')
        .sort((a, b) => seenAt(b) - seenAt(a) || byUrl(a, b))
        .slice(keep)
      for (const { url } of surplus) peers.delete(url)
      return surplus.length
    },
  }
}

export function createMemoryAddressRepository(journal: Journal): AddressRepository {
  const addresses = journal.map<ReplicaId, StoredAddress>()
  return {
    put(given) {
      for (const address of given) addresses.set(address.rid, address)
    },
    list: () => addresses.values().sort((a, b) => compareUtf8(a.rid, b.rid)),
    remove: (rid) => addresses.delete(rid),
  }
}

export function createMemoryFetchRepository(journal: Journal): FetchRepository {
  const fetches = journal.map<TensorRoot, StoredFetch>()
  return {
    find: (root) => fetches.get(root),
    put(fetch) {
      const { chunks, updatedAtMs } = fetch
      const known = fetches.get(fetch.root) ?? fetch
      fetches.set(fetch.root, { ...known, chunks: chunks.slice(), updatedAtMs })
    },
    remove: (root) => fetches.delete(root),
    temporaries: () => new Set(fetches.values().map(({ temporary }) => temporary)),
    idleSince: (ms) =>
      fetches
        .values()
        .filter(({ updatedAtMs }) => updatedAtMs <= ms)
        .sort((a, b) => a.updatedAtMs - b.updatedAtMs || compareUtf8(a.root, b.root)),
  }
}

export function createMemoryFetchedRepository(journal: Journal): FetchedRepository {
  const fetched = journal.map<ModelId, Fetched>()
  const sums = () => {
    const bytesOf = new Map<SpaceId, number>()
    for (const { space, bytes } of fetched.values()) bytesOf.set(space, (bytesOf.get(space) ?? 0) + bytes)
    return bytesOf
  }
  return {
    put: (one) => fetched.set(one.model, one),
    find: (model) => fetched.get(model),
    remove: (model) => fetched.delete(model),
    bytesOf: (space) => sums().get(space) ?? 0,
    spaces: () =>
      [...sums()]
        .map(([space, bytes]) => ({ space, bytes }))
        .filter(({ bytes }) => bytes > 0)
        .sort((a, b) => b.bytes - a.bytes || compareUtf8(a.space, b.space)),
  }
}

export function createMemoryManifestRepository(journal: Journal): ManifestRepository {
  const manifests = journal.map<ModelId, StoredManifest>()
  const idsWhere = (holds: (manifest: StoredManifest) => boolean) =>
    manifests
      .values()
      .filter(holds)
      .map(({ id }) => id)
      .sort()
  return {
    put(manifest) {
      if (!manifests.has(manifest.id)) manifests.set(manifest.id, manifest)
    },
    find: (id) => manifests.get(id),
    has: (id) => manifests.has(id),
    findByContent: (content) => idsWhere((one) => one.content === content)[0],
    fetchedBefore: (ms) => idsWhere(({ fetchedAtMs }) => fetchedAtMs <= ms),
    remove: (id) => manifests.delete(id),
  }
}
