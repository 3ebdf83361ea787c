/**
 * When V8 optimizes what it runs. By itself it does after half a millisecond of a function: of a merge on this machine,
 * which calls much and little of it long, it compiled a third of the time. No result depends on it.
 */
import { setFlagsFromString } from 'node:v8'

/** Bytes of bytecode between two looks at whether a function is hot: ten times as many as V8 11 has by itself. */
const LATE_BUDGET_BYTES = 10 * 132 * 1024

/**
 * Of all threads, from now on. Threads that start later take twice as long to start, since what was compiled of Node itself
 * counts for V8's own flags alone. Another V8 than Node 20's knows other ways, and is left alone.
 */
export function optimizeLate(): void {
  if (process.versions.v8.startsWith('11.')) setFlagsFromString(`--interrupt-budget=${LATE_BUDGET_BYTES}`)
}
