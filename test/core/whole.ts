/** A state as far as anyone can see it, to be compared with another. */
import type { SpaceState } from '../../src/core/or-set.ts'

/** What the oracle speaks of, told by the fold. */
export const told = (state: SpaceState) => ({
  visible: state.visible.map(({ id, dots, conflict }) => ({ id, dots: dots.map(({ op }) => op), conflict })),
  root: state.root,
  opsRoot: state.opsRoot,
  revoked: [...state.revoked.keys()].sort(),
  ignored: [...state.ignored.keys()].sort(),
  members: state.members.map(({ rid, role }) => [rid, role]),
})

/** All of it: two states that look the same here are the same to every caller. */
export const whole = (state: SpaceState) => ({
  ...told(state),
  visible: state.visible.map(({ id, record, dots, conflict }) => ({ id, record, dots, conflict })),
  slots: [...state.slots],
  revocations: [...state.revoked].sort(([a], [b]) => (a < b ? -1 : 1)),
  reasons: [...state.ignored].sort(([a], [b]) => (a < b ? -1 : 1)),
  everyone: state.members,
  acl: state.acl,
  heads: [...state.chains.keys()].sort().map((rid) => state.head(rid)),
  epochs: [...state.chains]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([rid, { epochs, ...more }]) => [
      rid,
      more,
      [...epochs.values()].map(({ forkedAt, head }) => [forkedAt, head]),
    ]),
  dots: [...state.slots.keys()].map((name) => state.dotsIn(name)),
})
