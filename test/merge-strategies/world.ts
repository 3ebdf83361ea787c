/** Small models for strategies to work on, and the whole of an evaluation in one call. */
import type { ContentRoot } from '../../src/core/ids.ts'
import { prepareStrategy } from '../../src/core/prepare.ts'
import { type Seed, seedFromInteger } from '../../src/core/seed.ts'
import type { Alias, Strategy } from '../../src/core/strategy.ts'
import type { Kernels } from '../../src/kernels/kernels.ts'
import { referenceKernels } from '../../src/kernels/reference.ts'
import type { Evaluation, StreamRef } from '../../src/merging/evaluate/evaluation.ts'
import { Evaluator } from '../../src/merging/evaluate/evaluator.ts'

export type Tensors = Readonly<Record<string, Float64Array>>

export interface Offered {
  /** Decides masks, and nothing else: inputs are taken in the order given. */
  readonly content?: string
  readonly label?: string
  readonly weight?: number
  readonly role?: string
  readonly params?: Readonly<Record<string, unknown>>
  readonly tensors: Tensors
  readonly sidecars?: Readonly<Record<string, Tensors>>
}

export interface World {
  readonly strategy: Strategy
  readonly alias?: Alias
  readonly params?: Readonly<Record<string, unknown>>
  readonly inputs: readonly Offered[]
  readonly base?: Tensors
  readonly seed?: Seed
  /** Elements handed over at a time by whoever reads. */
  readonly tile?: number
  readonly kernels?: Kernels<Float64Array>
  /** Told of every strip that is read. */
  readonly onRead?: () => void
}

export const contentOf = (n: number): ContentRoot => n.toString(16).padStart(64, '0') as ContentRoot

/** The evaluation of a world, its parameters prepared, and a reader of its streams. */
export function evaluationOf({
  strategy,
  alias,
  params,
  inputs,
  base,
  seed = seedFromInteger(0),
  tile = 1 << 20,
}: World) {
  const prepared = prepareStrategy({
    strategy,
    ...(alias && { alias }),
    ...(params && { params }),
    inputs: inputs.map(({ weight = 1, params: own, role }) => ({
      weight,
      ...(own && { params: own }),
      ...(role !== undefined && { role }),
    })),
    hasBase: base !== undefined,
  })
  const names = Object.keys(inputs[0]?.tensors ?? {})
  const evaluation: Evaluation = {
    seed,
    inputs: inputs.map(({ content, label, role }, i) => ({
      content: (content ?? contentOf(i)) as ContentRoot,
      ...(label !== undefined && { label }),
      ...(role !== undefined && { role }),
    })),
    tensors: names.map((name) => ({
      name,
      elements: inputs[0]!.tensors[name]!.length,
      strategy,
      params: prepared.params,
      hasBase: base !== undefined,
      inputs: prepared.inputs.map((own, input) => ({ input, weight: own.weight, params: own.params })),
    })),
  }
  const whole = (stream: StreamRef, name: string): Float64Array => {
    if (stream === 'base') return base![name]!
    const input = inputs[stream.input]!
    return (stream.sidecar === undefined ? input.tensors : input.sidecars![stream.sidecar]!)[name]!
  }
  const tiles = new Map<string, readonly [number, Float64Array]>()
  /** Strips are cut from tiles, as whoever reads files will do it. */
  const read = (stream: StreamRef, tensor: number, first: number, count: number, into: Float64Array): void => {
    const name = names[tensor]!
    const key = `${JSON.stringify(stream)} ${name}`
    const start = Math.floor(first / tile) * tile
    let held = tiles.get(key)
    if (held?.[0] !== start) tiles.set(key, (held = [start, whole(stream, name).slice(start, start + tile)]))
    into.set(held[1].subarray(first - start, first - start + count))
  }
  return { evaluation, read, names, prepared }
}

export interface Merged {
  readonly tensors: Tensors
  readonly scalars: Readonly<Record<string, readonly number[]>>
}

export function mergeWorld(world: World): Merged {
  const { evaluation, read, names } = evaluationOf(world)
  const evaluator = new Evaluator(evaluation, world.kernels ?? referenceKernels, (...strip) => {
    world.onRead?.()
    read(...strip)
  })
  const tensors: Record<string, Float64Array> = {}
  const scalars: Record<string, readonly number[]> = {}
  names.forEach((name, i) => {
    const out = new Float64Array(evaluation.tensors[i]!.elements)
    scalars[name] = evaluator.evaluate(i, (first, plane) => out.set(plane, first)).scalars
    tensors[name] = out
  })
  return { tensors, scalars }
}

/** A small generator of numbers: every case is named by its seed. */
export function numbersFrom(seed: number): () => number {
  let state = (seed * 2654435761) >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}
