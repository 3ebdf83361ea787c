import { describe, expect, test } from 'vitest'
import type { ManifestTensor } from '../../src/tensors/manifest.ts'
import { CHUNK_BYTES, hashTensor } from '../../src/tensors/tensor-hasher.ts'
import { tiedNames } from '../../src/tensors/ties.ts'

interface Form {
  readonly elements?: number
  readonly dtype?: 'F32' | 'I32'
  readonly shape?: readonly number[]
}

/** A tensor whose bytes are all `fill`. */
function tensor(name: string, fill: number, { elements = 4, dtype = 'F32', shape }: Form = {}): ManifestTensor {
  const { root, bytes } = hashTensor(new Uint8Array(elements * 4).fill(fill))
  return { name, dtype, shape: shape ?? [elements], bytes, root }
}
const embed = (fill: number) => tensor('model.embed_tokens.weight', fill)
const head = (fill: number) => tensor('lm_head.weight', fill)
const norm = tensor('model.norm.weight', 1)

describe('tied', () => {
  test('[MAN-8] an lm_head stored only by some, always as a copy of the embedding, is the embedding', () => {
    const models = [
      [embed(2), norm],
      [embed(3), head(3), norm],
      [embed(4), head(4), norm],
    ]
    expect(tiedNames(models)).toEqual(new Map([['lm_head.weight', 'model.embed_tokens.weight']]))
    expect(tiedNames(models.toReversed())).toEqual(tiedNames(models))
  })

  test('[MAN-8] the names of T5: several copies of one tensor are each tied to it', () => {
    const copies = ['encoder.embed_tokens.weight', 'decoder.embed_tokens.weight', 'lm_head.weight']
    const all = (fill: number) => [tensor('shared.weight', fill), ...copies.map((name) => tensor(name, fill))]
    expect(tiedNames([all(5), [tensor('shared.weight', 6)]])).toEqual(
      new Map(copies.sort().map((name) => [name, 'shared.weight'])),
    )
  })

  test('[MAN-8] of several tensors that could stand for it, the first by name does', () => {
    const models = [
      [tensor('b', 2), tensor('a', 2), tensor('x', 2)],
      [tensor('a', 3), tensor('b', 4)],
    ]
    expect(tiedNames(models).get('x')).toBe('a')
  })
})

describe('not tied', () => {
  test('[MAN-9] where one of the models has an lm_head of its own', () => {
    const models = [
      [embed(2), norm],
      [embed(3), head(3), norm],
      [embed(4), head(5), norm],
    ]
    expect(tiedNames(models).size).toBe(0)
  })

  test('[MAN-9] where every model stores the name: then its bytes are merged as they are', () => {
    expect(
      tiedNames([
        [embed(2), head(2)],
        [embed(3), head(3)],
      ]).size,
    ).toBe(0)
    expect(tiedNames([[embed(2), head(2)]]).size).toBe(0)
    expect(tiedNames([]).size).toBe(0)
  })

  test('[MAN-9] where the copies are of different tensors', () => {
    const models = [
      [tensor('a', 2), tensor('b', 3), tensor('x', 2)],
      [tensor('a', 2), tensor('b', 3), tensor('x', 3)],
      [tensor('a', 1), tensor('b', 1)],
    ]
    expect(tiedNames(models).size).toBe(0)
  })

  test('[MAN-9] where the tensor it copies is missing somewhere too', () => {
    expect(tiedNames([[norm], [norm, tensor('x', 7), tensor('y', 7)]]).size).toBe(0)
  })

  test('[MAN-9] where the bytes are the same and the shape or the dtype is not', () => {
    expect(tiedNames([[embed(2)], [embed(3), tensor('lm_head.weight', 3, { shape: [2, 2] })]]).size).toBe(0)
    expect(tiedNames([[embed(2)], [embed(3), tensor('lm_head.weight', 3, { dtype: 'I32' })]]).size).toBe(0)
  })

  test('[MAN-9] where all there is are zeros, such as biases that were never trained', () => {
    for (const elements of [4, CHUNK_BYTES / 4, CHUNK_BYTES / 2 + 1]) {
      const zeros = (name: string) => tensor(name, 0, { elements })
      expect(tiedNames([[zeros('q.bias')], [zeros('q.bias'), zeros('k.bias')]]).size).toBe(0)
    }
    const empty = (name: string) => tensor(name, 0, { elements: 0 })
    expect(tiedNames([[empty('a')], [empty('a'), empty('b')]]).size).toBe(0)
  })
})
