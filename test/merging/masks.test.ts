import { expect, test } from 'vitest'
import { referenceKernels } from '../../src/kernels/reference.ts'
import { maskBytes, type ProgramStep } from '../../src/kernels/strip-program.ts'
import { Masks, type MaskRoom, masksBytes, OwnMasks, SharedMasks } from '../../src/merging/evaluate/masks.ts'
import { type Asked, outcome, smooth, watched } from './formula-world.ts'

const ELEMENTS = 3 * 4096 + 70
const wanted = [1, 2, 3].map((low) => ({ key: { low, high: 0 }, probability: 0.5 }))
const bitsOf = (seed: number, count: number): Uint8Array =>
  Uint8Array.from({ length: maskBytes(count) }, (_, i) => 37 * i + seed)
const place = (masks: Masks, low: number) => masks.placeOf({ low, high: 0 }, 0.5)

function recalled(masks: Masks, places: readonly number[], first: number, count: number) {
  const into = places.map(() => new Uint8Array(maskBytes(count)))
  return masks.recall(places, first, into) ? into : undefined
}

test('[KRN-96] a mask is there block by block, and only where all that are asked for are', () => {
  const masks = new Masks(new OwnMasks(masksBytes(3, ELEMENTS)), 0, ELEMENTS, wanted)
  expect([1, 2, 3].map((low) => place(masks, low))).toEqual([0, 1, 2])
  expect(masks.placeOf({ low: 1, high: 0 }, 0.3)).toBeUndefined()
  expect(recalled(masks, [0], 0, 4096)).toBeUndefined()
  const [a, b, last] = [bitsOf(1, 8192), bitsOf(2, 8192), bitsOf(3, 70)]
  masks.keep([0, 2], 4096, [a, b])
  masks.keep([2], 3 * 4096, [last])
  expect(recalled(masks, [2, 0], 4096, 8192)).toEqual([b, a])
  expect(recalled(masks, [0], 8192, 4096)).toEqual([a.subarray(512)])
  expect(recalled(masks, [2], 4096, 8192 + 70)).toEqual([Uint8Array.of(...b, ...last)])
  expect(recalled(masks, [0], 0, 8192)).toBeUndefined()
  expect(recalled(masks, [0, 1], 4096, 4096)).toBeUndefined()
  expect(recalled(masks, [0], 4096, 8192 + 70)).toBeUndefined()
})

test('[KRN-96] as many masks are kept as there is room for, each once', () => {
  const of = (room: number) => new Masks(new OwnMasks(room), 0, ELEMENTS, [...wanted, ...wanted])
  const two = of(masksBytes(3, ELEMENTS) - 1)
  expect([1, 2, 3].map((low) => place(two, low))).toEqual([0, 1, undefined])
  expect([1, 2, 3].map((low) => place(of(0), low))).toEqual([undefined, undefined, undefined])
})

test('[KRN-96] the room of one thread is for the tensor that asked last', () => {
  const room = new OwnMasks(masksBytes(3, ELEMENTS))
  const [one, other] = [0, 1].map((tensor) => new Masks(room, tensor, ELEMENTS, wanted)) as [Masks, Masks]
  one.keep([0], 0, [bitsOf(1, 4096)])
  expect(recalled(other, [0], 0, 4096)).toBeUndefined()
  other.keep([1], 0, [bitsOf(2, 4096)])
  expect(recalled(other, [1], 0, 4096)).toEqual([bitsOf(2, 4096)])
  expect(recalled(one, [0], 0, 4096)).toBeUndefined()
})

test('[KRN-96] threads share the room of a tensor until it is written', () => {
  const written = new Set<number>()
  const memory = new SharedArrayBuffer(SharedMasks.bytesFor(masksBytes(3, ELEMENTS)))
  const roomOf = (): MaskRoom => new SharedMasks(memory, (tensor) => written.has(tensor))
  const masksOf = (tensor: number) => new Masks(roomOf(), tensor, ELEMENTS, wanted)
  masksOf(4).keep([1], 8192, [bitsOf(1, 4096)])
  expect(recalled(masksOf(4), [1], 8192, 4096)).toEqual([bitsOf(1, 4096)])
  const next = masksOf(5)
  next.keep([1], 8192, [bitsOf(2, 4096)])
  expect(recalled(next, [1], 8192, 4096)).toBeUndefined()
  expect(recalled(masksOf(4), [1], 8192, 4096)).toEqual([bitsOf(1, 4096)])
  written.add(4)
  expect(recalled(next, [1], 8192, 4096)).toBeUndefined()
  next.keep([0], 0, [bitsOf(3, 4096)])
  expect(recalled(masksOf(5), [0], 0, 4096)).toEqual([bitsOf(3, 4096)])
  expect(recalled(masksOf(5), [1], 8192, 4096)).toBeUndefined()
})

const ASKED: readonly Asked[] = [
  { strategy: 'dare_ties', own: { density: 0.5 }, count: 3, elements: [17_011, 5_000], value: smooth },
  { strategy: 'dare_linear', own: { density: 0.3 }, params: { rescale_mode: 'linf' }, count: 4, elements: [9_001] },
]
const has = (steps: readonly ProgramStep[], ...words: ProgramStep['do'][]) =>
  words.every((word) => steps.some((step) => step.do === word))

test('[KRN-96] a merge has the same bytes whether all its masks are kept, some of them or none', () => {
  for (const asked of ASKED) {
    const expected = outcome(asked, referenceKernels)
    const kept = [undefined, masksBytes(2, 17_011), 0].map((maskBytes) => {
      const { kernels, seen } = watched()
      expect(outcome({ ...asked, ...(maskBytes !== undefined && { maskBytes }) }, kernels)).toEqual(expected)
      expect(seen.refused).toBe(0)
      const writing = seen.programs.filter(({ dtype }) => dtype !== undefined)
      return writing.every(({ steps }) => has(steps, 'pick') && !has(steps, 'draw'))
    })
    expect(kept).toEqual([true, true, false])
  }
})

test('[KRN-96] what a measuring pass does not draw is drawn for the output', () => {
  for (const asked of ASKED) {
    const { kernels, seen } = watched()
    let drawing = 0
    const failing: typeof kernels = {
      ...kernels,
      compile(program) {
        const run = kernels.compile(program)
        if (!run || !has(program.steps, 'draw')) return run
        return (...range) => drawing++ % 2 === 1 && run(...range)
      },
    }
    expect(outcome(asked, failing)).toEqual(outcome(asked, referenceKernels))
    const written = seen.programs.filter(({ dtype }) => dtype !== undefined)
    expect(written.some(({ steps }) => has(steps, 'drop'))).toBe(true)
    expect(drawing).toBeGreaterThan(1)
  }
})
