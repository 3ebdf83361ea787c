/**
 * The slowest a client may send: 64 KiB/s, averaged over each 30 s that are spent waiting for it, after 30 s of grace.
 * Time spent on our own disk is not held against the client.
 */
import { TributaryError } from '../core/errors.ts'
import type { Clock } from './clock.ts'

export const WINDOW_MS = 30_000
export const BYTES_PER_SECOND_MIN = 64 * 1024
const BYTES_PER_WINDOW_MIN = (WINDOW_MS / 1000) * BYTES_PER_SECOND_MIN

const tooSlow = () =>
  new TributaryError('TIMED_OUT', 'the body came more slowly than 64 KiB/s for 30 seconds', {
    hint: 'send it over a faster link, or in resumable parts with /v1/uploads',
  })

export interface Pace {
  /** Waits for what the client sends next, and gives up on a client that is too slow. */
  wait<T>(next: Promise<T>): Promise<T>
  arrived(bytes: number): void
}

export function startPace(clock: Clock): Pace {
  let waitedMs = 0
  let arrivedBytes = 0
  let inGrace = true

  const endWindow = (): boolean => {
    const enough = inGrace || arrivedBytes >= BYTES_PER_WINDOW_MIN
    inGrace = false
    waitedMs = 0
    arrivedBytes = 0
    return enough
  }

  return {
    arrived: (bytes) => void (arrivedBytes += bytes),
    wait: (next) =>
      new Promise((resolve, reject) => {
        let since = clock.now()
        let callOff = () => {}
        const watch = () => {
          callOff = clock.after(Math.max(0, WINDOW_MS - waitedMs), () => {
            if (endWindow()) {
              since = clock.now()
              watch()
            } else reject(tooSlow())
          })
        }
        watch()
        next.then(
          (value) => {
            callOff()
            waitedMs += clock.now() - since
            resolve(value)
          },
          (error: unknown) => {
            callOff()
            reject(error instanceof Error ? error : new Error(String(error)))
          },
        )
      }),
  }
}
