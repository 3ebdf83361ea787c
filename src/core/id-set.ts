/**
 * A set of ids that never changes, and its root. Its successors hash only the leaves that are new and the nodes above
 * and behind them, and nothing before somebody asks for the root.
 */
import { hash } from 'node:crypto'
import { fromHex } from './bytes.ts'
import { invariant } from './invariant.ts'
import { sortedIds } from './merkle.ts'

const BYTES = 32
/** Changes that wait for somebody to ask; beyond this the set is hashed whole when that happens. */
const WAITING_MAX = 4096

/** Sorted raw ids, and above them a tree head as RFC 9162 has it, level by level; what has no sibling goes up as it is. */
interface Tree {
  readonly count: number
  readonly ids: Buffer
  /** The hash of each id as a leaf first, the head last; none where there is no id. */
  readonly levels: readonly Buffer[]
}

const NONE = Buffer.alloc(0)

export class IdSet<Root extends string> {
  readonly #all: () => Iterable<string>
  /** Undefined until somebody asks. */
  #tree: Tree | undefined
  #waiting: ReadonlyMap<string, boolean>
  #root: Root | undefined

  /** `all` answers the ids of this set, whenever it is asked. */
  constructor(
    all: () => Iterable<string>,
    tree?: Tree,
    waiting: ReadonlyMap<string, boolean> = new Map(),
    root?: Root, // where it is known
  ) {
    this.#all = all
    this.#tree = tree
    this.#waiting = waiting
    this.#root = root
  }

  /** Has it been asked for its root, or one before it? Else it need not be told of changes one by one. */
  get isHashed(): boolean {
    return this.#tree !== undefined
  }

  /** The set with ids that came (true) or went. */
  with(changes: ReadonlyMap<string, boolean>, all: () => Iterable<string>): IdSet<Root> {
    if (changes.size === 0) return this
    if (this.#tree === undefined || this.#waiting.size + changes.size > WAITING_MAX) return new IdSet(all)
    return new IdSet(all, this.#tree, new Map([...this.#waiting, ...changes]))
  }

  get root(): Root {
    return (this.#root ??= headOf(this.#hashed()) as Root)
  }

  #hashed(): Tree {
    if (this.#tree === undefined) this.#tree = treeOf(this.#all())
    else if (this.#waiting.size > 0) this.#tree = changed(this.#tree, this.#waiting)
    this.#waiting = new Map()
    return this.#tree
  }
}

function treeOf(all: Iterable<string>): Tree {
  const sorted = [...all].sort() // without a comparison of our own: hex sorts as its bytes do
  const distinct = sorted.filter((id, at) => id !== sorted[at - 1])
  const ids = Buffer.from(distinct.join(''), 'hex')
  const leaves = Buffer.allocUnsafe(ids.length)
  for (let at = 0; at < distinct.length; at++) hashLeaf(ids.subarray(at * BYTES, (at + 1) * BYTES), leaves, at)
  return { count: distinct.length, ids, levels: distinct.length === 0 ? [] : levelsOver(leaves, 0, []) }
}

function changed(before: Tree, changes: ReadonlyMap<string, boolean>): Tree {
  const room = (before.count + changes.size) * BYTES
  const ids = Buffer.allocUnsafe(room)
  const leaves = Buffer.allocUnsafe(room)
  const oldLeaves = before.levels[0] ?? NONE
  /** Up to here both are the same. */
  let same: number | undefined
  let from = 0
  let to = 0
  const keep = (until: number): void => {
    before.ids.copy(ids, to * BYTES, from * BYTES, until * BYTES)
    oldLeaves.copy(leaves, to * BYTES, from * BYTES, until * BYTES)
    to += until - from
    from = until
  }
  for (const id of sortedIds(changes.keys())) {
    const raw = fromHex(id)
    keep(placeIn(before, raw, from))
    const isThere = from < before.count && compareAt(before, from, raw) === 0
    if (isThere === changes.get(id)) continue
    same ??= to
    if (isThere) from += 1
    else {
      ids.set(raw, to * BYTES)
      hashLeaf(raw, leaves, to++)
    }
  }
  keep(before.count)
  const levels = to === 0 ? [] : levelsOver(leaves.subarray(0, to * BYTES), same ?? to, before.levels)
  return { count: to, ids: ids.subarray(0, to * BYTES), levels }
}

const compareAt = ({ ids }: Tree, at: number, raw: Uint8Array): number =>
  ids.compare(raw, 0, BYTES, at * BYTES, (at + 1) * BYTES)

/** The first place, from one on, whose id is not below. */
function placeIn(tree: Tree, raw: Uint8Array, from: number): number {
  let [low, high] = [from, tree.count]
  while (low < high) {
    const middle = (low + high) >>> 1
    if (compareAt(tree, middle, raw) < 0) low = middle + 1
    else high = middle
  }
  return low
}

/** Nodes over leaves that are the same up to one: those that stand over such leaves alone are taken as they were. */
function levelsOver(leaves: Buffer, same: number, before: readonly Buffer[]): readonly Buffer[] {
  const levels = [leaves]
  let below = leaves
  for (let isSame = same; below.length > BYTES;) {
    const count = below.length / BYTES
    const level = Buffer.allocUnsafe(Math.ceil(count / 2) * BYTES)
    isSame = Math.floor(isSame / 2)
    before[levels.length]?.copy(level, 0, 0, isSame * BYTES)
    for (let at = isSame; 2 * at < count; at++) {
      if (2 * at + 1 === count) below.copy(level, at * BYTES, 2 * at * BYTES)
      else hashNode(below, level, at)
    }
    levels.push(level)
    below = level
  }
  return levels
}

// one buffer for all: hashing takes as long as making one
const leaf = Buffer.alloc(1 + BYTES, 0)
const node = Buffer.alloc(1 + 2 * BYTES, 1)

function hashLeaf(raw: Uint8Array, to: Buffer, at: number): void {
  leaf.set(raw, 1)
  to.write(hash('sha256', leaf, 'binary'), at * BYTES, BYTES, 'latin1')
}

function hashNode(below: Buffer, to: Buffer, at: number): void {
  below.copy(node, 1, 2 * at * BYTES, 2 * (at + 1) * BYTES)
  to.write(hash('sha256', node, 'binary'), at * BYTES, BYTES, 'latin1')
}

function headOf({ levels }: Tree): string {
  const head = levels.at(-1)
  if (head === undefined) return hash('sha256', '', 'hex')
  invariant(head.length === BYTES, 'a tree has one head')
  return head.toString('hex')
}
