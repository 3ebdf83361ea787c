/** Sums over every pair of many planes in the compiled kernels (assembly/gram.ts): when they are made, and where they lie. */
import type { BlockSum } from './measures.ts'
import type { ProgramStep } from './strip-program.ts'
import type { Address } from './wasm-instance.ts'

/** From as many planes on, eight pairs at a time are quicker than one, which needs no other order of planes. */
const TOGETHER_MIN = 16
/** Lanes, a total, and where a block's sum goes. */
export const SUM_BYTES = 80
const HEAD_BYTES = 16
/** Of four planes of a strip, two lanes after two lanes, and some bytes more. */
const FOUR_BYTES = 4 * 4096 + 1024
/** Lanes of four planes with four others. */
const LANES_BYTES = 16 * 64

/** Every pair once, each plane with itself too, row by row. */
export function isOfEveryPair(op: BlockSum, pairs: readonly (readonly [number, number])[], planes: number): boolean {
  if (planes < TOGETHER_MIN || (op !== 'dot' && op !== 'squaredDistance')) return false
  if (pairs.length !== (planes * (planes + 1)) / 2) return false
  let next = 0
  for (let i = 0; i < planes; i++)
    for (let j = i; j < planes; j++, next++) if (pairs[next]![0] !== i || pairs[next]![1] !== j) return false
  return true
}

/** Bytes that sums over every pair of planes are made in. */
export function pairBytes(planes: number): number {
  const pairs = (planes * (planes + 1)) / 2
  return planes < TOGETHER_MIN ? SUM_BYTES * pairs : areaBytes(planes) + 8 * pairs
}

/** Planes and lanes; sums lie elsewhere. */
export function areaBytes(planes: number): number {
  const fours = Math.ceil(planes / 4)
  return HEAD_BYTES + FOUR_BYTES * fours + (LANES_BYTES * fours * (fours + 1)) / 2
}

/** Where the last planes of fours that are not full would lie. */
export function restOf(area: Address, planes: number): { readonly first: Address; readonly bytes: number } {
  const bytes = planes % 4 === 0 ? 0 : FOUR_BYTES
  return { first: area + HEAD_BYTES + FOUR_BYTES * Math.floor(planes / 4), bytes }
}

/**
 * A program that reads streams only to sum over their pairs: the stream of each plane. They are read where pairs are summed at
 * once, and not to a plane before.
 */
export function readForPairs(steps: readonly ProgramStep[]): readonly number[] | undefined {
  const last = steps.at(-1)
  if (last?.do !== 'measure' || last.measure.measure !== 'sums') return undefined
  const { measure, planes } = last
  if (!isOfEveryPair(measure.op, measure.pairs, planes.length) || steps.length !== planes.length + 1) return undefined
  const streams = new Map<number, number>()
  for (const step of steps.slice(0, -1)) {
    if (step.do !== 'read' || step.narrow) return undefined
    streams.set(planes.indexOf(step.out), step.stream)
  }
  const found = planes.flatMap((_, place) => streams.get(place) ?? [])
  return found.length === planes.length ? found : undefined
}
