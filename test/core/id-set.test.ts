import fc from 'fast-check'
import { expect, test } from 'vitest'
import { sha256Hex } from '../../src/core/digest.ts'
import { utf8 } from '../../src/core/bytes.ts'
import { IdSet } from '../../src/core/id-set.ts'
import { LayeredMap } from '../../src/core/layered-map.ts'
import { setRoot } from '../../src/core/merkle.ts'

const ids = Array.from({ length: 40 }, (_, n) => sha256Hex(utf8(`${n}`)))
const changes = fc.array(fc.dictionary(fc.constantFrom(...ids), fc.boolean(), { maxKeys: 9 }), { maxLength: 8 })

test('[SET-61] the root of a set that grew and shrank is the root of what is in it', () => {
  fc.assert(
    fc.property(changes, fc.array(fc.boolean(), { minLength: 8, maxLength: 8 }), (steps, asked) => {
      let set = new IdSet<string>(() => [])
      const there = new Set<string>()
      for (const [at, step] of steps.entries()) {
        if (asked[at]) expect(set.root).toBe(setRoot(there))
        for (const [id, came] of Object.entries(step)) there[came ? 'add' : 'delete'](id)
        const now = [...there]
        set = set.with(new Map(Object.entries(step)), () => now)
      }
      expect(set.root).toBe(setRoot(there))
    }),
    { seed: 1, numRuns: 300 },
  )
})

test('[SET-61] very many changes that nobody asked about are hashed whole, when somebody does', () => {
  const many = Array.from({ length: 5000 }, (_, n) => sha256Hex(utf8(`many ${n}`)))
  let set = new IdSet<string>(() => ids)
  expect(set.root).toBe(setRoot(ids))
  for (let at = 0; at < many.length; at += 1000) {
    const now = [...ids, ...many.slice(0, at + 1000)]
    set = set.with(new Map(many.slice(at, at + 1000).map((id) => [id, true])), () => now)
  }
  expect(set.root).toBe(setRoot([...ids, ...many]))
})

test('[SET-60] a map in layers is the map of all that was put into it and not taken away, and its predecessors stay', () => {
  const first = Array.from({ length: 6000 }, (_, n): [number, string] => [n * 2, 'first'])
  let layered = new LayeredMap(new Map(first))
  const plain = new Map(first)
  for (let round = 0; round < 120; round++) {
    const before = round % 8 === 0 ? new Map(layered) : undefined
    const some = Array.from({ length: round % 40 }, (_, n): [number, string | undefined] => {
      const key = (round * 7 + n * 3) % 900
      return [key, (key + round) % 3 === 0 ? undefined : `${round}/${n}`]
    })
    const next = layered.with(new Map(some))
    if (before !== undefined) expect(new Map(layered)).toEqual(before)
    for (const [key, value] of some)
      if (value === undefined) plain.delete(key)
      else plain.set(key, value)
    layered = next
    expect(layered.size).toBe(plain.size)
    for (const [key] of some) expect([layered.get(key), layered.has(key)]).toEqual([plain.get(key), plain.has(key)])
    if (before === undefined) continue
    expect(new Map(layered)).toEqual(plain)
    expect([...layered.keys()].map((key) => layered.get(key))).toEqual([...layered.values()])
  }
  const visited: number[] = []
  layered.forEach((_, key) => visited.push(key))
  expect(visited).toEqual([...layered.keys()])
})
