import fc from 'fast-check'
import { expect, test } from 'vitest'
import { base64url, concat, fromHex, hex, utf8 } from '../../src/core/bytes.ts'
import { SIZE_LIMITS } from '../../src/core/canonical.ts'
import { contributionId } from '../../src/core/contribution.ts'
import type { OpId, ReplicaId, SpaceId } from '../../src/core/ids.ts'
import {
  accusedBy,
  aclOf,
  clientIdOf,
  decodeSigned,
  encodeSigned,
  evidenceOf,
  makeOp,
  parseOp,
  readOp,
  type SignedOp,
  spaceOf,
  verifyOp,
} from '../../src/core/op.ts'
import { type EvidenceBody, isInert, isMembershipOp, type OpRecord, parseOpRecord } from '../../src/core/op-schemas.ts'
import { headerOf, Shelver, whileRead } from '../../src/core/shelved-op.ts'
import { sign } from '../../src/core/signature.ts'
import { histories } from './histories.ts'
import { golden } from '../support/golden.ts'
import { asSent, aSpace, aWriter, contentOf, keyOf, lazilySigned } from '../support/ops.ts'
import { refusalOf } from '../support/refusal.ts'

interface Vectors {
  readonly rids: Readonly<Record<'alice' | 'bob', ReplicaId>>
  readonly space: SpaceId
  readonly acl: { readonly members: readonly OpId[]; readonly head: string }
  readonly clients: readonly (readonly [ep: number, client: number])[]
  readonly ops: readonly { record: OpRecord; bytes: string; id: string; signature: string }[]
}
const vectors = golden<Vectors>('ops')
const wireOf = ({ signature, bytes }: { signature: string; bytes: string }) => concat(fromHex(signature), utf8(bytes))

const space = aSpace({ access: 'members', creator: aWriter(1) })
const add = aWriter(2).add(space, { name: 'a', tags: ['x'] })
const record = (change: object, from: OpRecord = add.record): object => ({ ...from, ...change })
const dropping = (field: string, from: object = add.record) =>
  Object.fromEntries(Object.entries(from).filter(([key]) => key !== field))

test('[OP-3] ids, bytes and signatures of every type are those that Python finds', () => {
  const types = vectors.ops.map((golden) => {
    const op = decodeSigned(wireOf(golden))
    expect(op.id).toBe(golden.id)
    expect(op.record).toEqual(golden.record)
    expect(makeOp(golden.record).bytes).toEqual(op.bytes)
    expect(verifyOp(op)).toEqual(op)
    expect(encodeSigned(op)).toEqual(wireOf(golden))
    expect(spaceOf(op)).toBe(vectors.space)
    return op.record.t
  })
  expect(new Set(types).size).toBe(9)
})

test('[OP-3] the signature is no part of the name: another valid one leaves the op the same', () => {
  const op = decodeSigned(wireOf(vectors.ops[0]!))
  expect(decodeSigned(encodeSigned({ ...op, signature: new Uint8Array(64) })).id).toBe(op.id)
})

test('[OP-4] space, chain and access are named by digests that Python finds', () => {
  expect(aclOf(vectors.acl.members)).toBe(vectors.acl.head)
  for (const [ep, client] of vectors.clients)
    expect(clientIdOf({ ep, g: 0, rid: vectors.rids.alice, sp: vectors.space })).toBe(client)
  expect(vectors.ops[0]!.id.slice(0, 32)).toBe(vectors.space)
})

test('[OP-4] the ops behind acl are those that say who may do what', () => {
  const types = vectors.ops.filter(({ record: r }) => isMembershipOp(r)).map(({ record: r }) => r.t)
  expect(types.sort()).toEqual(['amnesty', 'member.add', 'member.remove', 'space.init'])
})

const init = space.init.record
const rid = aWriter(3).rid
const remove = aWriter(2).remove(space, add).record
const expel = aWriter(1).expel(space, aWriter(2), { last_ep: 2, last_seq: -1, earlier: [[0, 3]] }).record
const WRONG: readonly (readonly [string, object, string])[] = [
  ['no object', [], ''],
  ['another version', record({ v: 2 }), '/v'],
  ['no version', dropping('v'), '/v'],
  ['no space', dropping('sp'), '/sp'],
  ['a space that is no id', record({ sp: 'team' }), '/sp'],
  ['a negative generation', record({ g: -1 }), '/g'],
  ['no author', dropping('rid'), '/rid'],
  ['an author in capitals', record({ rid: rid.toUpperCase() }), '/rid'],
  ['an epoch as text', record({ ep: '0' }), '/ep'],
  ['no prev after seq 0', record({ seq: 1 }), '/prev'],
  ['prev at seq 0', record({ prev: add.id }), '/prev'],
  ['prev at seq 0 of a type that nobody knows', record({ prev: add.id, t: 'later' }), '/prev'],
  ['no clock', dropping('hlc'), '/hlc'],
  ['a clock before 1970', record({ hlc: -5 }), '/hlc'],
  ['no acl', dropping('acl'), '/acl'],
  ['no type', dropping('t'), '/t'],
  ['a type that is no word', record({ t: 'Add it' }), '/t'],
  ['an unknown field', record({ ack: 'x' }), '/ack'],
  ['a contribution with an unknown field', record({ contribution: { ...('contribution' in add.record && add.record.contribution), size: 3 } }), '/contribution/size'], // prettier-ignore
  ['no replaces', dropping('replaces'), '/replaces'],
  ['replaces out of order', record({ replaces: [rid, add.id].sort().reverse() }), '/replaces'],
  ['too many replaces', record({ replaces: Array.from({ length: 25 }, (_, i) => String(i).padStart(64, '0')) }), '/replaces'], // prettier-ignore
  ['no dots', record({ dots: [] }, remove), '/dots'],
  ['a dot twice', record({ dots: [add.id, add.id] }, remove), '/dots'],
  ['an unknown role', record({ role: 'owner' }, aWriter(1).grant(space, aWriter(2)).record), '/role'],
  ['an end before −1', record({ last_seq: -2 }, expel), '/last_seq'],
  ['earlier ends out of order', record({ earlier: [[1, 0], [0, 0]] }, expel), '/earlier'], // prettier-ignore
  ['an earlier end that is not earlier', record({ earlier: [[2, 0]] }, expel), '/earlier'],
  ['no earlier ends, written', record({ earlier: [] }, expel), '/earlier'],
  ['an empty reason', record({ t: 'revoke', content: contentOf('c'), reason: '' }, expel), '/reason'],
  ['a first op with a space', record({ sp: space.id }, init), '/sp'],
  ['a first op with acl', record({ acl: space.acl }, init), '/acl'],
  ['a first op with prev', record({ prev: add.id }, init), '/prev'],
  ['a first op that is not the first', record({ seq: 1 }, init), '/seq'],
  ['a first op of a later generation', record({ g: 1 }, init), '/g'],
  ['a first op without nonce', dropping('nonce', init), '/nonce'],
  ['an unknown access', record({ policy: { access: 'closed', rules: 1 } }, init), '/policy/access'],
  ['a policy with more', record({ policy: { access: 'open', rules: 1, quorum: 2 } }, init), '/policy/'],
  ['rules 0', record({ policy: { access: 'open', rules: 0 } }, init), '/policy/'],
  ['a space without a name', record({ name: '' }, init), '/name'],
  ['a base that is no root', record({ base: 'llama' }, init), '/base'],
]

test.each(WRONG)('[OP-5] %s is refused by name', (_what, given, pointer) => {
  const refusal = refusalOf(() => parseOpRecord(given))
  expect(refusal.code).toBe('OP_INVALID')
  expect((refusal.pointer ?? '').startsWith(pointer)).toBe(true)
})

test('[OP-5] null, floats and text that is not NFC are refused in any op', () => {
  for (const value of [null, 0.5, NaN, 'e\u0301', '\ud800'])
    expect(refusalOf(() => parseOpRecord(record({ t: 'later', value }))).code).toBe('NOT_CANONICAL')
})

test('[OP-6] rules of a later version are read, so that their space can be stored and passed on', () => {
  const later = { ...init, policy: { access: 'open', rules: 7 } } as const
  expect(parseOp(makeOp(later).bytes).record).toEqual(later)
})

test('[OP-6] types that nobody knows are kept byte for byte, under a strict envelope', () => {
  const reserved = makeOp(record({ t: 'attest', verdict: ['ok', { n: 3 }] }) as OpRecord)
  expect(isInert(reserved.record)).toBe(true)
  expect(parseOp(reserved.bytes)).toEqual(reserved)
  expect(hex(makeOp(parseOp(reserved.bytes).record).bytes)).toBe(hex(reserved.bytes))
  expect(refusalOf(() => parseOpRecord(record({ t: 'attest', seq: -1 }))).pointer).toBe('/seq')
  expect(isInert(add.record)).toBe(false)
})

test('[OP-7] bytes that are not the canonical form are refused', () => {
  const text = new TextDecoder().decode(add.bytes)
  const spoiled = [
    ` ${text}`,
    `${text}\n`,
    text.replace('"v":1', '"v":1.0'),
    text.replace('"v":1', '"v":1,"v":1'),
    text.replace('{"acl"', '{"\\u0061cl"'),
    JSON.stringify(add.record), // in order of writing
    text.slice(0, -1),
    '',
  ]
  for (const bad of spoiled) expect(refusalOf(() => parseOp(utf8(bad))).code).toBe('NOT_CANONICAL')
  expect(refusalOf(() => parseOp(Uint8Array.of(0xff, 0xfe))).code).toBe('NOT_CANONICAL')
})

test('[OP-7] an op takes 4 KiB and no byte more; evidence takes 16', () => {
  const sized = (bytes: number) => record({ t: 'attest', body: 'x'.repeat(bytes) }) as OpRecord
  const room = SIZE_LIMITS.op - makeOp(sized(0)).bytes.length
  expect(makeOp(sized(room)).bytes).toHaveLength(SIZE_LIMITS.op)
  expect(refusalOf(() => makeOp(sized(room + 1))).code).toBe('OP_INVALID')
  const [one, two] = ['1', '2'].map((end) =>
    asSent(lazilySigned(record({ t: 'attest', body: 'x'.repeat(room - 1) + end }) as OpRecord, keyOf(2))),
  )
  const largest = aWriter(1).accuse(space, one!, two!)
  expect(largest.bytes.length).toBeLessThan(SIZE_LIMITS.evidence)
  expect(verifyOp(largest).id).toBe(largest.id)
})

test('[OP-8] what is not signed by its author, or not what it says, is refused', () => {
  const op = asSent(add)
  expect(verifyOp(op)).toEqual(op)
  expect(refusalOf(() => verifyOp({ ...op, signature: new Uint8Array(64) })).code).toBe('SIGNATURE_INVALID')
  expect(refusalOf(() => verifyOp({ ...op, signature: sign('op', op.bytes, keyOf(3)) })).code).toBe('SIGNATURE_INVALID')
  expect(refusalOf(() => verifyOp({ ...op, signature: sign('receipt', op.bytes, keyOf(2)) })).code).toBe(
    'SIGNATURE_INVALID',
  )
  expect(refusalOf(() => verifyOp({ ...op, id: rid as string as OpId })).code).toBe('DIGEST_MISMATCH')
  expect(refusalOf(() => decodeSigned(new Uint8Array(64))).code).toBe('OP_INVALID')
})

test('[OP-8] it believes the bytes and not the record that came beside them', () => {
  const lie = { ...asSent(add), record: { ...add.record, ep: 9 } as OpRecord }
  expect(verifyOp(lie).record).toEqual(add.record)
})

test('[OP-8] every changed byte of an op on the wire is refused', () => {
  const wire = encodeSigned(asSent(add))
  fc.assert(
    fc.property(fc.nat(wire.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
      const bad = wire.slice()
      bad[at]! ^= change
      expect(['NOT_CANONICAL', 'OP_INVALID', 'SIGNATURE_INVALID']).toContain(
        refusalOf(() => verifyOp(decodeSigned(bad))).code,
      )
    }),
    { seed: 1, numRuns: 300 },
  )
})

const author = aWriter(2)
const first = author.add(space, { name: 'a' })
const then = author.add(space, { name: 'b' })
author.rewind(space, first)
const twin = author.add(space, { name: 'c' })

const evidenceRecord = (body: EvidenceBody): OpRecord => ({
  ...(aWriter(1).accuse(space, then, twin).record as OpRecord & EvidenceBody),
  ...body,
})

test('[OP-9] evidence holds two signed ops of one place, the lower id first, whoever puts it together', () => {
  expect(evidenceOf(then, twin)).toEqual(evidenceOf(twin, then))
  const evidence = asSent(aWriter(4).accuse(space, then, twin))
  expect(verifyOp(evidence)).toEqual(evidence)
  expect(accusedBy(evidence.record as OpRecord & EvidenceBody).record).toMatchObject({ rid: author.rid, ep: 0, seq: 1 })
})

test('[OP-9] what proves nothing is no evidence', () => {
  const { a, b } = evidenceOf(then, twin)
  const elsewhere = aSpace({ nonce: 'other' })
  const stranger = aWriter(2)
  const [one, two] = [stranger.add(elsewhere, { name: 'a' }), (stranger.head.clear(), stranger.add(elsewhere))]
  const refused = [
    { a: b, b: a },
    { a, b: a },
    evidenceOf(first, then), // two places
    evidenceOf(first, aWriter(2, 1).add(space)), // two epochs
    evidenceOf(first, aWriter(3).add(space)), // two authors
    evidenceOf(then, { ...makeOp(record({ g: 1 }, twin.record) as OpRecord), signature: twin.signature }), // two generations
    evidenceOf(one, two), // another space
    { a, b: base64url(utf8('{}')) },
  ]
  for (const body of refused) {
    const code = refusalOf(() => makeOp(evidenceRecord({ t: 'evidence', ...body }))).code
    expect(['OP_INVALID', 'NOT_CANONICAL']).toContain(code)
  }
  for (const padded of [`${a}==`, a.replace('_', '/'), `${a}\n`].filter((text) => text !== a))
    expect(refusalOf(() => makeOp(evidenceRecord({ t: 'evidence', a: padded, b }))).code).toBe('OP_INVALID')
})

test('[OP-9] evidence with an op that the accused never signed is refused', () => {
  const forged: SignedOp = { ...twin, signature: sign('op', twin.bytes, keyOf(9)) }
  const evidence = asSent(aWriter(4).accuse(space, then, forged))
  expect(refusalOf(() => verifyOp(evidence)).code).toBe('SIGNATURE_INVALID')
})

test('[OP-60] an op that is read from storage without judging is the op that the strict reader reads', () => {
  fc.assert(
    fc.property(histories(), ({ ops }) => {
      const shelver = new Shelver()
      for (const { id, bytes } of ops) {
        const strict = parseOp(bytes)
        const signature = new Uint8Array(64).fill(7)
        const records = concat(Uint8Array.of(9, 9), signature, bytes, Uint8Array.of(9))
        const trusted = shelver.shelve(id, { records, start: 2, end: records.length - 1 })
        const { record } = trusted
        expect({ id: trusted.id, record, bytes: trusted.bytes }).toEqual(strict)
        expect(trusted.signature).toEqual(signature)
        expect(headerOf(trusted)).toMatchObject(headerOf(strict))
        expect(readOp(bytes)).toEqual(strict.record)
        if (trusted.record.t !== 'add' || strict.record.t !== 'add') continue
        expect(contributionId(trusted.record.contribution)).toBe(contributionId(strict.record.contribution))
      }
    }),
    { seed: 1, numRuns: 30 },
  )
})

test('[OP-60] whatever text a contribution holds, its id is read from the right bytes', () => {
  const space = aSpace()
  const writer = aWriter(1)
  const traps = [',"ep":', '"contribution":', '{"acl":', 'ep":1,"ep":2', '\\",\"ep\":']
  for (const trap of traps) {
    const { bytes } = writer.add(space, {
      license: trap,
      tags: [trap],
      meta: [
        [trap, trap],
        ['ep', '1'],
      ],
    })
    const record = readOp(bytes)
    const strict = parseOp(bytes).record
    if (record.t !== 'add' || strict.t !== 'add') throw new Error('an add')
    expect(contributionId(record.contribution)).toBe(contributionId(strict.contribution))
  }
})

test('[OP-60] of ops on the shelf only the records that were read last are held, and all of them while work needs them', () => {
  const space = aSpace()
  const writer = aWriter(1)
  const shelver = new Shelver()
  const ops = Array.from({ length: 300 }, (_, i) => {
    const { id, bytes } = writer.add(space, { content: `c${i}` })
    const records = concat(new Uint8Array(64), bytes)
    return shelver.shelve(id, { records, start: 0, end: records.length })
  })
  const [first] = ops
  const { record } = first!
  expect(first!.record).toBe(record)
  for (const op of ops.slice(1)) expect(op.record.t).toBe('add')
  expect(first!.record).not.toBe(record)
  expect(first!.record).toEqual(record)
  const held = whileRead(ops, () => {
    const before = ops.map((op) => op.record)
    expect(ops.every((op, i) => op.record === before[i])).toBe(true)
    return before
  })
  expect(ops.every((op, i) => op.record !== held[i])).toBe(true)
})
