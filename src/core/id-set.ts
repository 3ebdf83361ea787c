/**
 * A set of ids that never changes, and its root. Its successors hash only the leaves that are new, and nothing before
 * somebody asks for the root.
 */
import { hash } from 'node:crypto'
import { fromHex, hex } from './bytes.ts'
import { sortedIds } from './merkle.ts'

const BYTES = 32
/** Changes that wait for somebody to ask; beyond this the set is hashed whole when that happens. */
const WAITING_MAX = 4096

/** Sorted raw ids, and the hash of each as a leaf. */
interface Leaves {
  readonly count: number
  readonly ids: Uint8Array
  readonly hashes: Uint8Array
}

export class IdSet<Root extends string> {
  readonly #all: () => Iterable<string>
  /** Undefined until somebody asks. */
  #leaves: Leaves | undefined
  #waiting: ReadonlyMap<string, boolean>
  #root: Root | undefined

  /** `all` answers the ids of this set, whenever it is asked. */
  constructor(all: () => Iterable<string>, leaves?: Leaves, waiting: ReadonlyMap<string, boolean> = new Map()) {
    this.#all = all
    this.#leaves = leaves
    this.#waiting = waiting
  }

  /** The set with ids that came (true) or went. */
  with(changes: ReadonlyMap<string, boolean>, all: () => Iterable<string>): IdSet<Root> {
    if (this.#leaves === undefined || this.#waiting.size + changes.size > WAITING_MAX) return new IdSet(all)
    return new IdSet(all, this.#leaves, new Map([...this.#waiting, ...changes]))
  }

  get root(): Root {
    return (this.#root ??= hex(headOf(this.#hashed())) as Root)
  }

  #hashed(): Leaves {
    const none = { count: 0, ids: new Uint8Array(), hashes: new Uint8Array() }
    if (this.#leaves === undefined)
      this.#leaves = changed(none, new Map(sortedIds(this.#all()).map((id) => [id, true])))
    else if (this.#waiting.size > 0) this.#leaves = changed(this.#leaves, this.#waiting)
    this.#waiting = new Map()
    return this.#leaves
  }
}

function changed({ count, ids, hashes }: Leaves, changes: ReadonlyMap<string, boolean>): Leaves {
  const after = {
    ids: new Uint8Array(ids.length + changes.size * BYTES),
    hashes: new Uint8Array(ids.length + changes.size * BYTES),
  }
  const leaf = Buffer.alloc(1 + BYTES, 0)
  const before = Buffer.from(ids.buffer, ids.byteOffset, ids.length)
  let from = 0
  let to = 0
  const keep = (until: number): void => {
    after.ids.set(ids.subarray(from * BYTES, until * BYTES), to * BYTES)
    after.hashes.set(hashes.subarray(from * BYTES, until * BYTES), to * BYTES)
    to += until - from
    from = until
  }
  for (const id of sortedIds(changes.keys())) {
    const raw = fromHex(id)
    let high = count
    let low = from
    while (low < high) {
      const middle = (low + high) >>> 1
      if (before.compare(raw, 0, BYTES, middle * BYTES, (middle + 1) * BYTES) < 0) low = middle + 1
      else high = middle
    }
    keep(low)
    const isThere = low < count && before.compare(raw, 0, BYTES, low * BYTES, (low + 1) * BYTES) === 0
    if (changes.get(id) === false) {
      if (isThere) from += 1
    } else if (!isThere) {
      after.ids.set(raw, to * BYTES)
      leaf.set(raw, 1)
      after.hashes.set(hash('sha256', leaf, 'buffer'), to * BYTES)
      to += 1
    }
  }
  keep(count)
  return { count: to, ids: after.ids.subarray(0, to * BYTES), hashes: after.hashes.subarray(0, to * BYTES) }
}

/** Tree head as RFC 9162 has it, level by level: what has no sibling goes up as it is. */
function headOf({ count, hashes }: Leaves): Uint8Array {
  if (count === 0) return hash('sha256', '', 'buffer')
  const level = Buffer.from(hashes)
  const node = Buffer.alloc(1 + 2 * BYTES, 1)
  for (let size = count; size > 1; size = Math.ceil(size / 2))
    for (let pair = 0; 2 * pair < size; pair++) {
      const from = 2 * pair * BYTES
      if (2 * pair + 1 === size) {
        level.copy(level, pair * BYTES, from, from + BYTES)
        continue
      }
      level.copy(node, 1, from, from + 2 * BYTES)
      hash('sha256', node, 'buffer').copy(level, pair * BYTES)
    }
  return level.subarray(0, BYTES)
}
