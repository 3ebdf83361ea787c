/**
 * Exact sums, fast on ordinary numbers. Each element's sum is high + low, kept so by two error-free additions a term;
 * what falls below both goes to a third plane, and what falls below that, or overflows, is counted in units. Whatever
 * path a term takes, the sum stays exact, so paths leave no trace.
 */
import { invariant } from '../core/invariant.ts'
import { errorOfSum } from '../core/libm.ts'
import { nearest, units } from './exact.ts'
import type { ExactSums } from './kernels.ts'
import { addThree } from './add-three.ts'

/** What the planes can't hold of one element: units, and how many of its terms are not finite. */
interface Rest {
  readonly units: bigint
  readonly unbounded: number
}

/** Tells of a term that high and low can't take: what they would become, and what is left below. */
export type Spill = (i: number, term: number, high: number, low: number, rest: number) => void

/** The loops over all elements: these, or others that answer the same. */
export interface Cascade {
  allocate(length: number): Float64Array
  add(
    high: Float64Array,
    low: Float64Array,
    plane: Float64Array,
    weight: Float64Array,
    sign: 1 | -1,
    spill: Spill,
  ): void
  addScaled(high: Float64Array, low: Float64Array, plane: Float64Array, scale: number, spill: Spill): void
  total(high: Float64Array, low: Float64Array, out: Float64Array): void
}

export const plainCascade: Cascade = {
  allocate: (length) => new Float64Array(length),

  add(high, low, plane, weight, sign, spill) {
    for (let i = 0; i < high.length; i++) {
      const term = sign * (plane[i]! * weight[i]!)
      const h = high[i]!
      const sum = h + term
      const part = sum - h
      const error = h - (sum - part) + (term - part)
      const l = low[i]!
      const lowSum = l + error
      const lowPart = lowSum - l
      const rest = l - (lowSum - lowPart) + (error - lowPart)
      if (rest === 0) {
        high[i] = sum
        low[i] = lowSum
      } else spill(i, term, sum, lowSum, rest)
    }
  },

  addScaled(high, low, plane, scale, spill) {
    for (let i = 0; i < high.length; i++) {
      const term = scale * plane[i]!
      const h = high[i]!
      const sum = h + term
      const part = sum - h
      const error = h - (sum - part) + (term - part)
      const l = low[i]!
      const lowSum = l + error
      const lowPart = lowSum - l
      const rest = l - (lowSum - lowPart) + (error - lowPart)
      if (rest === 0) {
        high[i] = sum
        low[i] = lowSum
      } else spill(i, term, sum, lowSum, rest)
    }
  },

  total(high, low, out) {
    for (let i = 0; i < high.length; i++) out[i] = high[i]! + low[i]!
  },
}

export class CascadeSums implements ExactSums<Float64Array> {
  readonly length: number
  readonly #cascade: Cascade
  readonly #high: Float64Array
  readonly #low: Float64Array
  #lowest: Float64Array | undefined
  readonly #rests = new Map<number, Rest>()

  constructor(length: number, cascade = plainCascade) {
    this.length = length
    this.#cascade = cascade
    this.#high = cascade.allocate(length)
    this.#low = cascade.allocate(length)
  }

  add(plane: Float64Array, weight: Float64Array, sign: 1 | -1): void {
    invariant(plane.length === this.length && weight.length === this.length, 'planes and sums of one length')
    this.#cascade.add(this.#high, this.#low, plane, weight, sign, (...spilt) => this.#spill(sign, ...spilt))
  }

  addScaled(plane: Float64Array, weight: number, sign: 1 | -1): void {
    invariant(plane.length === this.length, 'planes and sums of one length')
    this.#cascade.addScaled(this.#high, this.#low, plane, sign * weight, (...spilt) => this.#spill(sign, ...spilt))
  }

  merge(other: ExactSums<Float64Array>): void {
    invariant(other instanceof CascadeSums && other !== this, 'sums of this set, and not these very ones')
    this.addScaled(other.#high, 1, 1)
    this.addScaled(other.#low, 1, 1)
    if (other.#lowest) this.addScaled(other.#lowest, 1, 1)
    for (const [i, rest] of other.#rests) this.#keep(i, rest.units, rest.unbounded)
  }

  read(out = new Float64Array(this.length)): Float64Array {
    invariant(out.length === this.length, 'an out of the same length')
    const high = this.#high
    const low = this.#low
    const lowest = this.#lowest
    if (!lowest) this.#cascade.total(high, low, out)
    else for (let i = 0; i < high.length; i++) out[i] = this.#rounded(high[i]!, low[i]!, lowest[i]!)
    for (const [i, rest] of this.#rests)
      out[i] =
        rest.unbounded === 0
          ? nearest(rest.units + units(high[i]!) + units(low[i]!) + units(lowest?.[i] ?? 0))
          : Number.NaN
    return out
  }

  clear(): void {
    this.#high.fill(0)
    this.#low.fill(0)
    this.#lowest = undefined
    this.#rests.clear()
  }

  #rounded(high: number, low: number, lowest: number): number {
    if (lowest === 0) return high + low
    const sum = addThree(high, low, lowest)
    return Number.isFinite(sum) ? sum : nearest(units(high) + units(low) + units(lowest))
  }

  /** A term that high and low can't take: `rest` is below both, or NaN where something on the way overflowed. */
  #spill(sign: 1 | -1, ...[i, term, high, low, rest]: Parameters<Spill>): void {
    if (!Number.isFinite(term)) this.#keep(i, 0n, sign)
    else if (!Number.isFinite(rest)) this.#keep(i, units(term), 0)
    else {
      this.#high[i] = high
      this.#low[i] = low
      const lowest = (this.#lowest ??= new Float64Array(this.length))
      const before = lowest[i]!
      const sum = before + rest
      lowest[i] = sum
      const below = errorOfSum(before, rest, sum)
      if (below !== 0) this.#keep(i, units(below), 0)
    }
  }

  #keep(i: number, more: bigint, unbounded: number): void {
    const before = this.#rests.get(i)
    const rest = { units: (before?.units ?? 0n) + more, unbounded: (before?.unbounded ?? 0) + unbounded }
    if (rest.units === 0n && rest.unbounded === 0) this.#rests.delete(i)
    else this.#rests.set(i, rest)
  }
}
