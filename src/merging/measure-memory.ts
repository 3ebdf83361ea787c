/** What threads share where they measure tensors together, in one piece of memory: dealt out by every thread in the same way. */
import type { Reducing } from '../core/graph.ts'
import { at } from '../core/invariant.ts'
import { COUNTS_BYTES } from './evaluate/spares.ts'
import { demandOf, TOGETHER_WORDS, type TogetherMemory } from './evaluate/together.ts'

const WORDS_BYTES = 4 * TOGETHER_WORDS

/** For each of these tensors, by its reductions: its own words and numbers; tables of counts are used by one after the other. */
export function dealMeasures(
  memory: SharedArrayBuffer,
  tensors: readonly (readonly Reducing[])[],
): readonly (TogetherMemory | undefined)[] {
  const demands = tensors.map(demandOf)
  let next = 0
  const own = demands.map(({ numbers }) => {
    const begin = next
    next += WORDS_BYTES + 8 * numbers
    return begin
  })
  const room = Math.floor((memory.byteLength - next) / COUNTS_BYTES)
  if (room < 0) return tensors.map(() => undefined)
  const tableAt = (i: number) => new Uint32Array(memory, next + i * COUNTS_BYTES, COUNTS_BYTES / 4)
  return demands.map(({ numbers, tables }, i) => {
    if (tables > room) return undefined
    const begin = at(own, i)
    return {
      words: new Int32Array(memory, begin, TOGETHER_WORDS),
      numbers: new Float64Array(memory, begin + WORDS_BYTES, numbers),
      counts: Array.from({ length: tables }, (_, table) => tableAt(table)),
    }
  })
}
