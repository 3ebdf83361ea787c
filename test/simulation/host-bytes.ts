/** The bytes of one replica: what its disk holds of models, its process while it has one, and what waits at any time. */
import type { ReplicaId } from '../../src/core/ids.ts'
import type { BlobLinks } from '../../src/replication/blob-links.ts'
import { WANTS_MAX } from '../../src/replication/blob-frames.ts'
import type { Effect, LinkId } from '../../src/replication/effects.ts'
import { decodeFrame } from '../../src/replication/frames.ts'
import { ASKED_BYTES_MAX, ASKED_MAX } from '../../src/replication/link-asking.ts'
import type { ReadBlob } from '../../src/replication/link-giving.ts'
import { ByteDisk } from './byte-disk.ts'
import { type ByteEffect, ByteProcess } from './byte-process.ts'
import type { ByteWorld } from './byte-world.ts'
import type { Host } from './host.ts'
import type { Model } from './models.ts'

/** What a process has of its replica while it lives. */
export interface Life {
  readonly after: (ms: number, act: () => void) => void
  readonly tell: (act: (blobs: BlobLinks) => void) => void
  readonly isOpen: (link: LinkId) => boolean
  readonly gives: (read: ReadBlob) => ReadBlob
}

export class HostBytes {
  readonly disk = new ByteDisk()
  /** Are merges asked for here? Then it wants the bytes of all that is shown. */
  readonly wants: boolean
  /** Uploaded here, on the disk that is here now. */
  readonly uploaded = new Set<Model>()
  process: ByteProcess | undefined
  readonly #processes: ByteProcess[] = []
  readonly #host: Host
  readonly #world: ByteWorld
  readonly #isHonest: boolean
  /** Bytes asked for on a link and not ended, by request. */
  readonly #asked = new Map<LinkId, Map<number, number>>()

  constructor(host: Host, world: ByteWorld, isHonest: boolean) {
    this.#host = host
    this.#world = world
    this.#isHonest = isHonest
    this.wants = world.luck.chance(0.85)
  }

  start({ after, tell, isOpen, gives }: Life): void {
    const { node, rid, clock, world, disk } = this.#host
    this.process = new ByteProcess({
      ...{ node, rid, tell, gives, space: world.space, world: this.#world, disk: this.disk },
      merges: this.wants,
      isHonest: this.#isHonest,
      clock: {
        now: () => clock.monotonic(),
        after(ms, act) {
          let isCalledOff = false
          // as timers are: never at once, and never too early
          after(Math.max(1, ms) / clock.rate + 0.001, () => {
            if (!isCalledOff) act()
          })
          return () => void (isCalledOff = true)
        },
      },
      state: () => this.#host.state,
      bufferedBytes: (link) => (isOpen(link) ? world.network().bufferedBytes(node, link) : undefined),
      diskMs: () => Math.min(this.#world.luck.delay(disk.meanWriteMs), 2000),
      isFull: () => disk.full,
    })
    this.#processes.push(this.process)
  }

  stop(): void {
    this.process?.stop()
    this.#end()
  }
  crash(): void {
    this.disk.crash(this.#world.luck)
    this.#end()
  }
  /** When the run is over: who was killed in the middle of a fetch waits for an abort that never comes, and holds its disk for ever. */
  forget(): void {
    for (const process of this.#processes) process.stop()
  }
  #end(): void {
    this.process = undefined
    this.#asked.clear()
  }

  opened(link: LinkId, rid: ReplicaId): void {
    this.process?.opened(link, rid)
  }
  closed(link: LinkId): void {
    this.#asked.delete(link)
    this.process?.closed(link)
  }
  on(effect: ByteEffect): void {
    if (effect.t === 'blob-end') this.#asked.get(effect.link)?.delete(effect.request)
    this.process?.on(effect)
  }
  sends({ link, type, frame }: Extract<Effect, { t: 'send' }>): void {
    if (type !== 'blob-want' && type !== 'blob-end') return
    const sent = decodeFrame(frame)
    const asked = this.#asked.get(link) ?? new Map<number, number>()
    this.#asked.set(link, asked)
    if (sent.t === 'blob-want') asked.set(sent.request, sent.end - sent.start)
    else if (sent.t === 'blob-end' && sent.how === 'called-off') asked.delete(sent.request)
  }

  async upload(model: Model): Promise<boolean> {
    const process = this.process
    if (process === undefined || !(await process.upload(model)) || process !== this.process) return false
    this.uploaded.add(model)
    return true
  }

  wipe(): void {
    this.disk.wipe()
    this.#world.isSoundAgain(this.#host.node)
    this.uploaded.clear()
  }
  async rot(): Promise<void> {
    const { node, rid } = this.#host
    const flipped = await this.disk.flip(this.#world.luck)
    if (flipped === undefined) return
    this.#world.rots(node, rid, flipped.name, flipped.at)
    for (const model of this.uploaded) if (model.blobs.includes(flipped.name.digest)) this.uploaded.delete(model)
  }
  /** As each replica does once a week. */
  async scrub(): Promise<void> {
    const { process } = this
    if (process === undefined || !this.#world.isRottenAt(this.#host.node)) return
    await process.scrub()
    if (process === this.process) this.#world.isSoundAgain(this.#host.node)
  }

  /** Of one link: what is under way and must stay within its bounds. */
  overflows(): string[] {
    return [...this.#asked.values()].flatMap((asked) => {
      const bytes = [...asked.values()].reduce((sum, one) => sum + one, 0)
      return [
        ...(asked.size > Math.min(ASKED_MAX, WANTS_MAX) ? ['caps: too much is asked of one link'] : []),
        ...(bytes > ASKED_BYTES_MAX ? ['caps: too many bytes are asked of one link'] : []),
      ]
    })
  }
}
