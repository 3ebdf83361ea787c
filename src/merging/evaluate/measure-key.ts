/**
 * What a reduction over one tensor follows from, as one digest: the computation as it was recorded, down to the bytes of the
 * streams it reads. Names, weights and the other contributions enter only where the computation reads them. The key is a
 * shortcut of this program and never leaves the machine.
 */
import { utf8 } from '../../core/bytes.ts'
import { sha256Hex } from '../../core/digest.ts'
import type { LaterNode, Node, NodeOf, Reducing } from '../../core/graph.ts'
import { NUMERIC_PROFILE } from '../../core/numeric-profile.ts'
import type { RandomKey } from '../../core/philox.ts'
import type { EvaluationTensor, StreamRef } from './evaluation.ts'

interface MeasureSurroundings {
  readonly identityOf: (node: NodeOf<'input'>) => string | undefined
  readonly key: (node: NodeOf<'keep'>) => RandomKey
}

/**
 * The key, and the identity of the contribution's stream. No key where it looks at several contributions, at the whole
 * model, or at what has no name.
 */
export function measureOf(
  node: Reducing,
  { elements, recall }: Pick<EvaluationTensor, 'elements' | 'recall'>,
  run: { stream(node: NodeOf<'input'>): StreamRef; key(node: NodeOf<'keep'>): RandomKey },
): { readonly key?: string; readonly identity?: string } {
  if (!recall) return {}
  let identity: string | undefined
  const value = laterKey(node, {
    identityOf: (input) => {
      const found = recall.identityOf(run.stream(input))
      if (input.stream !== 'base') identity = found
      return found
    },
    key: (keep) => run.key(keep),
  })
  if (value === undefined || identity === undefined) return {}
  return { key: digest(['measure', NUMERIC_PROFILE, String(elements), value]), identity }
}

/** The value that an earlier merge measured, if one did. */
export function recalled(node: Reducing, tensor: EvaluationTensor, run: Parameters<typeof measureOf>[2]): unknown {
  const { key } = measureOf(node, tensor, run)
  return key === undefined ? undefined : tensor.recall?.known.get(key)
}

type Part = string | undefined

const digest = (parts: readonly string[]): string =>
  sha256Hex(utf8(`tributary local measure 1\0${JSON.stringify(parts)}`))
const numberText = (value: number): string => (Object.is(value, -0) ? '-0' : String(value))
const joined = (...parts: readonly Part[]): Part => {
  const all = parts.filter((part) => part !== undefined)
  return all.length === parts.length ? digest(all) : undefined
}

function laterKey(node: LaterNode, about: MeasureSurroundings): Part {
  const of = (plane: Node): Part => planeKey(plane, about)
  if (node.ofSet) return undefined
  switch (node.kind) {
    case 'reduce':
      return node.scope === 'tensor' ? joined('reduce', node.op, of(node.a), of(node.b)) : undefined
    case 'cutoff':
      return node.scope === 'tensor'
        ? joined('cutoff', numberText(node.fraction), String(node.withEquals), of(node.a))
        : undefined
    case 'known':
    case 'map':
    case 'with':
    case 'pairs':
    case 'total':
      return undefined // functions have no names
  }
}

function planeKey(node: Node, about: MeasureSurroundings): Part {
  const of = (plane: Node): Part => planeKey(plane, about)
  if (node.ofSet) return undefined
  switch (node.kind) {
    case 'input':
      return joined('input', about.identityOf(node))
    case 'number':
      return joined('number', numberText(node.value))
    case 'later':
      return joined('later', laterKey(node.later, about))
    case 'binary':
    case 'compare':
    case 'logic':
      return joined(node.kind, node.op, of(node.a), of(node.b))
    case 'unary':
      return joined('unary', node.op, of(node.a))
    case 'not':
      return joined('not', of(node.a))
    case 'choose':
      return joined('choose', of(node.mask), of(node.a), of(node.b))
    case 'keep': {
      const { low, high } = about.key(node)
      return joined('keep', String(low), String(high), of(node.probability))
    }
    case 'aboveCutoff':
      return joined('aboveCutoff', of(node.a), laterKey(node.cutoff, about))
    case 'channel':
    case 'blend':
    case 'sort':
    case 'sorted':
      return undefined
  }
}
