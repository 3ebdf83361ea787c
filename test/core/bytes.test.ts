import fc from 'fast-check'
import { expect, test } from 'vitest'
import * as bytes from '../../src/core/bytes.ts'
import { refusalOf } from '../support/refusal.ts'

const anyBytes = fc.uint8Array({ maxLength: 40 })
const anyText = fc.string({ unit: 'binary', maxLength: 12 })

test('[CAN-8] text is ordered by its UTF-8 bytes, which is not the order of UTF-16 beyond the basic plane', () => {
  const emoji: string = '\u{1f600}' // UTF-16 d83d de00, UTF-8 f0 9f 98 80
  const wide: string = '\uff01' // UTF-16 ff01, UTF-8 ef bc 81
  expect(emoji < wide).toBe(true)
  expect(bytes.compareUtf8(emoji, wide)).toBe(1)
  expect([emoji, wide, 'b', 'a', '', 'ab', 'é'].sort(bytes.compareUtf8)).toEqual(['', 'a', 'ab', 'b', 'é', wide, emoji])
})

test('[CAN-8] the order of UTF-8 bytes is the order of code points', () => {
  const byCodePoints = (a: string, b: string): number => {
    const [left, right] = [a, b].map((text) => Array.from(text, (char) => char.codePointAt(0)!))
    for (let i = 0; i < Math.min(left!.length, right!.length); i++)
      if (left![i] !== right![i]) return Math.sign(left![i]! - right![i]!)
    return Math.sign(left!.length - right!.length)
  }
  fc.assert(
    fc.property(anyText, anyText, (a, b) => {
      expect(bytes.compareUtf8(a, b)).toBe(byCodePoints(a, b))
    }),
    { seed: 8, numRuns: 2_000 },
  )
})

test('[CAN-8] ids are ordered as their bytes are, and bytes as unsigned numbers, shorter first', () => {
  fc.assert(
    fc.property(anyBytes, anyBytes, (a, b) => {
      expect(bytes.compareHex(bytes.hex(a), bytes.hex(b))).toBe(bytes.compareBytes(a, b))
      expect(bytes.equalBytes(a, b)).toBe(bytes.hex(a) === bytes.hex(b))
    }),
    { seed: 8, numRuns: 1_000 },
  )
  expect(bytes.compareBytes(Uint8Array.of(0x7f), Uint8Array.of(0x80))).toBe(-1)
  expect(bytes.compareBytes(Uint8Array.of(1), Uint8Array.of(1, 0))).toBe(-1)
})

test('[CAN-9] each byte string has one spelling in unpadded base64url; every other one is refused', () => {
  fc.assert(
    fc.property(anyBytes, (value) => {
      expect(bytes.fromBase64url(bytes.base64url(value))).toEqual(value)
      expect(bytes.fromHex(bytes.hex(value))).toEqual(value)
    }),
    { seed: 9, numRuns: 500 },
  )
  for (const bad of ['AA==', 'AB', '+/8', 'A', 'AA AA', 'AAAA\n', 'é'])
    expect(refusalOf(() => bytes.fromBase64url(bad)).code).toBe('NOT_CANONICAL')
})

test('[CAN-6] bytes that are not UTF-8 are refused, not repaired', () => {
  expect(bytes.fromUtf8(bytes.utf8('日本 \u{1f600}'))).toBe('日本 \u{1f600}')
  for (const bad of [[0xff], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf4, 0x90, 0x80, 0x80], [0xe2, 0x82]])
    expect(refusalOf(() => bytes.fromUtf8(Uint8Array.from(bad))).code).toBe('NOT_CANONICAL')
})

test('[CAN-6] text and parts of a larger buffer keep exactly their own bytes', () => {
  const whole = Uint8Array.of(9, 1, 2, 3, 9)
  expect(bytes.hex(whole.subarray(1, 4))).toBe('010203')
  expect(bytes.base64url(whole.subarray(1, 4))).toBe('AQID')
  expect(bytes.concat(whole.subarray(1, 2), Uint8Array.of(), whole.subarray(3))).toEqual(Uint8Array.of(1, 3, 9))
  expect(bytes.concat()).toEqual(new Uint8Array(0))
})
