/** A link over one websocket, from whichever side it was opened. */
import type { Socket } from 'node:net'
import type { WebSocket } from 'ws'
import type { Clock } from '../../core/clock.ts'
import { invariant } from '../../core/invariant.ts'
import { LinkGuard } from '../link-guard.ts'
import type { Accepted } from '../link-register.ts'
import { CLOSE, type LinkDirection, type LinkEnd, type LinkEvents, type LinkLimits } from '../transport.ts'

/** A close frame has room for so many bytes of reason. */
const WHY_BYTES_MAX = 123

export interface Around {
  readonly clock: Clock
  readonly limits: LinkLimits
  readonly direction: LinkDirection
  readonly remote: string
  /** The connection itself, where a stranger's bytes are counted before they are a frame. */
  readonly stream?: Socket
  readonly atEnd?: (link: WebSocketLink) => void
}

export class WebSocketLink implements Accepted {
  readonly direction: LinkDirection
  readonly remote: string
  readonly #socket: WebSocket
  readonly #around: Around
  readonly #guard: LinkGuard
  #events: LinkEvents | undefined
  #end: LinkEnd | undefined
  #isTold = false
  #heardAt: number
  #stopPing = (): void => undefined
  #stopClosing = (): void => undefined
  #stopCounting = (): void => undefined

  constructor(socket: WebSocket, around: Around) {
    this.#socket = socket
    this.#around = around
    this.direction = around.direction
    this.remote = around.remote
    this.#heardAt = around.clock.now()
    this.#guard = new LinkGuard({ ...around, close: (code, why) => this.close(code, why) })
    socket.pause() // until somebody is attached
    socket.on('message', (data, isBinary) => this.#receive(data as Buffer, isBinary))
    socket.on('pong', () => this.#heard())
    socket.on('error', (error: NodeJS.ErrnoException) => this.#failed(error))
    socket.on('close', (code, why) => this.#closed(code, why.toString()))
    this.#countBytes(around.stream)
    this.#watch()
  }

  get isWelcome(): boolean {
    return this.#guard.isWelcome
  }
  get bufferedBytes(): number {
    return this.#socket.bufferedAmount
  }

  attach(events: LinkEvents): void {
    invariant(this.#events === undefined, 'a link is attached once')
    this.#events = events
    if (this.#end === undefined) this.#socket.resume()
    else this.#tell()
  }

  send(frame: Uint8Array): boolean {
    if (this.#end !== undefined) return false
    this.#socket.send(frame, { binary: true, compress: false }, () => this.#drained())
    return this.#guard.waits(this.#socket.bufferedAmount)
  }

  pause(): void {
    this.#socket.pause()
  }
  resume(): void {
    this.#socket.resume()
  }

  welcome(): void {
    this.#guard.welcome()
    this.#stopCounting()
  }

  close(code: number, why: string): void {
    if (this.#end !== undefined) return
    const { clock, limits } = this.#around
    this.#finish({ code, why, by: 'us' })
    this.#socket.resume() // its goodbye is read; its frames are dropped
    this.#socket.close(code, shortened(why))
    this.#stopClosing = clock.after(limits.closingMsMax, () => this.#socket.terminate())
  }

  #receive(data: Buffer, isBinary: boolean): void {
    if (this.#end !== undefined) return
    this.#heard()
    if (!isBinary) this.close(CLOSE.notBytes, 'a frame of text')
    else if (this.#guard.admitsFrame(data.length))
      this.#events?.onFrame(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
  }

  #drained(): void {
    if (this.#end !== undefined) return
    if (this.#guard.drains(this.#socket.bufferedAmount)) this.#events?.onDrain?.()
    this.#events?.onSent?.()
  }

  #heard(): void {
    this.#heardAt = this.#around.clock.now()
  }

  /** Any sign of life counts. One that reads nothing hears no ping, and is let go by what waits for it. */
  #watch(): void {
    const { clock, limits } = this.#around
    this.#stopPing = clock.after(limits.pingMs, () => {
      if (clock.now() - this.#heardAt >= limits.silentMsMax) {
        this.#lose('no sign of life')
        return
      }
      this.#socket.ping()
      this.#watch()
    })
  }

  #countBytes(stream: Socket | undefined): void {
    if (stream === undefined) return
    const count = (chunk: Buffer) => void this.#guard.admitsBytes(chunk.length)
    stream.prependListener('data', count) // before they are put together to a frame
    this.#stopCounting = () => stream.off('data', count)
  }

  #failed(error: NodeJS.ErrnoException): void {
    const isTooLarge = error.code === 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH'
    const isOurs = error.code?.startsWith('WS_ERR_') === true
    if (isTooLarge) this.#finish({ code: CLOSE.tooLarge, why: 'a frame that is too large', by: 'us' })
    else if (isOurs) this.#finish({ code: 1002, why: 'no websocket frames', by: 'us' })
    else this.#finish({ code: CLOSE.lost, why: `the connection failed (${error.code ?? error.message})`, by: 'them' })
  }

  #lose(why: string): void {
    this.#finish({ code: CLOSE.lost, why, by: 'us' })
    this.#socket.terminate()
  }

  #closed(code: number, why: string): void {
    this.#stopClosing()
    this.#finish({ code, why: why === '' && code === CLOSE.lost ? 'the connection was cut' : why, by: 'them' })
  }

  #finish(end: LinkEnd): void {
    if (this.#end !== undefined) return
    this.#end = end
    this.#guard.end()
    this.#stopPing()
    this.#stopCounting()
    this.#around.atEnd?.(this)
    this.#tell()
  }

  #tell(): void {
    queueMicrotask(() => {
      if (this.#end === undefined || this.#events === undefined || this.#isTold) return
      this.#isTold = true
      this.#events.onClose(this.#end)
    })
  }
}

function shortened(why: string): string {
  let text = why
  while (Buffer.byteLength(text) > WHY_BYTES_MAX) text = text.slice(0, -1)
  return text
}
