import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import * as Y from 'yjs'
import { equalBytes, hex } from '../../src/core/bytes.ts'
import { sha256Hex } from '../../src/core/digest.ts'
import type { OpId } from '../../src/core/ids.ts'
import { readUpdate } from '../../src/replication/read-update.ts'
import type { SlotRecord } from '../../src/replication/slots.ts'
import { UPDATE_LIMITS } from '../../src/replication/update-format.ts'
import { encodeInParts } from '../../src/replication/write-update.ts'
import {
  compact,
  createOpDocument,
  decodeStateVector,
  decodeWithYjs,
  encodeRecords,
  encodeStateVector,
} from '../../src/replication/yjs-codec.ts'
import { slotted } from '../support/gate.ts'
import { aSpace, aWriter } from '../support/ops.ts'
import { refusalOf } from '../support/refusal.ts'

const space = aSpace()
const [one, two] = [aWriter(1), aWriter(2)]
const ops = [
  space.init,
  one.add(space, { name: 'a' }),
  one.add(space, { name: 'b' }),
  two.add(space, { name: 'c' }),
  one.add(space, { name: 'd' }),
  two.remove(space, space.init),
].map(slotted)

/** Chains of made-up records: the codec does not look into them. */
const chains = fc
  .uniqueArray(fc.tuple(fc.maxSafeNat(), fc.array(fc.uint8Array({ maxLength: 200 }), { minLength: 1, maxLength: 6 })), {
    maxLength: 6,
    selector: ([client]) => client,
  })
  .map((all) =>
    all.flatMap(([client, records]) =>
      records.map((record, clock): SlotRecord => ({
        client: client + 1 > Number.MAX_SAFE_INTEGER ? client : client + 1,
        clock,
        id: sha256Hex(Uint8Array.of(clock), Buffer.from(`${client}`)) as OpId,
        record,
      })),
    ),
  )

/** The same ops as a stock Yjs client would write them. */
function stock(records: readonly SlotRecord[]): Y.Doc {
  const whole = new Y.Doc()
  for (const { client, id, record } of records) {
    const writer = new Y.Doc()
    Y.applyUpdate(writer, Y.encodeStateAsUpdate(whole))
    writer.clientID = client
    writer.getMap('ops').set(id, record)
    Y.applyUpdate(whole, Y.encodeStateAsUpdate(writer, Y.encodeStateVector(whole)))
  }
  return whole
}

describe('[GAT-1] ops travel as one form of Yjs update', () => {
  test('[GAT-1] our writer, a stock Yjs client and our document write the same bytes', () => {
    fc.assert(
      fc.property(chains, (records) => {
        const written = encodeRecords(records)
        const document = createOpDocument()
        expect(document.insert(records)).toEqual(written)
        expect(document.encode()).toEqual(written)
        expect(Y.encodeStateAsUpdate(stock(records))).toEqual(written)
      }),
      { seed: 1, numRuns: 25 },
    )
  })

  test('[GAT-1] both readers read what was written, in any order of writing', () => {
    fc.assert(
      fc.property(chains, (records) => {
        const written = encodeRecords([...records].reverse())
        expect(equalBytes(written, encodeRecords(records))).toBe(true)
        const sorted = [...records].sort((a, b) => b.client - a.client || a.clock - b.clock)
        expect(readUpdate(written).records).toEqual(sorted)
        expect(decodeWithYjs(written).records).toEqual(sorted)
      }),
      { seed: 2, numRuns: 25 },
    )
  })

  test('[GAT-1] the bytes of one update are fixed', () => {
    const record = { client: 300, clock: 0, id: '0a'.repeat(32) as OpId, record: Uint8Array.of(7, 8) }
    const key = Buffer.from('0a'.repeat(32)).toString('hex')
    expect(hex(encodeRecords([record]))).toBe(`0101ac020023` + `01036f7073` + `40${key}` + `020708` + `00`)
    expect(hex(encodeRecords([]))).toBe('0000')
    expect(sha256Hex(encodeRecords(ops))).toBe('ac065265a45a6e54507b01f41f5bc60dda5c0fbca5ea7a2974c6371510863182')
  })

  test('[GAT-1] more ops than one update may hold travel as several, each of which follows the one before', () => {
    const limits = { ...UPDATE_LIMITS, bytes: 1300, records: 2 }
    const parts = encodeInParts(ops, limits)
    expect(parts.length).toBeGreaterThan(2)
    const document = createOpDocument()
    for (const part of parts) {
      const { records } = readUpdate(part, limits)
      document.insert(records ?? [])
    }
    expect(document.encode()).toEqual(encodeRecords(ops))
    expect(encodeInParts(ops, UPDATE_LIMITS)).toEqual([encodeRecords(ops)])
    expect(encodeInParts([], UPDATE_LIMITS)).toEqual([])
  })
})

describe('[GAT-2] the document is insert-only', () => {
  test('[GAT-2] it answers what a peer with a state vector lacks, and no more', () => {
    const [whole, part] = [createOpDocument(), createOpDocument()]
    whole.insert(ops)
    part.insert(ops.slice(0, 3))
    const lacked = whole.diff(part.stateVector())
    expect(readUpdate(lacked).records).toHaveLength(3)
    part.applyClean(lacked)
    expect(part.encode()).toEqual(whole.encode())
    expect(readUpdate(whole.diff(part.stateVector())).records).toEqual([])
  })

  test('[GAT-2] an op that does not follow its chain is CHAIN_BROKEN, and changes nothing', () => {
    const document = createOpDocument()
    document.insert(ops.slice(0, 2))
    const before = document.encode()
    expect(refusalOf(() => document.insert([ops[4]!])).code).toBe('CHAIN_BROKEN')
    expect(refusalOf(() => document.insert([ops[1]!])).code).toBe('CHAIN_BROKEN')
    expect(refusalOf(() => document.insert([ops[2]!, ops[2]!])).code).toBe('CHAIN_BROKEN')
    expect(document.encode()).toEqual(before)
    expect(document.nextClock(ops[1]!.client)).toBe(1)
    expect(document.nextClock(ops[3]!.client)).toBe(0)
  })

  test('[GAT-2] chains can be left out of it', () => {
    const document = createOpDocument()
    document.insert(ops)
    const left = document.without(new Set([ops[1]!.client, 5]))
    expect(left.encode()).toEqual(encodeRecords(ops.filter(({ client }) => client !== ops[1]!.client)))
    expect(left.nextClock(ops[1]!.client)).toBe(0)
    expect(document.encode()).toEqual(encodeRecords(ops))
  })

  test('[GAT-2] it takes all ops of a large space at once', () => {
    const record = new Uint8Array(1)
    const many = Array.from({ length: 30_000 }, (_, clock): SlotRecord => ({
      client: 7,
      clock,
      id: clock.toString(16).padStart(64, '0') as OpId,
      record,
    }))
    const document = createOpDocument()
    document.insert(many)
    expect(document.nextClock(7)).toBe(30_000)
  })

  test('[GAT-2] a snapshot with the ops behind it is the document', () => {
    const snapshot = compact(undefined, ops.slice(0, 4))
    expect(compact(snapshot, ops.slice(4))).toEqual(encodeRecords(ops))
    const document = createOpDocument(snapshot)
    document.insert(ops.slice(4))
    expect(document.encode()).toEqual(encodeRecords(ops))
    expect(refusalOf(() => compact(snapshot, ops.slice(3))).code).toBe('CHAIN_BROKEN')
  })
})

describe('[GAT-3] state vectors have one form', () => {
  test('[GAT-3] they are what Yjs writes', () => {
    fc.assert(
      fc.property(chains, (records) => {
        const document = createOpDocument()
        document.insert(records)
        const vector = decodeStateVector(document.stateVector())
        expect(vector).toEqual(Y.decodeStateVector(document.stateVector()))
        expect(encodeStateVector(vector)).toEqual(document.stateVector())
      }),
      { seed: 3, numRuns: 20 },
    )
  })

  test.each([
    ['nothing', []],
    ['fewer entries than promised', [2, 9, 1]],
    ['bytes behind the end', [1, 9, 1, 0]],
    ['a client twice', [2, 9, 1, 9, 2]],
    ['clients ascending', [2, 8, 1, 9, 2]],
    ['a zero', [1, 9, 0]],
    ['a long spelling', [1, 0x89, 0, 1]],
    ['a number beyond 2^53', [1, 255, 255, 255, 255, 255, 255, 255, 127, 1]],
    ['2^31 entries', [128, 128, 128, 128, 8, 1]],
  ])('[GAT-3] %s is refused', (_what, bytes) => {
    const document = createOpDocument()
    expect(refusalOf(() => decodeStateVector(Uint8Array.from(bytes))).code).toBe('FRAME_INVALID')
    expect(refusalOf(() => document.diff(Uint8Array.from(bytes))).code).toBe('FRAME_INVALID')
  })
})
