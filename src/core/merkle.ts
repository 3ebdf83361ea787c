/**
 * Trees as RFC 9162 has them: leaf SHA-256(00 ‖ data), node SHA-256(01 ‖ left ‖ right), split at the largest power of
 * two, no leaves: SHA-256(""). Proofs are in the RFC's form, so any verifier for Certificate Transparency reads them.
 */
import { compareHex, equalBytes, fromHex, hex } from './bytes.ts'
import { sha256 } from './digest.ts'
import { at, invariant } from './invariant.ts'

export type Hash = Uint8Array

const LEAF = Uint8Array.of(0)
const NODE = Uint8Array.of(1)

export const leafHash = (data: Uint8Array): Hash => sha256(LEAF, data)
const nodeHash = (left: Hash, right: Hash): Hash => sha256(NODE, left, right)

/** Largest power of two below `count`. */
const split = (count: number): number => {
  let half = 1
  while (half * 2 < count) half *= 2
  return half
}

/** A tree head made leaf by leaf, holding one hash a level. */
export class TreeBuilder {
  readonly #stack: Hash[] = []
  #count = 0

  get count(): number {
    return this.#count
  }

  add(leaf: Hash): void {
    let hash = leaf
    // every trailing one bit of the count is a finished subtree of that size, waiting for its right half
    for (let size = this.#count; size % 2 === 1; size = Math.floor(size / 2)) {
      const left = this.#stack.pop()
      invariant(left !== undefined, 'a finished subtree is on the stack')
      hash = nodeHash(left, hash)
    }
    this.#stack.push(hash)
    this.#count += 1
  }

  head(): Hash {
    if (this.#stack.length === 0) return sha256()
    return this.#stack.reduceRight((right, left) => nodeHash(left, right))
  }
}

export function treeHead(leaves: Iterable<Hash>): Hash {
  const tree = new TreeBuilder()
  for (const leaf of leaves) tree.add(leaf)
  return tree.head()
}

/** Tree head over data, each hashed as a leaf. */
export const treeHeadOf = (data: Iterable<Uint8Array>): Hash => {
  const tree = new TreeBuilder()
  for (const item of data) tree.add(leafHash(item))
  return tree.head()
}

/** Root of a set of ids: raw 32 bytes each, distinct, sorted. */
export const setRoot = <Id extends string>(ids: Iterable<string>): Id =>
  hex(treeHeadOf(sortedIds(ids).map(fromHex))) as Id

export const sortedIds = <Id extends string>(ids: Iterable<Id>): Id[] => [...new Set(ids)].sort(compareHex)

/** Proofs for many leaves of one tree (RFC 9162, 2.1.3.1): sibling hashes from the leaf up, each subtree hashed once. */
export function inclusionProofs(leaves: readonly Hash[]): (index: number) => readonly Hash[] {
  const count = leaves.length
  const heads = new Map<number, Hash>()
  function headOfRange(from: number, to: number): Hash {
    if (to - from === 1) return at(leaves, from)
    const key = from * (count + 1) + to
    let head = heads.get(key)
    if (head === undefined) {
      const middle = from + split(to - from)
      head = nodeHash(headOfRange(from, middle), headOfRange(middle, to))
      heads.set(key, head)
    }
    return head
  }
  return (index) => {
    invariant(index >= 0 && index < count, `no leaf ${index} among ${count}`)
    const downward: Hash[] = []
    for (let from = 0, to = count; to - from > 1;) {
      const middle = from + split(to - from)
      if (index < middle) {
        downward.push(headOfRange(middle, to))
        to = middle
      } else {
        downward.push(headOfRange(from, middle))
        from = middle
      }
    }
    return downward.reverse()
  }
}

export const inclusionProof = (leaves: readonly Hash[], index: number): readonly Hash[] =>
  inclusionProofs(leaves)(index)

/** Does this path lead from the leaf to the head (RFC 9162, 2.1.3.2)? */
export function verifyInclusion(leaf: Hash, index: number, size: number, path: readonly Hash[], head: Hash): boolean {
  if (index < 0 || index >= size) return false
  let node = index
  let last = size - 1
  let hash = leaf
  for (const sibling of path) {
    if (last === 0) return false
    if (node % 2 === 1 || node === last) {
      hash = nodeHash(sibling, hash)
      while (node % 2 === 0 && node !== 0) {
        node = Math.floor(node / 2)
        last = Math.floor(last / 2)
      }
    } else hash = nodeHash(hash, sibling)
    node = Math.floor(node / 2)
    last = Math.floor(last / 2)
  }
  return last === 0 && equalBytes(hash, head)
}
