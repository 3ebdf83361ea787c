/** Weighted mean: every contribution counts by its weight. The baseline all others are compared with. */
import { defineSum, Type } from '../../src/core/strategy.ts'

export default defineSum({
  id: 'weight_average',
  version: 1,
  family: 'linear',
  title: 'Weight average',
  summary: 'The mean of all contributions, each counted by its weight.',
  references: ['https://arxiv.org/abs/2203.05482', 'https://arxiv.org/abs/1602.05629'],
  params: Type.Object({}),
  needs: { base: 'none', contributions: { min: 1 }, weights: 'nonNegative' },
  laws: { order: 'free', idempotent: true, fixesBase: true, weightScaleFree: true, bounded: true },

  check: ({ inputs }) =>
    inputs.every(({ weight }) => weight === 0)
      ? {
          code: 'WEIGHTS_SUM_ZERO',
          message: 'all weights are zero, so there is no mean',
          hint: 'give at least one contribution a weight above zero',
        }
      : undefined,

  merge({ sum, total }) {
    return sum((own) => own.value.term(own.weight)).over(total((own) => own.weight))
  },
})
