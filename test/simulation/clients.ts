/** What clients ask of a replica: mostly to contribute, sometimes to retract or revoke. */
import { makeContribution } from '../../src/core/contribution.ts'
import { sha256Hex } from '../../src/core/digest.ts'
import { utf8 } from '../../src/core/bytes.ts'
import type { ContentRoot, ModelId, OpId } from '../../src/core/ids.ts'
import type { Body } from '../../src/core/op-schemas.ts'
import type { Luck } from './luck.ts'

const digestOfWord = (word: string) => sha256Hex(utf8(word))

export function anyBody(luck: Luck, known: readonly OpId[]): Body {
  const word = `${luck.below(40)}`
  if (known.length > 0 && luck.chance(0.25)) return { t: 'remove', dots: [luck.pick(known)] }
  if (luck.chance(0.03)) return { t: 'revoke', content: digestOfWord(word) as ContentRoot }
  const contribution = makeContribution({
    content: digestOfWord(word) as ContentRoot,
    model: digestOfWord(`model ${word}`) as ModelId,
    name: `slot-${luck.below(20)}`,
  })
  const replaces = known.length > 0 && luck.chance(0.3) ? [luck.pick(known)] : []
  return { t: 'add', contribution, replaces }
}
