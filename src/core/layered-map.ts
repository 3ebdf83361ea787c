/**
 * A map that never changes and whose successors cost what is new: a small layer is copied, the large base is shared. Once
 * a layer has grown, both become one base.
 */
const LAYER_MAX = 512

export class LayeredMap<K, V> implements ReadonlyMap<K, V> {
  readonly size: number
  readonly #base: ReadonlyMap<K, V>
  readonly #layer: ReadonlyMap<K, V>

  /** The base must never change again. */
  constructor(base: ReadonlyMap<K, V>, layer: ReadonlyMap<K, V> = new Map<K, V>(), size = base.size) {
    this.#base = base
    this.#layer = layer
    this.size = size
  }

  with(entries: ReadonlyMap<K, V>): LayeredMap<K, V> {
    if (entries.size === 0) return this
    let { size } = this
    for (const key of entries.keys()) if (!this.has(key)) size += 1
    if (this.#layer.size + entries.size <= LAYER_MAX)
      return new LayeredMap(this.#base, new Map([...this.#layer, ...entries]), size)
    const base = new Map(this.#base)
    for (const layer of [this.#layer, entries]) for (const [key, value] of layer) base.set(key, value)
    return new LayeredMap(base)
  }

  get(key: K): V | undefined {
    return this.#layer.get(key) ?? this.#base.get(key)
  }

  has(key: K): boolean {
    return this.#layer.has(key) || this.#base.has(key)
  }

  *entries(): MapIterator<[K, V]> {
    for (const [key, value] of this.#base) yield [key, this.#layer.get(key) ?? value]
    for (const entry of this.#layer) if (!this.#base.has(entry[0])) yield entry
  }

  *keys(): MapIterator<K> {
    yield* this.#base.keys()
    for (const key of this.#layer.keys()) if (!this.#base.has(key)) yield key
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
