/**
 * `.tributary/sources.json`: where the inputs of a local merge lay, so that an audit on the same machine finds them. Never
 * hashed, and trusted for nothing: what is found there is digested again.
 */
import type { Digested } from '../../merging/digest-checkpoint.ts'
import type { Resolved } from '../../recipes/resolve.ts'
import type { Source } from './sources.ts'

export function sourcesText(resolved: Resolved, digested: ReadonlyMap<Source, Digested>): string {
  const used = new Set([...resolved.inputs.map(({ candidate }) => candidate.content), resolved.base?.content])
  const sources = [...digested]
    .filter(([, { manifest }]) => used.has(manifest.content))
    .map(([{ refs, checkpoint }, { manifest }]) => ({
      ref: refs[0],
      path: checkpoint.location,
      content: manifest.content,
      tensors: manifest.tensors.map(({ name, root }) => [name, root]),
    }))
  return `${JSON.stringify({ v: 1, merge: resolved.merge, sources }, null, 1)}\n`
}
