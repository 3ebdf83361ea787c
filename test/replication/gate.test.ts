import { describe, expect, test } from 'vitest'
import { canonicalText } from '../../src/core/canonical.ts'
import { concat, utf8 } from '../../src/core/bytes.ts'
import { encodeSigned, evidenceOf, type SignedOp, signaturesHold, verifyOp } from '../../src/core/op.ts'
import { verify } from '../../src/core/signature.ts'
import { judgeRecord, type Verdict } from '../../src/replication/gate.ts'
import { judgeRecords } from '../support/judging.ts'
import { RecentSet } from '../../src/replication/recent-set.ts'
import { encodeRecords } from '../../src/replication/yjs-codec.ts'
import { Gated, slotted } from '../support/gate.ts'
import { asSent, aSpace, type AWriter, aWriter } from '../support/ops.ts'

const creator = aWriter(0)
const space = aSpace({ creator })
const update = (...ops: readonly SignedOp[]): Uint8Array => encodeRecords(ops.map(slotted))
const raw = (op: SignedOp, gated: Gated): Verdict => judgeRecord(encodeSigned(op), undefined, gated.view)
const nothing = { admitted: [], known: 0, voided: 0, forks: [], gaps: [], refused: new Map() }

/** Five ops of one chain. */
function history(writer: AWriter): SignedOp[] {
  return ['a', 'b', 'c', 'd', 'e'].map((name) => writer.add(space, { name }))
}
const mine = history(aWriter(1))
const theirs = history(aWriter(2))

describe('[GAT-7] an op is admitted where its chain goes on', () => {
  test('[GAT-7] an op whose place is not reached is a gap, with what must come first', () => {
    const gated = new Gated(space).hold(mine[0]!)
    const before = gated.document.encode()
    const admission = gated.receive(update(...mine.slice(2)))
    expect(admission.clean).toBe(false)
    expect(admission.gaps.map(({ op, needs }) => [op.id, needs.from, needs.prev])).toEqual([
      [mine[2]!.id, 1, mine[1]!.id],
      [mine[3]!.id, 1, mine[2]!.id],
      [mine[4]!.id, 1, mine[3]!.id],
    ])
    expect(gated.document.encode()).toEqual(before)
    expect(gated.receive(update(...mine.slice(1))).clean).toBe(true)
  })

  test('[GAT-7] 2 MB behind a gap leave nothing behind', () => {
    const writer = aWriter(3)
    const flood = Array.from({ length: 200 }, (_, i) => writer.add(space, { name: `flood${i}` }))
    const gated = new Gated(space, () => true)
    expect(gated.receive(update(...flood.slice(1))).gaps).toHaveLength(199)
    expect(gated.document.encode()).toEqual(encodeRecords([]))
  })

  test('[GAT-7] an op that follows another branch asks for the op that it follows', () => {
    const gated = new Gated(space).hold(mine[0]!, mine[1]!)
    const branch = aWriter(1)
    const other = [branch.add(space, { name: 'other' }), branch.add(space, { name: 'more' }), branch.add(space)]
    expect(raw(other[2]!, gated)).toMatchObject({
      kind: 'gap',
      needs: { rid: branch.rid, ep: 0, from: 1, prev: other[1]!.id },
    })
    const fork = raw(other[1]!, gated)
    expect(fork).toMatchObject({ kind: 'fork', with: mine[1]!.id })
    expect(() => evidenceOf(mine[1]!, other[1]!)).not.toThrow()
  })

  test('[GAT-7] a second op for one place is a fork only where its author signed it', () => {
    const gated = new Gated(space).hold(...mine)
    const other = asSent(aWriter(1).add(space, { name: 'other' }))
    expect(gated.receive(update(other))).toMatchObject({
      ...nothing,
      clean: false,
      forks: [{ op: { id: other.id }, with: mine[0]!.id, slot: slotted(other) }],
    })
    const forged = { ...other, signature: mine[0]!.signature }
    expect(gated.receive(update(forged))).toMatchObject({ ...nothing, refused: new Map([['signature', 1]]) })
    expect(gated.document.encode()).toEqual(update(...mine))
  })

  test('[GAT-7] above a fork, and beyond two ops at it, everything is void, whoever signed it', () => {
    const variants = ['x', 'y', 'z']
      .map((name) => aWriter(1).add(space, { name }))
      .sort((a, b) => (a.id < b.id ? -1 : 1))
    const gated = new Gated(space)
    gated.keep(variants[0]!)
    gated.keep(variants[1]!)
    const view = { ...gated.view, verify: () => expect.unreachable('void needs no signature') }
    expect(judgeRecord(encodeSigned(variants[2]!), undefined, view)).toEqual({ kind: 'void', id: variants[2]!.id })
    expect(judgeRecord(encodeSigned(mine[1]!), undefined, view)).toEqual({ kind: 'void', id: mine[1]!.id })

    const late = new Gated(space)
    late.keep(variants[1]!)
    late.keep(variants[2]!)
    expect(raw(variants[0]!, late)).toMatchObject({ kind: 'fork', with: variants[1]!.id })
  })

  test('[GAT-7] ops of one message see the ones before them', () => {
    const gated = new Gated(space).hold(...mine.slice(0, 3))
    const branch = aWriter(1)
    const fork = [
      branch.add(space, { name: 'a' }),
      branch.add(space, { name: 'other' }),
      branch.add(space),
      branch.add(space),
    ]
    const admission = judgeRecords(
      [fork[1]!, fork[2]!, mine[3]!, ...theirs].map((op) => ({ record: encodeSigned(op) })),
      gated.view,
    )
    expect(admission.forks.map(({ op }) => op.id)).toEqual([fork[1]!.id])
    expect(admission.voided).toBe(2)
    expect(admission.admitted.map(({ op }) => op.id)).toEqual(theirs.map(({ id }) => id))
    const twice = judgeRecords(
      [theirs[0]!, theirs[0]!].map((op) => ({ record: encodeSigned(op) })),
      gated.view,
    )
    expect(twice).toMatchObject({ admitted: [{}], known: 1, clean: false })
  })

  test('[GAT-7] a place whose fork is known by evidence alone takes its op, and nothing above it', () => {
    const gated = new Gated(space)
    const chain = { nextSeq: 0, lastId: undefined, forkedAt: 0, at: () => [] }
    const view = { ...gated.view, chain: () => chain }
    expect(judgeRecord(encodeSigned(mine[0]!), undefined, view).kind).toBe('admit')
    expect(judgeRecord(encodeSigned(mine[1]!), undefined, view).kind).toBe('void')
  })
})

describe('[GAT-8] what honest replicas send passes', () => {
  test('[GAT-8] a new op, and its repeat', () => {
    const gated = new Gated(space).hold(space.init)
    const fresh = update(mine[0]!)
    expect(gated.receive(fresh)).toMatchObject({
      clean: true,
      admitted: [{ op: asSent(mine[0]!), slot: slotted(mine[0]!) }],
    })
    const after = gated.document.encode()
    expect(gated.receive(fresh)).toEqual({ ...nothing, known: 1, clean: false })
    expect(gated.document.encode()).toEqual(after)
    expect(fresh.length).toBeLessThan(600 + 250)
  })

  test('[GAT-8] the whole state, passed on from replica to replica', () => {
    const first = new Gated(space).hold(space.init, ...mine, ...theirs)
    let from = first
    for (let hop = 0; hop < 3; hop++) {
      const next = new Gated(space)
      const admission = next.receive(from.document.diff(next.document.stateVector()))
      expect([admission.clean, admission.admitted.length]).toEqual([true, 11])
      from = next
    }
    expect(from.document.encode()).toEqual(first.document.encode())
  })

  test('[GAT-8] ops of several chains, known and new, in any order of writing', () => {
    const gated = new Gated(space).hold(...mine.slice(0, 2))
    const admission = gated.receive(update(...theirs.slice(0, 2), ...mine, space.init))
    expect(admission).toMatchObject({ known: 2, clean: false, gaps: [], refused: new Map() })
    expect(admission.admitted).toHaveLength(6)
    gated.receive(update(...theirs.slice(2)))
    expect(gated.document.encode()).toEqual(update(space.init, ...mine, ...theirs))
  })

  test('[GAT-8] good ops beside bad ones are admitted, and the update is not applied as it came', () => {
    const gated = new Gated(space)
    const forged = { ...asSent(theirs[0]!), signature: mine[0]!.signature }
    const mixed = update(space.init, mine[0]!, forged)
    expect(gated.receive(mixed)).toMatchObject({
      clean: false,
      admitted: [{}, {}],
      refused: new Map([['signature', 1]]),
    })
    expect(gated.document.encode()).toEqual(update(space.init, mine[0]!))
  })

  test('[GAT-8] an op of another epoch begins a chain of its own', () => {
    const again = aWriter(1, 4).add(space)
    const gated = new Gated(space).hold(...mine)
    expect(gated.receive(update(again)).clean).toBe(true)
    expect(gated.document.encode()).toEqual(update(...mine, again))
  })

  test('[GAT-8] the beginning of a space that is not known yet, and of no other', () => {
    const gated = new Gated(space)
    const view = { ...gated.view, initId: undefined }
    expect(judgeRecord(encodeSigned(space.init), slotted(space.init), view).kind).toBe('admit')
    const other = aSpace({ creator: aWriter(9), nonce: 'other' })
    const refusal = { kind: 'refused', reason: 'space' }
    expect(judgeRecord(encodeSigned(other.init), undefined, view)).toMatchObject(refusal)
    // its name is half of its id: another beginning with that half would be no beginning of this space
    const begun = { ...view, initId: other.init.id }
    expect(judgeRecord(encodeSigned(space.init), undefined, begun)).toMatchObject(refusal)
  })

  test('[GAT-8] an op that keeps a copy of what it came in keeps no view of it', () => {
    const gated = new Gated(space)
    const message = Buffer.from(update(mine[0]!))
    const { admitted } = gated.judge(message)
    message.fill(0)
    expect(verifyOp(admitted[0]!.op).id).toBe(mine[0]!.id)
    expect(admitted[0]!.slot).toEqual(slotted(mine[0]!))
  })
})

describe('[GAT-10] authority and meaning are not judged', () => {
  test('[GAT-10] writers whom nobody knows, ops without authority and unknown types are admitted', () => {
    const members = aSpace({ access: 'members', creator: aWriter(0), nonce: 'members' })
    const stranger = aWriter(8)
    const ops = [
      stranger.revoke(members, 'a'),
      stranger.grant(members, stranger, 'admin'),
      stranger.write(members, { t: 'later.version', text: 'of it' } as never),
      stranger.write(members, { t: 'roll' }),
    ]
    expect(new Gated(members).receive(update(...ops)).clean).toBe(true)
  })

  test('[GAT-10] a known op under another signature, even none, is the known op, and is not passed on', () => {
    const gated = new Gated(space).hold(mine[0]!)
    const other = { ...asSent(mine[0]!), signature: new Uint8Array(64) }
    expect(gated.receive(update(other, mine[1]!))).toMatchObject({ known: 1, clean: false, admitted: [{}] })
    expect(gated.document.encode()).toEqual(update(mine[0]!, mine[1]!))
  })
})

describe('[GAT-6] signatures are looked at last and once', () => {
  test('[GAT-6] an op is verified as the contract of ops says, evidence within evidence included', () => {
    const twin = (name: string) => asSent(aWriter(7).add(space, { name }))
    const [x, y] = [twin('x'), twin('y')]
    const accusations = [asSent(aWriter(6).accuse(space, x, y)), twin('z')]
    for (const op of accusations) expect(signaturesHold(verifyOp(op), verify)).toBe(true)
    const bad = asSent(aWriter(6).accuse(space, x, { ...y, signature: x.signature }))
    expect(signaturesHold(bad, verify)).toBe(false)
    expect(() => verifyOp(bad)).toThrow()
    const [one, two] = [asSent(aWriter(5).accuse(space, x, y)), asSent(aWriter(5).add(space))]
    const nested = asSent(aWriter(4).accuse(space, one, two))
    expect(signaturesHold(nested, verify)).toBe(true)
    const worse = asSent(aWriter(5).accuse(space, x, { ...y, signature: x.signature }))
    const nestedWorse = asSent(aWriter(4).accuse(space, worse, two))
    expect(signaturesHold(nestedWorse, verify)).toBe(false)
    expect(() => verifyOp(nestedWorse)).toThrow()
  })

  test('[GAT-6] no signature is looked at for an op that is refused without', () => {
    const gated = new Gated(space).hold(mine[0]!)
    const view = { ...gated.view, verify: () => expect.unreachable('the signature comes last') }
    const verdicts = [
      judgeRecord(encodeSigned(mine[0]!), slotted(mine[0]!), view),
      judgeRecord(encodeSigned(mine[1]!), { ...slotted(mine[1]!), clock: 2 }, view),
      judgeRecord(concat(new Uint8Array(64), utf8(canonicalText(mine[1]!.record)), utf8(' ')), undefined, view),
    ]
    expect(verdicts.map((verdict) => (verdict.kind === 'refused' ? verdict.reason : verdict.kind))).toEqual([
      'known',
      'slot-mismatch',
      'form',
    ])
  })

  test('[GAT-6] what is remembered of failures is bounded', () => {
    const recent = new RecentSet(2)
    recent.add('a')
    recent.add('b')
    expect(recent.has('a')).toBe(true)
    recent.add('c')
    expect(['a', 'b', 'c'].map((name) => recent.has(name))).toEqual([true, false, true])
  })
})
