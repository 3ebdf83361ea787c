/** DARE: drop entries of each change at random, scale up the rest, and add them to the base. */
import { defineSum, matchNorm, orOneLater, Type } from '../../src/core/strategy.ts'

export default defineSum({
  id: 'dare_linear',
  version: 1,
  family: 'task-vector',
  title: 'DARE',
  summary: 'Drop at random, scale up the rest, and add the weighted changes to the base.',
  references: ['https://arxiv.org/abs/2311.03099'],
  aliases: [{ id: 'dare', params: { rescale_mode: 'inverse_prob' }, requires: ['density'] }],
  params: Type.Object({
    lambda: Type.Number({ default: 1, description: 'Scale of the merged change.' }),
    normalize: Type.Boolean({ default: false, description: 'Divide by the sum of the weights.' }),
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

  merge({ sum, total, base }, { lambda, normalize, rescale_mode: mode }) {
    const change = sum(({ value, weight, params: { density }, random }) => {
      const whole = value.minus(base).f32()
      const kept = whole.where(random.keep(density))
      if (mode === 'none') return kept.term(weight)
      return (mode === 'inverse_prob' ? kept.over(density) : matchNorm(kept, whole, mode)).term(weight)
    })
    const merged = normalize ? change.over(orOneLater(total((own) => own.weight))) : change
    return base.plus(merged.times(lambda))
  },
})
