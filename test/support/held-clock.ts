/** Time that stands still until it is told to pass. */
import type { Clock } from '../../src/core/clock.ts'

export class HeldClock implements Clock {
  #now = 0
  #due = new Map<symbol, { at: number; act: () => void }>()
  now = (): number => this.#now
  get waiting(): number {
    return this.#due.size
  }
  after = (ms: number, act: () => void): (() => void) => {
    const key = Symbol('timer')
    this.#due.set(key, { at: this.#now + ms, act })
    return () => void this.#due.delete(key)
  }
  pass(ms: number): void {
    const until = this.#now + ms
    for (;;) {
      const next = [...this.#due].filter(([, { at }]) => at <= until).sort(([, a], [, b]) => a.at - b.at)[0]
      if (next === undefined) break
      this.#due.delete(next[0])
      this.#now = next[1].at
      next[1].act()
    }
    this.#now = until
  }
}
