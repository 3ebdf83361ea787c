/** Keeps one link to an address: dials, and after a failure or an end dials again, later each time, never in step. */
import type { Clock } from '../core/clock.ts'
import { type Address, CLOSE, type Dialer, type Link, type LinkEnd } from './transport.ts'

const FIRST_MS = 500
const LONGEST_MS = 60_000
/** A link that lasted so long was a good one: the next dial is soon. */
const GOOD_MS = 30_000

export interface Redialing {
  readonly dialer: Dialer
  readonly clock: Clock
  /** From 0 to 1. */
  readonly random: () => number
  /** Judges and pins the address anew each time: a name may have moved. */
  readonly address: () => Address | Promise<Address>
  /** Attaches the link, and calls `ended` when it is closed. */
  readonly onLink: (link: Link, ended: (end: LinkEnd) => void) => void
  readonly onFailure?: (error: unknown, nextMs: number) => void
  /** No wait is longer: a minute, where nothing else is said. */
  readonly longestMs?: number
}

/** Half of the doubled wait is certain, the other half is luck: dialers that lost one replica don't come back as one. */
export const waitBefore = (attempt: number, random: () => number, longestMs = LONGEST_MS): number => {
  const longest = Math.min(longestMs, FIRST_MS * 2 ** Math.min(attempt, 20))
  return longest / 2 + (longest / 2) * random()
}

/** Answers how to stop. A link that is there then is left to whoever has it. */
export function keepDialing({ dialer, clock, random, address, onLink, onFailure, longestMs }: Redialing): () => void {
  const stop = new AbortController()
  let attempt = 0
  let callOff = (): void => undefined

  const again = (why?: unknown): void => {
    if (stop.signal.aborted) return
    const ms = waitBefore(attempt++, random, longestMs)
    callOff = clock.after(ms, dial)
    if (why !== undefined) onFailure?.(why, ms)
  }
  function dial(): void {
    void (async () => dialer.dial(await address(), stop.signal))().then((link) => {
      if (stop.signal.aborted) {
        link.close(CLOSE.goingAway, 'it is not wanted any more')
        return
      }
      const since = clock.now()
      onLink(link, () => {
        if (clock.now() - since >= GOOD_MS) attempt = 0
        again()
      })
    }, again)
  }
  dial()
  return () => {
    stop.abort()
    callOff()
  }
}
