/**
 * Work of one kind, so much of it at once: what waits for its turn may be replaced, what is under way is not. Work answers
 * what is to be done once it counts as under way no more, and never fails.
 */
export class Lane<T> {
  readonly #atOnce: number
  readonly #work: (key: string, item: T) => Promise<() => void>
  readonly #underWay = new Map<string, Promise<void>>()
  #waiting = new Map<string, T>()
  #isClosed = false

  constructor(atOnce: number, work: (key: string, item: T) => Promise<() => void>) {
    this.#atOnce = atOnce
    this.#work = work
  }

  /** What is to be done now, in this order; what waited until now and is not among it is forgotten. */
  set(items: ReadonlyMap<string, T>): void {
    this.#waiting = new Map(items)
    this.#fill()
  }

  /** Nothing begins any more; resolves when nothing is under way. */
  async close(): Promise<void> {
    this.#isClosed = true
    await Promise.all(this.#underWay.values())
  }

  #fill(): void {
    for (const [key, item] of this.#waiting) {
      if (this.#isClosed || this.#underWay.size >= this.#atOnce) return
      if (this.#underWay.has(key)) continue
      this.#waiting.delete(key)
      const work = this.#work(key, item).then((after) => {
        this.#underWay.delete(key)
        this.#waiting.delete(key) // it was put there before this ended
        after()
        this.#fill()
      })
      this.#underWay.set(key, work)
    }
  }
}
