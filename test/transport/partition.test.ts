import { expect, test } from 'vitest'
import { createMemoryNetwork } from '../../src/transport/memory/memory-transport.ts'
import { createPartition } from '../../src/transport/partition.ts'
import type { Link } from '../../src/transport/transport.ts'
import { HeldClock } from '../support/held-clock.ts'

const settled = async () => {
  for (let i = 0; i < 10; i++) await new Promise(setImmediate)
}

test('[RPL-24] a replica that is cut off has no link, in or out, until it is healed', async () => {
  const network = createMemoryNetwork(new HeldClock())
  const partition = createPartition()
  const dialer = partition.dialer(network.dialer)
  const listener = partition.listener(network.listen('cut'))
  const far = network.listen('far')
  const ends: string[] = []
  const heard: number[] = []
  const attach = (link: Link, name: string) => {
    link.welcome()
    link.attach({ onFrame: (frame) => heard.push(frame[0]!), onClose: () => ends.push(name) })
  }
  far.onLink((link) => attach(link, 'far'))
  listener.onLink((link) => attach(link, 'in'))

  const out = await dialer.dial({ url: 'far' })
  attach(out, 'out')
  const into = await network.dialer.dial({ url: 'cut' })
  attach(into, 'into')
  out.send(Uint8Array.of(1))
  await settled()
  expect([heard, ends]).toEqual([[1], []])

  partition.cut()
  await settled()
  expect(ends.sort()).toEqual(['far', 'in', 'into', 'out'])
  await expect(dialer.dial({ url: 'far' })).rejects.toMatchObject({ code: 'NETWORK' })
  attach(await network.dialer.dial({ url: 'cut' }), 'refused')
  await settled()
  expect(ends).toContain('refused')
  expect([far.links, listener.links]).toEqual([0, 0])

  partition.heal()
  attach(await dialer.dial({ url: 'far' }), 'again')
  await settled()
  expect([far.links, ends.includes('again')]).toEqual([1, false])
})
