/** Linear combination: the weighted sum of the contributions, divided by the sum of the weights unless told not to. */
import { defineSum, Type } from '../../src/core/strategy.ts'

export default defineSum({
  id: 'linear',
  version: 1,
  family: 'linear',
  title: 'Linear',
  summary: 'The weighted sum of all contributions, normalised or not. Weights may be negative.',
  references: ['https://arxiv.org/abs/2203.05482'],
  params: Type.Object({
    normalize: Type.Boolean({ default: true, description: 'Divide by the sum of the weights.' }),
  }),
  needs: { base: 'none', contributions: { min: 1 }, weights: 'any' },
  laws: { order: 'free', idempotent: true, fixesBase: true, weightScaleFree: true, bounded: false },

  check: ({ inputs, params }) =>
    params.normalize && inputs.reduce((sum, { weight }) => sum + weight, 0) === 0
      ? {
          code: 'WEIGHTS_SUM_ZERO',
          message: 'the weights add up to zero, so the sum can’t be divided by them',
          hint: 'change a weight, or set normalize: false',
        }
      : undefined,

  merge({ sum, total }, { normalize }) {
    const weighted = sum((own) => own.value.term(own.weight))
    return normalize ? weighted.over(total((own) => own.weight)) : weighted
  },
})
