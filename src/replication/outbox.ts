/** Ops on their way into frames: those of whole chains as Yjs updates, those of forked ones as raw records. */
import type { OpId, SpaceId } from '../core/ids.ts'
import { encodeSigned } from '../core/op.ts'
import { SIGNATURE_BYTES } from '../core/signature.ts'
import { type Frame, IDS_MAX } from './frames.ts'
import { packUpdate } from './pack-update.ts'
import type { KeptOp, SpaceSet } from './space-set.ts'
import { encodeRecords } from './yjs-codec.ts'

const FRAME_OPS_MAX = 2000
const FRAME_BYTES_MAX = 512 * 1024

/** In an update the ops of a chain stand one after the other: where one is left out, the next begins another frame. */
function* cut(ops: Iterable<KeptOp>): Iterable<KeptOp[]> {
  let some: KeptOp[] = []
  let bytes = 0
  const next = new Map<number, number>()
  for (const kept of ops) {
    const size = SIGNATURE_BYTES + kept.op.bytes.length + 128
    const { client, clock } = kept.slot
    const isFull = bytes + size > FRAME_BYTES_MAX || some.length >= FRAME_OPS_MAX
    if (some.length > 0 && (isFull || (next.get(client) ?? clock) !== clock)) {
      yield some
      some = []
      bytes = 0
      next.clear()
    }
    some.push(kept)
    bytes += size
    next.set(client, clock + 1)
  }
  if (some.length > 0) yield some
}

export function* updateFrames(space: SpaceId, ops: Iterable<KeptOp>): Iterable<Frame> {
  for (const some of cut(ops))
    yield { t: 'update', space, update: packUpdate(encodeRecords(some.map(({ slot }) => slot))) }
}

export function* recordFrames(space: SpaceId, ops: Iterable<KeptOp>): Iterable<Frame> {
  for (const some of cut(ops)) yield { t: 'records', space, records: some.map(({ op }) => encodeSigned(op)) }
}

/** Those of whole chains packed, the others as they are. */
export function* opFrames(set: SpaceSet, ops: readonly KeptOp[]): Iterable<Frame> {
  const isForked = ({ op: { record } }: KeptOp) => set.isForked(record.rid, record.ep)
  yield* updateFrames(
    set.space,
    ops.filter((kept) => !isForked(kept)),
  )
  yield* recordFrames(set.space, ops.filter(isForked))
}

/** Ops in the order in which they can be kept: each after the one before it. */
export const inChainOrder = (ops: readonly KeptOp[]): KeptOp[] => [...ops].sort((a, b) => a.slot.clock - b.slot.clock)

export function* idFrames(space: SpaceId, kind: 'ihave' | 'iwant' | 'graft', ids: readonly OpId[]): Iterable<Frame> {
  for (let from = 0; from < ids.length; from += IDS_MAX)
    yield { t: 'ids', space, kind, ids: ids.slice(from, from + IDS_MAX) }
}
