/** What a space shows is held, what it withdrew is let go: committed together with the ops that changed it. */
import type { SpaceState } from '../core/or-set.ts'
import type { VisibleContribution } from '../core/visibility.ts'
import type { BlobName } from '../storage/blob-store.ts'
import type { Context } from './context.ts'
import { forgetUnheld, giveUpRevoked } from './sweep.ts'

export function holdVisible({ storage }: Context, before: SpaceState | undefined, after: SpaceState): void {
  const { pins } = storage
  const { came, went } = difference(before?.visible ?? [], after.visible)
  for (const { id } of went) pins.release({ kind: 'contribution', space: after.space, id })
  for (const { id, record } of came)
    pins.hold(
      { kind: 'contribution', space: after.space, id },
      { models: [record.model, ...Object.values(record.sidecars ?? {})] },
    )
}

/** Both are sorted by id. */
function difference(before: readonly VisibleContribution[], after: readonly VisibleContribution[]) {
  const came: VisibleContribution[] = []
  const went: VisibleContribution[] = []
  let old = 0
  for (const one of after) {
    while (old < before.length && before[old]!.id < one.id) went.push(before[old++]!)
    if (before[old]?.id === one.id) old++
    else came.push(one)
  }
  return { came, went: [...went, ...before.slice(old)] }
}

/** The same where content may have been withdrawn for ever; answers what to drop after the commit. */
export function settle(context: Context, before: SpaceState | undefined, after: SpaceState): readonly BlobName[] {
  const { models, pins, results } = context.storage
  holdVisible(context, before, after)
  if (after.revoked === before?.revoked) return []
  const withdrawn = [...after.revoked.keys()].filter((content) => before?.revoked.has(content) !== true)
  return withdrawn.flatMap((content) => {
    results.forgetContent(content)
    if (after.base === content) pins.release({ kind: 'base', space: after.space })
    const dropped = models.findByContent(content).flatMap(({ id }) => forgetUnheld(context, id))
    return [...dropped, ...giveUpRevoked(context, content)]
  })
}
