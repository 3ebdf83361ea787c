/** Small moves between bytes and text, and one order: unsigned bytes, shorter first on a tie. */
import { TributaryError } from './errors.ts'

const encoder = new TextEncoder()
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

export const utf8 = (text: string): Uint8Array => encoder.encode(text)

/** Strict: bytes that are not UTF-8 are refused. */
export function fromUtf8(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes)
  } catch (cause) {
    throw new TributaryError('NOT_CANONICAL', 'these bytes are not UTF-8', { cause })
  }
}

export const hex = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex')
export const fromHex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'hex'))
export const base64url = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64url')

/** Unpadded base64url, one spelling for each byte string. */
export function fromBase64url(text: string): Uint8Array {
  const bytes = Uint8Array.from(Buffer.from(text, 'base64url'))
  if (base64url(bytes) !== text) throw new TributaryError('NOT_CANONICAL', 'this is not unpadded base64url')
  return bytes
}

export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let offset = 0
  for (const part of parts) {
    whole.set(part, offset)
    offset += part.length
  }
  return whole
}

export const compareBytes = (a: Uint8Array, b: Uint8Array): number => Buffer.compare(a, b)

/** Order by UTF-8 bytes, which differs from UTF-16 order beyond the basic plane. */
export const compareUtf8 = (a: string, b: string): number =>
  SURROGATES_ON.test(a) || SURROGATES_ON.test(b) ? compareBytes(utf8(a), utf8(b)) : a < b ? -1 : a > b ? 1 : 0
/** Below them both orders are one. */
const SURROGATES_ON = /[\ud800-\uffff]/

/** Lowercase hex sorts as its bytes do. */
export const compareHex = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

export const equalBytes = (a: Uint8Array, b: Uint8Array): boolean => compareBytes(a, b) === 0
