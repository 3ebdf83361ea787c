/** Snapshots made in a thread of their own, one at a time; none where the program runs from its sources. */
import { join, resolve } from 'node:path'
import { Worker } from 'node:worker_threads'
import type { Compactor } from './operations/compaction.ts'

/** `entry` is the built thread. */
export function createCompactor(dataDirectory: string, entry = builtEntry()): Compactor | undefined {
  if (entry === undefined) return undefined
  const path = join(resolve(dataDirectory), 'tributary.db')
  const threads = new Set<Worker>()
  return {
    compact: (space) =>
      new Promise((settle, fail) => {
        const thread = new Worker(entry, { workerData: { path, space } })
        threads.add(thread)
        thread.unref()
        thread.once('message', settle)
        thread.once('error', fail)
        thread.once('exit', () => {
          threads.delete(thread)
          settle(undefined) // where nothing was said before: it was stopped
        })
      }),
    async close() {
      await Promise.all([...threads].map(async (thread) => thread.terminate()))
    },
  }
}

const builtEntry = (): URL | undefined =>
  import.meta.url.endsWith('.js') ? new URL('./compaction-worker.js', import.meta.url) : undefined
