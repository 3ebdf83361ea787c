/** SHA-256 with a domain: what is hashed for one purpose can never be read as another. */
import { createHash, hash } from 'node:crypto'
import { type Canonical, canonicalBytes } from './canonical.ts'

export const DOMAINS = {
  op: 'tributary/op/v1',
  contribution: 'tributary/contribution/v1',
  model: 'tributary/model/v1',
  tensor: 'tributary/tensor/v1',
  recipe: 'tributary/recipe/v1',
  merge: 'tributary/merge/v1',
  receipt: 'tributary/receipt/v1',
  about: 'tributary/about/v1',
  seed: 'tributary/seed/v1',
  seedInt: 'tributary/seed-int/v1',
  hello: 'tributary/hello/v1',
  clock: 'tributary/clock/v1',
} as const
export type Domain = keyof typeof DOMAINS

const prefixes = Object.fromEntries(
  Object.entries(DOMAINS).map(([name, domain]) => [name, Uint8Array.from(Buffer.from(`${domain}\0`, 'ascii'))]),
) as Record<Domain, Uint8Array>

/** `domain ‖ 0x00`: what stands before the bytes wherever something is hashed or signed. */
export const domainPrefix = (domain: Domain): Uint8Array => prefixes[domain]

export const sha256 = (...parts: readonly Uint8Array[]): Uint8Array => {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part)
  return new Uint8Array(hash.digest())
}

export const sha256Hex = (...parts: readonly Uint8Array[]): string => {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part)
  return hash.digest('hex')
}

/** SHA-256(domain ‖ 0x00 ‖ bytes), in hex. */
export function digestBytes<Id extends string>(domain: Domain, bytes: Uint8Array): Id {
  const prefix = prefixes[domain]
  const length = prefix.length + bytes.length
  if (length > joined.length) return sha256Hex(prefix, bytes) as Id
  joined.set(prefix)
  joined.set(bytes, prefix.length)
  return hash('sha256', joined.subarray(0, length), 'hex') as Id
}

// what is hashed most is small, and hashing it in one call takes half the time
const joined = Buffer.alloc(4096 + 64)

/** Digest of a value's canonical form. */
export const digestOf = <Id extends string>(domain: Domain, value: Canonical): Id =>
  digestBytes<Id>(domain, canonicalBytes(value))
