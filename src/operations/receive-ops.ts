/** Ops of other replicas become facts of this one. What they withdraw for ever is dropped at once, as one's own word would. */
import type { SpaceId } from '../core/ids.ts'
import type { SpaceState } from '../core/or-set.ts'
import type { BlobName } from '../storage/blob-store.ts'
import type { Context } from './context.ts'
import { settle } from './holding.ts'
import type { Received, SpaceBook } from './space-book.ts'
import { dropBlobs } from './sweep.ts'

/** Durable when it returns; undefined while the first op of the space is not here. */
export function receiveOps(
  context: Context,
  book: SpaceBook,
  space: SpaceId,
  received: Received,
): SpaceState | undefined {
  const dropped: BlobName[] = []
  const state = book.receive(space, received, (before, after) => {
    if (after.hasKnownRules) dropped.push(...settle(context, before, after))
  })
  void dropBlobs(context, dropped) // reports what fails, and the next sweep does it
  return state
}
