/**
 * TIES: trim each change to its largest entries, elect a sign for every element, average the entries that agree. By default
 * as mergekit has it: trimmed by tensor, votes weighted, an even vote goes to plus. `profile: paper` is the published
 * method: trimmed over the whole model, votes and mean unweighted, an even vote goes to the side most elements took.
 */
import { defineSum, matchNorm, orOne, Type } from '../../src/core/strategy.ts'

export default defineSum({
  id: 'ties',
  version: 1,
  family: 'task-vector',
  title: 'TIES',
  summary: 'Trim, elect a sign, and average the changes that agree with it.',
  references: ['https://arxiv.org/abs/2306.01708'],
  params: Type.Object({
    lambda: Type.Number({ default: 1, description: 'Scale of the merged change.' }),
    normalize: Type.Boolean({ default: true, description: 'Divide by the weight that agreed.' }),
    consensus: Type.Union([Type.Literal('sum'), Type.Literal('count')], {
      default: 'sum',
      description: 'Elect by weighted sum, or by head count.',
    }),
    rescale_mode: Type.Union([Type.Literal('none'), Type.Literal('l1'), Type.Literal('l2'), Type.Literal('linf')], {
      default: 'none',
      description: 'The norm of the whole change that what is left of it is scaled up to.',
    }),
    profile: Type.Union([Type.Literal('mergekit'), Type.Literal('paper')], {
      default: 'mergekit',
      description: 'Whose conventions hold where paper and practice differ.',
    }),
  }),
  perContribution: Type.Object({
    density: Type.Number({ default: 1, minimum: 0, maximum: 1, description: 'Fraction of entries kept.' }),
  }),
  needs: { base: 'required', contributions: { min: 1 }, weights: 'any' },
  laws: { order: 'free', idempotent: false, fixesBase: true, weightScaleFree: true, bounded: false },

  check: ({ params: { profile, consensus, rescale_mode } }) =>
    profile === 'paper' && (consensus !== 'sum' || rescale_mode !== 'none')
      ? {
          code: 'STRATEGY_PARAMS_INVALID',
          message: 'the published method elects by sum and rescales nothing',
          hint: 'leave out consensus and rescale_mode, or the profile',
          pointer: '/params/profile',
        }
      : undefined,

  merge({ votes, base }, { lambda, normalize, consensus, rescale_mode, profile }) {
    const published = profile === 'paper'
    const cast = votes(({ value, weight, params: { density } }) => {
      const change = value.minus(base).f32()
      const trimmed = change.where(published ? change.largestWithEquals(density, 'model') : change.largest(density))
      const kept = rescale_mode === 'none' ? trimmed : matchNorm(trimmed, change, rescale_mode)
      return kept.term(published ? 1 : weight)
    })

    const vote = consensus === 'sum' ? cast.positive.plus(cast.negative) : cast.positiveCount.minus(cast.negativeCount)
    const majority = () => vote.sign().sum('model')
    const up = published ? vote.above(majority().map((m) => (m > 0 ? -Number.MIN_VALUE : 0))) : vote.atLeast(0)

    const agreed = cast.side(up)
    const merged = normalize ? agreed.sum.over(orOne(agreed.weight)) : agreed.sum
    return base.plus(merged.times(lambda))
  },
})
