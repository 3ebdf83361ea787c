/** Two cores on a wire that is held, with bytes to give: each frame passes when a test says so. */
import { setMaxListeners } from 'node:events'
import { TributaryError } from '../../src/core/errors.ts'
import type { FileDigest, TensorRoot } from '../../src/core/ids.ts'
import { sign, verify } from '../../src/core/signature.ts'
import type { Effect, LinkId } from '../../src/replication/effects.ts'
import { encodeFrame, type Frame, type FrameType } from '../../src/replication/frames.ts'
import { LinkBytes } from '../../src/replication/link-bytes.ts'
import { type BlobReading, type ReadBlob } from '../../src/replication/link-giving.ts'
import { ReplicaCore } from '../../src/replication/replica-core.ts'
import type { ModelSource } from '../../src/transport/blob-source.ts'
import { HeldClock } from '../support/held-clock.ts'
import { aSpace, aWriter, keyOf } from '../support/ops.ts'

export const MIB = 2 ** 20
export const space = aSpace({ creator: aWriter(1) })
export const tensor = 'ab'.repeat(32) as TensorRoot
export const file = 'cd'.repeat(32) as FileDigest
export const bytesOf = (length: number) => Uint8Array.from({ length }, (_, i) => (i * 7 + (i >> 9)) & 255)
export const never = new AbortController().signal
setMaxListeners(50, never)

export class Side {
  readonly clock: HeldClock
  readonly core: ReplicaCore
  readonly bytes: LinkBytes
  readonly counts = new Map<string, number>()
  readonly closed: LinkId[] = []
  readonly asked: string[] = []
  blobs = new Map<string, Uint8Array>()
  mayRead = true
  /** Frames that wait to be taken by the other side. */
  outbox: { readonly type: FrameType; readonly frame: Uint8Array }[] = []
  readBlob: ReadBlob = async ({ kind, digest }, { space: of }): Promise<BlobReading> => {
    this.asked.push(`${kind} ${digest.slice(0, 2)} ${of}`)
    const bytes = this.blobs.get(digest)
    if (bytes === undefined) throw new TributaryError('BLOB_NOT_FOUND', 'not here')
    return {
      bytes: bytes.length,
      async *read(start, end) {
        for (let at = start; at < end; at += MIB) yield bytes.subarray(at, Math.min(end, at + MIB))
      },
    }
  }

  constructor(seed: number, clock: HeldClock) {
    const key = keyOf(seed)
    this.clock = clock
    this.core = new ReplicaCore({
      identity: {
        rid: key.rid,
        sign: (proof) => sign('hello', proof, key),
        verify: (proof, rid, signature) => verify('hello', proof, rid, signature),
      },
      mayRead: () => this.mayRead,
    })
    this.bytes = new LinkBytes({
      keeps: () => true,
      clock,
      openSource: undefined,
      readBlob: (blob, leave) => this.readBlob(blob, leave),
      onSource: undefined,
      tell: (act) => this.do(this.core.blobs(act)),
      bufferedBytes: () => (this.closed.length > 0 ? undefined : this.waitingBytes),
      report: (_, error) => {
        throw error as Error
      },
    })
    this.do(this.core.adoptSpace(space.id, [space.init]))
  }

  get waitingBytes(): number {
    return this.outbox.reduce((sum, { frame }) => sum + frame.length, 0)
  }

  do(effects: readonly Effect[]): void {
    for (const effect of effects)
      if (effect.t === 'send') this.outbox.push(effect)
      else if (effect.t === 'report')
        this.counts.set(effect.metric, (this.counts.get(effect.metric) ?? 0) + effect.count)
      else if (effect.t === 'close') {
        this.closed.push(effect.link)
        this.bytes.closed(effect.link)
      } else if (effect.t === 'ticket' || effect.t.startsWith('blob-')) this.bytes.on(effect as never)
  }

  source(other: Side): ModelSource {
    const [source] = this.bytes.sourcesAt(
      { link: 1, rid: keyOf(other === this ? 1 : 2).rid, address: undefined },
      space.id,
    )
    return source!
  }

  sent(type: FrameType): number {
    return this.outbox.filter((one) => one.type === type).length
  }
}

export class Wire {
  readonly clock = new HeldClock()
  readonly one = new Side(1, this.clock)
  readonly two = new Side(2, this.clock)
  readonly passed: FrameType[] = []

  constructor() {
    for (const [i, side] of [this.one, this.two].entries())
      side.do(side.core.linkOpened({ link: 1, nonce: new Uint8Array(32).fill(i + 1), named: false }))
  }

  /** The oldest frame of this side arrives at the other. */
  pass(from: Side): boolean {
    const next = from.outbox.shift()
    if (next === undefined) return false
    this.passed.push(next.type)
    const to = from === this.one ? this.two : this.one
    to.do(to.core.frameArrived(1, next.frame))
    from.bytes.sent(1)
    return true
  }

  async settle(): Promise<void> {
    for (let idle = 0; idle < 3;) {
      const moved = [this.pass(this.one), this.pass(this.two)].includes(true)
      await new Promise(setImmediate)
      idle = moved ? 0 : idle + 1
    }
  }

  /** What this side takes over its link, while all frames pass. */
  async run<T>(work: Promise<T>): Promise<T> {
    const state = { isOver: false }
    const over = work.finally(() => (state.isOver = true))
    over.catch(() => undefined)
    while (!state.isOver) {
      await this.settle()
      this.clock.pass(10)
    }
    return over
  }

  give(to: Side, frame: Frame): void {
    to.do(to.core.frameArrived(1, encodeFrame(frame)))
  }
}

export async function aWire(): Promise<Wire> {
  const wire = new Wire()
  await wire.settle()
  return wire
}

export async function gather(pieces: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = []
  for await (const piece of pieces) parts.push(piece)
  return Buffer.concat(parts)
}
export const codeOf = (work: Promise<unknown>) =>
  work.then(
    () => 'nothing',
    (error: unknown) => (error instanceof TributaryError ? error.code : String(error)),
  )
