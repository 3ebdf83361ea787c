import { expect, test } from 'vitest'
import type { BlockSum } from '../../src/kernels/measures.ts'
import { referenceKernels } from '../../src/kernels/reference.ts'
import type { Measure, RunProgram } from '../../src/kernels/strip-program.ts'
import { programOf } from '../../src/merging/evaluate/compile.ts'
import { compiled } from '../../src/merging/evaluate/running.ts'
import type { Schedule } from '../../src/merging/evaluate/schedule.ts'
import type { Sink } from '../../src/merging/evaluate/sinks.ts'
import { Spares } from '../../src/merging/evaluate/spares.ts'

type Sums = Extract<Measure, { measure: 'sums' }>
const sums = (op: BlockSum = 'l1', more: Partial<Sums> = {}): Sums => ({
  measure: 'sums',
  op,
  pairs: [[0, 0]],
  totals: new Float64Array(1),
  ...more,
})
const sinkOf = (measure: Measure) => ({ measure: () => measure }) as unknown as Sink<Float64Array>

/** Two sums, one after the other. */
function scheduleOf(first: Sums, second: Sums, planes: readonly [number, number] = [0, 0]): Schedule<Float64Array> {
  const sink = (measure: Sums, plane: number) =>
    ({ do: 'sink', sink: sinkOf(measure), planes: [plane], origin: [0], offset: 0, narrow: true }) as const
  const read = { do: 'read', stream: { input: 0 }, check: true, narrow: true } as const
  const steps = [{ ...read, out: 0 }, { ...read, out: 1 }, sink(first, planes[0]), sink(second, planes[1])]
  return { steps, constants: [], buffers: 2, sums: 0, output: undefined }
}
const measuresOf = (...given: Parameters<typeof scheduleOf>) =>
  programOf(scheduleOf(...given), () => 'BF16', undefined)!.program.steps.filter((step) => step.do === 'measure')

test('[KRN-130] two sums of one plane are one step, and sums of other planes, by another word, or half by blocks are two', () => {
  expect(measuresOf(sums(), sums())).toHaveLength(1)
  expect(measuresOf(sums(), sums(), [0, 1])).toHaveLength(2)
  expect(measuresOf(sums(), sums('l2'))).toHaveLength(2)
  const tellBlocks = (): void => undefined
  expect(measuresOf(sums('l1', { tellBlocks }), sums())).toHaveLength(2)
  expect(measuresOf(sums(), sums('l1', { tellBlocks }))).toHaveLength(2)
  expect(measuresOf(sums('l1', { tellBlocks }), sums('l1', { tellBlocks }))).toHaveLength(1)
  expect(measuresOf(sums('dot', { pairs: [[0, 0]] }), sums('dot', { pairs: [[0, 1]] }))).toHaveLength(2)
})

test('[KRN-130] both of two such sums are told, and neither where the run ends early', () => {
  let ends = true
  const kernels = {
    ...referenceKernels,
    compile: (program: { steps: readonly { do: string; measure?: Sums }[] }): RunProgram => {
      const measure = program.steps.find((step) => step.do === 'measure')!.measure!
      return () => {
        if (measure.tellBlocks) measure.tellBlocks(Float64Array.of(3, 4))
        else measure.totals[0]! += 5
        return ends
      }
    },
  } as unknown as typeof referenceKernels
  const source = { dtypeOf: () => 'BF16' } as never
  const ground = { kernels, source, spares: new Spares(kernels), tensor: 0, masks: undefined }
  const [one, other] = [sums(), sums()]
  const { run } = compiled(scheduleOf(one, other), undefined, ground)!
  expect(run([], 0, 0)).toBe(true)
  expect([one.totals[0], other.totals[0]]).toEqual([5, 5])
  ends = false
  expect(run([], 0, 0)).toBe(false)
  expect(other.totals[0]).toBe(5)
  const told: number[][] = [[], []]
  const telling = told.map((into) => sums('l1', { tellBlocks: (blocks) => into.push(...blocks) }))
  compiled(scheduleOf(telling[0]!, telling[1]!), undefined, ground)!.run([], 0, 0)
  expect(told).toEqual([
    [3, 4],
    [3, 4],
  ])
})
