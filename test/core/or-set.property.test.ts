import fc from 'fast-check'
import { expect, test } from 'vitest'
import { fold, mayAdd, mayManageMembers, mayRetract, mayRevoke, type SpaceState } from '../../src/core/or-set.ts'
import type { Op, SignedOp } from '../../src/core/op.ts'
import { aSpace, aWriter, contentOf } from '../support/ops.ts'
import { deliveriesOf, histories, partsOf } from './histories.ts'
import { oracle } from './or-set-oracle.ts'
import { told, whole } from './whole.ts'

/** How many histories are grown: `GROWN_HISTORIES=10000` for a long run. */
const RUNS = Number(process.env['GROWN_HISTORIES'] ?? 150)

const options = (numRuns: number) => ({ seed: 1, numRuns })
const union = (...sets: readonly (readonly Op[])[]): Op[] => [...new Set(sets.flat())]

test('[SET-1] the fold is what its definitions say, for any history and any part of it that arrived', () => {
  const seen = { visible: 0, conflicts: 0, ignored: new Set<string>(), removed: 0 }
  const cases = histories().chain((history) => fc.tuple(fc.constant(history), partsOf(history)))
  fc.assert(
    fc.property(cases, ([{ ops }, part]) => {
      for (const given of [ops, part]) {
        const state = fold(given)
        expect(told(state)).toEqual(oracle(given))
        seen.visible += state.visible.length
        seen.conflicts += state.visible.filter(({ conflict }) => conflict).length
        for (const why of state.ignored.values()) seen.ignored.add(why)
      }
    }),
    options(200),
  )
  // the histories reach every rule
  expect(seen.visible).toBeGreaterThan(500)
  expect(seen.conflicts).toBeGreaterThan(100)
  expect([...seen.ignored].sort()).toEqual(
    ['after_fork', 'detached', 'forked', 'inert', 'not_a_member', 'not_allowed', 'removed'].sort(),
  )
})

test('[SET-2] order and repetition of ops do not matter', () => {
  const cases = histories().chain((history) => fc.tuple(fc.constant(history.ops), deliveriesOf(history.ops)))
  fc.assert(
    fc.property(cases, ([ops, delivered]) => {
      expect(whole(fold(delivered))).toEqual(whole(fold(ops)))
    }),
    options(60),
  )
})

test('[SET-2] replicas that exchange their ops in any grouping come to one state', () => {
  const cases = histories().chain((history) => fc.tuple(partsOf(history), partsOf(history), partsOf(history)))
  fc.assert(
    fc.property(cases, ([a, b, c]) => {
      const left = whole(fold(union(union(a, b), c)))
      expect(whole(fold(union(a, union(b, c))))).toEqual(left)
      expect(whole(fold(union(c, union(b, a))))).toEqual(left)
      expect(whole(fold(union(a, b, c, a)))).toEqual(left)
    }),
    options(50),
  )
})

test('[SET-60] a state grown op by op, or by some ops at once, is the fold of all of them; the old ones stay', () => {
  const grown = { open: 0, members: 0, judged: 0 }
  const cases = histories().chain(({ space, ops }) => {
    const rest = ops.slice(1)
    const shortened = fc.subarray(rest, { minLength: Math.floor(rest.length * 0.8) })
    const delivered = fc.oneof(fc.constant(rest), shortened, deliveriesOf(rest))
    return fc.tuple(fc.constant(space.init), delivered, fc.array(fc.nat(4), { minLength: 9 }))
  })
  fc.assert(
    fc.property(cases, ([init, delivered, sizes]) => {
      const seen: Op[] = [init]
      const states = [fold(seen)]
      for (let at = 0; at < delivered.length;) {
        const before = states.at(-1)!
        const some = delivered.slice(at, (at += 1 + sizes[at % sizes.length]!))
        seen.push(...some)
        const state = before.with(some)
        const isSame = state.judged.authority === before.judged.authority
        grown[isSame ? state.policy.access : 'judged'] += 1
        // asked for now and then: what is cached is used, and so is what waits
        if (at % 3 > 0) expect([state.root, state.opsRoot]).toEqual([fold(seen).root, fold(seen).opsRoot])
        if (at % 2 > 0) expect(whole(state)).toEqual(whole(fold(seen)))
        states.push(state)
      }
      for (const state of states) expect(whole(state)).toEqual(whole(fold(state.ops.values())))
    }),
    options(RUNS),
  )
  expect(Math.min(...Object.values(grown))).toBeGreaterThan(RUNS / 2)
})

test('[SET-60] what comes before an evidence that waits for it takes it into the chain', () => {
  const space = aSpace()
  const [liar, witness] = [aWriter(1), aWriter(2)]
  const one = liar.add(space)
  liar.head.delete(space.id)
  const first = witness.add(space)
  const evidence = witness.accuse(space, one, liar.add(space, { content: 'other' }))
  const state = fold([space.init, evidence]).with([first])
  expect(whole(state)).toEqual(whole(fold([space.init, evidence, first])))
  expect(state.head(witness.rid)).toMatchObject({ nextSeq: 2, lastId: evidence.id })
})

test('[SET-60] what falls out of a state is gone from it', () => {
  const cases = histories().chain((history) => fc.tuple(fc.constant(history.ops), fc.subarray(history.ops.slice(1))))
  fc.assert(
    fc.property(cases, ([ops, gone]) => {
      const left = ops.filter((op) => !gone.includes(op))
      expect(
        whole(
          fold(ops).with(
            [],
            gone.map(({ id }) => id),
          ),
        ),
      ).toEqual(whole(fold(left)))
    }),
    options(40),
  )
})

test('[SET-60] ops that come and ops that go, one by one or at once, make what the fold of those that are here makes', () => {
  const seen = { shownAgain: 0, hidden: 0, givenBack: 0, left: 0, unforked: 0 }
  const cases = histories().chain(({ space, ops }) =>
    fc.tuple(
      fc.constant(space.init),
      deliveriesOf(ops.slice(1)),
      fc.array(fc.tuple(fc.nat(3), fc.nat(12)), { minLength: 60, maxLength: 60 }),
    ),
  )
  fc.assert(
    fc.property(cases, ([init, delivered, steps]) => {
      let state = fold([init])
      const here: Op[] = [init]
      for (let at = 0, step = 0; at < delivered.length && step < steps.length; step++) {
        const [size, choice] = steps[step]!
        const some = delivered.slice(at, (at += size))
        const gone = choice < 3 ? here.filter((op, i) => op !== init && i % 3 === choice).slice(0, 1 + choice) : []
        const before = state
        state = state.with(
          some,
          gone.map(({ id }) => id),
        )
        for (const op of some) if (!here.includes(op)) here.push(op)
        for (const op of gone) here.splice(here.indexOf(op), 1)
        expect(whole(state)).toEqual(whole(fold(here)))

        const came = new Set(some.map(({ id }) => id))
        const dotsOf = ({ visible }: SpaceState) => visible.flatMap(({ dots }) => dots.map(({ op }) => op))
        const [were, are] = [new Set(dotsOf(before)), new Set(dotsOf(state))]
        for (const dot of are) if (!were.has(dot) && !came.has(dot) && before.ops.has(dot)) seen.shownAgain += 1
        for (const dot of were) if (!are.has(dot) && state.ops.has(dot)) seen.hidden += 1
        for (const content of before.revoked.keys()) if (!state.revoked.has(content)) seen.givenBack += 1
        for (const { rid } of before.members) if (!state.members.some((one) => one.rid === rid)) seen.left += 1
        for (const [rid, { forkedEpochs }] of before.chains)
          if (forkedEpochs.length > (state.chains.get(rid)?.forkedEpochs.length ?? 0)) seen.unforked += 1
      }
    }),
    { seed: 4, numRuns: RUNS / 2 },
  )
  // the histories reach what only the going and the turning of ops does
  expect(Math.min(...Object.values(seen))).toBeGreaterThan(RUNS / 50)
})

/** Somebody whose chain nobody has seen. */
const freshWriter = () => aWriter(999)

const isVisible = (ops: readonly Op[], dot: Op) =>
  fold(ops).visible.some(({ dots }) => dots.some(({ op }) => op === dot.id))

test('[SET-3] in an open space an add that nobody saw survives whatever others remove', () => {
  fc.assert(
    fc.property(histories('open'), ({ space, ops }) => {
      const unseen = freshWriter().add(space, { name: 'n0', content: 'c0' })
      expect(isVisible([...ops, unseen], unseen)).toBe(!fold(ops).revoked.has(contentOf('c0')))
    }),
    options(60),
  )
})

test('[SET-5] revoked content is never visible again, whoever adds it and whenever', () => {
  fc.assert(
    fc.property(histories(), fc.nat(3), ({ space, ops }, n) => {
      const { creator } = space
      const state = fold(ops)
      fc.pre(mayRevoke(state, creator.rid, creator.ep))
      const revoke: SignedOp = creator.revoke(space, `c${n}`)
      const again = freshWriter().add(space, { name: 'n0', content: `c${n}` })
      const after = fold([again, revoke, ...ops])
      expect(after.visible.filter(({ record }) => record.content === contentOf(`c${n}`))).toEqual([])
    }),
    options(60),
  )
})

test('[SET-14] an op is refused beforehand exactly when the fold would ignore it', () => {
  const seen = { allowed: 0, refused: 0 }
  fc.assert(
    fc.property(histories(), fc.nat(3), fc.nat(2), ({ space, ops }, who, ep) => {
      const state = fold(ops)
      const writer = aWriter(100 + who, ep)
      writer.head.set(space.id, state.head(writer.rid, ep))
      if (who === 0 && ep === 0) fc.pre(state.head(writer.rid, 0).nextSeq > 0)
      const counts = (write: () => SignedOp) => {
        writer.head.set(space.id, state.head(writer.rid, ep))
        const op = write()
        const counted = !fold([...ops, op]).ignored.has(op.id)
        seen[counted ? 'allowed' : 'refused'] += 1
        return counted
      }
      expect(mayAdd(state, writer.rid, ep)).toBe(counts(() => writer.add(space, { content: 'new' })))
      expect(mayRevoke(state, writer.rid, ep)).toBe(counts(() => writer.revoke(space, 'c0')))
      expect(mayManageMembers(state, writer.rid, ep)).toBe(counts(() => writer.grant(space, aWriter(7))))
      for (const { dots } of state.visible.slice(0, 2))
        for (const { op: dot } of dots.slice(0, 1)) {
          const target = ops.find(({ id }) => id === dot)!
          writer.head.set(space.id, state.head(writer.rid, ep))
          const gone = !isVisible([...ops, writer.remove(space, target)], target)
          expect(mayRetract(state, writer.rid, dot, ep)).toBe(gone)
        }
    }),
    options(120),
  )
  expect(Math.min(seen.allowed, seen.refused)).toBeGreaterThan(100)
})
