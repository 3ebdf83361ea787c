/**
 * Patterns on tensor names: `*` is any text, `?` one character (a code point), everything else itself, and the whole name
 * must match. Two pointers and one point of return: at worst length × length steps, whatever the pattern.
 */
export function matches(pattern: string, name: string): boolean {
  if (pattern === '*') return true
  const wanted = Array.from(pattern)
  const given = Array.from(name)
  let p = 0
  let n = 0
  let star = -1
  let starAt = 0
  while (n < given.length) {
    if (wanted[p] === '*') {
      star = p++
      starAt = n
    } else if (p < wanted.length && (wanted[p] === '?' || wanted[p] === given[n])) {
      p++
      n++
    } else if (star >= 0) {
      // let the last star take one character more; earlier stars never need to be tried again
      p = star + 1
      n = ++starAt
    } else return false
  }
  while (wanted[p] === '*') p++
  return p === wanted.length
}
