/** The clocks of one replica: one that only goes forward, from its start, and one that says what day it is and may lie. */
import type { Clockwork } from './clockwork.ts'

export class HostClock {
  /** How fast its seconds go by. */
  rate = 1
  offsetMs = 0
  /** The latest that it ever told. */
  latestMs = 0
  readonly #clockwork: Clockwork
  #startedAt = 0

  constructor(clockwork: Clockwork) {
    this.#clockwork = clockwork
  }

  /** A process begins: its own clock does so, too. */
  start(): void {
    this.#startedAt = this.#clockwork.now
  }

  monotonic(): number {
    return (this.#clockwork.now - this.#startedAt) * this.rate
  }

  wall(): number {
    const now = this.#clockwork.now * this.rate + this.offsetMs
    this.latestMs = Math.max(this.latestMs, now)
    return now
  }
}
