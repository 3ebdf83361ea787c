/** The clock of the machine. Its timers keep no process alive. */
import type { Clock } from '../core/clock.ts'

export type { Clock } from '../core/clock.ts'

export const systemClock: Clock = {
  now: () => performance.now(),
  after(ms, act) {
    const timer = setTimeout(act, ms)
    timer.unref()
    return () => clearTimeout(timer)
  },
}
