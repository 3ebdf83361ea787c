/**
 * A gradient is a value for each layer: between the numbers given, linear in the layer's place from first (0) to last
 * (1). Once the tensors are known it becomes plain overrides, one a layer, which is what is hashed. Tensors outside the
 * layers get the first number, as in mergekit.
 */
import { compareUtf8 } from '../core/bytes.ts'
import { at, invariant } from '../core/invariant.ts'
import { matches } from './pattern.ts'

interface Place {
  /** What stands before the layer's number: `model.layers`. */
  readonly stem: string
  readonly layer: number
}

/** A layer's number is the first step of a name that is all digits. */
export function placeOf(name: string): Place | undefined {
  const steps = name.split('.')
  const index = steps.findIndex((step) => /^(0|[1-9][0-9]{0,5})$/.test(step))
  if (index <= 0 || index === steps.length - 1) return undefined
  return { stem: steps.slice(0, index).join('.'), layer: Number(steps[index]) }
}

/** How many layers each stem has: one more than the largest number. */
export function layerCounts(names: Iterable<string>): ReadonlyMap<string, number> {
  const counts = new Map<string, number>()
  for (const name of names) {
    const place = placeOf(name)
    if (place !== undefined) counts.set(place.stem, Math.max(counts.get(place.stem) ?? 0, place.layer + 1))
  }
  return counts
}

/** The value at t of 0 to 1: in f64, from left to right as written. */
export function valueAt(gradient: readonly number[], t: number): number {
  const place = t * (gradient.length - 1)
  const index = Math.floor(place)
  const share = place - index
  const next = at(gradient, Math.min(index + 1, gradient.length - 1))
  return (1 - share) * at(gradient, index) + share * next
}

export interface LayerValue {
  readonly match: string
  readonly value: number
}

/** Patterns and values, the later ones counting, that give each tensor matched by `match` its value. */
export function layOut(match: string, gradient: readonly number[], names: readonly string[]): readonly LayerValue[] {
  const first = at(gradient, 0)
  const laid: LayerValue[] = [{ match, value: first }]
  const counts = layerCounts(names)
  for (const [layer, inLayer] of byLayer(names)) {
    const wanted = inLayer.filter((name) => matches(match, name))
    const place = placeOf(at(inLayer, 0))
    invariant(place !== undefined, 'a name in a layer has a place')
    const count = counts.get(place.stem) ?? 1
    const value = valueAt(gradient, count === 1 ? 1 : place.layer / (count - 1))
    if (wanted.length === 0 || value === first) continue
    for (const pattern of patternsFor(layer, match, wanted, inLayer)) laid.push({ match: pattern, value })
  }
  return laid
}

/** Names by what they begin with, `model.layers.7.`, in the order of stems and layers. */
function byLayer(names: readonly string[]): readonly (readonly [string, readonly string[]])[] {
  const groups = new Map<string, { place: Place; names: string[] }>()
  for (const name of new Set(names)) {
    const place = placeOf(name)
    if (place === undefined) continue
    const layer = `${place.stem}.${place.layer}.`
    const group = groups.get(layer) ?? { place, names: [] }
    group.names.push(name)
    groups.set(layer, group)
  }
  return [...groups]
    .sort(([, a], [, b]) => compareUtf8(a.place.stem, b.place.stem) || a.place.layer - b.place.layer)
    .map(([layer, group]) => [layer, group.names.sort(compareUtf8)] as const)
}

/** One pattern where it says exactly these names of the layer, else the names themselves. */
function patternsFor(layer: string, match: string, wanted: readonly string[], inLayer: readonly string[]) {
  const pattern = `${layer}${match.startsWith('*') ? match : `*${match}`}`
  const said = /[*?]/.test(layer) ? [] : inLayer.filter((name) => matches(pattern, name))
  return said.length === wanted.length && said.every((name) => wanted.includes(name)) ? [pattern] : wanted
}
