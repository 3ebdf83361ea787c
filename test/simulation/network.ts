/** Links that lose, double, delay, reorder and block frames, in each direction on its own. */
import type { LinkId } from '../../src/replication/effects.ts'
import type { Clockwork } from './clockwork.ts'
import type { Luck } from './luck.ts'

export interface Endpoint {
  readonly isUp: boolean
  linkOpened(link: LinkId, nonce: Uint8Array, peer: number): void
  frameArrived(link: LinkId, frame: Uint8Array): void
  linkClosed(link: LinkId): void
}

export interface NetworkFaults {
  loss: number
  duplicates: number
  meanDelayMs: number
  /** Later frames may overtake. */
  reorders: boolean
  /** Some ways are far and thin. */
  slowLinks: boolean
}

interface Path {
  blocked: boolean
  cloggedUntil: number
  lastArrival: number
  readonly far: { ms: number; bytesPerMs: number }
  /** When what was sent before has left. */
  freeAt: number
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
  readonly #ends: readonly Endpoint[]
  readonly #paths = new Map<string, Path>()
  /** Open links, by number. */
  readonly #links = new Map<LinkId, readonly [number, number]>()
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
    this.faults = faults
    for (const [a, b] of neighbours) this.#connectSoon(a, b)
  }

  block(from: number, to: number, isBlocked: boolean): void {
    this.#path(from, to).blocked = isBlocked
  }
  clog(from: number, to: number, ms: number): void {
    this.#path(from, to).cloggedUntil = this.#clockwork.now + ms
  }
  heal(): void {
    Object.assign(this.faults, { loss: 0, duplicates: 0, meanDelayMs: 10, reorders: false })
    this.faults.slowLinks = false
    for (const path of this.#paths.values())
      Object.assign(path, { blocked: false, cloggedUntil: 0, far: NEAR, freeAt: 0 })
  }

  send(from: number, link: LinkId, frame: Uint8Array): void {
    const ends = this.#links.get(link)
    if (ends === undefined) return
    const to = ends[0] === from ? ends[1] : ends[0]
    const path = this.#path(from, to)
    this.frames++
    this.bytes += frame.length
    const times = this.#luck.chance(this.faults.duplicates) ? 2 : 1
    for (let i = 0; i < times; i++) {
      if (path.blocked || this.#luck.chance(this.faults.loss)) continue
      const { now } = this.#clockwork
      path.freeAt = Math.max(now, path.freeAt) + frame.length / path.far.bytesPerMs
      let at = Math.max(path.freeAt + path.far.ms, path.cloggedUntil) + this.#luck.delay(this.faults.meanDelayMs)
      if (!this.faults.reorders) at = path.lastArrival = Math.max(at, path.lastArrival)
      this.#clockwork.after(at - now, () => {
        if (this.#links.has(link) && this.#ends[to]!.isUp) this.#ends[to]!.frameArrived(link, frame)
      })
    }
  }

  /** One end hangs up; the other hears of it, and some time later they try again. */
  close(link: LinkId, by: number): void {
    const ends = this.#links.get(link)
    if (ends === undefined) return
    this.#links.delete(link)
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

  #path(from: number, to: number): Path {
    const key = `${from}>${to}`
    let path = this.#paths.get(key)
    if (path === undefined) {
      const isFar = this.faults.slowLinks && this.#farLuck.chance(0.3)
      const far = isFar ? { ms: this.#farLuck.between(0, 1500), bytesPerMs: this.#farLuck.between(2, 50) } : NEAR
      this.#paths.set(key, (path = { blocked: false, cloggedUntil: 0, lastArrival: 0, far, freeAt: 0 }))
    }
    return path
  }
}
