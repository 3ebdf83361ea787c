/** A thread that merges, from its start on. It keeps no process alive, and dying before it is asked for is no failure. */
import { Worker } from 'node:worker_threads'
import type { Reply } from './worker-protocol.ts'

export interface MergeThread {
  readonly worker: Worker
  /** All that it runs is loaded. Never of a thread that died before. */
  readonly loaded: Promise<void>
  isAlive(): boolean
}

/** `entry` is the built worker: it serves requests with `serveMerges`. */
export function startMergeThread(entry: URL): MergeThread {
  const worker = new Worker(entry)
  let alive = true
  const forget = (): void => {
    alive = false
  }
  const loaded = new Promise<void>((resolve) => {
    const hear = ({ kind }: Reply): void => {
      if (kind !== 'loaded') return
      worker.off('message', hear)
      resolve()
    }
    worker.on('message', hear)
  })
  worker.on('error', forget).on('exit', forget).unref() // an `error` nobody hears would end the process
  return { worker, loaded, isAlive: () => alive }
}
