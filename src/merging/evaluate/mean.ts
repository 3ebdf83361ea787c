/** Outputs that are a plain average: kernels have one way for those, from bytes to bytes. */
import type { LaterNode, Node, NodeOf, Program } from '../../core/graph.ts'
import type { StreamRef } from './evaluation.ts'

export interface Mean {
  readonly streams: readonly StreamRef[]
  readonly weights: readonly number[]
  readonly divisor: number
}

interface MeanSurroundings {
  readonly program: Program
  numberOf(node: Node): number | undefined
  later(node: LaterNode): unknown
  stream(node: NodeOf<'input'>): StreamRef
  weight(value: unknown): number
}

/** The output as a weighted sum of whole input tensors over a number, where it is no more than that. */
export function meanOf(run: MeanSurroundings): Mean | undefined {
  const { output, sites } = run.program
  if (output.kind === 'blend') return blendOf(output, run)
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

/** What has no share is not looked at. */
function blendOf({ planes, coefficients }: NodeOf<'blend'>, run: MeanSurroundings): Mean | undefined {
  const shares = run.later(coefficients) as readonly number[]
  const used = planes.flatMap((plane, i) => (shares[i] === 0 ? [] : [{ plane, weight: shares[i]! }]))
  const streams = used.flatMap(({ plane }) => (plane.kind === 'input' ? [run.stream(plane)] : []))
  if (used.length === 0 || streams.length < used.length) return undefined
  return { streams, weights: used.map(({ weight }) => weight), divisor: 1 }
}
