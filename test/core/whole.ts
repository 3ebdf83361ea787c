/** A state as far as anyone can see it, to be compared with another. */
import type { SpaceState } from '../../src/core/or-set.ts'
import type { Op } from '../../src/core/op.ts'

/** What the oracle speaks of, told by the fold. */
export const told = (state: SpaceState) => ({
  visible: state.visible.map(({ id, dots, conflict }) => ({ id, dots: dots.map(({ op }) => op), conflict })),
  root: state.root,
  opsRoot: state.opsRoot,
  revoked: [...state.revoked.keys()].sort(),
  ignored: [...state.ignored.keys()].sort(),
  members: state.members.map(({ rid, role }) => [rid, role]),
})

const byKey = <K, T>(map: ReadonlyMap<K, T>) => [...map].sort(([a], [b]) => (a < b ? -1 : 1))
const ids = (ops: readonly Op[]) => ops.map(({ id }) => id).sort()

/** What it keeps to grow from. */
const inside = ({ facts: { strays, accusations, judged } }: SpaceState) => ({
  strays: byKey(strays).map(([rid, ops]) => [rid, ids(ops)]),
  accusations: byKey(accusations).map(([rid, all]) => [rid, [...all].sort((a, b) => (a.by < b.by ? -1 : 1))]),
  killers: judged && byKey(judged.shown.killers).map(([dot, ops]) => [dot, ids(ops)]),
  adds: judged && byKey(judged.shown.adds).map(([key, ops]) => [key, ids(ops)]),
  papers: judged && [...judged.authority.settled.setting.papers.keys()].sort(),
  effective: [...(judged?.authority.settled.setting.papers.keys() ?? [])]
    .filter((id) => judged!.authority.isEffective(id))
    .sort(),
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
  inside: inside(state),
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
