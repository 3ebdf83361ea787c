/**
 * Σ of a model kept open: contributions are added, taken out and partial sums combined in any order, then the output is
 * finished from the sums alone. Whole tensors in memory: this shows that the contract allows it, not how to do it.
 */
import type { ChannelPart, Site } from '../../src/core/graph.ts'
import { exactSum } from '../../src/kernels/exact.ts'
import type { ExactSums } from '../../src/kernels/kernels.ts'
import { referenceKernels as kernels } from '../../src/kernels/reference.ts'
import { Evaluator } from '../../src/merging/evaluate/evaluator.ts'
import { type Accumulated, TensorRun } from '../../src/merging/evaluate/tensor-run.ts'
import { evaluationOf, type Offered, type Tensors, type World } from './world.ts'

const PARTS: Readonly<Record<Exclude<Site['kind'], 'largest' | 'total'>, readonly ChannelPart[]>> = {
  sum: ['sum'],
  count: ['count'],
  votes: ['positive', 'negative', 'positiveWeight', 'negativeWeight', 'positiveCount', 'negativeCount'],
}

export class Summing {
  readonly #world: Omit<World, 'inputs'>
  readonly #like: Offered
  readonly #sums = new Map<string, ExactSums<Float64Array>>()
  readonly #totals = new Map<string, number[]>()

  constructor({ inputs, ...world }: World) {
    this.#world = world
    this.#like = inputs[0]!
  }

  add(own: Offered): void {
    this.#put(own, 1)
  }
  remove(own: Offered): void {
    this.#put(own, -1)
  }
  merge(other: Summing): void {
    for (const [key, sums] of other.#sums) this.#sumsOf(key, sums.length).merge(sums)
    for (const [key, totals] of other.#totals) this.#totals.set(key, [...(this.#totals.get(key) ?? []), ...totals])
  }

  finish(): Tensors {
    const { evaluation, read, names } = evaluationOf({ ...this.#world, inputs: [this.#like] })
    const tensors: Record<string, Float64Array> = {}
    names.forEach((name, index) => {
      const held: Accumulated<Float64Array> = {
        total: (site) => exactSum(this.#totals.get(`${name} ${site}`) ?? []),
        read: (site, part, first, count, into) => {
          into.set(
            this.#sums
              .get(`${name} ${site} ${part}`)!
              .read()
              .subarray(first, first + count),
          )
        },
      }
      const empty = { ...evaluation, tensors: evaluation.tensors.map((tensor) => ({ ...tensor, inputs: [] })) }
      const run = new TensorRun(new Evaluator(empty, kernels, read), index, held)
      const out = new Float64Array(run.tensor.elements)
      run.compute(run.program.output, (first, plane) => out.set(plane, first))
      tensors[name] = out
    })
    return tensors
  }

  #sumsOf(key: string, length: number): ExactSums<Float64Array> {
    let sums = this.#sums.get(key)
    if (!sums) this.#sums.set(key, (sums = kernels.exactSums(length)))
    return sums
  }

  #put(own: Offered, sign: 1 | -1): void {
    const { evaluation, read, names } = evaluationOf({ ...this.#world, inputs: [own] })
    names.forEach((name, index) => {
      const run = new TensorRun(new Evaluator(evaluation, kernels, read), index, 'terms')
      const whole = (node: Site['terms'][number]['plane']) => {
        const out = new Float64Array(run.tensor.elements)
        run.compute(node, (first, plane) => out.set(plane, first))
        return out.map(Math.fround)
      }
      run.program.sites.forEach(({ kind, terms, scalars }, site) => {
        if (kind === 'total') {
          const key = `${name} ${site}`
          this.#totals.set(key, [...(this.#totals.get(key) ?? []), sign * (run.later(scalars[0]!) as number)])
          return
        }
        if (kind === 'largest') throw new Error('the largest can’t be taken out again')
        const [plane, weight] = [whole(terms[0]!.plane), whole(terms[0]!.weight)]
        const camp = plane.map((value, i) => Math.sign(value * weight[i]!))
        const one = plane.map(() => 1)
        for (const part of PARTS[kind]) {
          const sums = this.#sumsOf(`${name} ${site} ${part}`, plane.length)
          const wanted = part.startsWith('positive') ? 1 : part.startsWith('negative') ? -1 : undefined
          const here = (values: Float64Array) =>
            wanted === undefined ? values : values.map((value, i) => (camp[i] === wanted ? value : 0))
          if (part.endsWith('Count')) sums.add(here(one), one, sign)
          else if (part.endsWith('Weight')) sums.add(here(one), weight, sign)
          else sums.add(here(plane), weight, sign)
        }
      })
    })
  }
}
