/** The spaces of this replica as replication sees them: ops and roots, nothing of models and merges. */
import type { KeptSpaces } from '../replication/kept-spaces.ts'
import type { Context } from './context.ts'
import { receiveOps } from './receive-ops.ts'
import { watchRoom } from './room-watch.ts'
import type { SpaceBook } from './space-book.ts'
import { writeEvidence } from './write-evidence.ts'

export const keptSpaces = (context: Context, book: SpaceBook): KeptSpaces => {
  const { storage, lease, key } = context
  const room = watchRoom(context)
  return {
    list: () => storage.spaces.list().map(({ id }) => id),
    ops: (space) => book.ops(space),
    root(space) {
      if (storage.spaces.find(space) === undefined) return undefined
      const state = book.state(space)
      return state.hasKnownRules ? state.root : undefined
    },
    mayRead(space, rid) {
      if (storage.spaces.find(space) === undefined) return false
      const { policy, hasKnownRules, members } = book.state(space)
      if (policy.access === 'open') return true
      return hasKnownRules && rid !== undefined && members.some((member) => member.rid === rid)
    },
    receive(space, changes) {
      room.check('ops of other replicas') // the last room is for what is written here
      receiveOps(context, book, space, changes)
    },
    watch: (written) => book.watch(written),
    accuse: (space, pair) => writeEvidence(context, book, space, pair),
    raise: (epoch) => lease.raise(epoch),
    get epoch() {
      return lease.epoch
    },
    rid: key.rid,
  }
}
