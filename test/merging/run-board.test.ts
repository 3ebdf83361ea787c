/** What threads of one run share: turns, failures, and the chunks and leaves of every tensor. */
import { expect, test } from 'vitest'
import { hex } from '../../src/core/bytes.ts'
import { leafHash, treeHead } from '../../src/core/merkle.ts'
import { boardOfMerge, MASKS_BYTES, MEASURES_BYTES, OWNER_BYTES } from '../../src/merging/boards.ts'
import { RunBoard } from '../../src/merging/run-board.ts'
import type { MergeTask } from '../../src/merging/task.ts'
import { CHUNK_BYTES } from '../../src/tensors/tensor-hasher.ts'

const leavesOf = (count: number, salt = 0) => Array.from({ length: count }, (_, i) => leafHash(Uint8Array.of(i, salt)))
const rootOf = (leaves: readonly Uint8Array[]) => hex(treeHead(leaves))

test('[MRG-17] all units are wanted until one fails, and then those up to the first that did', () => {
  const board = new RunBoard([1])
  const other = new RunBoard([1], board.shared)
  expect([board.take(), other.take(), board.take()]).toEqual([0, 1, 2])
  expect(other.isWanted(1000)).toBe(true)
  board.fail(7)
  expect([6, 7, 8].map((unit) => other.isWanted(unit))).toEqual([true, true, false])
  other.fail(9) // which was on its way
  board.fail(7)
  expect([6, 7, 8].map((unit) => board.isWanted(unit))).toEqual([true, true, false])
  other.fail(3)
  expect([3, 4, 7].map((unit) => board.isWanted(unit))).toEqual([true, false, false])
})

test('[MRG-5] of a task that was cancelled no unit is wanted', () => {
  const board = new RunBoard([1])
  new RunBoard([1], board.shared).cancel()
  expect(board.isWanted(0)).toBe(false)
})

test('[MRG-6] bytes that all have done are told once each', () => {
  const board = new RunBoard([2 ** 40])
  const other = new RunBoard([2 ** 40], board.shared)
  expect([board.advance(2 ** 33), other.advance(5), board.advance(0)]).toEqual([0, 2 ** 33, 2 ** 33 + 5])
})

// odd and even counts of tensors, since what is counted in 64 bits lies behind what is counted in 32
test.each([1, 2, 3, 4])(
  '[MRG-16] of %i tensors each is whole once all its pieces are, and has the root of its leaves',
  (count) => {
    const sizes = [2 * CHUNK_BYTES + 1, 0, CHUNK_BYTES, 3 * CHUNK_BYTES].slice(0, count)
    const board = new RunBoard(sizes)
    const other = new RunBoard(sizes, board.shared)
    const leaves = sizes.map((bytes, tensor) => leavesOf(Math.ceil(bytes / CHUNK_BYTES), tensor))
    for (const tensor of [3, 1, 0, 2].filter((one) => one < count)) {
      const own = leaves[tensor]!
      expect(other.isFinished(tensor)).toBe(false)
      if (own.length > 1) expect(board.finish(tensor, CHUNK_BYTES, { leaves: own.slice(1) }, tensor + 2)).toBe(false)
      expect(board.isFinished(tensor)).toBe(false)
      expect(other.finish(tensor, 0, { leaves: own.slice(0, 1) }, 5)).toBe(true)
      expect([board.isFinished(tensor), board.rootOf(tensor)]).toEqual([true, rootOf(own)])
      expect(board.notFiniteOf(tensor)).toBe(own.length > 1 ? tensor + 7 : 5)
    }
    leaves.forEach((own, tensor) => expect(other.rootOf(tensor)).toBe(rootOf(own)))
    expect(() => board.finish(0, 0, { leaves: leaves[0]!.slice(0, 1) })).toThrow(/finished once/)
  },
)

test('[MRG-55] who writes the last bytes of a chunk is told so, and nobody before', () => {
  const sizes = [CHUNK_BYTES, 2 * CHUNK_BYTES + 10]
  const board = new RunBoard(sizes)
  const other = new RunBoard(sizes, board.shared)
  expect(board.fill(1, 0, 100)).toBe(false)
  expect(other.fill(1, 2 * CHUNK_BYTES, 2 * CHUNK_BYTES + 4)).toBe(false)
  expect(other.fill(1, 100, CHUNK_BYTES)).toBe(true)
  expect(board.fill(1, 2 * CHUNK_BYTES + 4, 2 * CHUNK_BYTES + 10)).toBe(true)
  expect(board.fill(1, CHUNK_BYTES, 2 * CHUNK_BYTES)).toBe(true)
  expect(board.fill(0, 0, CHUNK_BYTES - 1)).toBe(false)
  expect(() => board.fill(0, CHUNK_BYTES - 2, CHUNK_BYTES)).toThrow(/written once/)
})

test('[KRN-96] a thread alone shares no memory for measures and masks; several share as much as the plan says', () => {
  const tensors = [{ target: { bytes: 5 } }] as unknown as MergeTask['tensors']
  const sizes = (task: Pick<MergeTask, 'maskBytes'>, workers: number) => {
    const { measures, masks } = boardOfMerge({ ...task, tensors } as MergeTask, workers).shared
    return [measures.byteLength, masks.byteLength]
  }
  expect(sizes({ maskBytes: 100 }, 1)).toEqual([0, 0])
  expect(sizes({ maskBytes: 100 }, 3)).toEqual([MEASURES_BYTES, OWNER_BYTES + 300])
  expect(sizes({}, 4)).toEqual([MEASURES_BYTES, OWNER_BYTES + MASKS_BYTES])
})
