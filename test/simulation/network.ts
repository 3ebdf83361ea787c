/** Links that lose, double, delay, reorder and block frames, in each direction on its own. */
import type { LinkId } from '../../src/replication/effects.ts'
import type { Clockwork } from './clockwork.ts'
import type { Luck } from './luck.ts'

export interface Endpoint {
  readonly isUp: boolean
  linkOpened(link: LinkId, nonce: Uint8Array, peer: number): void
  frameArrived(link: LinkId, frame: Uint8Array): void
  linkClosed(link: LinkId): void
  /** Something that waited to be sent over a thin way has left. */
  frameLeft(link: LinkId): void
}

export interface NetworkFaults {
  loss: number
  duplicates: number
  meanDelayMs: number
  /** Later frames may overtake. */
  reorders: boolean
  /** Some ways are far and thin. */
  slowLinks: boolean
  /** All ways take time for bytes: a chunk a fifth of a second to five. */
  isThin?: boolean
}

interface Path {
  blocked: boolean
  cloggedUntil: number
  lastArrival: number
  readonly far: { ms: number; bytesPerMs: number }
  /** When what was sent before has left. */
  freeAt: number
}

/** Frames of bytes. Each is of use only behind the one before it: a link brings them in order, or breaks. */
const STREAMED = new Set([13, 14, 15])
/** So much later comes what had to be sent again, and of so many losses one breaks the link. */
const AGAIN_MS = 200
const BREAKS = 30
const LONGEST_MS = 2000
const HEARD_OF_MS = [500, 10_000] as const

interface Stream {
  isUsed: boolean
  isBroken: boolean
  /** Of all that was sent on this link this way. */
  lastArrival: number
}

const NEAR = { ms: 0, bytesPerMs: Infinity }

export class Network {
  readonly faults: NetworkFaults
  frames = 0
  bytes = 0
  /** Links that were opened. */
  opened = 0
  readonly #clockwork: Clockwork
  readonly #luck: Luck
  readonly #farLuck: Luck
  readonly #streamLuck: Luck
  readonly #ends: readonly Endpoint[]
  readonly #paths = new Map<string, Path>()
  /** Open links, by number. */
  readonly #links = new Map<LinkId, readonly [number, number]>()
  readonly #streams = new Map<string, Stream>()
  #nextLink = 1

  constructor(
    ends: readonly Endpoint[],
    neighbours: readonly (readonly [number, number])[],
    clockwork: Clockwork,
    luck: Luck,
    faults: NetworkFaults,
  ) {
    this.#ends = ends
    this.#clockwork = clockwork
    this.#luck = luck
    this.#farLuck = luck.of('far')
    this.#streamLuck = luck.of('streams')
    this.faults = faults
    for (const [a, b] of neighbours) this.#connectSoon(a, b)
  }

  block(from: number, to: number, isBlocked: boolean): void {
    this.#path(from, to).blocked = isBlocked
  }
  clog(from: number, to: number, ms: number): void {
    this.#path(from, to).cloggedUntil = this.#clockwork.now + ms
  }
  /** Where `isThin`, it still takes time to bring bytes. */
  heal(isThin = false): void {
    Object.assign(this.faults, { loss: 0, duplicates: 0, meanDelayMs: 10, reorders: false })
    Object.assign(this.faults, { slowLinks: false, isThin })
    for (const path of this.#paths.values())
      Object.assign(path, { blocked: false, cloggedUntil: 0, far: this.#near(), freeAt: 0 })
    // what is on a thin way would be there for minutes
    for (const [key, { isUsed, lastArrival }] of [...this.#streams])
      if (isUsed && lastArrival > this.#clockwork.now + LONGEST_MS) this.cut(Number(key.split('/')[0]))
  }

  send(from: number, link: LinkId, frame: Uint8Array): void {
    const ends = this.#links.get(link)
    if (ends === undefined) return
    const to = ends[0] === from ? ends[1] : ends[0]
    const path = this.#path(from, to)
    this.frames++
    this.bytes += frame.length
    if (STREAMED.has(frame[0]!)) {
      this.#stream(from, to, link, frame)
      return
    }
    const times = this.#luck.chance(this.faults.duplicates) ? 2 : 1
    for (let i = 0; i < times; i++) {
      if (path.blocked || this.#luck.chance(this.faults.loss)) continue
      const { now } = this.#clockwork
      path.freeAt = Math.max(now, path.freeAt) + frame.length / path.far.bytesPerMs
      let at = Math.max(path.freeAt + path.far.ms, path.cloggedUntil) + this.#luck.delay(this.faults.meanDelayMs)
      if (!this.faults.reorders) at = path.lastArrival = Math.max(at, path.lastArrival)
      const stream = this.#streamOf(link, from)
      stream.lastArrival = Math.max(at, stream.lastArrival)
      this.#clockwork.after(at - now, () => {
        if (this.#links.has(link) && this.#ends[to]!.isUp) this.#ends[to]!.frameArrived(link, frame)
      })
    }
  }

  /** What waits at this end of a link until a thin way has room. */
  bufferedBytes(from: number, link: LinkId): number {
    const ends = this.#links.get(link)
    if (ends === undefined) return 0
    const { freeAt, far } = this.#path(from, ends[0] === from ? ends[1] : ends[0])
    return far === NEAR ? 0 : Math.max(0, freeAt - this.#clockwork.now) * far.bytesPerMs
  }

  #stream(from: number, to: number, link: LinkId, frame: Uint8Array): void {
    const [luck, { now }] = [this.#streamLuck, this.#clockwork]
    const path = this.#path(from, to)
    const stream = this.#streamOf(link, from)
    stream.isUsed = true
    if (stream.isBroken) return
    if (path.blocked || luck.chance(this.faults.loss / BREAKS)) {
      stream.isBroken = true
      this.#clockwork.after(luck.between(...HEARD_OF_MS), () => this.cut(link))
      return
    }
    path.freeAt = Math.max(now, path.freeAt) + frame.length / path.far.bytesPerMs
    let at = Math.max(path.freeAt + path.far.ms, path.cloggedUntil) + luck.delay(this.faults.meanDelayMs)
    while (luck.chance(this.faults.loss)) at += AGAIN_MS
    at = stream.lastArrival = Math.max(at, stream.lastArrival)
    this.#clockwork.after(at - now, () => {
      if (this.#links.has(link) && this.#ends[to]!.isUp) this.#ends[to]!.frameArrived(link, frame)
    })
    if (path.far !== NEAR)
      this.#clockwork.after(path.freeAt - now, () => {
        if (this.#links.has(link) && this.#ends[from]!.isUp) this.#ends[from]!.frameLeft(link)
      })
  }

  #streamOf(link: LinkId, from: number): Stream {
    const key = `${link}/${from}`
    let stream = this.#streams.get(key)
    if (stream === undefined) this.#streams.set(key, (stream = { isUsed: false, isBroken: false, lastArrival: 0 }))
    return stream
  }

  /** Both ends find out. */
  cut(link: LinkId): void {
    const ends = this.#links.get(link)
    if (ends === undefined) return
    this.close(link, ends[0])
    if (this.#ends[ends[0]]!.isUp) this.#ends[ends[0]]!.linkClosed(link)
  }

  /** One end hangs up; the other hears of it, and some time later they try again. */
  close(link: LinkId, by: number): void {
    const ends = this.#links.get(link)
    if (ends === undefined) return
    this.#links.delete(link)
    for (const end of ends) this.#streams.delete(`${link}/${end}`)
    const other = ends[0] === by ? ends[1] : ends[0]
    this.#clockwork.after(1, () => {
      if (this.#ends[other]!.isUp) this.#ends[other]!.linkClosed(link)
    })
    this.#connectSoon(...ends)
  }

  /** A replica died: its links break, and come back when it is up. */
  closeAll(of: number): void {
    for (const [link, ends] of [...this.#links]) if (ends.includes(of)) this.close(link, of)
  }

  linksOf(node: number): readonly (readonly [LinkId, number])[] {
    return [...this.#links].flatMap(([link, [a, b]]) =>
      a === node ? [[link, b] as const] : b === node ? [[link, a] as const] : [],
    )
  }

  #connectSoon(a: number, b: number): void {
    this.#clockwork.after(this.#luck.between(100, 1500), () => this.#connect(a, b))
  }

  #connect(a: number, b: number): void {
    const isReachable = !this.#path(a, b).blocked && !this.#path(b, a).blocked
    if (!isReachable || !this.#ends[a]!.isUp || !this.#ends[b]!.isUp) {
      this.#connectSoon(a, b)
      return
    }
    const link = this.#nextLink++
    this.opened++
    this.#links.set(link, [a, b])
    this.#ends[a]!.linkOpened(link, this.#luck.bytes(32), b)
    this.#ends[b]!.linkOpened(link, this.#luck.bytes(32), a)
  }

  #near(): Path['far'] {
    return this.faults.isThin === true ? { ms: 0, bytesPerMs: this.#streamLuck.between(200, 5000) } : NEAR
  }

  #path(from: number, to: number): Path {
    const key = `${from}>${to}`
    let path = this.#paths.get(key)
    if (path === undefined) {
      const isFar = this.faults.slowLinks && this.#farLuck.chance(0.3)
      const far = isFar
        ? { ms: this.#farLuck.between(0, 1500), bytesPerMs: this.#farLuck.between(2, 50) }
        : this.#near()
      this.#paths.set(key, (path = { blocked: false, cloggedUntil: 0, lastArrival: 0, far, freeAt: 0 }))
    }
    return path
  }
}
