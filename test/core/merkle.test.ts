import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { fromHex, hex } from '../../src/core/bytes.ts'
import { InvariantError } from '../../src/core/invariant.ts'
import * as merkle from '../../src/core/merkle.ts'
import { golden } from '../support/golden.ts'

/** The inputs that every Certificate Transparency implementation is tried on, and the heads published for them. */
const INPUTS = ['', '00', '10', '2021', '3031', '40414243', '5051525354555657', '606162636465666768696a6b6c6d6e6f']
const HEADS = [
  'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
  '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
  'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
  'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
  'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
  '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
  'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
  '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
]
const PATHS: [leaf: number, size: number, path: string[]][] = [
  [0, 1, []],
  [
    0,
    8,
    [
      '96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7',
      '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
      '6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4',
    ],
  ],
  [
    5,
    8,
    [
      'bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b',
      'ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0',
      'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
    ],
  ],
  [2, 3, ['fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125']],
  [
    1,
    5,
    [
      '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
      '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
      'bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b',
    ],
  ],
]

/** The definition of RFC 9162, written again on hex text, so that nothing is shared with what it checks. */
const sha = (data: string): string => createHash('sha256').update(Buffer.from(data, 'hex')).digest('hex')
function defined(data: readonly string[]): string {
  if (data.length === 0) return sha('')
  if (data.length === 1) return sha(`00${data[0]!}`)
  let k = 1
  while (k << 1 < data.length) k <<= 1
  return sha(`01${defined(data.slice(0, k))}${defined(data.slice(k))}`)
}

const items = fc.array(fc.uint8Array({ maxLength: 12 }), { minLength: 1, maxLength: 40 })
const leavesOf = (data: readonly Uint8Array[]) => data.map((item) => merkle.leafHash(item))

test('[MRK-1] heads are the published ones of Certificate Transparency', () => {
  for (let size = 0; size <= INPUTS.length; size++)
    expect(hex(merkle.treeHeadOf(INPUTS.slice(0, size).map(fromHex)))).toBe(HEADS[size])
})

test('[MRK-1] heads are those that the recursive definition gives', () => {
  fc.assert(
    fc.property(items, (data) => {
      expect(hex(merkle.treeHeadOf(data))).toBe(defined(data.map(hex)))
    }),
    { seed: 9162, numRuns: 300 },
  )
})

test('[MRK-1] heads and paths are those that Python works out', () => {
  type Vectors = {
    trees: { leaves: string[]; heads: string[]; paths: { index: number; size: number; path: string[] }[] }
  }
  const { trees } = golden<Vectors>('identity')
  const leaves = leavesOf(trees.leaves.map(fromHex))
  trees.heads.forEach((head, size) => expect(hex(merkle.treeHead(leaves.slice(0, size)))).toBe(head))
  for (const { index, size, path } of trees.paths)
    expect(merkle.inclusionProof(leaves.slice(0, size), index).map(hex)).toEqual(path)
})

test('[MRK-2] the head of no leaves is SHA-256 of nothing', () => {
  expect(hex(merkle.treeHead([]))).toBe(HEADS[0])
  expect(hex(new merkle.TreeBuilder().head())).toBe(HEADS[0])
})

test('[MRK-3] a builder knows the head after every leaf, and asking does not change it', () => {
  const tree = new merkle.TreeBuilder()
  INPUTS.forEach((input, before) => {
    expect(tree.count).toBe(before)
    tree.add(merkle.leafHash(fromHex(input)))
    expect(hex(tree.head())).toBe(HEADS[before + 1])
    expect(hex(tree.head())).toBe(HEADS[before + 1])
  })
})

test('[MRK-4] inclusion paths are the published ones, and verify', () => {
  const leaves = leavesOf(INPUTS.map(fromHex))
  for (const [index, size, path] of PATHS) {
    expect(merkle.inclusionProof(leaves.slice(0, size), index).map(hex)).toEqual(path)
    expect(merkle.verifyInclusion(leaves[index]!, index, size, path.map(fromHex), fromHex(HEADS[size]!))).toBe(true)
  }
})

test('[MRK-4] every leaf of every tree can be proved', () => {
  fc.assert(
    fc.property(items, (data) => {
      const leaves = leavesOf(data)
      const head = merkle.treeHead(leaves)
      const pathOf = merkle.inclusionProofs(leaves)
      leaves.forEach((leaf, index) => {
        const path = merkle.inclusionProof(leaves, index)
        expect(pathOf(index)).toEqual(path)
        expect(path.length).toBeLessThanOrEqual(Math.ceil(Math.log2(leaves.length)))
        expect(merkle.verifyInclusion(leaf, index, leaves.length, path, head)).toBe(true)
      })
    }),
    { seed: 4, numRuns: 100 },
  )
})

test('[MRK-4] a proof that was changed anywhere proves nothing', () => {
  const cases = items.chain((data) => fc.tuple(fc.constant(data), fc.nat(data.length - 1), fc.nat(), fc.nat(255)))
  fc.assert(
    fc.property(cases, ([data, index, where, bit]) => {
      const leaves = leavesOf(data)
      const head = merkle.treeHead(leaves)
      const path = merkle.inclusionProof(leaves, index)
      const size = leaves.length
      const flipped = (hash: Uint8Array) => hash.map((byte, i) => (i === bit >> 3 ? byte ^ (1 << (bit & 7)) : byte))
      const holds = (leaf: Uint8Array, at: number, of: number, by: readonly Uint8Array[], to: Uint8Array) =>
        merkle.verifyInclusion(leaf, at, of, by, to)

      expect(holds(flipped(leaves[index]!), index, size, path, head)).toBe(false)
      expect(holds(leaves[index]!, index, size, path, flipped(head))).toBe(false)
      expect(holds(leaves[index]!, index, size, [...path, head], head)).toBe(false)
      expect(holds(leaves[index]!, size, size, path, head)).toBe(false)
      expect(holds(leaves[index]!, -1, size, path, head)).toBe(false)
      if (path.length > 0) {
        const place = where % path.length
        const bent = path.map((hash, i) => (i === place ? flipped(hash) : hash))
        expect(holds(leaves[index]!, index, size, bent, head)).toBe(false)
        expect(holds(leaves[index]!, index, size, path.slice(0, -1), head)).toBe(false)
        expect(holds(leaves[index]!, index, size, path.slice(1), head)).toBe(false)
      }
    }),
    { seed: 4, numRuns: 300 },
  )
})

test('[MRK-4] a proof holds at its own index only', () => {
  const leaves = leavesOf(INPUTS.map(fromHex))
  const head = merkle.treeHead(leaves)
  leaves.forEach((leaf, index) => {
    const path = merkle.inclusionProof(leaves, index)
    const holding = leaves.map((_, at) => merkle.verifyInclusion(leaf, at, leaves.length, path, head))
    expect(holding).toEqual(leaves.map((_, at) => at === index))
  })
})

test('[MRK-4] a path that is too short or too long for the size proves nothing, whatever it leads to', () => {
  const leaves = leavesOf(INPUTS.map(fromHex))
  const [a, b] = leaves
  expect(merkle.verifyInclusion(a!, 0, 2, [], a!)).toBe(false)
  expect(merkle.verifyInclusion(a!, 0, 8, merkle.inclusionProof(leaves.slice(0, 4), 0), fromHex(HEADS[4]!))).toBe(false)
  expect(merkle.verifyInclusion(b!, 0, 1, [a!], merkle.treeHead([a!, b!]))).toBe(false)
  expect(merkle.verifyInclusion(a!, 0, 0, [], a!)).toBe(false)
})

test('[MRK-4] asking for a proof of a leaf that is not there is a bug of the caller', () => {
  for (const index of [1, -1])
    expect(() => merkle.inclusionProof(leavesOf([Uint8Array.of(1)]), index)).toThrow(InvariantError)
  expect(() => merkle.inclusionProof([], 0)).toThrow(InvariantError)
})

test('[MRK-1] a leaf is never taken for a node', () => {
  const [a, b] = leavesOf([Uint8Array.of(1), Uint8Array.of(2)])
  const both = Buffer.concat([a!, b!])
  expect(hex(merkle.treeHead([a!, b!]))).not.toBe(hex(merkle.treeHeadOf([both])))
})

test('[MRK-5] the root of a set is the head over its distinct ids in order of their bytes', () => {
  const { sets } = golden<{ sets: { ids: string[]; root: string }[] }>('identity')
  for (const { ids, root } of sets) {
    expect(merkle.setRoot(ids)).toBe(root)
    expect(merkle.setRoot([...ids].reverse())).toBe(root)
    expect(merkle.setRoot(merkle.sortedIds(ids))).toBe(root)
  }
})
