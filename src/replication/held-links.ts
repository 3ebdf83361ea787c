/** Links that are not read for a while, because they brought much at once. Their senders wait; nothing is dropped. */
import type { Clock } from '../core/clock.ts'
import type { Link } from '../transport/transport.ts'

export class HeldLinks {
  readonly #clock: Clock
  /** Until when. */
  readonly #held = new Map<Link, number>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** For so long, on top of what was said before. */
  hold(link: Link, ms: number): void {
    const until = this.#held.get(link)
    this.#held.set(link, Math.max(until ?? 0, this.#clock.now()) + ms)
    if (until !== undefined) return
    link.pause()
    this.#lookAfter(link, ms)
  }

  /** Nothing else holds it back: it is read again, unless it is held. */
  resume(link: Link): void {
    if (!this.#held.has(link)) link.resume()
  }

  #lookAfter(link: Link, ms: number): void {
    this.#clock.after(ms, () => {
      const left = (this.#held.get(link) ?? 0) - this.#clock.now()
      if (left > 0) this.#lookAfter(link, left)
      else {
        this.#held.delete(link)
        link.resume()
      }
    })
  }
}
