/** What is known of the values of a node before any of them is: whose they are, whether f32 holds them, whether they are finite. */
import { type Node, operandsOf, type Site } from '../../core/graph.ts'

/** The contribution whose tensors alone a plane is computed from, the base aside. */
export function ownerOf(node: Node, sites: readonly Site[]): number | undefined {
  const owners = new Set<number>()
  const seen = new Set<Node>()
  const visit = (one: Node): void => {
    if (seen.has(one)) return
    seen.add(one)
    if (one.kind === 'input' && one.stream !== 'base') owners.add(one.stream.owner)
    for (const operand of operandsOf(one, sites)) visit(operand)
  }
  visit(node)
  const [owner, ...others] = owners
  return others.length === 0 ? owner : undefined
}

/** Every element is an f32 value for certain. */
export function holdsF32(node: Node): boolean {
  switch (node.kind) {
    case 'input':
    case 'compare':
    case 'logic':
    case 'not':
    case 'keep':
    case 'aboveCutoff':
      return true
    case 'number':
      return Math.fround(node.value) === node.value
    case 'unary':
      return node.op === 'f32' || (node.op === 'abs' && holdsF32(node.a))
    case 'binary':
      return (node.op === 'min' || node.op === 'max') && holdsF32(node.a) && holdsF32(node.b)
    case 'choose':
      return holdsF32(node.a) && holdsF32(node.b)
    case 'channel':
      return node.part === 'largest'
    case 'sorted':
      return node.sort.planes.every(holdsF32)
    case 'later':
    case 'blend':
    case 'sort':
      return false
  }
}

/** No element can be infinite, whatever finite tensors it is computed from. */
export function isBounded(node: Node): boolean {
  if (node.kind === 'choose') return isBounded(node.a) && isBounded(node.b)
  if (node.kind === 'unary') return node.op === 'abs' && isBounded(node.a)
  return node.kind === 'input' || (node.kind === 'number' && holdsF32(node)) || MASKS.has(node.kind)
}

const MASKS: ReadonlySet<Node['kind']> = new Set(['compare', 'logic', 'not', 'keep', 'aboveCutoff'] as const)
