/** All luck of a run, drawn from one seed: the same seed gives the same run. */
export class Luck {
  readonly #seed: number
  #state: number

  constructor(seed: number) {
    this.#seed = seed
    this.#state = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) >>> 0
  }

  /** For one concern alone: what is drawn here changes nothing that is drawn elsewhere. */
  of(concern: string): Luck {
    let mixed = this.#seed
    for (const letter of concern) mixed = Math.imul(mixed ^ letter.codePointAt(0)!, 0x01000193)
    return new Luck(mixed)
  }

  /** From 0 to below 1 (mulberry32). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let t = this.#state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
  chance(p: number): boolean {
    return this.next() < p
  }
  below(n: number): number {
    return Math.floor(this.next() * n)
  }
  between(min: number, max: number): number {
    return min + this.next() * (max - min)
  }
  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)]!
  }
  bytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.below(256))
  }
  /** Mostly short, one in a hundred a hundred times as long. */
  delay(mean: number): number {
    const exponential = -Math.log(1 - this.next()) * mean
    return this.chance(0.01) ? exponential * 100 : exponential
  }
}
