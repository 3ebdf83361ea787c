import { expect, test } from 'vitest'
import { Lane } from '../../src/operations/blobs/lane.ts'

function aLane(atOnce: number) {
  const begun: string[] = []
  const ends = new Map<string, (after: () => void) => void>()
  const lane = new Lane<string>(atOnce, (key, item) => {
    begun.push(`${key} ${item}`)
    return new Promise((resolve) => ends.set(key, resolve))
  })
  const end = async (key: string, after = () => {}) => {
    ends.get(key)!(after)
    for (let i = 0; i < 4; i++) await Promise.resolve()
  }
  const set = (...keys: string[]) => lane.set(new Map(keys.map((key) => [key, key.toUpperCase()])))
  return { lane, begun, end, set }
}

test('[XCH-21] so many go at once, the next when one has ended, and what is under way is not begun again', async () => {
  const { begun, end, set } = aLane(2)
  set('a', 'b', 'c')
  set('a', 'b', 'c', 'd')
  expect(begun).toEqual(['a A', 'b B'])
  await end('a') // it was put there again while it was under way: that was this
  expect(begun).toEqual(['a A', 'b B', 'c C'])
  set('e')
  await end('b')
  await end('c')
  expect(begun).toEqual(['a A', 'b B', 'c C', 'e E']) // d is not wanted any more
  set('a')
  expect(begun.at(-1)).toBe('a A')
  await end('a', () => set('a')) // what is put there because it ended is begun
  expect(begun.slice(-2)).toEqual(['a A', 'a A'])
})

test('[XCH-21] a lane that is closed ends what is under way and begins nothing', async () => {
  const { lane, begun, end, set } = aLane(1)
  set('a', 'b')
  let isClosed = false
  const closed = lane.close().then(() => (isClosed = true))
  await Promise.resolve()
  expect(isClosed).toBe(false)
  await end('a')
  await closed
  set('c')
  expect([begun, isClosed]).toEqual([['a A'], true])
})
