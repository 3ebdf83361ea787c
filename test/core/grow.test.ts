import { expect, test } from 'vitest'
import { concat } from '../../src/core/bytes.ts'
import type { Op, SignedOp } from '../../src/core/op.ts'
import { fold, type SpaceState } from '../../src/core/or-set.ts'
import { ShelvedOp } from '../../src/core/shelved-op.ts'
import { SnapshotReader, snapshotOf } from '../../src/core/space-snapshot.ts'
import { aSpace, aWriter } from '../support/ops.ts'
import { whole } from './whole.ts'

const inOrder = (a: Op, b: Op): number => a.record.hlc - b.record.hlc || (a.id < b.id ? -1 : 1)

/** The state of these ops, where only records that `isReadable` can be read: any other throws. */
function shelved(ops: readonly SignedOp[], isReadable: (op: SignedOp) => boolean): SpaceState {
  const reader = SnapshotReader.of(fold(ops).space, snapshotOf(fold(ops))!)!
  for (const op of [...ops].sort(inOrder)) {
    const bytes = isReadable(op) ? op.bytes : new Uint8Array(op.bytes.length)
    const records = concat(new Uint8Array(64), bytes) // nobody asks for signatures here
    reader.take(new ShelvedOp(op.id, reader.next(op.id)!.header!, { records, start: 0, end: records.length }))
  }
  return reader.state()!
}

const PLAIN = new Set(['add', 'remove'])
const shows = ({ root, slots, members, ignored, opsRoot }: SpaceState) => ({
  ...{ root, members, opsRoot },
  slots: [...slots],
  ignored: [...ignored].sort(),
})

function setting() {
  const space = aSpace({ access: 'members' })
  const { creator } = space
  const [ana, ben, cleo] = [aWriter(1), aWriter(2), aWriter(3)]
  const ops: SignedOp[] = [space.init, ...[ana, ben].map((one) => creator.grant(space, one))]
  for (let i = 0; i < 8; i++) {
    ops.push(ana.add(space, { name: `a${i}`, content: `of ana ${i}` }))
    ops.push(ben.add(space, { name: `b${i}`, content: `of ben ${i}` }))
  }
  ops.push(
    ana.remove(
      space,
      ops.find(({ record }) => record.t === 'add' && record.rid === ana.rid)!,
    ),
  )
  const isBens = ({ record }: Op) => record.rid === ben.rid && PLAIN.has(record.t)
  return { space, creator, ana, ben, cleo, ops, isBens }
}

test('[SET-62] a member that comes, goes, forks or is forgiven is judged without a look at an op of another', () => {
  const { space, creator, ana, cleo, ops, isBens } = setting()
  const first = ops.find(({ record }) => record.rid === ana.rid)!
  let state = shelved(ops, (op) => !isBens(op))
  const seen: SignedOp[] = [...ops]
  const then = (op: SignedOp): void => {
    seen.push(op)
    state = state.with([op])
    expect(shows(state)).toEqual(shows(fold(seen)))
  }
  then(creator.grant(space, cleo, 'admin'))
  then(cleo.add(space, { name: 'new' }))
  then(creator.expel(space, ana, { last_ep: 0, last_seq: 3 }))
  then(cleo.expel(space, ana, { last_ep: 0, last_seq: -1 }))
  then(creator.expel(space, cleo, { last_ep: 0, last_seq: -1 })) // and so the removal by it does not count
  expect(state.slots.has('a1' as never)).toBe(true)
  ana.head.delete(space.id)
  const twin = ana.add(space, { name: 'twin' })
  const evidence = creator.accuse(
    space,
    ...([first, twin].sort((a, b) => (a.id < b.id ? -1 : 1)) as [SignedOp, SignedOp]),
  )
  then(evidence)
  expect(state.slots.has('a1' as never)).toBe(false)
  then(creator.grant(space, ana, 'writer', 2))
  then(aWriter(1, 2).add(space, { name: 'later' }))
  expect(state.slots.has('later' as never)).toBe(false)
  then(creator.pardon(space, ana, evidence, 1))
  expect(state.slots.has('later' as never)).toBe(true)
})

test('[SET-62] content that is withdrawn is looked for among its own adds alone', () => {
  const { space, creator, ops, isBens } = setting()
  const state = shelved(ops, (op) => !isBens(op) || (op.record.t === 'add' && op.record.contribution.name === 'b3'))
  const revoke = creator.revoke(space, 'of ben 3')
  const after = state.with([revoke])
  expect(shows(after)).toEqual(shows(fold([...ops, revoke])))
  expect(after.visible).toHaveLength(state.visible.length - 1)
  // and it comes back when the word of its creator falls
  expect(shows(after.with([], [revoke.id]))).toEqual(shows(state))
})

test('[SET-62] whose role changes takes what it may take now, and the ops that others named stay unread', () => {
  const { space, creator, ana, ben, ops, isBens } = setting()
  const bens = ops.find(({ record }) => record.t === 'add' && record.contribution.name === 'b0')!
  const takes = ana.remove(space, bens)
  const before = [...ops, takes]
  let state = shelved(before, (op) => !isBens(op) || op === bens)
  expect(state.slots.has('b0' as never)).toBe(true)
  const promoted = creator.grant(space, ana, 'admin')
  state = state.with([promoted])
  expect(shows(state)).toEqual(shows(fold([...before, promoted])))
  expect(state.slots.has('b0' as never)).toBe(false)
  state = state.with([], [promoted.id])
  expect(state.slots.has('b0' as never)).toBe(true)
  const expelled = creator.expel(space, ben, { last_ep: 0, last_seq: 15 })
  expect(shows(state.with([expelled]))).toEqual(shows(fold([...before, expelled])))
})

/** Grows op by op, and is the fold each time; a pair is ops that come and others that go at once. */
function growing(first: readonly Op[]) {
  let state = fold(first)
  let seen = [...first]
  return (come: readonly Op[], go: readonly Op[] = []): SpaceState => {
    seen = [...seen, ...come].filter((op) => !go.includes(op))
    state = state.with(
      come,
      go.map(({ id }) => id),
    )
    expect(whole(state)).toEqual(whole(fold(seen)))
    return state
  }
}

test('[SET-60] an op that takes the place of one that goes is no fork, and what followed the old one waits', () => {
  const space = aSpace()
  const ana = aWriter(1)
  const [first, second, third] = [0, 1, 2].map((i) => ana.add(space, { name: `n${i}` }))
  ana.rewind(space, first!)
  const other = ana.add(space, { name: 'other' })
  const state = growing([space.init, first!, second!, third!])([other], [second!])
  expect(state.isForked(ana.rid, 0)).toBe(false)
  expect([...state.slots.keys()]).toEqual(['n0', 'other'])
  expect(state.ignored.get(third!.id)).toBe('detached')
})

test('[SET-60] a fork of an author of papers settles anew what these papers said', () => {
  const space = aSpace({ access: 'members' })
  const { creator } = space
  const [ana, ben] = [aWriter(1), aWriter(2)]
  const later = ana.inEpoch(1)
  const plain = ana.add(space, { name: 'one' })
  ana.head.delete(space.id)
  const twin = ana.add(space, { name: 'two' })
  const grow = growing([space.init, creator.grant(space, ana, 'admin'), plain])
  expect(grow([later.grant(space, ben), ben.add(space, { name: 'bens' })]).slots.size).toBe(2)
  const evidence = creator.accuse(space, plain, twin)
  expect(grow([evidence]).members.map(({ rid }) => rid)).not.toContain(ben.rid)
  expect(grow([creator.pardon(space, ana, evidence, 1)]).members.map(({ rid }) => rid)).toContain(ben.rid)
  expect(grow([], [evidence]).slots.size).toBe(2)
})

test('[SET-60] with an amnesty that falls out goes what it forgave', () => {
  const space = aSpace()
  const ana = aWriter(1)
  const one = ana.add(space, { name: 'one' })
  ana.head.delete(space.id)
  const evidence = space.creator.accuse(space, one, ana.add(space, { name: 'two' }))
  const amnesty = space.creator.pardon(space, ana, evidence, 1)
  const grow = growing([space.init, one, evidence])
  expect([...grow([amnesty, ana.inEpoch(1).add(space, { name: 'later' })]).slots.keys()]).toEqual(['later'])
  expect(grow([], [amnesty]).slots.size).toBe(0)
})

test('[SET-60] what an admin takes whose own standing is undecided counts, and what it grants does not', () => {
  const space = aSpace({ access: 'members' })
  const { creator } = space
  const [ana, ben, cleo, dan] = [aWriter(1), aWriter(2), aWriter(3), aWriter(4)]
  const grants = [ana, ben].map((one) => creator.grant(space, one, 'admin'))
  const added = cleo.add(space, { name: 'cleos' })
  const grow = growing([space.init, ...grants, creator.grant(space, cleo), added])
  const none = { last_ep: 0, last_seq: -1 }
  grow([ana.expel(space, ben, none), ben.expel(space, ana, none)])
  const removal = ben.expel(space, cleo, none)
  expect([...grow([removal]).slots]).toEqual([])
  const granted = grow([ben.grant(space, dan), dan.add(space, { name: 'dans' })])
  expect([...granted.slots]).toEqual([])
  expect([...grow([], [removal]).slots.keys()]).toEqual(['cleos'])
})

test('[SET-60] with the grant to an author of papers goes what those papers said', () => {
  const space = aSpace({ access: 'members' })
  const { creator } = space
  const [ana, ben] = [aWriter(1), aWriter(2)]
  const promoted = creator.grant(space, ana, 'admin')
  const grow = growing([space.init, promoted, ana.grant(space, ben), ben.add(space, { name: 'bens' })])
  expect(grow([], [promoted]).members.map(({ rid }) => rid)).toEqual([creator.rid])
  expect([...grow([promoted]).slots.keys()]).toEqual(['bens'])
})

test('[SET-60] a paper that went and comes back is judged by what its author may then', () => {
  const space = aSpace({ access: 'members' })
  const { creator } = space
  const [ana, ben] = [aWriter(1), aWriter(2)]
  const granted = creator.grant(space, ana, 'admin')
  const paper = ana.grant(space, ben)
  const grow = growing([space.init, granted, paper, ben.add(space, { name: 'bens' })])
  expect(grow([], [paper]).slots.size).toBe(0)
  grow([creator.expel(space, ana, { last_ep: 0, last_seq: -1 })])
  expect(grow([paper]).ignored.has(paper.id)).toBe(true)
})

test('[SET-60] a space whose rules are not known grows without being judged', () => {
  const space = aSpace({ rules: 9 })
  const [ana, ben] = [aWriter(1), aWriter(2)]
  const ops = [ana.add(space), ana.add(space), ben.add(space), ben.add(space)]
  ben.rewind(space, ops[2]!)
  const twin = ben.add(space, { content: 'twin' })
  const partsOf = (state: SpaceState) => ({
    ops: state.opsRoot,
    acl: state.acl,
    ignored: [...state.ignored].sort(),
    heads: [ana, ben].map(({ rid }) => [state.head(rid), state.isForked(rid, 0)]),
  })
  let state = fold([space.init])
  const seen: Op[] = [space.init]
  for (const op of [ops[1]!, ops[0]!, ops[3]!, twin, ops[2]!]) {
    seen.push(op)
    state = state.with([op])
    expect(partsOf(state)).toEqual(partsOf(fold(seen)))
  }
  expect(() => state.root).toThrow(/rules/)
  expect(partsOf(state.with([], [twin.id, ops[1]!.id]))).toEqual(partsOf(fold([space.init, ops[0]!, ops[3]!, ops[2]!])))
})

test('[SET-16] an op of a later generation changes no chain, and neither does an evidence that is or tells of one', () => {
  const space = aSpace()
  const [liar, witness] = [aWriter(1), aWriter(2)]
  const first = liar.add(space)
  const later = { g: 1, t: 'receipt' } as never
  const outside = [witness.write(space, later), witness.write(space, later)]
  witness.head.delete(space.id)
  liar.head.delete(space.id)
  const twins = [liar.write(space, { ...(later as object), body: 'one' } as never)]
  liar.head.delete(space.id)
  twins.push(liar.write(space, { ...(later as object), body: 'two' } as never))
  const told = witness.accuse(space, ...(twins as [SignedOp, SignedOp]))
  const seen: Op[] = [space.init]
  let state = fold(seen)
  for (const op of [first, ...outside, ...twins, told]) {
    seen.push(op)
    state = state.with([op])
    expect(whole(state)).toEqual(whole(fold(seen)))
  }
  expect(state.isForked(liar.rid, 0)).toBe(false)
  const gone = outside[0]!
  expect(whole(state.with([], [gone.id]))).toEqual(whole(fold(seen.filter((op) => op !== gone))))
})
