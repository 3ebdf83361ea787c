/**
 * Tied tensors, found by content alone: frameworks store an output layer that shares its weights with the embedding once,
 * or twice, as they please. A name that only some models store, always as a copy of one they all store, is no difference.
 */
import { hex } from '../core/bytes.ts'
import { at, invariant } from '../core/invariant.ts'
import { type Hash, leafHash, TreeBuilder } from '../core/merkle.ts'
import type { ManifestTensor } from './manifest.ts'
import { sortByUtf8 } from './names.ts'
import { CHUNK_BYTES } from './tensor-hasher.ts'

/** Two tensors of one key hold the same bytes in the same form. */
const keyOf = ({ root, dtype, shape }: ManifestTensor): string => `${root} ${dtype} ${shape.join(',')}`

const zeroLeaf = (bytes: number): Hash => leafHash(new Uint8Array(bytes))

/** Untrained biases are all zero and alike: that they repeat one another says nothing. */
function isZero({ root, bytes }: ManifestTensor): boolean {
  const whole = bytes >= CHUNK_BYTES ? zeroLeaf(CHUNK_BYTES) : undefined
  const tree = new TreeBuilder()
  for (let left = bytes; left > 0; left -= CHUNK_BYTES)
    tree.add(left >= CHUNK_BYTES && whole !== undefined ? whole : zeroLeaf(left))
  return hex(tree.head()) === root
}

/**
 * Each tied name with the name that is kept in its place. A name is tied when some model lacks it, and in every model that
 * has it its bytes repeat one and the same tensor that all models have; of several such, the first by UTF-8 bytes.
 */
export function tiedNames(models: readonly (readonly ManifestTensor[])[]): ReadonlyMap<string, string> {
  const byName = models.map((tensors) => new Map(tensors.map((tensor) => [tensor.name, tensor])))
  const [first = new Map<string, ManifestTensor>(), ...others] = byName
  const namesOfFirst = [...first.keys()]
  const lacksNone = (model: typeof first) => model.size === first.size && namesOfFirst.every((name) => model.has(name))
  if (others.every(lacksNone)) return new Map()
  const names = sortByUtf8(new Set(models.flatMap((tensors) => tensors.map(({ name }) => name))), (name) => name)
  const shared = names.filter((name) => byName.every((model) => model.has(name)))
  /** For each model, the names that all models have, by their key in this one. */
  const sharedByKey = byName.map((model) => groupBy(shared, (name) => keyOf(getTensor(model, name))))

  const tied = new Map<string, string>()
  for (const name of names) {
    const having = byName.flatMap((model, i) => (model.has(name) ? [i] : []))
    if (having.length === models.length) continue
    const copies = having.map((i) => getTensor(at(byName, i), name))
    const repeated = having.map((i, j) => sharedByKey[i]?.get(keyOf(at(copies, j))) ?? [])
    const kept = repeated[0]?.find((other) => repeated.every((others) => others.includes(other)))
    if (kept !== undefined && !copies.every(isZero)) tied.set(name, kept)
  }
  return tied
}

function getTensor(model: ReadonlyMap<string, ManifestTensor>, name: string): ManifestTensor {
  const tensor = model.get(name)
  invariant(tensor !== undefined, `the model has ${name}`)
  return tensor
}

function groupBy(names: readonly string[], keyOfName: (name: string) => string): Map<string, string[]> {
  const groups = new Map<string, string[]>()
  for (const name of names) {
    const key = keyOfName(name)
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [name])
    else group.push(name)
  }
  return groups
}
