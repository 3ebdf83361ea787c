/**
 * Virtual time: what is due first happens first, and of two at one moment the one that was planned first. Where `settles`,
 * all that promises do because of it is done before the next.
 */
interface Due {
  readonly at: number
  readonly order: number
  readonly act: () => void
}

const isBefore = (a: Due, b: Due): boolean => a.at < b.at || (a.at === b.at && a.order < b.order)

/** Nothing that runs here waits for the world outside: a turn of the loop is the end of all that can be done. */
const settled = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve))

export class Clockwork {
  settles = false
  readonly #heap: Due[] = []
  #now = 0
  #order = 0

  get now(): number {
    return this.#now
  }

  after(delay: number, act: () => void): void {
    const due = { at: this.#now + delay, order: this.#order++, act }
    let at = this.#heap.push(due) - 1
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (!isBefore(due, this.#heap[parent]!)) break
      this.#heap[at] = this.#heap[parent]!
      at = parent
    }
    this.#heap[at] = due
  }

  async runUntil(time: number): Promise<void> {
    for (let first = this.#heap[0]; first !== undefined && first.at <= time; first = this.#heap[0]) {
      this.#removeFirst()
      this.#now = first.at
      first.act()
      if (this.settles) await settled()
    }
    this.#now = time
  }

  #removeFirst(): void {
    const last = this.#heap.pop()!
    const size = this.#heap.length
    if (size === 0) return
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= size) break
      if (child + 1 < size && isBefore(this.#heap[child + 1]!, this.#heap[child]!)) child++
      if (!isBefore(this.#heap[child]!, last)) break
      this.#heap[at] = this.#heap[child]!
      at = child
    }
    this.#heap[at] = last
  }
}
