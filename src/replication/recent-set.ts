/** A set of bounded size: the one not asked for longest makes room. */
export class RecentSet {
  readonly #max: number
  readonly #names = new Set<string>()

  constructor(max: number) {
    this.#max = max
  }

  has(name: string): boolean {
    if (!this.#names.delete(name)) return false
    this.#names.add(name)
    return true
  }

  add(name: string): void {
    this.#names.delete(name)
    this.#names.add(name)
    for (const oldest of this.#names) {
      if (this.#names.size <= this.#max) break
      this.#names.delete(oldest)
    }
  }
}
