/** Outputs that are a plain average: kernels have one way for those, from bytes to bytes. */
import type { Node, NodeOf, Program } from '../../core/graph.ts'
import type { StreamRef } from './evaluation.ts'

export interface Mean {
  readonly streams: readonly StreamRef[]
  readonly weights: readonly number[]
  readonly divisor: number
}

interface MeanSurroundings {
  readonly program: Program
  numberOf(node: Node): number | undefined
  stream(node: NodeOf<'input'>): StreamRef
  weight(value: unknown): number
}

/** The output as a weighted sum of whole input tensors over a number, where it is no more than that. */
export function meanOf(run: MeanSurroundings): Mean | undefined {
  const { output, sites } = run.program
  const over = output.kind === 'binary' && output.op === 'over' ? output : undefined
  const channel = over ? over.a : output
  if (channel.kind !== 'channel' || channel.part !== 'sum') return undefined
  const divisor = over ? run.numberOf(over.b) : 1
  const terms = sites[channel.site]!.terms.map(({ plane, weight }) => {
    const value = run.numberOf(weight)
    return plane.kind !== 'input' || value === undefined
      ? undefined
      : { stream: run.stream(plane), weight: run.weight(value) }
  })
  if (divisor === undefined || !terms.every((term) => term !== undefined)) return undefined
  return { streams: terms.map(({ stream }) => stream), weights: terms.map(({ weight }) => weight), divisor }
}
