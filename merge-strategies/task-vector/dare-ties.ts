/** DARE-TIES: drop entries of each change at random, scale up the rest, elect a sign, sum the entries that agree. */
import { defineSum, matchNorm, orOne, Type } from '../../src/core/strategy.ts'

export default defineSum({
  id: 'dare_ties',
  version: 1,
  family: 'task-vector',
  title: 'DARE-TIES',
  summary: 'Drop at random, scale up the rest, elect a sign, and sum the changes that agree with it.',
  references: ['https://arxiv.org/abs/2311.03099', 'https://arxiv.org/abs/2306.01708'],
  params: Type.Object({
    lambda: Type.Number({ default: 1, description: 'Scale of the merged change.' }),
    normalize: Type.Boolean({ default: false, description: 'Divide by the weight that agreed.' }),
    consensus: Type.Union([Type.Literal('sum'), Type.Literal('count')], {
      default: 'sum',
      description: 'Elect by weighted sum, or by head count.',
    }),
    rescale_mode: Type.Union(
      [
        Type.Literal('l1'),
        Type.Literal('l2'),
        Type.Literal('linf'),
        Type.Literal('inverse_prob'),
        Type.Literal('none'),
      ],
      { default: 'l1', description: 'How the survivors make up for the dropped: by a norm, or by 1 ∕ density.' },
    ),
  }),
  perContribution: Type.Object({
    density: Type.Number({
      default: 1,
      exclusiveMinimum: 0,
      maximum: 1,
      description: 'Probability of keeping an entry.',
    }),
  }),
  needs: { base: 'required', contributions: { min: 1 }, weights: 'any', stochastic: true },
  laws: { order: 'free', idempotent: false, fixesBase: true, weightScaleFree: false, bounded: false },

  merge({ votes, base }, { lambda, normalize, consensus, rescale_mode: mode }) {
    const cast = votes(({ value, weight, params: { density }, random }) => {
      const change = value.minus(base).f32()
      const kept = change.where(random.keep(density))
      if (mode === 'none') return kept.term(weight)
      return (mode === 'inverse_prob' ? kept.over(density) : matchNorm(kept, change, mode)).term(weight)
    })
    const vote = consensus === 'sum' ? cast.positive.plus(cast.negative) : cast.positiveCount.minus(cast.negativeCount)
    const agreed = cast.side(vote.atLeast(0))
    const merged = normalize ? agreed.sum.over(orOne(agreed.weight)) : agreed.sum
    return base.plus(merged.times(lambda))
  },
})
