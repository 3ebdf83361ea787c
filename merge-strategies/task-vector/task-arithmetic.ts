/** Task arithmetic: what each contribution changed about the base, added up and scaled. A negative weight forgets. */
import { defineSum, orOneLater, Type } from '../../src/core/strategy.ts'

export default defineSum({
  id: 'task_arithmetic',
  version: 1,
  family: 'task-vector',
  title: 'Task arithmetic',
  summary: 'The base plus the weighted sum of every contribution’s difference from it.',
  references: ['https://arxiv.org/abs/2212.04089'],
  params: Type.Object({
    lambda: Type.Number({ default: 1, description: 'Scale of the summed change.' }),
    normalize: Type.Boolean({ default: false, description: 'Divide by the sum of the weights.' }),
  }),
  needs: { base: 'required', contributions: { min: 1 }, weights: 'any' },
  laws: { order: 'free', idempotent: false, fixesBase: true, weightScaleFree: false, bounded: false },

  merge({ sum, total, base }, { lambda, normalize }) {
    // Σ wᵢ·(xᵢ − b) without rounding a single difference: Σ wᵢ·xᵢ − W·b
    const weight = total((own) => own.weight)
    const change = sum((own) => own.value.term(own.weight)).minus(base.times(weight))
    return base.plus((normalize ? change.over(orOneLater(weight)) : change).times(lambda))
  },
})
