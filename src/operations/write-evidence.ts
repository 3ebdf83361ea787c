/** Writing down, for good, that a key signed two ops for one place: whoever reads the space later has the proof in it. */
import type { SpaceId } from '../core/ids.ts'
import { evidenceOf, type SignedOp } from '../core/op.ts'
import { mayAdd } from '../core/or-set.ts'
import type { Context } from './context.ts'
import { isAfterFork } from './members/membership.ts'
import type { SpaceBook } from './space-book.ts'

/** Two ops of the ordinary size fit into an evidence; larger ones are evidences themselves. */
const ACCUSED_BYTES_MAX = 2 * 4096

/** False where there is nothing to say, or no right to say it. */
export function writeEvidence(
  { key, lease }: Context,
  book: SpaceBook,
  space: SpaceId,
  [one, two]: readonly [SignedOp, SignedOp],
): boolean {
  const state = book.find(space)
  const { rid, ep } = one.record
  if (!state.hasKnownRules || !mayAdd(state, key.rid, lease.epoch)) return false
  if (state.accusationsOf(rid).some((accusation) => accusation.ep === ep) || isAfterFork(state, rid, ep)) return false // nothing of this epoch counts anyway
  if (one.bytes.length + two.bytes.length > ACCUSED_BYTES_MAX) return false
  book.write(state, evidenceOf(one, two))
  return true
}
