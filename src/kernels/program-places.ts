/** Where measures of a program lie, and whom they are told. */
import type { Measure } from './strip-program.ts'
import type { Address } from './wasm-instance.ts'

/** What a measure reads and writes, and where its state lies while a program runs. */
export interface State {
  readonly array: Float64Array
  /** Bytes from one number of the array to the next. */
  readonly stride: number
  readonly address: Address
}

type TellBlocks = Extract<Measure, { measure: 'sums' }>['tellBlocks']

/** Sums side by side: lanes, a total, and where block sums go. */
export interface SumsPlace {
  readonly first: Address
  readonly count: number
  readonly tellBlocks: TellBlocks
}

/** Sums over every pair of planes: they go to `sums`, or where those of blocks go. */
export interface AreaPlace {
  readonly area: Address
  readonly planes: number
  readonly sums: Address
  readonly count: number
  readonly tellBlocks: TellBlocks
}
