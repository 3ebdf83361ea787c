/**
 * Where randomness comes from: a seed of 32 bytes, from the contents of the inputs or from an integer, and for each use
 * of it a key that names what is drawn for. Nothing else can steer a mask.
 */
import { concat, fromHex, hex, utf8 } from './bytes.ts'
import { domainPrefix, sha256 } from './digest.ts'
import type { ContentRoot } from './ids.ts'
import { invariant } from './invariant.ts'
import { treeHeadOf } from './merkle.ts'
import type { RandomKey } from './philox.ts'

declare const brand: unique symbol
/** 32 bytes, in hex. */
export type Seed = string & { readonly [brand]: 'seed' }

/** Tree head over the raw content roots, in the order given (the canonical one), repeats kept. */
export const seedFromContents = (contents: readonly ContentRoot[]): Seed =>
  hex(treeHeadOf(contents.map(fromHex))) as Seed

/** The seed that a recipe names by a number. */
export function seedFromInteger(n: number): Seed {
  invariant(Number.isSafeInteger(n) && n >= 0, `a seed is a whole number from 0 below 2⁵³, not ${n}`)
  return hex(sha256(domainPrefix('seedInt'), utf8(n.toFixed(0)))) as Seed
}

export interface RandomUse {
  readonly seed: Seed
  /** Its id, aliases resolved. */
  readonly strategy: string
  readonly content: ContentRoot
  readonly tensor: string
  /** Tells apart what one formula draws for one tensor. */
  readonly stream: number
}

const u32le = (value: number): Uint8Array => {
  invariant(Number.isInteger(value) && value >= 0 && value < 2 ** 32, `${value} is not a u32`)
  const bytes = new Uint8Array(4)
  new DataView(bytes.buffer).setUint32(0, value, true)
  return bytes
}

const measured = (text: string): Uint8Array => {
  const bytes = utf8(text)
  return concat(u32le(bytes.length), bytes)
}

/** First 8 bytes of SHA-256(domain ‖ 00 ‖ seed ‖ strategy ‖ content ‖ tensor ‖ stream), texts with their length. */
export function randomKey({ seed, strategy, content, tensor, stream }: RandomUse): RandomKey {
  const digest = sha256(
    domainPrefix('seed'),
    fromHex(seed),
    measured(strategy),
    fromHex(content),
    measured(tensor),
    u32le(stream),
  )
  const words = new DataView(digest.buffer, digest.byteOffset)
  return { low: words.getUint32(0, true), high: words.getUint32(4, true) }
}
