/**
 * A map that never changes and whose successors cost what is new: a small layer is copied, a larger one below it and the
 * base are shared. A layer that has grown goes into the one below. No value is undefined.
 */
const TOP_MAX = 512
/** The most of the middle layer, as a part of the base. */
const MIDDLE_PART = 1 / 8

/** What a layer takes away from those below it. */
const GONE = Symbol('gone')
type Layer<K, V> = ReadonlyMap<K, V | typeof GONE>

const NOTHING: ReadonlyMap<never, never> = new Map<never, never>()

interface Layers<K, V> {
  readonly middle: Layer<K, V>
  readonly top: Layer<K, V>
  readonly size: number
}

export class LayeredMap<K, V> implements ReadonlyMap<K, V> {
  readonly size: number
  readonly #base: ReadonlyMap<K, V>
  readonly #middle: Layer<K, V>
  readonly #top: Layer<K, V>

  /** The base must never change again. */
  constructor(base: ReadonlyMap<K, V>, { middle, top, size }: Partial<Layers<K, V>> = {}) {
    this.#base = base
    this.#middle = middle ?? NOTHING
    this.#top = top ?? NOTHING
    this.size = size ?? base.size
  }

  /** A key whose new value is undefined is gone. */
  with(entries: ReadonlyMap<K, V | undefined>): LayeredMap<K, V> {
    if (entries.size === 0) return this
    let { size } = this
    for (const [key, value] of entries) size += Number(value !== undefined) - Number(this.has(key))
    const top = new Map<K, V | typeof GONE>(this.#top)
    for (const [key, value] of entries) top.set(key, value === undefined ? GONE : value)
    if (top.size <= TOP_MAX) return new LayeredMap(this.#base, { middle: this.#middle, top, size })
    const middle = new Map(this.#middle)
    for (const [key, value] of top) middle.set(key, value)
    if (middle.size <= Math.max(TOP_MAX, this.#base.size * MIDDLE_PART))
      return new LayeredMap(this.#base, { middle, size })
    const base = new Map(this.#base)
    for (const [key, value] of middle)
      if (value === GONE) base.delete(key)
      else base.set(key, value)
    return new LayeredMap(base)
  }

  get(key: K): V | undefined {
    const value = this.#top.get(key) ?? this.#middle.get(key) ?? this.#base.get(key)
    return value === GONE ? undefined : value
  }

  has(key: K): boolean {
    return this.get(key) !== undefined
  }

  *entries(): MapIterator<[K, V]> {
    const changed = new Map([...this.#middle, ...this.#top])
    for (const entry of this.#base) {
      const value = changed.get(entry[0])
      if (value === undefined) yield entry
      else if (value !== GONE) yield [entry[0], value]
    }
    for (const [key, value] of changed) if (value !== GONE && !this.#base.has(key)) yield [key, value]
  }

  *keys(): MapIterator<K> {
    for (const [key] of this.entries()) yield key
  }

  *values(): MapIterator<V> {
    for (const [, value] of this.entries()) yield value
  }

  forEach(visit: (value: V, key: K, map: ReadonlyMap<K, V>) => void): void {
    for (const [key, value] of this.entries()) visit(value, key, this)
  }

  [Symbol.iterator](): MapIterator<[K, V]> {
    return this.entries()
  }
}
