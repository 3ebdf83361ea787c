import { expect, test } from 'vitest'
import { authorOp, authorSpace, emptyHead, headAfter, nextHlc, type SpaceAuthoring } from '../../src/core/author.ts'
import { sha256Hex } from '../../src/core/digest.ts'
import { utf8 } from '../../src/core/bytes.ts'
import type { Digest, Name } from '../../src/core/ids.ts'
import { InvariantError } from '../../src/core/invariant.ts'
import { spaceIdOf, verifyOp } from '../../src/core/op.ts'
import { fold } from '../../src/core/or-set.ts'
import { contentOf, keyOf } from '../support/ops.ts'
import { refusalOf } from '../support/refusal.ts'

const key = keyOf(5)
const spaceOf = (nonce: string) =>
  authorSpace(
    { key, head: emptyHead(3), now: 1000 },
    {
      name: 'team' as Name,
      nonce: sha256Hex(utf8(nonce)) as Digest,
      policy: { access: 'open', rules: 1 },
    },
  )

test('[OP-10] a chain is written op by op, each naming the one before, and all of it counts', () => {
  const init = spaceOf('one')
  let authoring: SpaceAuthoring = {
    key,
    head: headAfter(init),
    now: 1500,
    space: spaceIdOf(init),
    acl: fold([init]).acl,
  }
  const ops = [0, 1, 2].map((n) => {
    const op = authorOp(authoring, { t: 'revoke', content: contentOf(`c${n}`) })
    authoring = { ...authoring, head: headAfter(op) }
    return op
  })
  expect([init, ...ops].map(verifyOp)).toHaveLength(4)
  expect(ops.map(({ record }) => [record.ep, record.seq, record.prev])).toEqual([
    [3, 1, init.id],
    [3, 2, ops[0]!.id],
    [3, 3, ops[1]!.id],
  ])
  const state = fold([init, ...ops])
  expect(state.ignored.size).toBe(0)
  expect(state.revoked.size).toBe(3)
  expect(state.head(key.rid)).toEqual(authoring.head)
  expect(ops[0]!.record.acl).toBe(state.acl)
})

test('[OP-10] the first op of an epoch has none before it', () => {
  const init = spaceOf('one')
  const { acl, space } = fold([init])
  const op = authorOp({ key, head: emptyHead(4), now: 0, space, acl }, { t: 'revoke', content: contentOf('c') })
  expect(op.record).toMatchObject({ ep: 4, seq: 0, hlc: 1 })
  expect('prev' in op.record).toBe(false)
  expect(() => authorOp({ key, head: { ...emptyHead(4), nextSeq: 1 }, now: 0, space, acl }, op.record)).toThrow(
    InvariantError,
  )
})

test('[OP-11] the clock of a chain only goes on, and looks at that chain alone', () => {
  expect(nextHlc(1000, 1500.9)).toBe(1500)
  expect(nextHlc(1500, 1500)).toBe(1501)
  expect(nextHlc(2000, 1500)).toBe(2001) // the clock was set back
  expect(nextHlc(0, -5)).toBe(1)
  expect(refusalOf(() => nextHlc(Number.MAX_SAFE_INTEGER, 0)).code).toBe('OP_INVALID')
})

test('[OP-4] two spaces of one author, one name and one moment are two spaces', () => {
  expect(spaceIdOf(spaceOf('one'))).not.toBe(spaceIdOf(spaceOf('two')))
  expect(spaceIdOf(spaceOf('one'))).toBe(spaceOf('one').id.slice(0, 32))
})
