import { describe, expect, test } from 'vitest'
import { deflateRawSync } from 'node:zlib'
import { concat } from '../../src/core/bytes.ts'
import { packUpdate, unpackUpdate } from '../../src/replication/pack-update.ts'
import { encodeRecords } from '../../src/replication/yjs-codec.ts'
import { slotted } from '../support/gate.ts'
import { aSpace, aWriter } from '../support/ops.ts'
import { refusalOf } from '../support/refusal.ts'

const space = aSpace()
const writer = aWriter(1)
const update = encodeRecords(Array.from({ length: 100 }, (_, i) => slotted(writer.add(space, { name: `tuned-${i}` }))))

describe('[GAT-11] updates travel packed', () => {
  test('[GAT-11] a hundred ops take at most 30 kB, and come back as they were', () => {
    const packed = packUpdate(update)
    expect(packed.length).toBeLessThan(30_000)
    expect(update.length).toBeGreaterThan(60_000)
    expect(Buffer.compare(unpackUpdate(packed), update)).toBe(0)
  })

  test('[GAT-11] a small one is not deflated', () => {
    const small = encodeRecords([slotted(aWriter(2).add(space))])
    expect(packUpdate(small)).toEqual(concat(Uint8Array.of(0), small))
    expect(unpackUpdate(packUpdate(small))).toEqual(small)
  })

  test('[GAT-11] what unpacks to more than an update may have is refused', () => {
    const bomb = concat(Uint8Array.of(1), deflateRawSync(new Uint8Array(64 * 1024 * 1024)))
    expect(refusalOf(() => unpackUpdate(bomb)).code).toBe('FRAME_INVALID')
    expect(refusalOf(() => unpackUpdate(packUpdate(update), update.length - 1)).code).toBe('FRAME_INVALID')
    expect(unpackUpdate(packUpdate(update), update.length)).toHaveLength(update.length)
  })

  test.each([
    ['nothing', new Uint8Array(0)],
    ['another mark', Uint8Array.of(2, 0, 0)],
    ['no deflate', Uint8Array.of(1, 255, 255)],
    ['half of it', packUpdate(update).subarray(0, 900)],
    ['bytes behind the end', concat(packUpdate(update), Uint8Array.of(0))],
  ])('[GAT-11] %s is refused', (_what, packed) => {
    expect(refusalOf(() => unpackUpdate(packed)).code).toBe('FRAME_INVALID')
  })
})
