import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import type { ContentRoot } from '../../src/core/ids.ts'
import { randomWords } from '../../src/core/philox.ts'
import { type Seed, randomKey, seedFromContents, seedFromInteger } from '../../src/core/seed.ts'

interface Vectors {
  readonly contents: readonly { readonly contents: readonly ContentRoot[]; readonly seed: Seed }[]
  readonly integers: readonly { readonly n: number; readonly seed: Seed }[]
  readonly elements: readonly number[]
  readonly keys: readonly {
    readonly seed: Seed
    readonly strategy: string
    readonly content: ContentRoot
    readonly tensor: string
    readonly stream: number
    readonly low: number
    readonly high: number
    readonly words: readonly number[]
  }[]
}
const vectors = JSON.parse(readFileSync(new URL('../golden/vectors/seed.json', import.meta.url), 'utf8')) as Vectors

describe('golden vectors of hashlib', () => {
  test.each(vectors.contents)(
    '[RNG-3] the seed of $contents.length contents is their tree head',
    ({ contents, seed }) => {
      expect(seedFromContents(contents)).toBe(seed)
    },
  )

  test.each(vectors.integers)('[RNG-4] the seed of the integer $n', ({ n, seed }) => {
    expect(seedFromInteger(n)).toBe(seed)
  })

  test.each(vectors.keys)(
    '[RNG-5] the key of $strategy for tensor "$tensor", stream $stream, and its words',
    ({ low, high, words, ...use }) => {
      expect(randomKey(use)).toEqual({ low, high })
      const drawn = vectors.elements.map((element) => {
        const out = new Uint32Array(1)
        randomWords({ low, high }, element, out)
        return out[0]
      })
      expect(drawn).toEqual(words)
    },
  )
})

test('[RNG-3] repeats and order are kept: a seed is of a sequence, not of a set', () => {
  const [a, b] = vectors.contents.find(({ contents }) => contents.length === 2)!.contents as [ContentRoot, ContentRoot]
  const seeds = [[a], [a, a], [a, b], [b, a], [a, a, b], []].map(seedFromContents)
  expect(new Set(seeds).size).toBe(seeds.length)
})

test.each([-1, 0.5, 2 ** 53, Number.NaN, Infinity])('[RNG-4] %s is not a seed', (n) => {
  expect(() => seedFromInteger(n)).toThrow(/a seed is a whole number/)
})

test('[RNG-5] lengths part the texts, so that nothing can be moved from one to the next', () => {
  const { seed, content } = vectors.keys[0]!
  const keys = [
    { seed, content, strategy: 'ab', tensor: 'c', stream: 0 },
    { seed, content, strategy: 'a', tensor: 'bc', stream: 0 },
    { seed, content, strategy: 'ab', tensor: 'c\0', stream: 0 },
    { seed, content, strategy: 'ab', tensor: 'c', stream: 256 },
  ].map((use) => JSON.stringify(randomKey(use)))
  expect(new Set(keys).size).toBe(keys.length)
  expect(() => randomKey({ seed, content, strategy: 'a', tensor: 'b', stream: -1 })).toThrow(/not a u32/)
})
