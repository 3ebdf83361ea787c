/** Peers, addresses, fetches, what was fetched, and manifests in maps. */
import { compareUtf8 } from '../../core/bytes.ts'
import type { ModelId, ReplicaId, SpaceId, TensorRoot } from '../../core/ids.ts'
import type { AddressRepository, StoredAddress } from '../address-repository.ts'
import type { FetchRepository, StoredFetch } from '../fetch-repository.ts'
import type { Fetched, FetchedRepository } from '../fetched-repository.ts'
import type { ManifestRepository, StoredManifest } from '../manifest-repository.ts'
import type { PeerRepository, StoredPeer } from '../peer-repository.ts'
import type { Journal } from './journal.ts'

export function createMemoryPeerRepository(journal: Journal): PeerRepository {
  const peers = journal.map<string, StoredPeer>()
  return {
    add({ url, addedAtMs }) {
      if (peers.has(url)) return false
      peers.set(url, { url, addedAtMs })
      return true
    },
    find: (url) => peers.get(url),
    list: () => peers.values().sort((a, b) => compareUtf8(a.url, b.url)),
    saw(url, rid, lastSeenMs) {
      const known = peers.get(url)
      if (known !== undefined) peers.set(url, { ...known, rid, lastSeenMs })
    },
    remove: (url) => peers.delete(url),
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
