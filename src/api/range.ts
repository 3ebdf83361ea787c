/** Which part of a representation a Range header asks for (RFC 9110, section 14). Pure. */

/** Bytes [start, end), or that none of the bytes asked for exist. Undefined: the whole. */
export type Part = { readonly start: number; readonly end: number } | 'unsatisfiable' | undefined

/** Several ranges, other units and what does not parse are answered by the whole, as the RFC allows. */
export function parseRange(header: string | undefined, bytes: number): Part {
  const match = /^bytes=\s*(?:([0-9]{1,15})-([0-9]{1,15})?|-([0-9]{1,15}))\s*$/i.exec(header ?? '')
  if (match === null) return undefined
  const [, first, last, suffix] = match
  if (suffix !== undefined) {
    const length = Math.min(Number(suffix), bytes)
    return length === 0 ? 'unsatisfiable' : { start: bytes - length, end: bytes }
  }
  const start = Number(first)
  if (last !== undefined && Number(last) < start) return undefined
  if (start >= bytes) return 'unsatisfiable'
  return { start, end: last === undefined ? bytes : Math.min(Number(last) + 1, bytes) }
}

/** Does an If-None-Match list name this entity? Weak comparison: a validator's W/ is passed over. */
export const matchesEtag = (header: string | undefined, etag: string): boolean =>
  header !== undefined &&
  (header.trim() === '*' || header.split(',').some((one) => one.trim().replace(/^W\//, '') === etag))
