import fc from 'fast-check'
import { expect, test } from 'vitest'
import { compareUtf8 } from '../../src/core/bytes.ts'
import { assembleCheckpoint, parseIndex } from '../../src/tensors/checkpoint.ts'
import { bytesPerElement, type Dtype } from '../../src/tensors/dtypes.ts'
import { parseHeader, tensorBytesOf, type TensorShape, writeHeader } from '../../src/tensors/safetensors.ts'
import { planShards } from '../../src/tensors/shards.ts'
import { refusalOf } from '../support/refusal.ts'

const tensor = (name: string, elements: number, dtype: Dtype = 'F32'): TensorShape => ({
  name,
  dtype,
  shape: [elements],
})
const models = fc.uniqueArray(
  fc.record({
    name: fc.constantFrom('ﬁ', '🌊', '10', '9', 'a', 'b', 'model.layers.1.w', 'model.layers.10.w', 'z'),
    dtype: fc.constantFrom<Dtype>('F32', 'BF16', 'BOOL'),
    shape: fc.array(fc.nat(6), { maxLength: 2 }),
  }),
  { selector: ({ name }) => name },
)

test('[IDX-10] a model that fits is one file without an index', () => {
  expect(planShards([tensor('b', 1), tensor('a', 2)], 12)).toEqual({
    shards: [{ path: 'model.safetensors', tensors: [tensor('a', 2), tensor('b', 1)], bytes: 12 }],
    index: undefined,
  })
  expect(planShards([]).shards).toEqual([{ path: 'model.safetensors', tensors: [], bytes: 0 }])
})

test('[IDX-10] a shard is closed before the tensor that would make it too large; a large tensor has its own', () => {
  const { shards } = planShards([tensor('a', 1), tensor('b', 1), tensor('c', 9), tensor('d', 1)], 8)
  expect(shards.map(({ path, tensors, bytes }) => [path, tensors.map(({ name }) => name).join(''), bytes])).toEqual([
    ['model-00001-of-00003.safetensors', 'ab', 8],
    ['model-00002-of-00003.safetensors', 'c', 36],
    ['model-00003-of-00003.safetensors', 'd', 4],
  ])
})

test('[IDX-11] the index has one text: sorted by UTF-8 bytes, with the size of the tensors', () => {
  const { index } = planShards([tensor('🌊', 1), tensor('ﬁ', 1), tensor('9', 1), tensor('10', 1)], 12)
  expect(index).toBe(
    `{
  "metadata": {
    "total_size": 16
  },
  "weight_map": {
    "10": "model-00001-of-00002.safetensors",
    "9": "model-00001-of-00002.safetensors",
    "ﬁ": "model-00001-of-00002.safetensors",
    "🌊": "model-00002-of-00002.safetensors"
  }
}
`,
  )
})

test('[IDX-10] order of the tensors given does not matter, and what was cut assembles again', () => {
  const cases = models.chain((tensors) =>
    fc.tuple(
      fc.constant(tensors),
      fc.shuffledSubarray(tensors, { minLength: tensors.length }),
      fc.integer({ min: 1, max: 100 }),
    ),
  )
  fc.assert(
    fc.property(cases, ([tensors, shuffled, shardBytes]) => {
      const plan = planShards(tensors, shardBytes)
      expect(planShards(shuffled, shardBytes)).toEqual(plan)
      for (const shard of plan.shards) {
        expect(shard.bytes).toBe(shard.tensors.reduce((sum, one) => sum + tensorBytesOf(one), 0))
        expect(shard.bytes <= shardBytes || shard.tensors.filter((one) => tensorBytesOf(one) > 0).length === 1).toBe(
          true,
        )
      }
      const headers = new Map(
        plan.shards.map((shard) => [shard.path, parseHeader(writeHeader(shard.tensors), shard.bytes)]),
      )
      const again = assembleCheckpoint(headers, plan.index === undefined ? undefined : parseIndex(plan.index))
      const names = tensors.map(({ name }) => name).sort(compareUtf8)
      expect(again.map(({ name }) => name)).toEqual(names)
    }),
    { seed: 1, numRuns: 200 },
  )
})

test('[IDX-12] wider elements lie first, so every tensor is aligned to its own elements', () => {
  fc.assert(
    fc.property(models, (tensors) => {
      const [shard] = planShards(tensors).shards
      const header = parseHeader(writeHeader(shard?.tensors ?? []))
      for (const { dtype, begin } of header.tensors)
        expect((8 + header.headerBytes + begin) % bytesPerElement(dtype)).toBe(0)
    }),
    { seed: 1, numRuns: 100 },
  )
  const mixed = [tensor('a', 3, 'BOOL'), tensor('b', 1, 'BF16'), tensor('c', 1, 'F32'), tensor('d', 1, 'F32')]
  expect(
    planShards(mixed)
      .shards[0]?.tensors.map(({ name }) => name)
      .join(''),
  ).toBe('cdba')
})

test('[IDX-10] a size that can hold nothing and a name given twice are refused', () => {
  expect(refusalOf(() => planShards([tensor('a', 1)], 0)).code).toBe('RECIPE_INVALID')
  expect(refusalOf(() => planShards([tensor('a', 1)], NaN)).code).toBe('RECIPE_INVALID')
  expect(refusalOf(() => planShards([tensor('a', 1), tensor('a', 2)])).code).toBe('SAFETENSORS_DUPLICATE_NAME')
})
