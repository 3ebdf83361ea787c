/** Maps whose changes can be taken back: what a transaction needs where there is no database. */
import { invariant } from '../../core/invariant.ts'
import { isThenable } from '../storage.ts'

export class JournaledMap<K, V> {
  readonly #map = new Map<K, V>()
  readonly #remember: (takeBack: () => void) => void

  constructor(remember: (takeBack: () => void) => void) {
    this.#remember = remember
  }

  get size(): number {
    return this.#map.size
  }
  get(key: K): V | undefined {
    return this.#map.get(key)
  }
  has(key: K): boolean {
    return this.#map.has(key)
  }
  values(): V[] {
    return [...this.#map.values()]
  }
  entries(): [K, V][] {
    return [...this.#map.entries()]
  }
  set(key: K, value: V): void {
    this.#rememberKey(key)
    this.#map.set(key, value)
  }
  delete(key: K): boolean {
    this.#rememberKey(key)
    return this.#map.delete(key)
  }

  #rememberKey(key: K): void {
    const before = this.#map.get(key)
    this.#remember(before === undefined ? () => this.#map.delete(key) : () => this.#map.set(key, before))
  }
}

export interface Journal {
  map<K, V extends object | string | number>(): JournaledMap<K, V>
  readonly transact: <T>(work: () => T) => T
  readonly inTransaction: boolean
}

export function createJournal(): Journal {
  /** How to take back each change since the outermost transaction began, oldest first. */
  let undo: (() => void)[] = []
  let depth = 0
  return {
    map: () =>
      new JournaledMap((takeBack) => {
        if (depth > 0) undo.push(takeBack)
      }),
    transact(work) {
      const mark = undo.length
      depth += 1
      try {
        const answer = work()
        invariant(!isThenable(answer), 'a transaction is synchronous: await before it or after it')
        return answer
      } catch (error) {
        for (const takeBack of undo.splice(mark).reverse()) takeBack()
        throw error
      } finally {
        depth -= 1
        if (depth === 0) undo = []
      }
    },
    get inTransaction() {
      return depth > 0
    },
  }
}
