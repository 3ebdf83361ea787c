/** Chunks that several threads write: in which parts, who hashes them, and what is told where one of them ends early. */
import { expect, test } from 'vitest'
import { strategies } from '../../merge-strategies/index.ts'
import { sha256Hex } from '../../src/core/digest.ts'
import { prepareStrategy } from '../../src/core/prepare.ts'
import { referenceKernels } from '../../src/kernels/reference.ts'
import { boardOfMerge } from '../../src/merging/boards.ts'
import type { RunBoard } from '../../src/merging/run-board.ts'
import { mergeWork, runMerge } from '../../src/merging/run-merge.ts'
import type { MergeTask, TaskTensor, TensorOutcome } from '../../src/merging/task.ts'
import { isWhole, unitsOf } from '../../src/merging/units.ts'
import { hashTensor } from '../../src/tensors/tensor-hasher.ts'
import { floats, numbers } from '../support/checkpoints.ts'
import { MemoryTileFiles } from './memory-tile-files.ts'

const KIB = 1024
const MIB = 1024 * KIB

/** As so many tensors as there are sizes, each read from as many inputs. */
const sized = (inputs: number, ...sizes: readonly number[]): Pick<MergeTask, 'tensors' | 'tileBytes'> => ({
  tileBytes: MIB / 2,
  tensors: sizes.map((bytes, i) => {
    const slice = { path: 'in', offset: 0, bytes, dtype: 'F32' as const }
    const own = Array.from({ length: inputs }, (_, input) => ({ input, weight: 1, params: {}, value: slice }))
    const rule = { kind: 'merge', strategy: 'linear', params: {}, inputs: own } as const
    return { name: `w${i}`, shape: [bytes / 4], elements: bytes / 4, dtype: 'F32', target: slice, rule }
  }),
})

const lengthsOf = (task: Pick<MergeTask, 'tensors' | 'tileBytes'>, workers: number) =>
  unitsOf(task, () => 'nothing', workers).map(([part]) => (part!.end - part!.begin) / KIB)

test('[MRG-55] a chunk is halved until a part of it is an eighth of what a thread has to do, or 32 KiB', () => {
  expect(lengthsOf(sized(100, MIB), 2)).toEqual(Array(16).fill(64))
  expect(lengthsOf(sized(100, MIB), 1)).toEqual([1024])
  expect(lengthsOf(sized(100, MIB), 64)).toEqual(Array(32).fill(32))
  expect(lengthsOf(sized(3, 8 * MIB), 2)).toEqual(Array(16).fill(512))
  expect(lengthsOf({ ...sized(3, 16 * MIB), tileBytes: 2 * MIB }, 2)).toEqual(Array(16).fill(1024))
  expect(lengthsOf({ ...sized(3, 32 * MIB), tileBytes: 2 * MIB }, 2)).toEqual(Array(16).fill(2048))
  const uneven = unitsOf(sized(10, MIB + 96 * KIB + 4, 4), () => 'nothing', 4).map(([part]) => part!)
  expect(uneven.slice(-4)).toEqual(
    [
      { tensor: 0, begin: MIB, end: MIB + 32 * KIB },
      { tensor: 0, begin: MIB + 32 * KIB, end: MIB + 64 * KIB },
      { tensor: 0, begin: MIB + 64 * KIB, end: MIB + 96 * KIB },
      { tensor: 0, begin: MIB + 96 * KIB, end: MIB + 96 * KIB + 4 },
      { tensor: 1, begin: 0, end: 4 },
    ].slice(-4),
  )
  const bytes = MIB + 96 * KIB + 4
  const whole = (begin: number, end: number) => isWhole({ tensor: 0, begin, end }, bytes)
  expect([whole(0, MIB), whole(MIB, bytes), whole(0, bytes)]).toEqual([true, true, true])
  expect([whole(0, 32 * KIB), whole(MIB - 32 * KIB, MIB), whole(MIB, bytes - 4)]).toEqual([false, false, false])
})

/** Three inputs, two chunks: 19 parts for two threads. */
function world(strategy = 'linear') {
  const files = new MemoryTileFiles()
  const elements = 300_000
  const inputs = [0.3, 0.5, 0.2].map((weight) => ({ weight }))
  const declared = strategies.find(({ id }) => id === strategy)!
  const prepared = prepareStrategy({ strategy: declared, inputs, hasBase: false })
  files.files.set('out', new Uint8Array(7 + 4 * elements))
  const tensor: TaskTensor = {
    name: 'w',
    shape: [elements],
    elements,
    dtype: 'F32',
    target: { path: 'out', offset: 7, bytes: 4 * elements },
    rule: {
      kind: 'merge',
      strategy,
      params: prepared.params,
      inputs: prepared.inputs.map(({ weight, params }, input) => {
        const { bytes, dtype } = floats('w', 'F32', [elements], numbers(input + 1))
        files.files.set(`in ${input}`, bytes)
        return { input, weight, params, value: { path: `in ${input}`, offset: 0, bytes: bytes.length, dtype } }
      }),
    },
  }
  const task: MergeTask = {
    merge: '00'.repeat(32),
    seed: '11'.repeat(32),
    inputs: inputs.map((_, i) => ({ content: sha256Hex(Uint8Array.of(i)), label: `model ${i}` })),
    tensors: [tensor],
    tileBytes: 96 * KIB,
  }
  const engine = { files, strategies, kernels: () => referenceKernels }
  const output = () => files.files.get('out')!.subarray(7)
  return { files, task, engine, output }
}

/** Two threads: in its third part, the first one waits for the second to end. `taken`: one has taken its n-th part. */
function mergeByTwo(
  { task, engine, output }: ReturnType<typeof world>,
  taken: (thread: number, nth: number, board: RunBoard) => void = () => undefined,
) {
  const board = boardOfMerge(task, 2)
  const told: string[] = []
  const failures: unknown[] = []
  let parts = 0
  const work = (thread: number): void => {
    let nth = 0
    const watch = {
      onTensor: ({ name, root }: TensorOutcome) => {
        expect(root).toBe(hashTensor(output()).root)
        told.push(name)
      },
    }
    const next = (): void => {
      taken(thread, ++nth, board)
      parts += 1
      if (thread === 1 && nth === 3) work(2)
    }
    try {
      mergeWork(task, engine, 2)(board, watch, next)
    } catch (error) {
      failures.push(error)
    }
  }
  work(1)
  return { told, parts, failures }
}

/** Parts, and each thread's finding that there are no more. */
const ALL = 19 + 2

test('[MRG-55] who writes the last part of a chunk hashes it, and a tensor is told once', () => {
  const alone = world()
  const [outcome] = runMerge(alone.task, alone.engine)
  const both = world()
  expect(mergeByTwo(both)).toEqual({ told: ['w'], parts: ALL, failures: [] })
  expect(hashTensor(both.output()).root).toBe(outcome?.root)
  expect(both.files.open).toBe(0)
})

test('[MRG-5] a merge that is cancelled between parts of a chunk tells no tensor, and is done when asked for again', () => {
  const asked = world()
  const { told, failures } = mergeByTwo(asked, (thread, nth, board) => {
    if (thread === 2 && nth === 5) board.cancel()
  })
  const ended = expect.objectContaining({ code: 'MERGE_CANCELLED' }) as unknown
  expect([told, failures]).toEqual([[], [ended, ended]])
  expect(mergeByTwo(asked)).toEqual({ told: ['w'], parts: ALL, failures: [] })
})

test('[MRG-55] a thread that dies between parts leaves its tensor untold, whatever the others still write', () => {
  const asked = world()
  const killed = new Error('killed')
  const { told, failures, parts } = mergeByTwo(asked, (thread, nth) => {
    if (thread === 2 && nth === 5) throw killed
  })
  expect([told, failures, parts]).toEqual([[], [killed], ALL - 2])
  expect(mergeByTwo(asked)).toEqual({ told: ['w'], parts: ALL, failures: [] })
})
