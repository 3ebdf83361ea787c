/** Words of programs as the numbers by which the compiled kernels know them. */
import { type Binary, BINARIES, COMPARES, UNARIES } from '../core/graph-words.ts'
import type { Dtype } from '../tensors/dtypes.ts'
import type { BlockSum } from './measures.ts'

export const codes = <Word extends string>(words: readonly Word[], first = 0) =>
  Object.fromEntries(words.map((word, i) => [word, first + i])) as Readonly<Record<Word, number>>
const BLOCK_SUMS: readonly BlockSum[] = ['sum', 'l1', 'l2', 'dot', 'squaredDistance']
export const BINARY = codes<Binary>(BINARIES)
export const COMPARE = codes(COMPARES, BINARIES.length)
export const UNARY = codes(UNARIES)
export const BLOCK_SUM = codes(BLOCK_SUMS)

export const DTYPES: Partial<Record<Dtype, { readonly code: number; readonly bytes: number }>> = {
  BF16: { code: 0, bytes: 2 },
  F16: { code: 1, bytes: 2 },
  F32: { code: 2, bytes: 4 },
}

/** Steps. */
export const OP = codes(
  [
    'read',
    'write',
    'binary',
    'unary',
    'choose',
    'keep',
    'aboveCutoff',
    'scaled',
    'scaledPair',
    'weightedSum',
    'sort',
    'finite',
    'sum',
    'greatest',
    'histogram',
    'readNarrow',
    'widen',
    'change',
    'trim',
    'drop',
    'histogramNarrow',
    'votes',
    'narrow',
    'scale',
    'nth',
    'pairSums',
    'elect',
    'trimInTurn',
    'sumNarrow',
    'dotsNarrow',
    'draw',
    'pick',
    'readPacked',
    'electOnto',
    'electOntoF32',
    'readChange',
    'sumChanges',
    'sumOnto',
    'electStreams',
  ],
  1,
)
