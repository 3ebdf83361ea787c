/** Records of addresses, and what is kept of them. */
import { describe, expect, test } from 'vitest'
import type { ReplicaId } from '../../src/core/ids.ts'
import { sign, verify } from '../../src/core/signature.ts'
import { AddressBook, ADDRESSES_KEPT_MAX, ADDRESSES_OF_ONE_TELLER_MAX } from '../../src/replication/address-book.ts'
import {
  type AddressClaim,
  isSignedByOwner,
  readAddress,
  signAddress,
  type SignedAddress,
} from '../../src/replication/address-record.ts'
import { helloProof } from '../../src/replication/frames.ts'
import { keyOf } from '../support/ops.ts'
import { refusalOf } from '../support/refusal.ts'

const DAY_MS = 24 * 3600 * 1000
const NOW = 50 * DAY_MS
const signs = (seed: number) => (proof: Uint8Array) => sign('hello', proof, keyOf(seed))
const holds = (proof: Uint8Array, rid: ReplicaId, signature: Uint8Array) => verify('hello', proof, rid, signature)
const ridOf = (seed: number) => keyOf(seed).rid

const claimOf = (seed: number, more: Partial<AddressClaim> = {}): AddressClaim => ({
  rid: ridOf(seed),
  issuedMs: NOW,
  expiresMs: NOW + DAY_MS,
  urls: [`https://replica-${seed}.example`],
  ...more,
})
const addressOf = (seed: number, more: Partial<AddressClaim> = {}): SignedAddress =>
  signAddress(claimOf(seed, more), signs(seed))

describe('[PEX-1] a record of addresses', () => {
  test('[PEX-1] is read back as it was signed, and only its owner can have signed it', () => {
    const address = addressOf(1, { urls: ['https://a.example', 'http://b.example:8420/mounted'] })
    expect(readAddress(address.bytes)).toEqual(address)
    expect(isSignedByOwner(address, holds)).toBe(true)
    for (let at = 0; at < address.bytes.length; at += 7) {
      const bytes = address.bytes.slice()
      bytes[at]! ^= 1
      let read: SignedAddress | undefined
      try {
        read = readAddress(bytes)
      } catch {
        continue // its form is broken
      }
      expect(isSignedByOwner(read, holds), `byte ${at}`).toBe(false)
    }
    const stolen = signAddress(claimOf(1), signs(2))
    expect(isSignedByOwner(stolen, holds)).toBe(false)
  })

  test('[PEX-1] is never read as a hello, nor a hello as it', () => {
    const address = addressOf(1)
    const proof = new Uint8Array([...new Uint8Array(32), ...address.bytes.subarray(64)])
    expect(holds(proof, ridOf(1), address.bytes.subarray(0, 64))).toBe(true)
    const zero = '0'.repeat(64) as ReplicaId
    const nonce = new Uint8Array(32)
    const hello = helloProof({ from: zero, to: ridOf(1), fromNonce: nonce, toNonce: nonce }, { version: 1, spaces: [] })
    expect(holds(hello, zero, signs(1)(hello))).toBe(false)
  })

  test.each([
    ['no address', { urls: [] }],
    ['one twice', { urls: ['https://a.example', 'https://a.example'] }],
    ['five', { urls: [1, 2, 3, 4, 5].map((n) => `https://a${n}.example`) }],
    ['another spelling', { urls: ['https://A.example/'] }],
    ['another protocol', { urls: ['ws://a.example'] }],
    ['a user', { urls: ['https://user:word@a.example'] }],
    ['a query', { urls: ['https://a.example?x=1'] }],
    ['what is no address', { urls: ['a.example'] }],
    ['a long one', { urls: [`https://a.example/${'x'.repeat(260)}`] }],
    ['no time to live', { expiresMs: NOW }],
    ['a time of a month', { expiresMs: NOW + 30 * DAY_MS }],
  ] as const)('[PEX-1] with %s is refused by name', (_what, more) => {
    expect(refusalOf(() => readAddress(addressOf(1, more).bytes))).toMatchObject({
      code: expect.stringMatching(/^(FRAME_INVALID|ADDRESS_REFUSED)$/),
    })
  })

  test('[PEX-1] that is cut or goes on is refused', () => {
    const { bytes } = addressOf(1)
    for (const wrong of [bytes.subarray(0, -1), new Uint8Array([...bytes, 0]), new Uint8Array(3)])
      expect(refusalOf(() => readAddress(wrong)).code).toBe('FRAME_INVALID')
  })
})

describe('[PEX-2] what is kept', () => {
  const aBook = () => {
    const gone: ReplicaId[] = []
    return { gone, book: new AddressBook(new Uint8Array(32), (rid) => gone.push(rid)) }
  }

  test('[PEX-2] of one replica the latest counts, in whatever order they come', () => {
    const [old, young] = [addressOf(1), addressOf(1, { issuedMs: NOW + 1, urls: ['https://moved.example'] })]
    for (const order of [
      [old, young],
      [young, old],
    ]) {
      // prettier-ignore
      const { book } = aBook()
      for (const one of order) book.learn(one, ridOf(9), NOW)
      expect(book.get(ridOf(1))?.address.urls).toEqual(['https://moved.example'])
      expect(book.learn(old, ridOf(9), NOW)).toBe('known')
    }
  })

  test('[PEX-2] what has expired, or is of the future, is not taken, and what expires is dropped', () => {
    const { book, gone } = aBook()
    expect(book.learn(addressOf(1, { expiresMs: NOW + 1 }), ridOf(9), NOW + 1)).toBe('expired')
    expect(book.learn(addressOf(1, { issuedMs: NOW + 1e6 }), ridOf(9), NOW)).toBe('expired')
    expect(book.learn(addressOf(1), ridOf(9), NOW)).toBe('kept')
    book.expire(NOW + DAY_MS - 1)
    expect(gone).toEqual([])
    book.expire(NOW + DAY_MS)
    expect([gone, book.size]).toEqual([[ridOf(1)], 0])
  })

  test('[PEX-2] thousands told by many fill it to its bound, by one to his share, and push out nothing', () => {
    const { book, gone } = aBook()
    book.learn(addressOf(1), ridOf(1), NOW)
    const told = (rid: string, teller: string) => {
      const claim = { ...claimOf(1), rid: rid as ReplicaId }
      return book.learn({ ...claim, bytes: Buffer.from(rid, 'hex') }, teller as ReplicaId, NOW)
    }
    const name = (i: number, first: string) => `${first}${i.toString(16).padStart(63, '0')}`
    for (let i = 0; i < 3000; i++) told(name(i, 'a'), name(0, 'b'))
    expect(book.size).toBe(1 + ADDRESSES_OF_ONE_TELLER_MAX)
    for (let i = 0; i < 3000; i++) told(name(i, 'c'), name(i % 100, 'd'))
    expect(book.size).toBe(ADDRESSES_KEPT_MAX)
    expect(book.get(ridOf(1))).toBeDefined()
    expect(gone).toEqual([])
  })

  test('[PEX-2] full, it lets one go to which nobody answered', () => {
    const { book, gone } = aBook()
    const rids = Array.from(
      { length: ADDRESSES_KEPT_MAX },
      (_, i) => `f${i.toString(16).padStart(63, '0')}` as ReplicaId,
    )
    for (const [i, rid] of rids.entries())
      book.learn({ ...claimOf(1), rid, bytes: Uint8Array.of(i) }, rids[i % 100]!, NOW)
    expect(book.learn(addressOf(5), ridOf(5), NOW)).toBe('full')
    book.failed(rids[7]!, 0)
    expect(book.learn(addressOf(5), ridOf(5), NOW)).toBe('kept')
    expect(gone).toEqual([rids[7]])
  })

  test('[PEX-5] one that nobody answers to rests, twice as long each time, and is forgotten after three', () => {
    const { book, gone } = aBook()
    const [address, wanted] = [addressOf(1), () => true]
    book.learn(address, ridOf(9), NOW)
    book.failed(ridOf(1), 0)
    expect([book.next(59_999, wanted), book.next(60_000, wanted)]).toEqual([undefined, address])
    book.failed(ridOf(1), 60_000)
    expect([book.next(179_999, wanted), book.next(180_000, wanted)]).toEqual([undefined, address])
    book.failed(ridOf(1), 180_000)
    expect([gone, book.size]).toEqual([[ridOf(1)], 0])
    expect(book.learn(address, ridOf(9), NOW)).toBe('known')
    expect(book.learn(addressOf(1, { issuedMs: NOW + 1 }), ridOf(9), NOW)).toBe('kept')
  })

  test('[PEX-4] those that never failed come first, then those that were linked before', () => {
    const { book } = aBook()
    for (const seed of [1, 2, 3]) book.learn(addressOf(seed), ridOf(9), NOW)
    book.proved(ridOf(2))
    const order: ReplicaId[] = []
    for (let i = 0; i < 3; i++) order.push(book.next(0, (rid) => !order.includes(rid))!.rid)
    expect(order[0]).toBe(ridOf(2))
    book.failed(ridOf(2), -1e9)
    expect(book.next(0, () => true)!.rid).toBe(order[1])
  })
})
