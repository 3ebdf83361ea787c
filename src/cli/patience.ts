/**
 * Doing a thing again that a moment may mend: a bounded number of times, as long apart as the replica asks, each told. What
 * gets further each time may go on for as long as it does.
 */
import { type ErrorCode, isTributaryError, type TributaryError } from '../core/errors.ts'
import type { Frame } from './command.ts'

export const TRIES_MAX = 6
const FIRST_WAIT_MS = 1000
const LONGEST_WAIT_MS = 60_000

/** Of the way there, or of a replica that has no time now. Anything else would fail the same way again. */
const MAY_PASS: ReadonlySet<string> = new Set<ErrorCode>([
  'NETWORK',
  'TIMED_OUT',
  'TOO_MANY_REQUESTS',
  'SERVER_STOPPING',
])

/** `attempt` is told how to say that it got further. It begins where the one before it ended. */
export async function patiently<T>(
  { io, talk, signal }: Pick<Frame, 'io' | 'talk' | 'signal'>,
  attempt: (gotFurther: () => void) => Promise<T>,
): Promise<T> {
  let tries = 0
  for (;;) {
    try {
      return await attempt(() => (tries = 0))
    } catch (error) {
      tries += 1
      if (!isTributaryError(error) || !MAY_PASS.has(error.code) || tries >= TRIES_MAX || signal.aborted) throw error
      const waitMs = waitFor(error, tries)
      talk.warn(`${error.message}; trying again in ${Math.ceil(waitMs / 1000)} s (${tries} of ${TRIES_MAX - 1})`)
      await io.wait(waitMs, signal)
    }
  }
}

/** Twice as long each time, and never less than the replica asked for. */
function waitFor({ details }: TributaryError, tries: number): number {
  const asked = details['retry_after_seconds']
  const askedMs = typeof asked === 'number' ? asked * 1000 : 0
  return Math.min(LONGEST_WAIT_MS, Math.max(askedMs, FIRST_WAIT_MS * 2 ** (tries - 1)))
}
