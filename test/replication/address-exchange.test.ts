/** What replicas tell each other of where they are, and whom they dial because of it. */
import { describe, expect, test } from 'vitest'
import { sign, verify } from '../../src/core/signature.ts'
import type { KeptAddress } from '../../src/replication/address-book.ts'
import { AddressExchange } from '../../src/replication/address-exchange.ts'
import { ADDRESS_BYTES_MAX } from '../../src/replication/address-limits.ts'
import { ADDRESS_LIFE_MS, readAddress, signAddress } from '../../src/replication/address-record.ts'
import type { Effect, LinkId } from '../../src/replication/effects.ts'
import { ADDRESSES_MAX, decodeFrame, encodeFrame, type FrameOf } from '../../src/replication/frames.ts'
import type { Misdeed } from '../../src/replication/peer-score.ts'
import type { Identity } from '../../src/replication/peer-session.ts'
import { ReplicaCore } from '../../src/replication/replica-core.ts'
import { DEFAULT_SETTINGS } from '../../src/replication/settings.ts'
import { mayBeDialed } from '../../src/transport/judge-address.ts'
import { keyOf } from '../support/ops.ts'
import { type Standing, World } from '../support/world.ts'

const WALL = 1_700_000_000_000
const ridOf = (seed: number) => keyOf(seed).rid
const identityOf = (seed: number): Identity => ({
  rid: ridOf(seed),
  sign: (proof) => sign('hello', proof, keyOf(seed)),
  verify: (proof, rid, signature) => verify('hello', proof, rid, signature),
})
const recordOf = (seed: number, more: { urls?: readonly string[]; issuedMs?: number; by?: number } = {}) => {
  const { urls = [`https://replica-${seed}.example`], issuedMs = WALL, by = seed } = more
  return signAddress({ rid: ridOf(seed), issuedMs, expiresMs: issuedMs + ADDRESS_LIFE_MS, urls }, identityOf(by).sign)
}

/** The exchange of replica 1 alone, and what comes out of it. */
function anExchange({ urls = ['https://one.example'] }: { urls?: readonly string[] } = {}) {
  let now = 0
  const sent: { link: LinkId; urls: string[] }[] = []
  const effects: Effect[] = []
  const blamed: Misdeed[] = []
  const counts = new Map<string, number>()
  const exchange = new AddressExchange(
    { urls, admits: (url) => mayBeDialed(url), salt: new Uint8Array(32) },
    {
      identity: identityOf(1),
      settings: DEFAULT_SETTINGS,
      now: () => now,
      send: (link, frame) => {
        if (frame.t === 'addresses') sent.push({ link, urls: frame.addresses.flatMap((one) => readAddress(one).urls) })
      },
      effect: (effect) => void effects.push(effect),
      report: (metric, count) => void counts.set(metric, (counts.get(metric) ?? 0) + count),
      blame: (_, misdeed) => void blamed.push(misdeed),
    },
  )
  exchange.tick(WALL)
  const tell = (link: LinkId, ...records: { readonly bytes: Uint8Array }[]) =>
    exchange.arrived(link, { t: 'addresses', addresses: records.map(({ bytes }) => bytes) })
  const pass = (ms: number, step = 1000) => {
    for (const until = now + ms; now < until;) {
      now += step
      exchange.tick(WALL + now)
    }
  }
  const dials = () => effects.flatMap((effect) => (effect.t === 'dial' ? [effect.rid] : []))
  return { exchange, sent, effects, blamed, counts, tell, pass, dials }
}

describe('[PEX-3] telling', () => {
  test('[PEX-3] a peer is told where we are, and where those are that we are linked to, each once', () => {
    const { exchange, sent, tell, pass } = anExchange()
    exchange.opened(1, ridOf(2))
    tell(1, recordOf(2), recordOf(7))
    exchange.opened(2, ridOf(3))
    expect(sent).toEqual([
      { link: 1, urls: ['https://one.example'] },
      { link: 2, urls: ['https://one.example', 'https://replica-2.example'] }, // of 7 it was only told
    ])
    tell(2, recordOf(3))
    pass(59_000)
    expect(sent).toHaveLength(2)
    pass(61_000)
    expect(sent.slice(2)).toEqual([{ link: 1, urls: ['https://replica-3.example'] }])
    exchange.closed(1)
    exchange.opened(3, ridOf(4))
    expect(sent.at(-1)).toEqual({ link: 3, urls: ['https://one.example', 'https://replica-3.example'] })
  })

  test('[PEX-3] a replica that advertises nothing tells nothing of itself; one that does says so again in time', () => {
    const silent = anExchange({ urls: [] })
    silent.exchange.opened(1, ridOf(2))
    expect(silent.sent).toEqual([])
    const { exchange, sent, pass } = anExchange()
    exchange.opened(1, ridOf(2))
    pass(24 * 3600 * 1000, 60_000)
    expect(sent.length).toBeGreaterThanOrEqual(4)
    expect(sent.length).toBeLessThanOrEqual(5)
  })

  test('[PEX-3] a frame holds at most twenty records and fits its bound', () => {
    const { exchange, sent, tell, pass } = anExchange()
    for (let i = 0; i < 30; i++) {
      exchange.opened(i, ridOf(100 + i))
      tell(i, recordOf(100 + i))
    }
    exchange.opened(99, ridOf(99))
    expect(sent.at(-1)!.urls).toHaveLength(ADDRESSES_MAX)
    pass(61_000)
    expect(sent.at(-1)!.urls).toHaveLength(31 - ADDRESSES_MAX)
    const largest = Array.from({ length: ADDRESSES_MAX }, () => new Uint8Array(ADDRESS_BYTES_MAX))
    const frame = { t: 'addresses' as const, addresses: largest }
    expect(decodeFrame(encodeFrame(frame))).toEqual(frame)
  })
})

describe('[PEX-5] what is told falsely', () => {
  test('[PEX-5] another one’s address under a forged signature is not kept, and costs as much as a forged op', () => {
    const { exchange, tell, blamed, counts } = anExchange()
    exchange.opened(1, ridOf(2))
    tell(1, recordOf(3, { by: 2, urls: ['https://evil.example'] }))
    expect([exchange.kept(), blamed, counts.get('addresses.refused')]).toEqual([[], ['forged'], 1])
    tell(1, { bytes: new Uint8Array(200) })
    expect([exchange.kept(), blamed]).toEqual([[], ['forged', 'malformed']])
  })

  test('[PEX-5] addresses of private houses are not kept, and telling them is no misdeed', () => {
    const { exchange, tell, blamed, counts } = anExchange()
    exchange.opened(1, ridOf(2))
    const closed = ['http://127.0.0.1:22', 'http://10.0.0.1', 'http://[::1]:8420', 'http://169.254.169.254']
    for (const [i, url] of closed.entries()) tell(1, recordOf(10 + i, { urls: [url] }))
    expect([exchange.kept(), blamed, counts.get('addresses.refused')]).toEqual([[], [], closed.length])
    tell(1, recordOf(20, { urls: ['http://10.0.0.1', 'https://public.example'] }))
    expect(exchange.kept()).toHaveLength(0) // the fifth frame at once is one too many
  })

  test('[PEX-5] of an address only the public part is dialed', () => {
    const { exchange, tell, effects, pass } = anExchange()
    exchange.opened(1, ridOf(2))
    tell(1, recordOf(20, { urls: ['http://10.0.0.1', 'https://public.example'] }))
    pass(1000)
    expect(effects.filter(({ t }) => t === 'dial')).toEqual([
      { t: 'dial', rid: ridOf(20), urls: ['https://public.example'] },
    ])
  })

  test('[PEX-3] who tells more often than once a minute and a few at once is not read, and is slowed', () => {
    const { exchange, tell, blamed, counts } = anExchange()
    exchange.opened(1, ridOf(2))
    for (let i = 0; i < 100; i++) tell(1, recordOf(3, { issuedMs: WALL - 1000 + i }))
    expect(counts.get('addresses.learned')).toBe(4)
    expect(blamed).toEqual(Array.from({ length: 96 }, () => 'floods'))
  })

  test('[PEX-2] our own address, told by others, is nothing new', () => {
    const { exchange, tell } = anExchange()
    exchange.opened(1, ridOf(2))
    tell(1, recordOf(1, { urls: ['https://elsewhere.example'], issuedMs: WALL + 1 }))
    expect(exchange.kept()).toEqual([])
  })
})

describe('[PEX-4] dialing', () => {
  const full = () => {
    const made = anExchange()
    for (let i = 0; i < 5; i++) made.exchange.opened(i, ridOf(50 + i))
    made.tell(0, recordOf(2), recordOf(3), recordOf(4))
    return made
  }

  test('[PEX-4] learned addresses are dialed while links are fewer than five, one at a time', () => {
    const { exchange, pass, dials } = full()
    pass(60_000)
    expect(dials()).toEqual([])
    exchange.closed(0)
    exchange.closed(1)
    pass(4000)
    expect(dials()).toHaveLength(1)
    const [first] = dials()
    exchange.dialed(10, first!)
    exchange.opened(10, first!)
    pass(5000)
    expect(dials()).toHaveLength(2)
    expect(dials()[1]).not.toBe(first)
  })

  test('[PEX-5] a dial that fails is followed by another one’s, five seconds later; after three failures of each none is left', () => {
    const { exchange, pass, dials, effects, counts } = full()
    exchange.closed(0)
    for (let i = 0; i < 400; i++) {
      pass(1000)
      const dialed = dials().at(-1)
      if (dialed !== undefined) exchange.dialFailed(dialed)
    }
    expect(dials()).toHaveLength(9)
    expect(new Set(dials().slice(0, 3)).size).toBe(3)
    expect(effects.filter(({ t }) => t === 'forgotten')).toHaveLength(3)
    expect([exchange.kept(), counts.get('addresses.failed')]).toEqual([[], 9])
  })

  test('[PEX-5] a link that ends before its owner was proved, and a dial without an end, are failures', () => {
    const { exchange, pass, dials, counts } = full()
    exchange.closed(0)
    pass(1000)
    exchange.dialed(10, dials()[0]!)
    exchange.closed(10)
    expect(counts.get('addresses.failed')).toBe(1)
    pass(5000)
    expect(dials()).toHaveLength(2)
    pass(30_000)
    expect(counts.get('addresses.failed')).toBe(2)
  })

  test('[PEX-4] one whose link ended is left alone for a minute', () => {
    const { exchange, pass, dials, tell } = anExchange()
    exchange.opened(1, ridOf(2))
    tell(1, recordOf(2))
    exchange.closed(1)
    pass(59_000)
    expect(dials()).toEqual([])
    pass(2000)
    expect(dials()).toEqual([ridOf(2)])
  })

  test('[PEX-4] somebody else who answers at an address is let go before anything is said to it', () => {
    const core = new ReplicaCore({ identity: identityOf(1) })
    core.linkOpened({ link: 1, nonce: new Uint8Array(32), named: false, expected: ridOf(2) })
    const hello = (seed: number) =>
      encodeFrame({ t: 'hello', versions: [1, 1], rid: ridOf(seed), nonce: new Uint8Array(32).fill(9) })
    const effects = core.frameArrived(1, hello(3))
    expect(effects.filter(({ t }) => t !== 'report')).toEqual([{ t: 'close', link: 1, why: 'other' }])
    core.linkOpened({ link: 2, nonce: new Uint8Array(32), named: false, expected: ridOf(2) })
    expect(core.frameArrived(2, hello(2)).map(({ t }) => t)).toContain('send')
  })

  test('[PEX-3] before the proof addresses are not read', () => {
    const core = new ReplicaCore({
      identity: identityOf(1),
      addresses: { urls: [], admits: () => true, salt: new Uint8Array(32) },
    })
    core.tick(0, WALL)
    core.linkOpened({ link: 1, nonce: new Uint8Array(32), named: false })
    const frame: FrameOf<'addresses'> = { t: 'addresses', addresses: [recordOf(2).bytes] }
    const effects = core.frameArrived(1, encodeFrame(frame))
    expect(effects).toContainEqual({ t: 'report', metric: 'frames.unexpected', count: 1 })
    expect(core.addresses()).toEqual([])
  })
})

describe('[PEX-6] whole replicas', () => {
  const advertises = { advertises: true }
  const ridIn = ({ replica }: Standing) => replica.identity().replica
  const urlOf = (seed: number) => `http://replica-${seed}`

  test('[PEX-6] two that know only a third find each other; what the one offers the other does not keep', async () => {
    const world = new World()
    const hub = await world.stand(1, [], undefined, advertises)
    const one = await world.stand(2, [urlOf(1)], undefined, advertises)
    const two = await world.stand(3, [urlOf(1)], undefined, advertises)
    await two.replica.createSpace({ name: 'lab' })
    await world.pass(90_000)
    expect(one.replicator.peers()).toMatchObject([
      { url: urlOf(1), state: 'linked', source: 'operator' },
      { rid: ridIn(two), state: 'linked' },
    ])
    const learned = [one, two].flatMap(({ replicator }) =>
      replicator.peers().filter((peer) => peer.source === 'learned'),
    )
    expect(learned.length).toBeGreaterThanOrEqual(1)
    expect(learned[0]).toMatchObject({ state: 'linked', toldBy: ridIn(hub) })
    expect(one.replica.listSpaces()).toEqual([])
    expect(one.replicator.peers()[1]!.offered).toHaveLength(1)
  })

  test('[PEX-6] what was learned is dialed again after a restart, and shown with who told it', async () => {
    const world = new World()
    const hub = await world.stand(1, [], undefined, advertises)
    const one = await world.stand(2, [urlOf(1)], undefined, advertises)
    const two = await world.stand(3, [urlOf(1)], undefined, advertises)
    await world.pass(90_000)
    const stored = one.replica.storage.addresses.list()
    expect(stored.map(({ rid }) => rid).sort()).toEqual([ridIn(hub), ridIn(two)].sort())
    for (const { replicator } of [hub, one]) replicator.stop()
    await world.pass(1000)
    const again = await world.stand(2, [urlOf(1)], one.replica, advertises)
    const known = again.replicator.peers().find(({ rid }) => rid === ridIn(two))
    expect(known).toMatchObject({ state: 'known', source: 'learned', url: urlOf(3), toldBy: expect.any(String) })
    await world.pass(90_000)
    expect(again.replicator.peers().find(({ rid }) => rid === ridIn(two))!.state).toBe('linked')
  })

  test('[PEX-6] a name that means one’s own house by the time it is dialed is let be', async () => {
    const world = new World()
    world.resolve = () => ['127.0.0.1']
    await world.stand(1, [], undefined, advertises)
    const one = await world.stand(2, [urlOf(1)], undefined, advertises)
    await world.stand(3, [urlOf(1)], undefined, advertises)
    await world.pass(400_000)
    expect(one.replicator.counts().get('addresses.failed')).toBeGreaterThanOrEqual(3)
    expect(one.replicator.peers().filter(({ source }) => source === 'learned')).toEqual([])
  })

  test('[PEX-6] without the exchange nothing is told, and what is told is not heard', async () => {
    const world = new World()
    await world.stand(1, [], undefined, advertises)
    const one = await world.stand(2, [urlOf(1)])
    await world.stand(3, [urlOf(1)], undefined, advertises)
    await world.pass(90_000)
    expect(one.replicator.peers()).toHaveLength(1)
    expect(one.replica.storage.addresses.list() as unknown as KeptAddress[]).toEqual([])
  })
})
