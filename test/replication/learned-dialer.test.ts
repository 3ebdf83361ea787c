/** Addresses that others told, as they are dialed. */
import { expect, test } from 'vitest'
import { LearnedDialer } from '../../src/replication/learned-dialer.ts'
import { parseBlock } from '../../src/transport/judge-address.ts'
import type { Address, Link } from '../../src/transport/transport.ts'
import { HeldClock } from '../support/held-clock.ts'

function aDialer(names: Record<string, readonly string[]>, answers: (address: Address) => boolean = () => true) {
  const clock = new HeldClock()
  const dialed: Address[] = []
  const asked: string[] = []
  const dialer = new LearnedDialer({
    clock,
    allowed: [parseBlock('10.7.0.0/16')],
    resolve: async (host) => {
      asked.push(host)
      return names[host] ?? []
    },
    dialer: {
      async dial(address) {
        dialed.push(address)
        if (!answers(address)) throw new Error('nobody is there')
        return {} as Link
      },
    },
  })
  return { clock, dialed, asked, dialer }
}

test('[PEX-5] the address that was judged is the one that is dialed, and names are looked up each time', async () => {
  const names = { 'a.example': ['9.9.9.1'] }
  const { dialer, dialed } = aDialer(names)
  await dialer.dial(['https://a.example'])
  names['a.example'] = ['9.9.9.2']
  await dialer.dial(['https://a.example'])
  expect(dialed.map(({ pinned }) => pinned)).toEqual(['9.9.9.1', '9.9.9.2'])
})

test('[PEX-5] a name that stands for an address of one’s own house by now is not dialed', async () => {
  const { dialer, dialed } = aDialer({
    'rebound.example': ['127.0.0.1'],
    'meta.example': ['169.254.169.254'],
    'half.example': ['9.9.9.1', '192.168.0.1'],
    'v6.example': ['::ffff:10.0.0.1'],
    'nothing.example': [],
  })
  for (const url of [
    'https://rebound.example',
    'https://meta.example',
    'https://half.example',
    'https://v6.example',
    'https://nothing.example',
    'http://127.0.0.1:8420',
    'http://[::1]:8420',
    'http://2130706433',
    'http://10.8.0.1',
  ])
    await expect(dialer.dial([url]), url).rejects.toMatchObject({ code: 'ADDRESS_REFUSED' })
  expect(dialed).toEqual([])
  await dialer.dial(['http://10.7.3.1:8420'])
  expect(dialed).toEqual([{ url: 'http://10.7.3.1:8420', pinned: '10.7.3.1' }])
})

test('[PEX-5] where nobody answers nobody dials again for a minute, then two, whatever names are told for it', async () => {
  const { dialer, dialed, clock } = aDialer({ 'a.example': ['9.9.9.9'], 'b.example': ['9.9.9.9'] }, () => false)
  const dial = (url: string) => dialer.dial([url]).catch(() => undefined)
  await dial('https://a.example')
  for (let i = 0; i < 50; i++) await dial(`https://${i % 2 === 0 ? 'a' : 'b'}.example:${1000 + i}`)
  expect(dialed).toHaveLength(1)
  clock.pass(60_000)
  await dial('https://b.example')
  clock.pass(119_000)
  await dial('https://b.example')
  expect(dialed).toHaveLength(2)
  clock.pass(1000)
  await dial('https://b.example')
  expect(dialed).toHaveLength(3)
})

test('[PEX-5] one where the right replica answered is dialed as any other', async () => {
  const { dialer, dialed } = aDialer({ 'a.example': ['9.9.9.9'] })
  const { address } = await dialer.dial(['https://a.example'])
  dialer.rest(address) // another key answered
  await dialer.dial(['https://a.example']).catch(() => undefined)
  expect(dialed).toHaveLength(1)
  dialer.answered(address)
  await dialer.dial(['https://a.example'])
  expect(dialed).toHaveLength(2)
})

test('[PEX-5] of several addresses the first that answers is taken; once stopped none is dialed', async () => {
  const { dialer, dialed } = aDialer(
    { 'a.example': ['9.9.9.1'], 'b.example': ['9.9.9.2'] },
    ({ pinned }) => pinned === '9.9.9.2',
  )
  const { address } = await dialer.dial(['https://a.example', 'http://127.0.0.1', 'https://b.example'])
  expect(address).toEqual({ url: 'https://b.example', pinned: '9.9.9.2' })
  dialer.stop()
  await expect(dialer.dial(['https://b.example'])).rejects.toMatchObject({ code: 'ADDRESS_REFUSED' })
  expect(dialed).toHaveLength(2)
})
