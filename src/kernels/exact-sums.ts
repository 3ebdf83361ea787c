/**
 * Exact sums, fast on ordinary numbers. Each element's sum is high + low, kept so by two error-free additions a term;
 * what falls below both goes to planes of parts, and what falls below those, or overflows, is counted in units. Where much
 * does, terms are kept as they are, and added up when the sums are read. Whatever path a term takes, the sum stays exact,
 * so paths leave no trace.
 */
import { invariant } from '../core/invariant.ts'
import { errorOfSum } from '../core/libm.ts'
import { exactSum, nearest, units } from './exact.ts'
import type { ExactSums } from './kernels.ts'
import { addThree } from './add-three.ts'

/** What the planes can't hold of one element: units, and how many of its terms are not finite. */
interface Rest {
  readonly units: bigint
  readonly unbounded: number
}

/** Terms that the parts could not take before there is one part more, and terms are kept as they are. */
const SPILLS_MAX = 8
/** Elements of a part that are looked at. */
const SAMPLES = 64
/** Sums that kept terms are cleared as often before it is seen again whether they must. */
const WIDE_ROUNDS = 16

const isNotZero = (value: number): boolean => value !== 0

/** Whether more than some of a part are not zero, so that most additions took a way round. */
function isFilled(part: Float64Array | undefined): boolean {
  if (!part) return false
  const step = Math.ceil(part.length / SAMPLES)
  let filled = 0
  for (let i = 0; i < part.length; i += step) if (part[i] !== 0) filled += step
  return 8 * filled > part.length
}

/** Tells of a term that high and low can't take: what they would become, and what is left below. */
export type Spill = (i: number, term: number, high: number, low: number, rest: number) => void

/** The loops over all elements: these, or others that answer the same. */
export interface Cascade {
  /** Planes of parts that the loops can fill by themselves, beside the first. */
  readonly partsMax: number
  /** Planes of terms that are kept as they are. */
  readonly keptMax: number
  allocate(length: number): Float64Array
  /** Answers whether low may have been written to. */
  add(
    high: Float64Array,
    low: Float64Array,
    plane: Float64Array,
    weight: Float64Array,
    sign: 1 | -1,
    parts: readonly Float64Array[],
    spill: Spill,
  ): boolean
  addScaled(
    high: Float64Array,
    low: Float64Array,
    plane: Float64Array,
    scale: number,
    parts: readonly Float64Array[],
    spill: Spill,
  ): boolean
  /** Writes scale · (plane · weight); false, and nothing of use in `out`, where that can't be kept as it is. */
  keep(plane: Float64Array, weight: Float64Array | 1, scale: number, out: Float64Array): boolean
  /** The exact sum of planes; one alone is high, of which no zero is −0. */
  total(planes: readonly Float64Array[], out: Float64Array): void
}

/** Two error-free additions: into high, and what is lost there into low. */
function addTerm(high: Float64Array, low: Float64Array, i: number, term: number, spill: Spill): void {
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

export const plainCascade: Cascade = {
  partsMax: 0,
  keptMax: 0,
  allocate: (length) => new Float64Array(length),

  add(high, low, plane, weight, sign, _, spill) {
    for (let i = 0; i < high.length; i++) addTerm(high, low, i, sign * (plane[i]! * weight[i]!), spill)
    return true
  },

  addScaled(high, low, plane, scale, _, spill) {
    for (let i = 0; i < high.length; i++) addTerm(high, low, i, scale * plane[i]!, spill)
    return true
  },

  keep: () => false,

  total([high, low, ...parts], out) {
    if (!low) {
      out.set(high!)
      return
    }
    for (let i = 0; i < out.length; i++) {
      const rest = parts.map((part) => part[i]!).filter(isNotZero)
      out[i] = rest.length === 0 ? high![i]! + low[i]! : rounded(high![i]!, low[i]!, rest)
    }
  },
}

function rounded(high: number, low: number, rest: readonly number[]): number {
  const sum = rest.length === 1 ? addThree(high, low, rest[0]!) : Number.NaN
  return Number.isFinite(sum) ? sum : exactSum([high, low, ...rest])
}

export class CascadeSums implements ExactSums<Float64Array> {
  readonly length: number
  readonly #cascade: Cascade
  readonly #high: Float64Array
  readonly #low: Float64Array
  readonly #parts: Float64Array[] = []
  readonly #spares: Float64Array[] = []
  #spills = 0
  /** For how many more rounds terms are kept, and whether any was added before. */
  #wide = 0
  #added = false
  /** Whether low holds anything: sums that lose nothing leave it alone. */
  #lowered = false
  readonly #rests = new Map<number, Rest>()

  constructor(length: number, cascade = plainCascade) {
    this.length = length
    this.#cascade = cascade
    this.#high = cascade.allocate(length)
    this.#low = cascade.allocate(length)
  }

  add(plane: Float64Array, weight: Float64Array, sign: 1 | -1): void {
    invariant(plane.length === this.length && weight.length === this.length, 'planes and sums of one length')
    if (this.#keeps(plane, weight, sign)) return
    this.#added = true
    const lowered = this.#cascade.add(this.#high, this.#low, plane, weight, sign, this.#parts, (...spilt) => {
      this.#spill(sign, ...spilt)
    })
    this.#lowered ||= lowered
  }

  addScaled(plane: Float64Array, weight: number, sign: 1 | -1): void {
    invariant(plane.length === this.length, 'planes and sums of one length')
    if (!this.#keeps(plane, 1, sign * weight)) this.#addScaled(plane, sign * weight, sign)
  }

  merge(other: ExactSums<Float64Array>): void {
    invariant(other instanceof CascadeSums && other !== this, 'sums of this set, and not these very ones')
    for (const plane of other.#planes()) this.addScaled(plane, 1, 1)
    for (const [i, rest] of other.#rests) this.#keepRest(i, rest.units, rest.unbounded)
  }

  read(out = new Float64Array(this.length)): Float64Array {
    invariant(out.length === this.length, 'an out of the same length')
    const planes = this.#planes()
    this.#cascade.total(planes, out)
    for (const [i, rest] of this.#rests)
      out[i] =
        rest.unbounded === 0 ? nearest(planes.reduce((sum, plane) => sum + units(plane[i]!), rest.units)) : Number.NaN
    return out
  }

  clear(): void {
    if (this.#added) this.#high.fill(0)
    if (this.#lowered) this.#low.fill(0)
    this.#added = false
    this.#lowered = false
    if (this.#wide > 0) this.#wide -= 1
    else if (this.#cascade.keptMax > 0 && isFilled(this.#parts[0])) this.#wide = WIDE_ROUNDS
    this.#spares.push(...this.#parts.splice(0))
    this.#spills = 0
    this.#rests.clear()
  }

  /** All that the sums are made of; of two planes that were not added to, zeros might not be +0. */
  #planes(): readonly Float64Array[] {
    if (!this.#added && this.#parts.length >= 3) return this.#parts
    return this.#lowered ? [this.#high, this.#low, ...this.#parts] : [this.#high, ...this.#parts]
  }

  #addScaled(plane: Float64Array, scale: number, sign: 1 | -1): void {
    this.#added = true
    const lowered = this.#cascade.addScaled(this.#high, this.#low, plane, scale, this.#parts, (...spilt) => {
      this.#spill(sign, ...spilt)
    })
    this.#lowered ||= lowered
  }

  /** Whether the terms are now a part, because adding the last ones lost much. */
  #keeps(plane: Float64Array, weight: Float64Array | 1, scale: number): boolean {
    if (this.#wide === 0) return false
    const part = this.#newPart()
    const isKept = this.#cascade.keep(plane, weight, scale, part)
    ;(isKept ? this.#parts : this.#spares).push(part)
    if (this.#parts.length >= this.#cascade.keptMax) this.#addUp()
    return isKept
  }

  /** Few parts in place of many. */
  #addUp(): void {
    const many = this.#parts.splice(0)
    for (const part of many) this.#addScaled(part, 1, 1)
    this.#spares.push(...many)
  }

  /** A term that high, low and parts can't take: `rest` is below them, or NaN where something on the way overflowed. */
  #spill(sign: 1 | -1, ...[i, term, high, low, rest]: Parameters<Spill>): void {
    if (!Number.isFinite(term)) this.#keepRest(i, 0n, sign)
    else if (!Number.isFinite(rest)) this.#keepRest(i, units(term), 0)
    else {
      this.#high[i] = high
      this.#low[i] = low
      this.#spills += 1
      const crowded = this.#spills > SPILLS_MAX && this.#parts.length < this.#cascade.partsMax
      if (this.#parts.length === 0 || crowded) this.#parts.push(this.#newPart().fill(0))
      if (crowded) {
        this.#spills = 0
        this.#wide = WIDE_ROUNDS
      }
      const lowest = this.#parts.at(-1)!
      const before = lowest[i]!
      const sum = before + rest
      lowest[i] = sum
      const below = errorOfSum(before, rest, sum)
      if (below !== 0) this.#keepRest(i, units(below), 0)
    }
  }

  #newPart(): Float64Array {
    return this.#spares.pop() ?? this.#cascade.allocate(this.length)
  }

  #keepRest(i: number, more: bigint, unbounded: number): void {
    const before = this.#rests.get(i)
    const rest = { units: (before?.units ?? 0n) + more, unbounded: (before?.unbounded ?? 0) + unbounded }
    if (rest.units === 0n && rest.unbounded === 0) this.#rests.delete(i)
    else this.#rests.set(i, rest)
  }
}
