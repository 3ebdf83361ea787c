/** A thread that merges, from its start on. It keeps no process alive, and dying before it is asked for is no failure. */
import { Worker } from 'node:worker_threads'

export interface MergeThread {
  readonly worker: Worker
  isAlive(): boolean
}

/** `entry` is the built worker: it serves requests with `serveMerges`. */
export function startMergeThread(entry: URL): MergeThread {
  const worker = new Worker(entry)
  let alive = true
  const forget = (): void => {
    alive = false
  }
  worker.on('error', forget).on('exit', forget).unref() // an `error` nobody hears would end the process
  return { worker, isAlive: () => alive }
}
