/**
 * Thresholds and norms that earlier merges measured, in the user's cache directory, by the content they were measured of.
 * A file that is damaged counts as none, so the tensor is measured again.
 */
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { utf8 } from '../../core/bytes.ts'
import { sha256Hex } from '../../core/digest.ts'
import type { Strategy } from '../../core/strategy.ts'
import type { Learned } from '../../merging/evaluate/evaluation.ts'
import { RuleFacts } from '../../merging/memory.ts'
import { streamIdentityOf, type MergeTask, type TensorOutcome } from '../../merging/task.ts'

/** Of one tensor's content: the newest stay. */
const KEPT_MAX = 64

export interface MeasureCache {
  /** The task, with what is known of the contents that it reads. */
  recall(task: MergeTask): Promise<MergeTask>
  keep(outcomes: readonly TensorOutcome[]): Promise<void>
}

export function createMeasureCache(directory: string, strategies: readonly Strategy[]): MeasureCache {
  const pathOf = (identity: string) => {
    const name = sha256Hex(utf8(identity))
    return join(directory, 'measures', name.slice(0, 2), `${name.slice(2)}.json`)
  }
  const find = async (identity: string): Promise<readonly Learned[]> => {
    try {
      const text = await readFile(pathOf(identity), 'utf8')
      const [sum, values] = [text.slice(0, 64), text.slice(65)]
      return sum === sha256Hex(utf8(values)) ? (JSON.parse(values) as readonly Learned[]) : []
    } catch {
      return [] // not there, or not readable: the same
    }
  }
  const write = async (identity: string, learned: readonly Learned[]): Promise<void> => {
    const all = new Map([...(await find(identity)), ...learned].map((one) => [one[0], one]))
    const values = JSON.stringify([...all.values()].slice(-KEPT_MAX))
    const path = pathOf(identity)
    await mkdir(dirname(path), { recursive: true, mode: 0o700 })
    await writeFile(`${path}.${process.pid}`, `${sha256Hex(utf8(values))} ${values}`, { mode: 0o600 })
    await rename(`${path}.${process.pid}`, path)
  }
  return {
    async recall(task) {
      const facts = new RuleFacts(strategies)
      const tensors = []
      for (const tensor of task.tensors) {
        const { rule } = tensor
        if (rule.kind === 'copy' || facts.of(rule).passes === 1) {
          tensors.push(tensor) // nothing is measured
          continue
        }
        const roots = rule.inputs.map(({ value }) => value)
        const recalled: Learned[] = []
        for (const { dtype, root } of roots)
          if (root !== undefined) recalled.push(...(await find(streamIdentityOf({ dtype, root }))))
        tensors.push({ ...tensor, recalled })
      }
      return { ...task, tensors }
    },
    async keep(outcomes) {
      const found = new Map<string, Learned[]>()
      for (const { learned = [] } of outcomes)
        for (const one of learned) found.set(one[2], [...(found.get(one[2]) ?? []), one])
      for (const [identity, learned] of found) await write(identity, learned).catch(() => undefined) // a cache that can't be written costs time, nothing else
    },
  }
}
