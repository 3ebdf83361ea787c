/**
 * Whoever is at the other end of a link as a source of bytes, by frames of the link itself. So much is asked for at once
 * and no more; what waits for its turn is alive as long as anything comes over the link.
 */
import type { Clock } from '../core/clock.ts'
import { TributaryError } from '../core/errors.ts'
import { entry } from '../core/forks.ts'
import type { ReplicaId, SpaceId } from '../core/ids.ts'
import type { ModelSource } from '../transport/blob-source.ts'
import { type BlobEnd, type BlobKind, type BlobWant, WANT_BYTES_MAX } from './blob-frames.ts'
import type { LinkId } from './effects.ts'
import { TokenBucket } from './token-bucket.ts'

/** Of one link: what may be on its way, and so wait here. */
export const ASKED_BYTES_MAX = 16 * 1024 * 1024
export const ASKED_MAX = 8
/** Nothing comes over a link for so long: what was asked for is not waited for. */
const SILENT_MS = 15_000
/** Half of the frames that the other side takes of us in a second: the rest are for ops. */
const WANTS_PER_SECOND = 250
const BURST = 500

const NOTHING = new Uint8Array(0)

interface LinkAskingParts {
  readonly clock: Clock
  readonly isOpen: (link: LinkId) => boolean
  readonly want: (link: LinkId, request: number, want: BlobWant) => void
  readonly letGo: (link: LinkId, request: number) => void
}

interface Stream {
  readonly request: number
  readonly want: BlobWant
  readonly parts: Uint8Array[]
  /** Something came over the link since the consumer was last woken. */
  isAlive: boolean
  end: BlobEnd | undefined
  wake: () => void
}

interface Asked {
  readonly open: Map<number, Stream>
  readonly waiting: Stream[]
  readonly pace: TokenBucket
  bytes: number
  callOff: (() => void) | undefined
}

export class LinkAsking {
  readonly #parts: LinkAskingParts
  readonly #links = new Map<LinkId, Asked>()
  #lastRequest = 0

  constructor(parts: LinkAskingParts) {
    this.#parts = parts
  }

  /** Its pieces may be empty: they say that the link is alive, and what was asked for waits for its turn. */
  source(link: LinkId, id: ReplicaId, space: SpaceId): ModelSource {
    const want = (kind: BlobKind, digest: string, start: number, end: number): BlobWant => ({
      space,
      kind,
      digest,
      start,
      end,
    })
    const exactly = (wanted: BlobWant, signal: AbortSignal) => this.#exactly(link, id, wanted, signal)
    const upTo = (kind: BlobKind, digest: string, max: number, signal: AbortSignal) =>
      this.#upTo(link, id, want(kind, digest, 0, max), signal)
    return {
      id,
      leaves: (root, bytesMax, signal) => exactly(want('leaves', root, 0, bytesMax), signal),
      read: (root, start, end, signal) => exactly(want('tensor', root, start, end), signal),
      manifest: (digest, bytesMax, signal) => upTo('manifest', digest, bytesMax, signal),
      file: (digest, bytesMax, signal) => upTo('file', digest, bytesMax, signal),
      has: (digest, signal) => this.#has(link, id, want('manifest', digest, 0, 0), signal),
      close: () => undefined, // it ends with its link
    }
  }

  part(link: LinkId, request: number, bytes: Uint8Array): void {
    const asked = this.#links.get(link)
    if (asked === undefined) return
    asked.open.get(request)?.parts.push(bytes)
    for (const stream of [...asked.open.values(), ...asked.waiting]) {
      stream.isAlive = true
      stream.wake()
    }
  }

  ended(link: LinkId, request: number, how: BlobEnd): void {
    const asked = this.#links.get(link)
    const stream = asked?.open.get(request)
    if (asked === undefined || stream === undefined) return
    stream.end = how
    this.#leave(link, asked, stream)
    stream.wake()
  }

  closed(link: LinkId): void {
    const asked = this.#links.get(link)
    this.#links.delete(link)
    asked?.callOff?.()
    for (const stream of [...(asked?.open.values() ?? []), ...(asked?.waiting ?? [])]) {
      stream.end = 'failed'
      stream.wake()
    }
  }

  /** Whoever keeps silent must not keep the others waiting. */
  async #has(link: LinkId, id: ReplicaId, want: BlobWant, signal: AbortSignal): Promise<boolean> {
    const { clock } = this.#parts
    const silence = new AbortController()
    const silentLater = () => clock.after(SILENT_MS, () => silence.abort())
    let callOff = silentLater()
    const stream = this.#begin(link, want)
    try {
      for await (const piece of this.#pieces(link, stream, AbortSignal.any([signal, silence.signal]))) {
        if (piece.length > 0) break // more than was asked for
        callOff()
        callOff = silentLater()
      }
    } finally {
      callOff()
    }
    if (silence.signal.aborted) throw problem(id, 'it does not answer')
    return stream.end === 'done'
  }

  async *#exactly(link: LinkId, id: ReplicaId, want: BlobWant, signal: AbortSignal): AsyncIterable<Uint8Array> {
    let left = want.end - want.start
    if (left > WANT_BYTES_MAX) throw problem(id, `${left} bytes at once are too many for a link`)
    const stream = this.#begin(link, want)
    for await (const piece of this.#pieces(link, stream, signal)) {
      left -= piece.length
      yield piece
    }
    if (stream.end !== 'done') throw refusal(id, stream)
    if (left > 0) throw problem(id, 'its answer ends early')
  }

  /** In ranges, until one is not full: nobody has said how long it is. */
  async *#upTo(link: LinkId, id: ReplicaId, whole: BlobWant, signal: AbortSignal): AsyncIterable<Uint8Array> {
    for (let start = 0; start < whole.end;) {
      const end = Math.min(whole.end, start + WANT_BYTES_MAX)
      const stream = this.#begin(link, { ...whole, start, end })
      const before = start
      for await (const piece of this.#pieces(link, stream, signal)) {
        start += piece.length
        yield piece
      }
      if (signal.aborted) throw problem(id, 'it was called off') // what came meanwhile was not read
      if (stream.end !== 'done') throw refusal(id, stream)
      if (start < end || start === before) return
    }
  }

  async *#pieces(link: LinkId, stream: Stream, signal: AbortSignal): AsyncIterable<Uint8Array> {
    const stop = () => stream.wake()
    signal.addEventListener('abort', stop)
    try {
      for (;;) {
        if (signal.aborted) return
        const part = stream.parts.shift()
        if (part !== undefined) yield part
        else if (stream.end !== undefined) return
        else if (stream.isAlive) {
          stream.isAlive = false
          yield NOTHING
        } else await new Promise<void>((resolve) => (stream.wake = resolve))
      }
    } finally {
      signal.removeEventListener('abort', stop)
      this.#abandon(link, stream)
    }
  }

  #begin(link: LinkId, want: BlobWant): Stream {
    const { clock, isOpen } = this.#parts
    const stream: Stream = {
      request: ++this.#lastRequest,
      want,
      parts: [],
      isAlive: false,
      end: undefined,
      wake: () => undefined,
    }
    if (!isOpen(link)) return { ...stream, end: 'failed' }
    const asked = entry(this.#links, link, (): Asked => ({
      open: new Map(),
      waiting: [],
      pace: new TokenBucket(WANTS_PER_SECOND, BURST, clock.now()),
      bytes: 0,
      callOff: undefined,
    }))
    asked.waiting.push(stream)
    this.#ask(link, asked)
    return stream
  }

  #ask(link: LinkId, asked: Asked): void {
    const { clock, want } = this.#parts
    for (let next = asked.waiting[0]; next !== undefined; next = asked.waiting[0]) {
      const bytes = next.want.end - next.want.start
      const isFull = asked.open.size >= ASKED_MAX || asked.bytes + bytes > ASKED_BYTES_MAX
      if (isFull || asked.callOff !== undefined) return
      if (!asked.pace.take(1, clock.now())) {
        asked.callOff = clock.after(1000 / WANTS_PER_SECOND, () => {
          asked.callOff = undefined
          this.#ask(link, asked)
        })
        return
      }
      asked.waiting.shift()
      asked.open.set(next.request, next)
      asked.bytes += bytes
      want(link, next.request, next.want)
    }
  }

  /** Nobody reads it any more. */
  #abandon(link: LinkId, stream: Stream): void {
    const asked = this.#links.get(link)
    if (asked === undefined || stream.end !== undefined) return
    stream.end = 'called-off'
    const at = asked.waiting.indexOf(stream)
    if (at >= 0) asked.waiting.splice(at, 1)
    else {
      this.#parts.letGo(link, stream.request)
      this.#leave(link, asked, stream)
    }
  }

  #leave(link: LinkId, asked: Asked, { request, want }: Stream): void {
    if (asked.open.delete(request)) asked.bytes -= want.end - want.start
    this.#ask(link, asked)
  }
}

const problem = (source: string, why: string) =>
  new TributaryError('NETWORK', `over its link: ${why}`, { details: { source } })

const refusal = (source: string, { end, want: { kind, digest } }: Stream): TributaryError =>
  end === 'lacks'
    ? new TributaryError('BLOB_NOT_FOUND', `it does not give out the ${kind} ${digest}`, { details: { source } })
    : problem(source, end === 'busy' ? 'it has too much to do' : 'the answer ends before its end')
