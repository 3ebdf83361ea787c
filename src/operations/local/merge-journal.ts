/**
 * Which tensors of an unfinished output are written, one line each, beside it. What it says is a claim: whoever takes a
 * tensor over hashes it first. So lines are not synced, and one that is torn or rotten is passed over.
 */
import { closeSync, openSync, writeSync } from 'node:fs'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { utf8 } from '../../core/bytes.ts'
import { sha256Hex } from '../../core/digest.ts'
import { isHex64 } from '../../core/ids.ts'
import type { TensorOutcome } from '../../merging/task.ts'

const SUM_DIGITS = 16
const sumOf = (merge: string, text: string): string => sha256Hex(utf8(`${merge} ${text}`)).slice(0, SUM_DIGITS)

export class MergeJournal {
  readonly #path: string
  readonly #merge: string
  #works = true
  #file: number | undefined

  /** Of one merge: a line of another one's journal is none of this. */
  constructor(path: string, merge: string) {
    this.#path = path
    this.#merge = merge
  }

  async read(): Promise<readonly TensorOutcome[]> {
    try {
      const lines = (await readFile(this.#path, 'utf8')).split('\n')
      return lines.flatMap((line) => this.#parse(line) ?? [])
    } catch {
      return [] // not there, or not readable: the same
    }
  }

  /** Nothing but these: torn lines end here. */
  async begin(outcomes: readonly TensorOutcome[]): Promise<void> {
    await this.#attempt(() => writeFile(this.#path, outcomes.map((outcome) => this.#print(outcome)).join('')))
  }

  /** At once, and before the next tensor is told: lines are few and short beside tensors. */
  add(outcome: TensorOutcome): void {
    if (!this.#works) return
    try {
      this.#file ??= openSync(this.#path, 'a')
      writeSync(this.#file, this.#print(outcome))
    } catch {
      this.#works = false // the merge doesn't need it
    }
  }

  async remove(): Promise<void> {
    if (this.#file !== undefined) closeSync(this.#file)
    this.#file = undefined
    await rm(this.#path, { recursive: true, force: true })
  }

  async #attempt(work: () => Promise<void>): Promise<void> {
    await work().catch(() => (this.#works = false))
  }

  #print({ name, root, scalars }: TensorOutcome): string {
    const text = JSON.stringify([name, root, scalars])
    return `${sumOf(this.#merge, text)} ${text}\n`
  }

  #parse(line: string): TensorOutcome | undefined {
    const text = line.slice(SUM_DIGITS + 1)
    if (text === '' || line.slice(0, SUM_DIGITS) !== sumOf(this.#merge, text)) return undefined
    const [name, root, scalars] = JSON.parse(text) as readonly unknown[]
    return typeof name === 'string' && typeof root === 'string' && isHex64(root) && Array.isArray(scalars)
      ? { name, root, scalars: scalars as number[] }
      : undefined
  }
}
