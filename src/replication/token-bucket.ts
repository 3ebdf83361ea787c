/** So much a second, and a burst. The time is given. */
export class TokenBucket {
  readonly #perSecond: number
  readonly #burst: number
  #tokens: number
  #at: number

  constructor(perSecond: number, burst: number, now: number) {
    this.#perSecond = perSecond
    this.#burst = burst
    this.#tokens = burst
    this.#at = now
  }

  /** How long it takes until so much has come back; nothing is waited for while half of the burst is left. */
  waitAfter(amount: number): number {
    return this.#tokens >= this.#burst / 2 ? 0 : (amount / this.#perSecond) * 1000
  }

  /** Takes all of it or nothing. */
  take(amount: number, now: number): boolean {
    if (now > this.#at) {
      this.#tokens = Math.min(this.#burst, this.#tokens + ((now - this.#at) / 1000) * this.#perSecond)
      this.#at = now
    }
    if (amount > this.#tokens) return false
    this.#tokens -= amount
    return true
  }
}
