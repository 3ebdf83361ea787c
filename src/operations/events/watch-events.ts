/** Following what changes on this replica: spaces and merges, as they are when they are told. */
import type { Context } from '../context.ts'
import type { EventWatch, ReplicaEvent } from '../operations.ts'
import type { SpaceBook } from '../space-book.ts'
import type { Changed, EventFeed } from './event-feed.ts'

export function watchEvents(context: Context, book: SpaceBook, feed: EventFeed, wake: () => void): EventWatch {
  const watching = feed.watch(wake)
  return {
    take() {
      const events = watching.take().flatMap((changed) => eventOf(context, book, changed) ?? [])
      return watching.hasMissed() ? [{ event: 'missed' }, ...events] : events
    },
    end: () => watching.end(),
  }
}

/** Undefined where there is nothing to tell of it any more. */
function eventOf({ storage }: Context, book: SpaceBook, { kind, id }: Changed): ReplicaEvent | undefined {
  if (kind === 'peer') return { event: 'peer', peer: id }
  if (kind === 'space') {
    if (storage.spaces.find(id) === undefined) return undefined
    const state = book.state(id)
    const root = state.hasKnownRules ? { root: state.root } : {}
    return { event: 'space', space: id, ...root, ops_root: state.opsRoot }
  }
  const job = storage.jobs.find(id)
  if (job === undefined) return undefined
  const { space, state, bytesDone, bytesTotal } = job
  return { event: 'merge', space, merge: id, state, bytes_done: bytesDone, bytes_total: bytesTotal }
}
