/** The known word nearest to a mistyped one, for "did you mean": at most two slips away, and fewer for short words. */

const WORD_MAX = 64

/** Damerau: insertions, deletions, substitutions and swaps of neighbours that lead from one word to the other. */
export function slipsBetween(from: string, to: string): number {
  let beforeLast: number[] = []
  let last = Array.from({ length: to.length + 1 }, (_, i) => i)
  for (let i = 1; i <= from.length; i++) {
    const row = [i]
    for (let j = 1; j <= to.length; j++) {
      const same = from[i - 1] === to[j - 1]
      let slips = Math.min(last[j]! + 1, row[j - 1]! + 1, last[j - 1]! + (same ? 0 : 1))
      if (i > 1 && j > 1 && from[i - 1] === to[j - 2] && from[i - 2] === to[j - 1])
        slips = Math.min(slips, beforeLast[j - 2]! + 1)
      row.push(slips)
    }
    beforeLast = last
    last = row
  }
  return last[to.length]!
}

/** Undefined where nothing is near: a wrong guess is worse than none. */
export function closest(word: string, known: readonly string[]): string | undefined {
  if (word.length > WORD_MAX) return undefined
  const asked = word.toLowerCase().replaceAll('-', '_')
  let best: string | undefined
  let bestSlips = asked.length < 4 ? 2 : 3
  for (const candidate of known) {
    const slips = slipsBetween(asked, candidate.toLowerCase())
    if (slips < bestSlips) [best, bestSlips] = [candidate, slips]
  }
  return best
}

/** What to do about an unknown word: the near one, or the list. */
export function suggest(word: string, known: readonly string[]): string {
  const near = closest(word, known)
  if (near !== undefined) return `did you mean ${near}?`
  return known.length === 0 ? 'leave it out' : `use one of ${known.join(', ')}`
}
