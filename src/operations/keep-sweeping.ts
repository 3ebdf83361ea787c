/** Sweeps at the start and once an hour from then on, one sweep at a time. What a sweep fails to do the next one does. */
import type { Clock } from '../core/clock.ts'

const EVERY_MS = 3600 * 1000

interface Sweeping {
  readonly clock: Clock
  readonly sweep: () => Promise<unknown>
  readonly report: (what: string, error: unknown) => void
}

/** Answers how to stop: once the sweep that is under way has ended. */
export function keepSweeping({ clock, sweep, report }: Sweeping): () => Promise<void> {
  let isStopped = false
  let callOff = (): void => undefined
  let underWay: Promise<void> | undefined
  const begin = () => {
    underWay = sweep()
      .then(
        () => undefined,
        (error: unknown) => report('sweep', error),
      )
      .finally(() => {
        if (!isStopped) callOff = clock.after(EVERY_MS, begin)
      })
  }
  callOff = clock.after(0, begin)
  return async () => {
    isStopped = true
    callOff()
    await underWay
  }
}
