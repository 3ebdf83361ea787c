import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { compareHex, hex } from '../../src/core/bytes.ts'
import type { OpId, ReplicaId, SpaceId } from '../../src/core/ids.ts'
import { isTributaryError } from '../../src/core/errors.ts'
import { BLOB_ENDS, BLOB_KINDS, WANT_BYTES_MAX } from '../../src/replication/blob-frames.ts'
import {
  decodeFrame,
  encodeFrame,
  type Frame,
  FRAME_HEADER_BYTES,
  FRAME_TYPES,
  frameBytesMax,
  helloProof,
  ID_KINDS,
  IDS_MAX,
} from '../../src/replication/frames.ts'
import { refusalOf } from '../support/refusal.ts'

const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length })
const id = bytes(32).map((raw) => hex(raw) as never)
const space = bytes(16).map((raw) => hex(raw) as SpaceId)
const natural = fc.maxSafeNat()
const short = fc.uint8Array({ maxLength: 100 })
const known = fc.record({ ep: natural, seq: natural })
const pair = fc
  .uniqueArray(id as fc.Arbitrary<OpId>, { minLength: 2, maxLength: 2 })
  .map((two) => two.sort(compareHex) as [OpId, OpId])

const anyFrame: fc.Arbitrary<Frame> = fc.oneof(
  fc.record({
    t: fc.constant('hello' as const),
    versions: fc.tuple(fc.nat(255), fc.nat(255)),
    rid: id,
    nonce: bytes(32),
  }),
  fc.record({
    t: fc.constant('hello-ack' as const),
    version: fc.nat(255),
    spaces: fc.array(fc.oneof(fc.record({ space }), fc.record({ space, known })), { maxLength: 5 }),
    signature: bytes(64),
  }),
  fc.record({
    t: fc.constant('state-vector' as const),
    space,
    vector: short,
    forks: fc.array(fc.record({ rid: id, ep: natural, seq: natural, pair }), {
      maxLength: 4,
    }),
    opsRoot: id,
    root: id,
    ask: fc.boolean(),
  }),
  fc.record({ t: fc.constant('update' as const), space, update: short }),
  fc.record({ t: fc.constant('need' as const), space, rid: id, ep: natural, from: natural }),
  fc.record({
    t: fc.constant('ids' as const),
    space,
    kind: fc.constantFrom(...ID_KINDS),
    ids: fc.array(id, { maxLength: 5 }),
  }),
  fc.record({ t: fc.constant('reconcile' as const), space, session: natural, answer: fc.boolean(), message: short }),
  fc.record({ t: fc.constant('records' as const), space, records: fc.array(short, { maxLength: 4 }) }),
  fc.record({
    t: fc.constant('roots' as const),
    spaces: fc.array(fc.record({ space, ops: natural, opsRoot: id }), { maxLength: 4 }),
  }),
  fc.record({ t: fc.constant('ticket-want' as const), space }),
  fc.record({ t: fc.constant('addresses' as const), addresses: fc.array(bytes(90), { maxLength: 20 }) }),
  fc.record({ t: fc.constant('ticket' as const), space, ticket: bytes(12).map((raw) => hex(raw)) }),
  fc
    .record({
      t: fc.constant('blob-want' as const),
      request: natural,
      space,
      kind: fc.constantFrom(...BLOB_KINDS),
      digest: id,
      start: fc.nat(),
      length: fc.nat(WANT_BYTES_MAX),
    })
    .map(({ length, ...want }) => ({ ...want, end: want.start + length })),
  fc.record({ t: fc.constant('blob-part' as const), request: natural, offset: natural, bytes: short }),
  fc.record({ t: fc.constant('blob-end' as const), request: natural, how: fc.constantFrom(...BLOB_ENDS) }),
  fc.record({ t: fc.constant('bye' as const), code: fc.constantFrom('restart', 'slow'), retryAfterMs: natural }),
)

/** The frame, or the code by which it is refused; anything else thrown is a bug. */
const outcome = (given: Uint8Array) => {
  try {
    return decodeFrame(given)
  } catch (error) {
    if (isTributaryError(error)) return error.code
    throw error
  }
}

const framed = (number: number, body: Uint8Array): Uint8Array => {
  const whole = new Uint8Array(FRAME_HEADER_BYTES + body.length)
  whole[0] = number
  new DataView(whole.buffer).setUint32(1, body.length)
  whole.set(body, FRAME_HEADER_BYTES)
  return whole
}

describe('[FRM-1] a frame', () => {
  test('comes back as it was sent', () => {
    fc.assert(
      fc.property(anyFrame, (frame) => {
        expect(decodeFrame(encodeFrame(frame))).toEqual(frame)
      }),
      { seed: 1, numRuns: 500 },
    )
  })
  test('begins with its number and the length of its body', () => {
    const frame = encodeFrame({ t: 'bye', code: 'slow', retryAfterMs: 300 })
    expect(hex(frame)).toBe(`0c0000000704${hex(Buffer.from('slow'))}ac02`)
  })
  test('every type is among those that are tried here', () => {
    const seen = new Set(fc.sample(anyFrame, { seed: 1, numRuns: 300 }).map(({ t }) => t))
    expect([...seen].sort()).toEqual([...FRAME_TYPES].sort())
  })
})

describe('[FRM-2] what is no frame', () => {
  test('is refused by name, whatever bytes they are', () => {
    fc.assert(
      fc.property(fc.nat(17), fc.uint8Array({ maxLength: 300 }), (number, body) => {
        const read = outcome(framed(number, body))
        if (read === 'FRAME_INVALID') return
        expect(typeof read).toBe('object')
        // one spelling: what is read is written as it came
        if (typeof read === 'object' && read.t !== 'unknown') expect(encodeFrame(read)).toEqual(framed(number, body))
      }),
      { seed: 2, numRuns: 3000 },
    )
  })
  test('is refused where one byte of a good one is changed, or it reads as another frame of one spelling', () => {
    fc.assert(
      fc.property(anyFrame, fc.nat(), fc.integer({ min: 1, max: 255 }), (frame, where, change) => {
        const mutated = encodeFrame(frame)
        mutated[where % mutated.length]! ^= change
        const read = outcome(mutated)
        if (typeof read === 'object' && read.t !== 'unknown') expect(encodeFrame(read)).toEqual(mutated)
        else expect(typeof read === 'object' || read === 'FRAME_INVALID').toBe(true)
      }),
      { seed: 3, numRuns: 3000 },
    )
  })
  test('is refused cut short, and with more behind it', () => {
    const frame = encodeFrame({ t: 'ids', space: '0'.repeat(32) as SpaceId, kind: 'ihave', ids: [] })
    for (let length = 0; length < frame.length; length++)
      expect(outcome(frame.subarray(0, length))).toBe('FRAME_INVALID')
    expect(outcome(Uint8Array.from([...frame, 0]))).toBe('FRAME_INVALID')
  })
})

test('[FRM-3] a frame larger than its type may be is refused, and so is a list that is too long', () => {
  const spaceId = '0'.repeat(32) as SpaceId
  for (const t of FRAME_TYPES) {
    const number = FRAME_TYPES.indexOf(t) + 1
    const given = framed(number, new Uint8Array(frameBytesMax(t) - FRAME_HEADER_BYTES + 1))
    expect(refusalOf(() => decodeFrame(given)).message).toMatch(`the frame ${t} takes`)
  }
  const ids = Array.from({ length: IDS_MAX + 1 }, (_, i) => i.toString(16).padStart(64, '0') as OpId)
  const long = encodeFrame({ t: 'ids', space: spaceId, kind: 'ihave', ids })
  expect(outcome(long)).toBe('FRAME_INVALID')
  expect(outcome(encodeFrame({ t: 'ids', space: spaceId, kind: 'ihave', ids: ids.slice(1) }))).toBeTypeOf('object')
})

test('[FRM-4] a type that nobody knows is told by its number and is no error', () => {
  expect(decodeFrame(framed(99, Uint8Array.of(1, 2, 3)))).toEqual({ t: 'unknown', number: 99 })
})

test('[FRM-5] what a hello signs names both replicas, both nonces and all that it says', () => {
  const [one, two] = ['11', '22'].map((byte) => byte.repeat(32) as ReplicaId)
  const [a, b] = [new Uint8Array(32).fill(3), new Uint8Array(32).fill(4)]
  const ack = { version: 1, spaces: [] }
  const proofs = [
    helloProof({ from: one!, to: two!, fromNonce: a, toNonce: b }, ack),
    helloProof({ from: two!, to: one!, fromNonce: a, toNonce: b }, ack),
    helloProof({ from: one!, to: two!, fromNonce: b, toNonce: a }, ack),
    helloProof({ from: one!, to: two!, fromNonce: a, toNonce: a }, ack),
    helloProof({ from: one!, to: two!, fromNonce: a, toNonce: b }, { version: 2, spaces: [] }),
    helloProof(
      { from: one!, to: two!, fromNonce: a, toNonce: b },
      { ...ack, spaces: [{ space: '0'.repeat(32) as SpaceId }] },
    ),
  ]
  expect(new Set(proofs.map(hex)).size).toBe(proofs.length)
})
