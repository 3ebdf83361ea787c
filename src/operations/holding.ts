/** What a space shows is held, what it withdrew is let go: committed together with the ops that changed it. */
import type { SpaceState } from '../core/or-set.ts'
import type { BlobName } from '../storage/blob-store.ts'
import type { Context } from './context.ts'
import { forgetUnheld } from './sweep.ts'

export function holdVisible({ storage }: Context, before: SpaceState | undefined, after: SpaceState): void {
  const shown = new Set(after.visible.map(({ id }) => id))
  for (const { id } of before?.visible ?? [])
    if (!shown.has(id)) storage.pins.release({ kind: 'contribution', space: after.space, id })
  const had = new Set(before?.visible.map(({ id }) => id))
  for (const { id, record } of after.visible)
    if (!had.has(id))
      storage.pins.hold(
        { kind: 'contribution', space: after.space, id },
        { models: [record.model, ...Object.values(record.sidecars ?? {})] },
      )
}

/** The same where content may have been withdrawn for ever; answers what to drop after the commit. */
export function settle(context: Context, before: SpaceState | undefined, after: SpaceState): readonly BlobName[] {
  const { models, pins, results } = context.storage
  holdVisible(context, before, after)
  const withdrawn = [...after.revoked.keys()].filter((content) => before?.revoked.has(content) !== true)
  return withdrawn.flatMap((content) => {
    results.forgetContent(content)
    if (after.base === content) pins.release({ kind: 'base', space: after.space })
    return models.findByContent(content).flatMap(({ id }) => forgetUnheld(context, id))
  })
}
