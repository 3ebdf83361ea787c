/** What every driver of the transport port promises. The clock stands still, and real bytes move meanwhile. */
import { describe, expect, test } from 'vitest'
import { hex } from '../../src/core/bytes.ts'
import { sha256 } from '../../src/core/digest.ts'
import {
  type Address,
  CLOSE,
  type Dialer,
  type Link,
  type LinkEnd,
  type LinkLimits,
  type Listener,
} from '../../src/transport/transport.ts'
import { HeldClock } from '../support/held-clock.ts'

export interface TransportStage {
  readonly listener: Listener
  readonly dialer: Dialer
  readonly address: Address
  readonly nowhere: Address
  /** Breaks every connection, without a goodbye. */
  readonly cut: () => void
  stop(): Promise<void>
}

/** Small, so that the bounds are reached with little: a kernel holds some megabytes on the way in any case. */
export const SMALL_LIMITS: LinkLimits = {
  frameBytesMax: 64 * 1024,
  strangerFramesMax: 2,
  strangerBytesMax: 1024,
  strangerMsMax: 5_000,
  pauseBytes: 256 * 1024,
  waitingBytesMax: 1024 * 1024,
  pausedMsMax: 60_000,
  pingMs: 30_000,
  silentMsMax: 75_000,
  openingMsMax: 10_000,
  closingMsMax: 2_000,
  linksMax: 4,
  strangersMax: 3,
  linksPerAddressMax: 4,
  newLinksBurst: 1000,
  newLinksPerSecond: 1,
}

interface Seen {
  readonly frames: Uint8Array[]
  readonly ends: LinkEnd[]
  drains: number
}

export async function until(what: () => boolean): Promise<void> {
  for (let i = 0; i < 4000 && !what(); i++) await new Promise((next) => setTimeout(next, i < 50 ? 0 : 1))
  expect(what(), `waited in vain for ${String(what)}`).toBe(true)
}

export function watch(link: Link): Seen {
  const seen: Seen = { frames: [], ends: [], drains: 0 }
  link.attach({
    onFrame: (frame) => seen.frames.push(frame.slice()),
    onDrain: () => {
      seen.drains++
    },
    onClose: (end) => seen.ends.push(end),
  })
  return seen
}

const filled = (length: number, seed = 0) => new Uint8Array(length).fill(seed % 251)
const digests = (frames: readonly Uint8Array[]) => frames.map((frame) => `${frame.length} ${hex(sha256(frame))}`)

export function transportContract(
  name: string,
  open: (clock: HeldClock, limits: LinkLimits) => Promise<TransportStage>,
): void {
  describe(name, () => {
    async function stage<T>(
      use: (
        all: TransportStage & { clock: HeldClock; accepted: Link[]; pair: () => Promise<readonly [Link, Link]> },
      ) => Promise<T>,
    ): Promise<T> {
      const clock = new HeldClock()
      const opened = await open(clock, SMALL_LIMITS)
      const accepted: Link[] = []
      opened.listener.onLink((link) => accepted.push(link))
      const pair = async () => {
        const before = accepted.length
        const dialed = await opened.dialer.dial(opened.address)
        await until(() => accepted.length > before)
        return [dialed, accepted[before]!] as const
      }
      try {
        return await use({ ...opened, clock, accepted, pair })
      } finally {
        await opened.stop()
      }
    }
    const welcome = (...links: readonly Link[]) => links.forEach((link) => link.welcome())

    test('[TRN-1] frames arrive whole, in order and once, in both directions, however late they are listened to', () =>
      stage(async ({ pair }) => {
        const [dialed, accepted] = await pair()
        welcome(dialed, accepted)
        expect([dialed.direction, accepted.direction]).toEqual(['dialed', 'accepted'])
        const sent = [0, 1, 125, 126, 65_535, 65_536].map((length) => filled(length, length))
        for (const frame of sent) {
          expect(dialed.send(frame)).toBe(true)
          accepted.send(frame)
        }
        const [there, here] = [watch(accepted), watch(dialed)]
        await until(() => there.frames.length === sent.length && here.frames.length === sent.length)
        expect([there, here].map(({ frames }) => digests(frames))).toEqual([digests(sent), digests(sent)])
      }))

    test('[TRN-1] a frame is what it was when it was sent', () =>
      stage(async ({ pair }) => {
        const [dialed, accepted] = await pair()
        const seen = watch(accepted)
        const frame = filled(100)
        dialed.send(frame)
        await until(() => seen.frames.length === 1)
        frame.fill(0)
        expect(seen.frames[0]).toEqual(filled(100))
      }))

    test('[TRN-2] an end is told once to each side, with its code, its reason and whose it was', () =>
      stage(async ({ pair, listener }) => {
        const [dialed, accepted] = await pair()
        const [here, there] = [watch(dialed), watch(accepted)]
        dialed.send(filled(3))
        dialed.close(CLOSE.done, 'that is all')
        dialed.close(CLOSE.refused, 'again')
        expect(here.ends).toEqual([]) // never inside the call
        await until(() => here.ends.length === 1 && there.ends.length === 1)
        expect(here.ends).toEqual([{ code: CLOSE.done, why: 'that is all', by: 'us' }])
        expect(there.ends).toEqual([{ code: CLOSE.done, why: 'that is all', by: 'them' }])
        expect(there.frames).toEqual([filled(3)]) // what was sent before it came first
        expect(dialed.send(filled(3))).toBe(false)
        await until(() => listener.links === 0)
      }))

    test('[TRN-2] a connection that is cut ends the link on both sides as lost, also for who listens only then', () =>
      stage(async ({ pair, cut, listener }) => {
        const [dialed, accepted] = await pair()
        const there = watch(accepted)
        cut()
        await until(() => there.ends.length === 1)
        const here = watch(dialed)
        await until(() => here.ends.length === 1)
        expect([here.ends[0]?.code, there.ends[0]?.code]).toEqual([CLOSE.lost, CLOSE.lost])
        expect(listener.links).toBe(0)
      }))

    test('[TRN-3] a frame beyond the limit ends the link as too large, and is never seen', () =>
      stage(async ({ pair }) => {
        const [dialed, accepted] = await pair()
        welcome(dialed, accepted)
        const [here, there] = [watch(dialed), watch(accepted)]
        dialed.send(filled(SMALL_LIMITS.frameBytesMax))
        dialed.send(filled(SMALL_LIMITS.frameBytesMax + 1))
        await until(() => here.ends.length === 1 && there.ends.length === 1)
        expect([here.ends[0]?.code, there.ends[0]?.code]).toEqual([CLOSE.tooLarge, CLOSE.tooLarge])
        expect(there.frames.filter(({ length }) => length > SMALL_LIMITS.frameBytesMax)).toEqual([])
      }))

    test('[TRN-4] a stranger may send two small frames and take five seconds, and no more of any', () =>
      stage(async ({ pair, clock }) => {
        const talkative = await pair()
        const first = watch(talkative[1])
        for (let i = 0; i < 3; i++) talkative[0].send(filled(5, i))
        await until(() => first.ends.length === 1)
        expect(first.ends[0]?.code).toBe(CLOSE.refused)
        expect(first.frames.length).toBeLessThanOrEqual(2)

        const large = await pair()
        const second = watch(large[1])
        large[0].send(filled(SMALL_LIMITS.strangerBytesMax + 1))
        await until(() => second.ends.length === 1)
        expect([second.frames, second.ends[0]?.code]).toEqual([[], CLOSE.tooLarge])

        const silent = await pair()
        const third = watch(silent[1])
        clock.pass(SMALL_LIMITS.strangerMsMax - 1)
        await until(() => third.ends.length === 0)
        clock.pass(1)
        await until(() => third.ends.length === 1)
        expect(third.ends[0]?.code).toBe(CLOSE.refused)
      }))

    test('[TRN-4] who is welcome is none', () =>
      stage(async ({ pair, clock }) => {
        const [dialed, accepted] = await pair()
        welcome(dialed, accepted)
        const seen = watch(accepted)
        clock.pass(2 * SMALL_LIMITS.strangerMsMax)
        for (let i = 0; i < 9; i++) dialed.send(filled(2 * SMALL_LIMITS.strangerBytesMax, i))
        await until(() => seen.frames.length === 9)
        expect(seen.ends).toEqual([])
      }))

    test('[TRN-5] a sender is told to pause, and when there is room again; nothing is lost', () =>
      stage(async ({ pair }) => {
        const [dialed, accepted] = await pair()
        welcome(dialed, accepted)
        const here = watch(dialed)
        let sent = 0
        for (let goesOn = true; goesOn && sent < 2000; sent++) goesOn = dialed.send(filled(32 * 1024, sent))
        expect(dialed.bufferedBytes).toBeGreaterThan(SMALL_LIMITS.pauseBytes)
        const there = watch(accepted)
        await until(() => there.frames.length === sent && here.drains === 1)
        expect(there.frames.every((frame, i) => frame[0] === i % 251)).toBe(true)
        expect(dialed.bufferedBytes).toBe(0)
        expect(here.ends).toEqual([])
      }))

    test('[TRN-5] who is not taken from for too long, or sends on regardless, loses the link with "later"', () =>
      stage(async ({ pair, clock }) => {
        const slow = await pair()
        welcome(...slow)
        const first = watch(slow[0])
        for (let i = 0; slow[0].send(filled(32 * 1024, i)); i++) expect(i).toBeLessThan(2000)
        clock.pass(SMALL_LIMITS.pausedMsMax - 1)
        expect(first.ends).toEqual([])
        clock.pass(1)
        await until(() => first.ends.length === 1)
        expect(first.ends[0]).toMatchObject({ code: CLOSE.later, by: 'us' })

        const deaf = await pair()
        welcome(...deaf)
        const second = watch(deaf[0])
        for (let i = 0; i < 2000 && second.ends.length === 0; i++) {
          deaf[0].send(filled(32 * 1024, i))
          if (i % 50 === 0) await new Promise(setImmediate)
        }
        await until(() => second.ends.length === 1)
        expect(second.ends[0]).toMatchObject({ code: CLOSE.later, by: 'us' })
      }))

    test('[TRN-6] links beyond the bound, and strangers beyond theirs, are told to come later', () =>
      stage(async ({ pair, dialer, address, accepted, listener }) => {
        for (let i = 0; i < 3; i++) await pair()
        const fourth = watch(await dialer.dial(address))
        await until(() => fourth.ends.length === 1)
        expect(fourth.ends[0]).toMatchObject({ code: CLOSE.later, why: 'too many strangers', by: 'them' })
        welcome(...accepted)
        await pair()
        const fifth = watch(await dialer.dial(address))
        await until(() => fifth.ends.length === 1)
        expect(fifth.ends[0]).toMatchObject({ code: CLOSE.later, why: 'too many links', by: 'them' })
        expect([accepted.length, listener.links]).toEqual([4, 4])
        accepted[0]!.close(CLOSE.done, '')
        await until(() => listener.links === 3)
        await pair()
      }))

    test('[TRN-6] a listener that closes says goodbye to every link, and takes no more', () =>
      stage(async ({ pair, listener, dialer, address }) => {
        const [dialed] = await pair()
        const seen = watch(dialed)
        listener.close()
        await until(() => seen.ends.length === 1)
        expect(seen.ends[0]).toMatchObject({ code: CLOSE.goingAway, by: 'them' })
        const late = await dialer.dial(address).then(
          (link) => watch(link),
          () => undefined,
        )
        if (late !== undefined) await until(() => late.ends.length === 1)
      }))

    test('[TRN-7] a dial that finds nobody fails by name', () =>
      stage(async ({ dialer, nowhere }) => {
        await expect(dialer.dial(nowhere)).rejects.toMatchObject({ code: 'NETWORK' })
      }))

    test('[TRN-8] who pauses is not overrun', () =>
      stage(async ({ pair }) => {
        const [dialed, accepted] = await pair()
        welcome(dialed, accepted)
        const seen = watch(accepted)
        accepted.pause()
        let sent = 0
        for (let goesOn = true; goesOn && sent < 2000; sent++) goesOn = dialed.send(filled(32 * 1024, sent))
        await new Promise(setImmediate)
        expect(seen.frames.length).toBeLessThan(sent)
        accepted.resume()
        await until(() => seen.frames.length === sent)
      }))
  })
}
