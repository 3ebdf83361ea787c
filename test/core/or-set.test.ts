import { expect, test } from 'vitest'
import { contributionId } from '../../src/core/contribution.ts'
import type { Name, SetRoot } from '../../src/core/ids.ts'
import { InvariantError } from '../../src/core/invariant.ts'
import { makeOp, type Op } from '../../src/core/op.ts'
import type { AddBody, OpRecord } from '../../src/core/op-schemas.ts'
import { fold, mayAdd, mayRetract, mayRevoke, type SpaceState } from '../../src/core/or-set.ts'
import { golden } from '../support/golden.ts'
import { aSpace, aWriter, contentOf, idsOf } from '../support/ops.ts'
import { refusalOf } from '../support/refusal.ts'
import { slowRoot } from './or-set-oracle.ts'

const recordOf = (add: Op) => (add.record as OpRecord & AddBody).contribution
const idOf = (add: Op) => contributionId(recordOf(add))
const shown = (state: SpaceState) => state.visible.map(({ id }) => id)
const idsOfAdds = (...adds: readonly Op[]) => [...new Set(adds.map(idOf))].sort()
const ana = () => aWriter(1)
const ben = () => aWriter(2)
const cleo = () => aWriter(3)

test('[OP-10] the chain of a key that has written nothing begins with the first place of epoch 0', () => {
  const state = fold([aSpace().init])
  expect(state.head(aWriter(9).rid)).toMatchObject({ ep: 0, nextSeq: 0 })
  expect(state.head(aWriter(9).rid, 3)).toMatchObject({ ep: 3, nextSeq: 0 })
})

test('[SET-1] a space says what its first op says', () => {
  const space = aSpace({ name: 'legal', base: contentOf('llama') })
  const state = fold([space.init])
  expect(state).toMatchObject({
    space: space.id,
    name: 'legal',
    creator: space.creator.rid,
    base: contentOf('llama'),
    policy: { access: 'open', rules: 1 },
  })
  expect(state.visible).toEqual([])
  expect(state.root).toBe('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855') // SHA-256 of nothing
})

test('[SET-1] without its first op there is no space, and ops of two spaces are never mixed', () => {
  const space = aSpace()
  const add = ana().add(space)
  expect(refusalOf(() => fold([add])).code).toBe('SPACE_NOT_FOUND')
  expect(() => fold([space.init, ana().add(aSpace({ nonce: 'other' }))])).toThrow(InvariantError)
})

test('[SET-2] a superseded add stays superseded, however three replicas exchange what they have', () => {
  const space = aSpace()
  const writer = ana()
  const one = writer.add(space, { content: 'v1' })
  const two = writer.add(space, { content: 'v2', replaces: [one] })
  const gone = writer.remove(space, two)
  const [a, b, c] = [
    [space.init, one],
    [space.init, two],
    [space.init, gone],
  ] as [Op[], Op[], Op[]]
  for (const ops of [
    [...a, ...b, ...c],
    [...a, ...c, ...b],
    [...b, ...a, ...c],
    [...b, ...c, ...a],
    [...c, ...a, ...b],
    [...c, ...b, ...a],
  ])
    expect(shown(fold(ops))).toEqual([])
  expect(shown(fold([...b, ...a]))).toEqual(idsOfAdds(two))
})

test('[SET-3] a remove kills what it saw: a concurrent add of the same record survives', () => {
  const space = aSpace()
  const first = ana().add(space)
  const same = ben().add(space)
  const gone = cleo().remove(space, first)
  const state = fold([space.init, first, gone, same])
  expect(idOf(first)).toBe(idOf(same))
  expect(state.visible.map(({ dots }) => dots.map(({ op }) => op))).toEqual([[same.id]])
})

test('[SET-3] adding again after a remove lasts, whatever a stale replica says later', () => {
  const space = aSpace()
  const writer = ana()
  const first = writer.add(space)
  const gone = ben().remove(space, first)
  const again = writer.add(space)
  for (const ops of [
    [space.init, first, gone, again, first],
    [space.init, again, first, gone],
  ])
    expect(fold([...ops, gone, first]).visible.map(({ dots }) => dots[0]!.op)).toEqual([again.id])
  // and what was removed does not come back with an old delivery
  expect(shown(fold([space.init, first, gone, first]))).toEqual([])
})

test('[SET-3] two adds whose ids begin with the same 32 bits are two: removing one leaves the other', () => {
  const { record, hlcs } = golden<{ dots_alike: { record: OpRecord; hlcs: number[] } }>('ops').dots_alike
  const space = aSpace()
  const [one, two] = hlcs.map((hlc, ep) => makeOp({ ...record, sp: space.id, acl: space.acl, hlc, ep } as OpRecord))
  const [alike, twin] = hlcs.map((hlc) => makeOp({ ...record, hlc }).id)
  expect(alike!.slice(0, 8)).toBe(twin!.slice(0, 8))
  expect(alike).not.toBe(twin)
  const state = fold([space.init, one!, two!, ben().remove(space, one!)])
  expect(state.visible.flatMap(({ dots }) => dots.map(({ op }) => op))).toEqual([two!.id])
})

test('[SET-4] adds of one record are one contribution with several dots, and no conflict', () => {
  const space = aSpace()
  const adds = [ana(), ben(), cleo()].map((writer) => writer.add(space))
  const state = fold([space.init, ...adds])
  expect(state.visible).toHaveLength(1)
  expect(state.visible[0]).toMatchObject({ id: idOf(adds[0]!), record: recordOf(adds[0]!), conflict: false })
  expect(state.visible[0]!.dots.map(({ op }) => op)).toEqual(idsOf(adds))
  expect(state.root).toBe(slowRoot([idOf(adds[0]!)]))
})

test('[SET-5] a revoke wins against every add of its content, before and after, under any name, for ever', () => {
  const space = aSpace()
  const before = ana().add(space, { name: 'a', content: 'bad' })
  const revoke = space.creator.revoke(space, 'bad', 'personal data')
  const after = ben().add(space, { name: 'b', content: 'bad', weight: 2 })
  const other = ben().add(space, { name: 'c', content: 'good' })
  const state = fold([space.init, before, after, revoke, other])
  expect([...state.slots.keys()]).not.toContain('a')
  expect(shown(state)).not.toContain(idOf(after))
  expect([...state.revoked]).toEqual([
    [contentOf('bad'), [{ op: revoke.id, by: space.creator.rid, hlc: revoke.record.hlc, reason: 'personal data' }]],
  ])
})

test('[SET-6] an add takes the place of what it replaces, for good: removed itself, it brings nothing back', () => {
  const space = aSpace()
  const one = ana().add(space, { content: 'v1' })
  const two = ben().add(space, { content: 'v2', replaces: [one] })
  expect(shown(fold([space.init, one, two]))).toEqual(idsOfAdds(two))
  expect(shown(fold([space.init, one, two, cleo().remove(space, two)]))).toEqual([])
})

test('[SET-6] an add replaces in its own slot only', () => {
  const space = aSpace()
  const one = ana().add(space, { name: 'a' })
  const two = ben().add(space, { name: 'b', replaces: [one] })
  expect(shown(fold([space.init, one, two]))).toEqual(idsOfAdds(one, two))
})

test('[SET-6] an add that does not count replaces nothing', () => {
  const space = aSpace({ access: 'members' })
  const one = space.creator.add(space, { content: 'v1' })
  const outsider = ben().add(space, { content: 'v2', replaces: [one] })
  expect(shown(fold([space.init, one, outsider]))).toEqual(idsOfAdds(one))
  // nor one that its author signed in two versions
  const open = aSpace()
  const first = ana().add(open, { content: 'v1' })
  const writer = ben()
  const two = writer.add(open, { content: 'v2', replaces: [first] })
  writer.head.clear()
  const twin = writer.add(open, { content: 'v3', replaces: [first] })
  expect(shown(fold([open.init, first, two, twin]))).toEqual(idsOfAdds(first))
})

test('[SET-7] two records that did not see each other are both visible, and their slot is in conflict until one did', () => {
  const space = aSpace()
  const [one, two] = [ana().add(space, { content: 'v1' }), ben().add(space, { content: 'v2' })]
  const other = cleo().add(space, { name: 'other' })
  const state = fold([space.init, one, two, other])
  expect(shown(state)).toEqual(idsOfAdds(one, two, other))
  expect([...state.slots]).toEqual([
    ['other', idsOfAdds(other)],
    ['slot', idsOfAdds(one, two)],
  ])
  expect(state.visible.filter(({ conflict }) => conflict).map(({ id }) => id)).toEqual(idsOfAdds(one, two))
  expect(
    state
      .dotsIn('slot' as Name)
      .map(({ op }) => op)
      .sort(),
  ).toEqual(idsOf([one, two]))

  const third = cleo().add(space, { content: 'v3', replaces: [one, two] })
  const settled = fold([space.init, one, two, third])
  expect(settled.visible).toMatchObject([{ id: idOf(third), conflict: false }])
  const retracted = fold([space.init, one, two, ben().inEpoch(1).remove(space, two)])
  expect(retracted.visible).toMatchObject([{ id: idOf(one), conflict: false }])
})

test('[SET-8] in an open space any writer retracts and replaces, and only the creator revokes', () => {
  const space = aSpace()
  const one = ana().add(space)
  const attempt = ben().revoke(space, 'slot')
  const state = fold([space.init, one, attempt])
  expect(shown(state)).toEqual(idsOfAdds(one))
  expect(state.ignored.get(attempt.id)).toBe('not_allowed')
  expect(mayRetract(state, ben().rid, one.id)).toBe(true)
  expect([mayRevoke(state, ben().rid), mayRevoke(state, space.creator.rid)]).toEqual([false, true])
})

test('[SET-9] among members one takes back what its own key added, an admin anything, an outsider nothing', () => {
  const space = aSpace({ access: 'members' })
  const [w, v, a] = [ana(), ben(), cleo()]
  const grants = [space.creator.grant(space, w), space.creator.grant(space, v), space.creator.grant(space, a, 'admin')]
  const one = w.add(space, { content: 'v1' })
  const base = [space.init, ...grants, one]
  const takes = (...ops: Op[]) => !shown(fold([...base, ...ops])).includes(idOf(one))
  expect(takes(v.remove(space, one))).toBe(false)
  expect(takes(v.add(space, { content: 'v2', replaces: [one] }))).toBe(false)
  expect(takes(aWriter(9).remove(space, one))).toBe(false)
  expect(takes(w.remove(space, one))).toBe(true)
  expect(takes(a.remove(space, one))).toBe(true)
  expect(takes(space.creator.remove(space, one))).toBe(true)
  const state = fold(base)
  const may = [w, v, a, aWriter(9)].map(({ rid }) => mayRetract(state, rid, one.id))
  expect(may).toEqual([true, false, true, false])
  expect([w, a, aWriter(9)].map(({ rid }) => mayAdd(state, rid))).toEqual([true, true, false])
})

test('[SET-10] the root is the tree head over distinct visible ids, and names, authors, times and order leave no trace', () => {
  const space = aSpace()
  const adds = ['a', 'b', 'c', 'd', 'e'].map((content, i) =>
    aWriter(i + 1).add(space, { name: `n-${content}`, content }),
  )
  const state = fold([space.init, ...adds])
  expect(state.root).toBe(slowRoot(adds.map(idOf)))
  expect(shown(state)).toEqual(idsOfAdds(...adds))
  // the same records, offered by others, at other times, in another space
  const elsewhere = aSpace({ nonce: 'other' })
  const offered = adds.map((add, i) =>
    aWriter(30 - i).write(elsewhere, { t: 'add', contribution: recordOf(add), replaces: [] }, 9_999_999 - i),
  )
  expect(fold([elsewhere.init, ...offered.reverse()]).root).toBe(state.root)
})

test('[SET-10] opsRoot covers every op, also the two of a fork and those without effect', () => {
  const space = aSpace()
  const writer = ana()
  const one = writer.add(space, { content: 'a' })
  writer.head.clear()
  const twin = writer.add(space, { content: 'b' })
  const attempt = ben().revoke(space, 'a')
  const ops = [space.init, one, twin, attempt]
  expect(fold(ops).opsRoot).toBe(slowRoot(ops.map(({ id }) => id)))
  expect(fold(ops.slice(0, 3)).opsRoot).not.toBe(fold(ops).opsRoot)
})

test('[SET-10] what a merge depends on is in the root: base, weight and content of each contribution', () => {
  const space = aSpace()
  const variants = [{}, { weight: 1.01 }, { base: contentOf('b') }, { content: 'other' }, { samples: 11 }]
  const roots = variants.map((draft) => fold([space.init, ana().add(space, draft)]).root)
  expect(new Set<SetRoot>(roots).size).toBe(variants.length)
  expect(fold([space.init, ana().add(space, { weight: '1.0' })]).root).toBe(roots[0])
  // and the base of the space is in its name
  expect(aSpace({ base: contentOf('b') }).id).not.toBe(aSpace().id)
})

test('[SET-11] under unknown rules ops are kept and counted, and root and visible are refused by name', () => {
  const space = aSpace({ rules: 2 })
  const state = fold([space.init, ana().add(space)])
  expect(state).toMatchObject({ name: 'team', policy: { rules: 2 } })
  expect(state.opsRoot).toHaveLength(64)
  expect(state.head(ana().rid).nextSeq).toBe(1)
  for (const ask of [() => state.root, () => state.visible, () => state.slots, () => mayAdd(state, ana().rid)])
    expect(refusalOf(ask).code).toBe('RULES_UNKNOWN')
})

test('[SET-12] from a fork on nothing of the epoch counts; what was before it stays', () => {
  const space = aSpace()
  const writer = ana()
  const before = writer.add(space, { name: 'before' })
  const at = writer.add(space, { name: 'at' })
  const after = writer.add(space, { name: 'after' })
  expect(shown(fold([space.init, before, at, after]))).toHaveLength(3)
  writer.rewind(space, before)
  const twin = writer.add(space, { name: 'twin' })
  for (const ops of [
    [before, at, after, twin],
    [twin, after, at, before],
  ]) {
    const state = fold([space.init, ...ops])
    expect(shown(state)).toEqual(idsOfAdds(before))
    expect([at, after, twin].map(({ id }) => state.ignored.get(id))).toEqual(['forked', 'forked', 'forked'])
    expect(mayAdd(state, writer.rid)).toBe(false)
    expect(mayAdd(state, ben().rid)).toBe(true)
  }
  // two more twins change nothing: a fork is a fork
  writer.rewind(space, before)
  const bomb = [writer.add(space, { name: 't2' }), (writer.rewind(space, before), writer.add(space, { name: 't3' }))]
  expect(shown(fold([space.init, before, at, after, twin, ...bomb]))).toEqual(idsOfAdds(before))
})

test('[SET-12] evidence alone voids, whoever brings it and whether or not the two ops are here', () => {
  const space = aSpace()
  const writer = ana()
  const before = writer.add(space, { name: 'before' })
  const at = writer.add(space, { name: 'at' })
  writer.rewind(space, before)
  const evidence = aWriter(99).accuse(space, at, writer.add(space, { name: 'twin' }))
  expect(shown(fold([space.init, before, at, evidence]))).toEqual(idsOfAdds(before))
  expect(fold([space.init, before, at, evidence]).ignored.has(evidence.id)).toBe(false)
})

test('[SET-12] a space stays what it is when its creator forks the chain at its first op', () => {
  const space = aSpace()
  const add = ben().add(space)
  space.creator.head.clear()
  const twin = space.creator.add(space, { name: 'twin' })
  const state = fold([space.init, add, twin])
  expect(state.name).toBe('team')
  expect(shown(state)).toEqual(idsOfAdds(add))
  expect(mayRevoke(state, space.creator.rid)).toBe(false)
})

test('[SET-13] an op counts once everything before it in its chain is here', () => {
  const space = aSpace()
  const writer = ana()
  const one = writer.add(space, { name: '1' })
  const two = writer.add(space, { name: '2' })
  const three = writer.add(space, { name: '3' })
  const state = fold([space.init, one, three])
  expect(shown(state)).toEqual(idsOfAdds(one))
  expect([...state.ignored]).toEqual([[three.id, 'detached']])
  expect(state.head(writer.rid)).toMatchObject({ nextSeq: 1, lastId: one.id })
  expect(shown(fold([space.init, one, three, two]))).toHaveLength(3)
})

test('[SET-13] an op that names another one before it than the one that is there does not count', () => {
  const space = aSpace()
  const writer = ana()
  const one = writer.add(space, { name: '1' })
  const wrong = makeOp({ ...writer.add(space, { name: '2' }).record, prev: space.init.id } as OpRecord)
  expect(shown(fold([space.init, one, wrong]))).toEqual(idsOfAdds(one))
})

test('[SET-15] clocks decide nothing: a forged time wins nothing, and equal times change nothing', () => {
  const space = aSpace()
  const body = (word: string): AddBody => ({
    t: 'add',
    contribution: recordOf(aWriter(50).add(space, { content: word })),
    replaces: [],
  })
  const forged = aWriter(4).write(space, body('old'), Number.MAX_SAFE_INTEGER)
  const honest = aWriter(5).write(space, body('new'), 5)
  const state = fold([space.init, forged, honest])
  expect(shown(state)).toEqual(idsOfAdds(forged, honest))
  expect(state.visible.every(({ conflict }) => conflict)).toBe(true)
  // the next to write settles it, whatever time its own clock tells
  const next = aWriter(6).add(space, { content: 'next', replaces: [forged, honest] })
  expect(shown(fold([space.init, forged, honest, next]))).toEqual(idsOfAdds(next))
  const equal = [aWriter(4).write(space, body('old'), 7), aWriter(5).write(space, body('new'), 7)]
  expect(fold([space.init, ...equal]).root).toBe(fold([space.init, ...equal.reverse()]).root)
  expect(fold([space.init, ...equal]).root).toBe(state.root)
})

test('[SET-16] ops of a generation that the space has not reached, and of unknown types, are kept without effect', () => {
  const space = aSpace()
  const add = ana().add(space)
  const later = makeOp({ ...add.record, g: 1 })
  const reserved = ben().write(space, { t: 'attest', verdict: 'ok' } as never)
  const state = fold([space.init, later, reserved])
  expect(state.visible).toEqual([])
  expect([...state.ignored].sort()).toEqual(
    [
      [later.id, 'generation'],
      [reserved.id, 'inert'],
    ].sort(),
  )
  expect(state.opsRoot).toBe(slowRoot([space.init.id, later.id, reserved.id]))
  // a reserved op is a link of its chain
  expect(state.head(ben().rid).nextSeq).toBe(1)
  // and the same place in another generation is no fork
  expect(shown(fold([space.init, add, later]))).toEqual(idsOfAdds(add))
})

test('[SET-6] dots of what is no add, or not here, are passed over', () => {
  const space = aSpace()
  const one = ana().add(space)
  const gone = ben().remove(space, space.init, one, aWriter(8).add(space, { name: 'unseen' }))
  expect(shown(fold([space.init, one, gone]))).toEqual([])
})

test('[SET-12] an author with very many epochs, forked or not, costs no more than its ops', () => {
  const space = aSpace()
  const { record } = ana().add(space)
  const bytes = new Uint8Array()
  // what the gate would let in, without the bytes: a fold does not look at them
  const ops = Array.from({ length: 40_000 }, (_, i): Op => {
    const ep = i % 39_000
    const id = i.toString(16).padStart(64, '0')
    return { id: id as Op['id'], record: { ...record, ep }, bytes }
  })
  const state = fold([space.init, ...ops])
  expect(state.head(ana().rid).ep).toBe(38_999)
  expect(state.ignored.size).toBe(40_000) // epoch 0 is forked, and so all of them are void
  expect(mayAdd(state, ana().rid, 200_000)).toBe(false)
})

test('[SET-7] of all names those that stand for several are in conflict', () => {
  const space = aSpace()
  const adds = [ana().add(space, { name: 'both', content: 'one' }), ben().add(space, { name: 'both', content: 'two' })]
  expect(fold([space.init, ...adds, cleo().add(space, { name: 'alone' })]).conflicts).toEqual(['both'])
})
