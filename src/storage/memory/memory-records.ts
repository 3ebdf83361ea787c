/** Ops, spaces, receipts, settings and leases in maps: the ports that only ever add, find and list. */
import { compareHex, compareUtf8, concat } from '../../core/bytes.ts'
import type { MergeId, OpId, ReplicaId, SpaceId } from '../../core/ids.ts'
import { invariant } from '../../core/invariant.ts'
import type { LeaseRepository } from '../lease-repository.ts'
import type { OpLog, StoredOp } from '../op-log.ts'
import type { ReceiptRepository, StoredReceipt } from '../receipt-repository.ts'
import type { SnapshotRepository } from '../snapshot-repository.ts'
import type { SettingsRepository } from '../settings-repository.ts'
import type { SpaceRepository, StoredSpace } from '../space-repository.ts'
import type { Journal } from './journal.ts'

const PAGE_OPS = 100
const inOrder = (a: StoredOp, b: StoredOp): number => a.hlc - b.hlc || compareHex(a.id, b.id)

export function createMemoryOpLog(journal: Journal): OpLog {
  const ops = journal.map<OpId, StoredOp>()
  const inSpace = (space: SpaceId) => ops.values().filter((op) => op.space === space)
  const inChain = (space: SpaceId, g: number, rid: ReplicaId, ep: number) =>
    inSpace(space).filter((op) => op.g === g && op.rid === rid && op.ep === ep)
  return {
    append(op) {
      if (ops.has(op.id)) return false
      ops.set(op.id, { ...op, bytes: op.bytes.slice(), signature: op.signature.slice() })
      return true
    },
    remove: (ids) => ids.forEach((id) => ops.delete(id)),
    find: (id) => ops.get(id),
    forSpace: (space) => inSpace(space).sort(inOrder),
    *pagesOfSpace(space) {
      const all = inSpace(space).sort(inOrder)
      for (let from = 0; from < all.length; from += PAGE_OPS) {
        const some = all.slice(from, from + PAGE_OPS)
        const records = some.map(({ signature, bytes }) => concat(signature, bytes))
        let end = 0
        yield {
          ids: some.map(({ id }) => id),
          records: concat(...records),
          ends: records.map(({ length }) => (end += length)),
        }
      }
    },
    idsOfSpace: (space) =>
      inSpace(space)
        .map(({ id }) => id)
        .sort(compareHex),
    inSlot: (space, g, rid, ep, seq) =>
      inChain(space, g, rid, ep)
        .filter((op) => op.seq === seq)
        .sort((a, b) => compareHex(a.id, b.id)),
    head(space, g, rid, ep) {
      const [last] = inChain(space, g, rid, ep).sort((a, b) => b.seq - a.seq || compareHex(a.id, b.id))
      return { nextSeq: last === undefined ? 0 : last.seq + 1, lastId: last?.id, lastHlc: last?.hlc ?? 0 }
    },
    count: () => ops.size,
    countBySpace: (space) => inSpace(space).length,
  }
}

export function createMemorySpaceRepository(journal: Journal): SpaceRepository {
  const spaces = journal.map<SpaceId, StoredSpace>()
  return {
    add(space) {
      if (spaces.has(space.id)) return false
      spaces.set(space.id, space)
      return true
    },
    find: (id) => spaces.get(id),
    findByName: (name) =>
      spaces
        .values()
        .filter((space) => space.name === name)
        .sort((a, b) => compareHex(a.id, b.id)),
    list: () => spaces.values().sort((a, b) => compareUtf8(a.name, b.name) || compareHex(a.id, b.id)),
  }
}

export function createMemoryReceiptRepository(journal: Journal): ReceiptRepository {
  const receipts = journal.map<MergeId, StoredReceipt>()
  return {
    put(receipt) {
      const first = receipts.get(receipt.merge)
      if (first !== undefined) return first
      const stored = { ...receipt, statement: receipt.statement.slice(), about: receipt.about.slice() }
      receipts.set(receipt.merge, stored)
      return stored
    },
    find: (merge) => receipts.get(merge),
    findByStatement: (statementId) =>
      receipts
        .values()
        .filter((receipt) => receipt.statementId === statementId)
        .sort((a, b) => compareHex(a.merge, b.merge))[0],
    count: () => receipts.size,
  }
}

export function createMemorySettingsRepository(journal: Journal): SettingsRepository {
  const settings = journal.map<string, string>()
  return {
    find: (key) => settings.get(key),
    set: (key, value) => settings.set(key, value),
    remove: (key) => void settings.delete(key),
  }
}

export function createMemorySnapshotRepository(journal: Journal): SnapshotRepository {
  const snapshots = journal.map<SpaceId, Uint8Array>()
  return {
    find: (space) => snapshots.get(space),
    put: (space, bytes) => snapshots.set(space, bytes.slice()),
    remove: (space) => void snapshots.delete(space),
  }
}

export function createMemoryLeaseRepository(journal: Journal): LeaseRepository {
  const leases = journal.map<ReplicaId, { readonly epoch: number; readonly clean: boolean }>()
  return {
    boot(rid) {
      invariant(!journal.inTransaction, 'a lease is committed by itself')
      const last = leases.get(rid)
      const epoch = last === undefined ? 0 : last.epoch + (last.clean ? 0 : 1)
      leases.set(rid, { epoch, clean: false })
      return epoch
    },
    raise(rid, above) {
      invariant(!journal.inTransaction, 'a lease is committed by itself')
      const last = leases.get(rid)
      invariant(last, 'a lease is raised after it was taken')
      const epoch = Math.max(last.epoch, above + 1)
      leases.set(rid, { ...last, epoch })
      return epoch
    },
    markClean(rid) {
      const last = leases.get(rid)
      if (last !== undefined) leases.set(rid, { ...last, clean: true })
    },
  }
}
