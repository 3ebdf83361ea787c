/**
 * SLERP: along the arc from one model to the next. More than two are folded in canonical order, each new one getting its
 * share of the weight so far. The fold happens in coefficients: Gram matrix in, one weighted sum out.
 */
import { at, defineGather, math, type SquareMatrix, Type } from '../../src/core/strategy.ts'

export default defineGather({
  id: 'slerp',
  version: 1,
  family: 'spherical',
  title: 'SLERP',
  summary: 'Interpolate along the arc between two models; fold further ones in by running weight.',
  references: ['https://dl.acm.org/doi/10.1145/325334.325242'],
  params: Type.Object({
    t: Type.Optional(
      Type.Number({
        minimum: 0,
        maximum: 1,
        description: 'Position between two models, from the one in the role x0; by default by their weights.',
      }),
    ),
  }),
  needs: { base: 'none', contributions: { min: 1 }, weights: 'positive', reduce: 'fold', roles: ['x0'] },
  laws: { order: 'canonical', idempotent: true, fixesBase: true, weightScaleFree: true, bounded: false },

  check({ inputs, params: { t } }) {
    if (t === undefined) return undefined
    if (inputs.length !== 2)
      return {
        code: 'WRONG_NUMBER_OF_CONTRIBUTIONS',
        message: `t is a position between two models, and ${inputs.length} were selected`,
        hint: 'select two, or leave out t and give weights',
      }
    if (inputs.every(({ role }) => role !== 'x0'))
      return {
        code: 'ROLE_REQUIRED',
        message: 't counts from the model in the role x0, and none has it',
        hint: 'add roles: [[x0, REF]], or leave out t and give weights',
      }
    return undefined
  },

  merge({ contributions, blend, gram }, { t }) {
    const first = contributions.filter(({ role }) => role === 'x0')
    const path = [...first, ...contributions.filter(({ role }) => role !== 'x0')]
    const values = path.map((own) => own.value)
    const weights = path.map((own) => own.weight)
    return blend(
      values,
      gram(values).map((products) => fold(products, weights, t)),
    )
  },
})

/** Coefficients of the left fold. `mix` is the merged model so far, as a combination of the contributions it is made of. */
function fold(products: SquareMatrix, weights: readonly number[], t: number | undefined): readonly number[] {
  const mix = [1]
  let weightSoFar = at(weights, 0)
  for (let next = 1; next < weights.length; next++) {
    weightSoFar += at(weights, next)
    const share = t ?? at(weights, next) / weightSoFar
    const own = at(products, next)
    const squared = dot(
      mix,
      mix.map((_, i) => dot(mix, at(products, i))),
    )
    const norm = math.sqrt(Math.max(0, squared))
    const [keep, take] = arc(norm, math.sqrt(at(own, next)), dot(mix, own), share)
    for (let i = 0; i < next; i++) mix[i]! *= keep
    mix.push(take)
  }
  return mix
}

/** Over as many as `a` has. */
function dot(a: readonly number[], b: readonly number[]): number {
  let sum = 0
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!
  return sum
}

const NO_DIRECTION = 1e-8
const NEARLY_PARALLEL = 0.9995

function arc(normA: number, normB: number, product: number, t: number): readonly [number, number] {
  const cosine = product / ((normA > NO_DIRECTION ? normA : 1) * (normB > NO_DIRECTION ? normB : 1))
  if (Math.abs(cosine) > NEARLY_PARALLEL) return [1 - t, t] // a straight line, antiparallel models included
  const angle = math.acos(cosine)
  const sine = math.sin(angle)
  return [math.sin((1 - t) * angle) / sine, math.sin(t * angle) / sine]
}
