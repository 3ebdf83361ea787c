/** What a peer can do to a naive Yjs replica, one by one, and that the gate stops it. */
import { describe, expect, test } from 'vitest'
import * as Y from 'yjs'
import { concat, fromHex, utf8 } from '../../src/core/bytes.ts'
import { canonicalText } from '../../src/core/canonical.ts'
import { digestBytes } from '../../src/core/digest.ts'
import type { ContentRoot, OpId, ReplicaId } from '../../src/core/ids.ts'
import { encodeSigned, makeOp, type SignedOp } from '../../src/core/op.ts'
import type { RefusalReason } from '../../src/replication/gate.ts'
import type { SlotRecord } from '../../src/replication/slots.ts'
import { UPDATE_LIMITS } from '../../src/replication/update-format.ts'
import { WireWriter } from '../../src/replication/wire.ts'
import { encodeRecords } from '../../src/replication/yjs-codec.ts'
import { admitting, Gated, slotOf, slotted } from '../support/gate.ts'
import { asSent, aSpace, aWriter } from '../support/ops.ts'

const space = aSpace()
const victim = aWriter(1)
const attacker = aWriter(2)
const [v0, v1, v2] = [
  victim.add(space, { name: 'victim0' }),
  victim.add(space, { name: 'victim1' }),
  victim.add(space, { name: 'victim2' }),
]
const [a0, a1] = [attacker.add(space, { name: 'a0' }), attacker.add(space, { name: 'a1' })]
/** What every replica holds before the attack; the victim writes v2 next. */
const held = [space.init, v0, v1, a0]
const { client: victimClient } = slotOf(v0)
const { client: attackerClient } = slotOf(a0)

/** A replica that believes what it is sent. */
function naive(...ops: readonly SignedOp[]): Y.Doc {
  const doc = new Y.Doc()
  Y.applyUpdate(doc, encodeRecords((ops.length > 0 ? ops : held).map(slotted)))
  doc.getMap('ops')
  return doc
}
/** The same, which also writes: what it says beyond what the others hold. */
function written(write: (doc: Y.Doc) => void, from = naive(), client = attackerClient): Uint8Array {
  const before = Y.encodeStateVector(from)
  from.clientID = client
  write(from)
  return Y.encodeStateAsUpdate(from, before)
}
const numbers = (...values: readonly number[]): Uint8Array => {
  const writer = new WireWriter()
  for (const value of values) writer.natural(value)
  return writer.end()
}
const has = (doc: Y.Doc, op: SignedOp): boolean => doc.getMap('ops').has(op.id)
const at = (op: SignedOp, change: Partial<SlotRecord>): Uint8Array => encodeRecords([{ ...slotted(op), ...change }])

/** Of an update of this op alone, what follows the place where it begins. */
const itemsOf = (op: SignedOp): Uint8Array => at(op, { client: 5, clock: 0 }).subarray(4, -1)

/** Refused for this reason and no other, with nothing changed. */
function refuses(update: Uint8Array, reason: RefusalReason, count = 1): void {
  const gated = new Gated(space).hold(...held)
  const before = gated.document.encode()
  const admission = gated.receive(update)
  expect([...admission.refused]).toEqual([[reason, count]])
  expect(admission).toMatchObject({ clean: false, admitted: [], known: 0, voided: 0, forks: [], gaps: [] })
  expect(gated.document.encode()).toEqual(before)
  expect(gated.receive(at(v2, {})).clean).toBe(true)

  const arrives = admitting(space, held) // the same in the replica that is shipped, behind the same gate
  const why = update.length > UPDATE_LIMITS.bytes ? 'malformed' : reason // so much is not even unpacked
  expect(arrives(update)).toEqual({ said: [[`refused.${why}`, count]], stores: [], parked: 0 })
  expect(arrives(at(v2, {}))).toMatchObject({ stores: [v2.id] })
}

describe('[GAT-4] nothing but insertions of ops passes', () => {
  test('[GAT-4] deleting another one’s key', () => {
    const attack = written((doc) => doc.getMap('ops').delete(v0.id))
    const doc = naive()
    Y.applyUpdate(doc, attack)
    expect(attack.length).toBeLessThan(20)
    expect(has(doc, v0)).toBe(false)
    refuses(attack, 'delete-set')
  })

  test('[GAT-4] clearing the map', () => {
    const attack = written((doc) => doc.getMap('ops').clear())
    const doc = naive()
    Y.applyUpdate(doc, attack)
    expect(doc.getMap('ops').size).toBe(0)
    refuses(attack, 'delete-set')
  })

  test('[GAT-4] overwriting another one’s key', () => {
    const attack = written((doc) => doc.getMap('ops').set(v0.id, Uint8Array.of(1)))
    const doc = naive()
    Y.applyUpdate(doc, attack)
    expect(doc.getMap('ops').get(v0.id)).toEqual(Uint8Array.of(1))
    refuses(attack, 'origin')
  })

  test('[GAT-5] writing the same key beside it, from a high client id', () => {
    const client = Number.MAX_SAFE_INTEGER
    const attack = written(
      (doc) => doc.getMap('ops').set(v0.id, Uint8Array.of(...new Uint8Array(80))),
      new Y.Doc(),
      client,
    )
    const doc = naive()
    Y.applyUpdate(doc, attack)
    expect(doc.getMap('ops').get(v0.id)).toEqual(new Uint8Array(80))
    refuses(attack, 'key')
  })

  test('[GAT-4] muting a writer by collected garbage where it would write', () => {
    const attack = numbers(1, 1, victimClient, 2, 0, 2 ** 31, 0)
    const doc = naive()
    Y.applyUpdate(doc, attack)
    Y.applyUpdate(doc, at(v2, {}))
    expect(attack.length).toBeLessThan(20)
    expect(has(doc, v2)).toBe(false)
    expect(doc.store.pendingStructs).toBe(null)
    refuses(attack, 'struct')
  })

  test('[GAT-4] skipping over what a writer would write', () => {
    const attack = concat(numbers(1, 2, victimClient, 2, 10, 5), itemsOf(v2), numbers(0))
    expect(Y.decodeUpdate(attack).structs[0]).toBeInstanceOf(Y.Skip)
    refuses(attack, 'struct')
  })

  test('[GAT-4] deleting what is not written yet', () => {
    const attack = numbers(0, 1, victimClient, 1, 2, 1)
    const doc = naive()
    Y.applyUpdate(doc, attack)
    Y.applyUpdate(doc, at(v2, {}))
    expect(has(doc, v2)).toBe(false)
    refuses(attack, 'delete-set')
  })

  test.each<[string, RefusalReason, (doc: Y.Doc) => void]>([
    ['another root', 'parent', (doc) => doc.getMap('other').set(v2.id, encodeSigned(v2))],
    ['an array', 'key', (doc) => doc.get('ops', Y.Array).push([encodeSigned(v2)])],
    ['text', 'content', (doc) => doc.get('ops', Y.Text).insert(0, 'text')],
    ['a nested type', 'content', (doc) => doc.getMap('ops').set(v2.id, new Y.Map())],
    ['a document within', 'content', (doc) => doc.getMap('ops').set(v2.id, new Y.Doc())],
    ['a JSON value', 'content', (doc) => doc.getMap('ops').set(v2.id, { any: ['thing'] })],
    ['a string', 'content', (doc) => doc.getMap('ops').set(v2.id, 'string')],
    ['a key that is no id', 'key', (doc) => doc.getMap('ops').set('name', encodeSigned(v2))],
    ['an id in upper case', 'key', (doc) => doc.getMap('ops').set(v2.id.toUpperCase(), encodeSigned(v2))],
  ])('[GAT-4] writing %s', (_what, reason, write) => {
    const attack = written(write, new Y.Doc(), victimClient)
    const doc = new Y.Doc()
    Y.applyUpdate(doc, attack)
    expect(Y.encodeStateVector(doc)).toEqual(numbers(1, victimClient, Y.getState(doc.store, victimClient)))
    expect(Y.getState(doc.store, victimClient)).toBeGreaterThan(0)
    refuses(attack, reason)
  })

  test('[GAT-4] writing into a type within the map', () => {
    const inner = new Y.Map()
    const from = naive()
    from.getMap('ops').set('inner', inner)
    refuses(
      written(() => inner.set(v2.id, encodeSigned(v2)), from),
      'parent',
    )
  })

  test('[GAT-4] one client twice, which Yjs reads in one way and applies in another', () => {
    const [first, second] = [at(v2, {}), at(a1, { client: victimClient, clock: 3 })]
    const attack = concat(numbers(2), first.subarray(1, -1), second.subarray(1))
    const doc = naive()
    Y.applyUpdate(doc, attack)
    expect(Y.decodeUpdate(attack).structs).toHaveLength(2)
    expect(has(doc, v2)).toBe(false)
    refuses(attack, 'malformed')
  })

  test('[GAT-4] other spellings, which would be passed on', () => {
    const update = at(v2, {})
    const [longer, behind] = [concat(Uint8Array.of(0x81, 0), update.subarray(1)), concat(update, new Uint8Array(99))]
    for (const attack of [longer, behind]) {
      const doc = naive()
      Y.applyUpdate(doc, attack)
      expect(has(doc, v2)).toBe(true)
      refuses(attack, 'malformed')
    }
  })

  test.each([
    ['nothing', []],
    ['half an update', [...at(v2, {}).subarray(0, 300)]],
    ['2^31 clients', [128, 128, 128, 128, 8]],
    ['a client without ops', [1, 0, 5, 0, 0]],
    ['clients ascending', [2, 1, 5, 0, ...itemsOf(v2), 1, 6, 0, ...itemsOf(a1), 0]],
    ['a number beyond 2^53', [255, 255, 255, 255, 255, 255, 255, 255, 255, 1]],
    ['a clock that ends beyond 2^53', [1, 2, 5, 255, 255, 255, 255, 255, 255, 255, 15, 0x23]],
  ])('[GAT-4] %s', (_what, bytes) => refuses(Uint8Array.from(bytes), 'malformed'))

  test('[GAT-4] an update of too many bytes or ops, or an op too large, before the rest is read', () => {
    const huge = new Uint8Array(UPDATE_LIMITS.bytes + 1)
    refuses(huge, 'too-large')
    refuses(numbers(1, UPDATE_LIMITS.records + 1, 5, 0), 'too-large')
    refuses(numbers(1, 2 ** 31, 5, 0), 'too-large')
    refuses(at(v2, { record: new Uint8Array(UPDATE_LIMITS.recordBytes + 1) }), 'too-large')
    refuses(at(v2, { record: new Uint8Array(UPDATE_LIMITS.recordBytes) }), 'key')
  })
})

describe('[GAT-5] an op passes only in the slot that it names', () => {
  test('[GAT-5] a copy of a valid op under the copyist’s client', () => {
    const copy = at(v0, { client: attackerClient, clock: 1 })
    const doc = naive()
    Y.applyUpdate(doc, copy)
    // honest replicas now delete one of the two, and say so to everybody
    expect(Y.decodeUpdate(Y.encodeStateAsUpdate(doc)).ds.clients.size).toBe(1)
    refuses(copy, 'copycat')
    refuses(at(v2, { client: attackerClient, clock: 1 }), 'slot-mismatch')
  })

  test('[GAT-5] an op of one’s own in the next slot of another', () => {
    const attack = at(a1, { client: victimClient, clock: 2 })
    const doc = naive()
    Y.applyUpdate(doc, attack)
    Y.applyUpdate(doc, at(v2, {}))
    expect([has(doc, a1), has(doc, v2)]).toEqual([true, false])
    refuses(attack, 'slot-mismatch')
  })

  test('[GAT-5] an op in a later slot of its own chain', () => refuses(at(v2, { clock: 3 }), 'slot-mismatch'))

  test('[GAT-5] an op under another key', () => {
    const attack = at(v2, { id: v1.id.replace(/^./, (digit) => (digit === '0' ? '1' : '0')) as OpId })
    const doc = naive()
    Y.applyUpdate(doc, attack)
    expect(doc.getMap('ops').size).toBe(held.length + 1)
    refuses(attack, 'key')
  })
})

describe('[GAT-6] an op passes only as its author wrote and signed it', () => {
  const changed = (op: SignedOp, change: (record: Uint8Array) => void): Uint8Array => {
    const record = encodeSigned(op)
    change(record)
    return at(op, { record })
  }

  test('[GAT-6] a forged signature, however often', () => {
    const forged = changed(v2, (record) => (record[9]! ^= 1))
    refuses(forged, 'signature')
    refuses(forged, 'signature')
    refuses(
      changed(v2, (record) => record.fill(0, 0, 64)),
      'signature',
    )
  })

  test('[GAT-6] signed by another than it says', () => {
    const own = asSent(attacker.write(space, { t: 'revoke', content: 'ab'.repeat(32) as ContentRoot }))
    const stolen = { ...asSent(v2), signature: own.signature }
    refuses(encodeRecords([slotted(stolen)]), 'signature')
  })

  test('[GAT-6] evidence with a signature inside that its author never made', () => {
    const [one, other] = [aWriter(7), aWriter(7)]
    const [x, y] = [asSent(one.add(space, { name: 'x' })), asSent(other.add(space, { name: 'y' }))]
    const accuser = () => aWriter(5)
    const gated = new Gated(space).hold(...held)
    expect(gated.judge(at(accuser().accuse(space, x, y), {})).clean).toBe(true)
    refuses(at(accuser().accuse(space, x, { ...y, signature: x.signature }), {}), 'signature')
  })

  const resigned = (bytes: Uint8Array): Uint8Array => {
    const record = concat(new Uint8Array(64), bytes)
    return at(v2, { record, id: digestBytes<OpId>('op', bytes) })
  }

  test('[GAT-6] bytes that are not the canonical form of an op', () => {
    refuses(resigned(utf8('{"v": 1}')), 'form')
    refuses(resigned(utf8('[['.repeat(8000))), 'form')
    refuses(resigned(concat(v2.bytes, utf8(' '))), 'form')
    refuses(resigned(Uint8Array.of(0xff, 0xfe)), 'form')
    refuses(at(v2, { record: encodeSigned(v2).subarray(0, 64) }), 'form')
    refuses(at(v2, { record: new Uint8Array(0) }), 'form')
  })

  test('[GAT-6] an op beyond the size of its type', () => {
    const large = { t: 'dormant', text: 'x'.repeat(5000) } as never
    const record = { ...v2.record, ...(large as object) }
    refuses(resigned(utf8(canonicalText(record))), 'too-large')
  })

  test('[GAT-6] an op of another space or generation, and a second beginning', () => {
    const other = aSpace({ nonce: 'other', creator: aWriter(9) })
    const foreign = aWriter(1).add(other, { name: 'v' })
    refuses(at(foreign, {}), 'space')
    refuses(at(other.init, {}), 'space')
    const later = { ...v2.record, g: 1 }
    refuses(resigned(utf8(canonicalText(later))), 'space')
  })

  test('[GAT-6] a key of small order signs nothing', () => {
    const rid = '01' + '00'.repeat(31)
    const record = { ...aWriter(3).add(space, { name: 'weak' }).record, rid: rid as ReplicaId }
    const op = makeOp(record)
    const weak: SignedOp = { ...op, signature: concat(fromHex(rid), new Uint8Array(32)) }
    refuses(encodeRecords([slotted(weak)]), 'signature')
  })
})
