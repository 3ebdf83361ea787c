/**
 * Where a replica may be dialed, in its own words: a few addresses under its signature, until they expire. Anybody may
 * pass the record on, and nobody can change it.
 */
import { concat } from '../core/bytes.ts'
import type { ReplicaId } from '../core/ids.ts'
import { SIGNATURE_BYTES } from '../core/signature.ts'
import { checkAddressForm } from '../transport/judge-address.ts'
import { ADDRESS_URL_BYTES_MAX, ADDRESS_URLS_MAX } from './address-limits.ts'
import { WireReader, WireWriter } from './wire.ts'

const DAY_MS = 24 * 3600 * 1000
export const ADDRESS_LIFE_MS = 3 * DAY_MS
const LIFE_MS_MAX = 7 * DAY_MS
/** Clocks of replicas may differ by so much. */
const AHEAD_MS_MAX = 10 * 60 * 1000

type Sign = (proof: Uint8Array) => Uint8Array
type Verify = (proof: Uint8Array, rid: ReplicaId, signature: Uint8Array) => boolean

export interface AddressClaim {
  readonly rid: ReplicaId
  /** Milliseconds since 1970. Of two records of one replica the later counts. */
  readonly issuedMs: number
  readonly expiresMs: number
  readonly urls: readonly string[]
}

export interface SignedAddress extends AddressClaim {
  /** signature ‖ what it signs, as it travels. */
  readonly bytes: Uint8Array
}

/**
 * Signed under the domain `hello`: 32 zero bytes stand where a hello has the key of who says it, and no sound key is
 * zero, so that neither is ever read as the other.
 */
const proofOf = (body: Uint8Array): Uint8Array => concat(new Uint8Array(32), body)

export function signAddress(claim: AddressClaim, sign: Sign): SignedAddress {
  const { rid, issuedMs, expiresMs, urls } = claim
  const body = new WireWriter().id(rid).natural(issuedMs).natural(expiresMs).list(urls, (one, url) => one.text(url)).end() // prettier-ignore
  return { ...claim, bytes: concat(sign(proofOf(body)), body) }
}

export const isSignedByOwner = ({ rid, bytes }: SignedAddress, verify: Verify): boolean =>
  verify(proofOf(bytes.subarray(SIGNATURE_BYTES)), rid, bytes.subarray(0, SIGNATURE_BYTES))

/** The form alone; whether its owner signed it is not asked. FRAME_INVALID, or ADDRESS_REFUSED for what is no address. */
export function readAddress(bytes: Uint8Array): SignedAddress {
  const reader = new WireReader(bytes, 'address')
  reader.raw(SIGNATURE_BYTES)
  const claim = {
    rid: reader.id<ReplicaId>(),
    issuedMs: reader.natural(),
    expiresMs: reader.natural(),
    urls: reader.list(ADDRESS_URLS_MAX, (one) => one.text(ADDRESS_URL_BYTES_MAX)),
  }
  reader.end()
  if (claim.expiresMs <= claim.issuedMs || claim.expiresMs - claim.issuedMs > LIFE_MS_MAX)
    throw reader.refusal('does not say for how long it holds')
  if (claim.urls.length === 0 || new Set(claim.urls).size < claim.urls.length)
    throw reader.refusal('names no address, or one twice')
  for (const url of claim.urls) if (spelled(url) !== url) throw reader.refusal('holds an address in another spelling')
  return { ...claim, bytes }
}

/** http(s), the place alone, spelled in one way. */
function spelled(text: string): string | undefined {
  const { url } = checkAddressForm(text)
  return /^https?:$/.test(url.protocol) ? `${url.origin}${url.pathname.replace(/\/+$/, '')}` : undefined
}

/** Does it hold now? */
export const holdsAt = ({ issuedMs, expiresMs }: AddressClaim, wallMs: number): boolean =>
  issuedMs <= wallMs + AHEAD_MS_MAX && wallMs < expiresMs
