import { createPublicKey, generateKeyPairSync, sign as plainSign, verify as plainVerify } from 'node:crypto'
import { expect, test } from 'vitest'
import { concat, fromHex, hex, utf8 } from '../../src/core/bytes.ts'
import { domainPrefix } from '../../src/core/digest.ts'
import type { ReplicaId } from '../../src/core/ids.ts'
import { exportPrivateKey, importPrivateKey, keyPairFromSeed, sign, verify } from '../../src/core/signature.ts'
import { golden } from '../support/golden.ts'
import { refusalOf } from '../support/refusal.ts'

interface Vectors {
  readonly seeds: Readonly<Record<'alice' | 'bob', string>>
  readonly rids: Readonly<Record<'alice' | 'bob', ReplicaId>>
  readonly ops: readonly { readonly bytes: string; readonly signature: string; readonly record: { rid: ReplicaId } }[]
  readonly weak: { readonly key: ReplicaId; readonly signature: string }
  readonly malleated: string
  readonly small_order: readonly ReplicaId[]
}
const vectors = golden<Vectors>('ops')

/** RFC 8032, 7.1, tests 1 to 3: secret, public, message, signature. */
const PUBLISHED = [
  [
    '9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60',
    'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a',
    '',
    'e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b',
  ],
  [
    '4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb',
    '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c',
    '72',
    '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
  ],
  [
    'c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7',
    'fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025',
    'af82',
    '6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a',
  ],
] as const

const plainKey = (rid: string) =>
  createPublicKey({ key: Buffer.from(`302a300506032b6570032100${rid}`, 'hex'), format: 'der', type: 'spki' })

test.each(PUBLISHED)('[OP-1] a key pair is the published one of its secret %#', (secret, rid, message, signature) => {
  const key = keyPairFromSeed(fromHex(secret))
  expect(key.rid).toBe(rid)
  expect(plainSign(null, fromHex(message), key.privateKey).toString('hex')).toBe(signature)
})

test('[OP-1] a signature covers domain, zero byte and bytes', () => {
  const key = keyPairFromSeed(fromHex(vectors.seeds.alice))
  const bytes = utf8('{"a":1}')
  const signature = sign('op', bytes, key)
  expect(
    plainVerify(null, concat(utf8('tributary/op/v1'), Uint8Array.of(0), bytes), plainKey(key.rid), signature),
  ).toBe(true)
  expect(verify('op', bytes, key.rid, signature)).toBe(true)
  expect(verify('receipt', bytes, key.rid, signature)).toBe(false)
  expect(verify('op', utf8('{"a":2}'), key.rid, signature)).toBe(false)
  expect(verify('op', bytes, vectors.rids.bob, signature)).toBe(false)
})

test('[OP-1] signatures are those of an Ed25519 written out in Python', () => {
  expect(vectors.ops.length).toBeGreaterThan(7)
  const keys = [vectors.seeds.alice, vectors.seeds.bob].map((seed) => keyPairFromSeed(fromHex(seed)))
  expect(keys.map(({ rid }) => rid)).toEqual([vectors.rids.alice, vectors.rids.bob])
  for (const { bytes, signature, record } of vectors.ops) {
    const key = keys.find(({ rid }) => rid === record.rid)!
    expect(hex(sign('op', utf8(bytes), key))).toBe(signature)
    expect(verify('op', utf8(bytes), record.rid, fromHex(signature))).toBe(true)
  }
})

test('[OP-2] every flipped bit, and every other length, is refused', () => {
  const { bytes, signature, record } = vectors.ops[0]!
  const good = fromHex(signature)
  for (let bit = 0; bit < 512; bit++) {
    const bad = good.slice()
    bad[bit >> 3]! ^= 1 << (bit & 7)
    expect(verify('op', utf8(bytes), record.rid, bad)).toBe(false)
  }
  expect(verify('op', utf8(bytes), record.rid, good.subarray(0, 63))).toBe(false)
  expect(verify('op', utf8(bytes), record.rid, concat(good, Uint8Array.of(0)))).toBe(false)
  expect(verify('op', utf8(bytes), record.rid.slice(2) as ReplicaId, good)).toBe(false)
})

test('[OP-2] a second spelling of S is refused', () => {
  const { bytes, record } = vectors.ops[0]!
  expect(vectors.malleated).not.toBe(vectors.ops[0]!.signature)
  expect(verify('op', utf8(bytes), record.rid, fromHex(vectors.malleated))).toBe(false)
})

test('[OP-2] a key of small order, which would sign everything, is refused', () => {
  const message = utf8('whatever')
  const { key, signature } = vectors.weak
  // the plain verifier below lets it in: that is why there is a check
  expect(plainVerify(null, concat(domainPrefix('op'), message), plainKey(key), fromHex(signature))).toBe(true)
  expect(verify('op', message, key, fromHex(signature))).toBe(false)
  expect(vectors.small_order).toHaveLength(10)
  for (const weak of vectors.small_order) expect(verify('op', message, weak, fromHex(signature))).toBe(false)
})

test('[OP-2] a key whose y is not below the prime is refused', () => {
  // the identity once more, as y = p + 1
  const spelled = 'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f' as ReplicaId
  const message = utf8('whatever')
  expect(
    plainVerify(null, concat(domainPrefix('op'), message), plainKey(spelled), fromHex(vectors.weak.signature)),
  ).toBe(true)
  expect(verify('op', message, spelled, fromHex(vectors.weak.signature))).toBe(false)
})

test('[OP-1] a private key is the same after a round trip through PEM, and other keys are refused', () => {
  const key = keyPairFromSeed(fromHex(vectors.seeds.bob))
  const pem = exportPrivateKey(key)
  expect(pem).toMatch(/^-----BEGIN PRIVATE KEY-----\n/)
  const again = importPrivateKey(pem)
  expect(again.rid).toBe(key.rid)
  expect(sign('op', utf8('x'), again)).toEqual(sign('op', utf8('x'), key))
  expect(refusalOf(() => importPrivateKey('no key')).code).toBe('KEY_INVALID')
  const other = generateKeyPairSync('ed448').privateKey.export({ format: 'pem', type: 'pkcs8' }).toString()
  expect(refusalOf(() => importPrivateKey(other)).message).toContain('ed448')
})
