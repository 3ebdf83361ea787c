/**
 * Ed25519 over `domain ‖ 00 ‖ bytes`, verified strictly: what one replica accepts, every replica accepts.
 * A replica's id is its raw public key. Where a key comes from and where it is kept is no business of this module.
 */
import {
  createPrivateKey,
  createPublicKey,
  type KeyObject,
  sign as signBytes,
  verify as verifyBytes,
} from 'node:crypto'
import { compareBytes, concat, fromHex, hex } from './bytes.ts'
import { type Domain, domainPrefix } from './digest.ts'
import { TributaryError } from './errors.ts'
import type { ReplicaId } from './ids.ts'
import { invariant } from './invariant.ts'

export const SIGNATURE_BYTES = 64
const KEY_BYTES = 32

export interface KeyPair {
  readonly rid: ReplicaId
  readonly privateKey: KeyObject
}

// DER that stands before the raw 32 bytes of an Ed25519 key (RFC 8410)
const SPKI = fromHex('302a300506032b6570032100')
const PKCS8 = fromHex('302e020100300506032b657004220420')

/** Order of the base point, L = 2²⁵² + 27742317777372353535851937790883648493. */
const GROUP_ORDER = fromHex('1000000000000000000000000000000014def9dea2f79cd65812631a5cf5d3ed')
/** p = 2²⁵⁵ − 19. */
const FIELD_PRIME = fromHex('7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffed')
/** The y of the eight points whose order divides 8, as encoded and without the sign of x. */
const SMALL_ORDER_Y = new Set([
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0100000000000000000000000000000000000000000000000000000000000000',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
])

const littleEndianBelow = (bytes: Uint8Array, bound: Uint8Array): boolean =>
  compareBytes(bytes.slice().reverse(), bound) < 0

/** Verifiers disagree about keys of small order and about second spellings of a point; nobody has one by accident. */
function isSoundKey(raw: Uint8Array): boolean {
  const y = raw.slice()
  y[KEY_BYTES - 1]! &= 0x7f
  return littleEndianBelow(y, FIELD_PRIME) && !SMALL_ORDER_Y.has(hex(y))
}

// making a key object costs a third of a verification, and one author signs many ops
const knownKeys = new Map<ReplicaId, KeyObject | undefined>()
const KNOWN_KEYS_MAX = 4096

function publicKeyOf(rid: ReplicaId): KeyObject | undefined {
  if (knownKeys.has(rid)) return knownKeys.get(rid)
  const raw = fromHex(rid)
  const key =
    raw.length === KEY_BYTES && isSoundKey(raw)
      ? createPublicKey({ key: Buffer.from(concat(SPKI, raw)), format: 'der', type: 'spki' })
      : undefined
  if (knownKeys.size >= KNOWN_KEYS_MAX) knownKeys.clear()
  knownKeys.set(rid, key)
  return key
}

export const sign = (domain: Domain, bytes: Uint8Array, { privateKey }: KeyPair): Uint8Array =>
  new Uint8Array(signBytes(null, concat(domainPrefix(domain), bytes), privateKey))

/** OpenSSL compares R as bytes and lets no cofactor in; S < L is asked here as well, whatever OpenSSL is underneath. */
export function verify(domain: Domain, bytes: Uint8Array, rid: ReplicaId, signature: Uint8Array): boolean {
  if (signature.length !== SIGNATURE_BYTES) return false
  if (!littleEndianBelow(signature.subarray(KEY_BYTES), GROUP_ORDER)) return false
  const key = publicKeyOf(rid)
  return key !== undefined && verifyBytes(null, concat(domainPrefix(domain), bytes), key, signature)
}

function pairOf(privateKey: KeyObject): KeyPair {
  if (privateKey.asymmetricKeyType !== 'ed25519')
    throw new TributaryError('KEY_INVALID', `this private key is ${privateKey.asymmetricKeyType ?? 'secret'}`, {
      hint: 'a replica signs with an Ed25519 key',
    })
  const spki = createPublicKey(privateKey).export({ format: 'der', type: 'spki' })
  return { rid: hex(new Uint8Array(spki.subarray(-KEY_BYTES))) as ReplicaId, privateKey }
}

/** The key pair of RFC 8032 for a secret of 32 bytes. */
export function keyPairFromSeed(seed: Uint8Array): KeyPair {
  invariant(seed.length === KEY_BYTES, `a seed has ${KEY_BYTES} bytes, not ${seed.length}`)
  return pairOf(createPrivateKey({ key: Buffer.from(concat(PKCS8, seed)), format: 'der', type: 'pkcs8' }))
}

export const exportPrivateKey = ({ privateKey }: KeyPair): string =>
  privateKey.export({ format: 'pem', type: 'pkcs8' }).toString()

/** From the PEM of a PKCS8 file. */
export function importPrivateKey(pem: string): KeyPair {
  let privateKey: KeyObject
  try {
    privateKey = createPrivateKey({ key: pem, format: 'pem', type: 'pkcs8' })
  } catch (cause) {
    throw new TributaryError('KEY_INVALID', 'this is not a private key in PKCS8 PEM', { cause })
  }
  return pairOf(privateKey)
}
