/** Random histories of one space: several authors and epochs, forks, members, removals, revocations, replacement. */
import fc from 'fast-check'
import type { Op, SignedOp } from '../../src/core/op.ts'
import { ROLES } from '../../src/core/op-schemas.ts'
import { type ASpace, aSpace, aWriter, type AWriter } from '../support/ops.ts'

const AUTHORS = 4
const EPOCHS = 3

type Kind = 'add' | 'replace' | 'remove' | 'revoke' | 'grant' | 'expel' | 'accuse' | 'pardon' | 'reserved'

export interface Step {
  readonly who: number
  readonly ep: number
  readonly kind: Kind
  /** Choices, each read modulo what there is to choose from. */
  readonly a: number
  readonly b: number
  readonly c: number
  readonly forks: boolean
}

const often = (weight: number, kind: Kind) => ({ weight, arbitrary: fc.constant(kind) })
const kind = fc.oneof(
  often(6, 'add'),
  often(4, 'replace'),
  often(3, 'remove'),
  often(1, 'revoke'),
  often(5, 'grant'),
  often(3, 'expel'),
  often(1, 'accuse'),
  often(1, 'pardon'),
  often(1, 'reserved'),
)
const step: fc.Arbitrary<Step> = fc.record({
  who: fc.nat(AUTHORS - 1),
  ep: fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat(EPOCHS - 1) }),
  kind,
  a: fc.nat(60),
  b: fc.nat(60),
  c: fc.nat(60),
  forks: fc.oneof({ weight: 14, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) }),
})

const pick = <T>(list: readonly T[], n: number): T | undefined => list[n % Math.max(list.length, 1)]
const isAdd = ({ record }: Op) => record.t === 'add'

function twins(ops: readonly SignedOp[]): [SignedOp, SignedOp][] {
  const place = ({ record: r }: Op) => (r.t === 'space.init' ? '' : `${r.rid}/${r.ep}/${r.seq}`)
  return ops.flatMap((one, i) =>
    ops
      .slice(i + 1)
      .filter((two) => place(one) !== '' && place(one) === place(two) && one.id !== two.id)
      .map((two): [SignedOp, SignedOp] => [one, two]),
  )
}

function write(space: ASpace, ops: readonly SignedOp[], writers: readonly AWriter[], given: Step): SignedOp {
  const { who, ep, a, b, c } = given
  const writer = writers[who * EPOCHS + ep]!
  const adds = ops.filter(isAdd)
  const member = writers[(a % AUTHORS) * EPOCHS]!
  const [two] = twins(ops)
  switch (given.kind) {
    case 'replace':
      return writer.add(space, {
        name: `n${a % 2}`,
        content: `c${b % 4}`,
        weight: 1 + (c % 3),
        replaces: adds.slice(-1 - (c % 5)),
      })
    case 'remove': {
      const dot = pick(adds, b)
      if (dot !== undefined) return writer.remove(space, dot, pick(adds, c)!)
      break
    }
    case 'revoke':
      return writer.revoke(space, `c${b % 4}`)
    case 'grant':
      return writer.grant(space, member, ROLES[b % 4 === 3 ? 0 : b % 4], c % 3 === 0 ? c % 4 : undefined)
    case 'expel': {
      const ends = c % 2 === 0 && b % EPOCHS > 0 ? { earlier: [[0, (c % 4) - 1] as const] } : {}
      return writer.expel(space, member, { last_ep: b % EPOCHS, last_seq: (c % 5) - 1, ...ends })
    }
    case 'accuse':
      if (two !== undefined) return writer.accuse(space, ...two)
      break
    case 'pardon':
      return writer.pardon(space, member, ops[0]!, b % (EPOCHS + 1))
    case 'reserved':
      return writer.write(space, { t: 'receipt', body: `n${a}` } as never)
    case 'add':
  }
  return writer.add(space, { name: `n${a % 2}`, content: `c${b % 4}` })
}

export interface History {
  readonly space: ASpace
  readonly ops: readonly SignedOp[]
  /** For the report of a failure: the steps alone say it all. */
  toString(): string
}

export function historyOf(access: 'open' | 'members', steps: readonly Step[]): History {
  const creator = aWriter(100)
  const space = aSpace({ access, creator })
  const writers = Array.from({ length: AUTHORS * EPOCHS }, (_, i) =>
    i === 0 ? creator : aWriter(100 + Math.floor(i / EPOCHS), i % EPOCHS),
  )
  const ops: SignedOp[] = [space.init]
  for (const given of steps) {
    const writer = writers[given.who * EPOCHS + given.ep]!
    const own = ops.filter(({ record }) => record.rid === writer.rid && record.ep === writer.ep)
    if (given.forks && own.length > 1) writer.rewind(space, pick(own, given.c)!)
    ops.push(write(space, ops, writers, given))
  }
  const said = JSON.stringify([access, steps])
  return { space, ops, [fc.toStringMethod]: () => said, toString: () => said } as History
}

const STEPS_MAX = 40

export const histories = (...access: readonly ('open' | 'members')[]): fc.Arbitrary<History> =>
  fc
    .tuple(
      fc.constantFrom(...(access.length > 0 ? access : (['open', 'members', 'members'] as const))),
      fc.array(step, { maxLength: STEPS_MAX, size: 'max' }),
    )
    .map(([chosen, steps]) => historyOf(chosen, steps))

/** Whatever has arrived so far: the first op and any others. */
export const partsOf = ({ ops }: History): fc.Arbitrary<SignedOp[]> =>
  fc.subarray(ops.slice(1), { minLength: Math.floor(ops.length / 2) }).map((some) => [ops[0]!, ...some])

/** Each op once or more, in any order. */
export const deliveriesOf = (ops: readonly SignedOp[]): fc.Arbitrary<SignedOp[]> =>
  fc
    .shuffledSubarray([...ops], { minLength: 0 })
    .chain((again) => fc.shuffledSubarray([...ops, ...again], { minLength: ops.length + again.length }))
