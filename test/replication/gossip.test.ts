import { expect, test } from 'vitest'
import type { OpId } from '../../src/core/ids.ts'
import { Gossip } from '../../src/replication/gossip.ts'
import { DEFAULT_SETTINGS } from '../../src/replication/settings.ts'

const gossipOf = (links: number) => {
  const gossip = new Gossip(DEFAULT_SETTINGS)
  const all = Array.from({ length: links }, (_, link) => link)
  for (const link of all) gossip.join(link)
  return { gossip, eager: () => all.filter((link) => gossip.isEager(link)) }
}
const idOf = (n: number) => n.toString(16).padStart(64, '0') as OpId

test('[GOS-1] few peers are all told at once; of many, four', () => {
  expect(gossipOf(5).eager()).toHaveLength(5)
  expect(gossipOf(12).eager()).toHaveLength(4)
})

test('[GOS-1] who leaves is replaced', () => {
  const { gossip, eager } = gossipOf(12)
  gossip.leave(eager()[0]!)
  expect(eager()).toHaveLength(4)
})

test('[GOS-2] an id is asked for after a second, of each teller once', () => {
  const { gossip } = gossipOf(12)
  gossip.heardOf(idOf(1), 7, 0)
  gossip.heardOf(idOf(1), 8, 0)
  gossip.heardOf(idOf(2), 7, 0)
  gossip.arrived(idOf(2))
  expect([...gossip.takeOverdue(999)]).toEqual([])
  expect([...gossip.takeOverdue(1000)]).toEqual([[7, [idOf(1)]]])
  expect([...gossip.takeOverdue(1500)]).toEqual([])
  expect([...gossip.takeOverdue(2000)]).toEqual([[8, [idOf(1)]]])
  expect([...gossip.takeOverdue(3000)]).toEqual([])
  expect(gossip.awaited).toBe(0)
})

test('[GOS-2] who grafts is pushed to, and who prunes is told ids; the last one stays', () => {
  const { gossip, eager } = gossipOf(12)
  gossip.graft(11)
  expect(eager()).toContain(11)
  for (const link of [0, 1, 2, 3, 11]) gossip.prune(link)
  expect(eager()).toEqual([11])
})

test('[GOS-2] an id is told once, and not at all to who has left', () => {
  const { gossip } = gossipOf(12)
  gossip.tellLater(8, idOf(1))
  gossip.tellLater(9, idOf(1))
  gossip.leave(8)
  expect([...gossip.takeLazy()]).toEqual([[9, [idOf(1)]]])
  expect([...gossip.takeLazy()]).toEqual([])
})

test('[GOS-2] who brought an op first is told the next ones at once', () => {
  const { gossip, eager } = gossipOf(12)
  expect(eager()).not.toContain(9)
  gossip.arrived(idOf(1), 9)
  expect(eager()).toContain(9)
})

test('[GOS-3] queues are bounded: of ids to tell the oldest goes, of ids awaited the newest', () => {
  const { gossip } = gossipOf(12)
  for (let n = 0; n < DEFAULT_SETTINGS.lazyIds + 3; n++) {
    gossip.tellLater(9, idOf(n))
    gossip.heardOf(idOf(n), 9, 0)
  }
  const lazy = gossip.takeLazy().get(9)!
  expect(lazy).toHaveLength(DEFAULT_SETTINGS.lazyIds)
  expect(lazy[0]).toBe(idOf(3))
  expect(gossip.awaited).toBe(DEFAULT_SETTINGS.awaitedIds)
})
