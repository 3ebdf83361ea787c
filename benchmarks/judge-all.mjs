/** The way of ops into a replica, as it is shipped: each judged alone, and placed in its chain before the next is. */
import { judgeRecord } from '../dist/src/replication/gate.js'
import { readUpdate } from '../dist/src/replication/read-update.js'
import { SpaceSet } from '../dist/src/replication/space-set.js'

/** How many are kept. `verify` in place of Ed25519, where it is given. */
export function judgeRecords(records, space, verify) {
  const set = new SpaceSet(space, verify)
  let kept = 0
  for (const { record, slot } of records) {
    const verdict = judgeRecord(record, slot, set)
    if (verdict.kind === 'admit' && set.admit(verdict) === 'kept') kept++
  }
  return kept
}

export const judgeUpdates = (updates, space, verify) =>
  judgeRecords(
    updates.flatMap((update) => readUpdate(update).records ?? []).map((slot) => ({ record: slot.record, slot })),
    space,
    verify,
  )
