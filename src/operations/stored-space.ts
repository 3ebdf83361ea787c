/** Ops of a space as they are read from the log: by themselves, or with a snapshot that spares folding most of them. */
import type { OpId, SpaceId } from '../core/ids.ts'
import { bytesOn, ShelvedOp, Shelver, type Shelf } from '../core/shelved-op.ts'
import { fold, type SpaceState } from '../core/or-set.ts'
import { isSound } from '../core/sound-ops.ts'
import { snapshotOf, SnapshotReader } from '../core/space-snapshot.ts'
import type { OpLog } from '../storage/op-log.ts'

/** What lies under an id and is not that op is told apart. */
export function readOps(log: OpLog, space: SpaceId): { readonly ops: ShelvedOp[]; readonly rotten: OpId[] } {
  const ops: ShelvedOp[] = []
  const rotten: OpId[] = []
  const shelver = new Shelver()
  for (const { id, shelf, isGood } of rowsOf(log, space))
    if (isGood) ops.push(shelver.shelve(id, shelf))
    else rotten.push(id)
  return { ops, rotten }
}

export interface Restored {
  readonly state: SpaceState
  /** Ops that the snapshot knew. */
  readonly covered: number
}

/** Undefined where the snapshot does not fit what is stored: then the ops alone decide, as they always do. */
export function restored(log: OpLog, space: SpaceId, snapshot: Uint8Array): Restored | undefined {
  const reader = SnapshotReader.of(space, snapshot)
  if (reader === undefined) return undefined
  const newer: ShelvedOp[] = []
  const shelver = new Shelver()
  for (const { id, shelf, isGood } of rowsOf(log, space)) {
    if (!isGood) return undefined
    const known = reader.next(id)
    if (known === undefined) newer.push(shelver.shelve(id, shelf))
    else reader.take(known.header ? new ShelvedOp(known.id, known.header, shelf) : shelver.shelve(known.id, shelf))
  }
  const state = reader.state()
  return state && { state: newer.length > 0 ? state.with(newer) : state, covered: state.ops.size }
}

/** A snapshot made of nothing but what is stored. */
export function compacted(log: OpLog, space: SpaceId): Uint8Array | undefined {
  const { ops, rotten } = readOps(log, space)
  return rotten.length > 0 || ops.length === 0 ? undefined : snapshotOf(fold(ops))
}

function* rowsOf(log: OpLog, space: SpaceId): Iterable<{ id: OpId; shelf: Shelf; isGood: boolean }> {
  for (const { ids, records, ends } of log.pagesOfSpace(space))
    for (const [i, id] of ids.entries()) {
      const shelf = { records, start: ends[i - 1] ?? 0, end: ends[i]! }
      yield { id, shelf, isGood: isSound({ id, bytes: bytesOn(shelf) }) }
    }
}
