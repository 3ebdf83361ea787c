/** Links inside one process: for tests, and for whole replicas side by side. Frames are copied and arrive in microtasks. */
import type { Clock } from '../../core/clock.ts'
import { TributaryError } from '../../core/errors.ts'
import { invariant } from '../../core/invariant.ts'
import { LinkGuard } from '../link-guard.ts'
import { LinkRegister } from '../link-register.ts'
import {
  CLOSE,
  type Dialer,
  type Link,
  type LinkDirection,
  type LinkEnd,
  type LinkEvents,
  LINK_LIMITS,
  type LinkLimits,
  type Listener,
} from '../transport.ts'

export interface MemoryNetwork {
  /** Addresses are any texts. */
  listen(address: string): Listener
  readonly dialer: Dialer
  /** Cuts every link, without a goodbye. */
  cut(): void
}

class MemoryLink implements Link {
  readonly direction: LinkDirection
  readonly remote: string
  readonly #guard: LinkGuard
  readonly #atEnd: (link: MemoryLink) => void
  #other: MemoryLink | undefined
  #events: LinkEvents | undefined
  readonly #inbox: Uint8Array[] = []
  #inboxBytes = 0
  #isPaused = false
  #isBusy = false
  #end: LinkEnd | undefined
  #isTold = false

  constructor(
    direction: LinkDirection,
    remote: string,
    around: { readonly clock: Clock; readonly limits: LinkLimits; readonly atEnd: (link: MemoryLink) => void },
  ) {
    this.direction = direction
    this.remote = remote
    this.#atEnd = around.atEnd
    this.#guard = new LinkGuard({ ...around, close: (code, why) => this.close(code, why) })
  }

  join(other: MemoryLink): void {
    this.#other = other
  }

  get isWelcome(): boolean {
    return this.#guard.isWelcome
  }
  get bufferedBytes(): number {
    return this.#other?.waitingBytes ?? 0
  }
  get waitingBytes(): number {
    return this.#inboxBytes
  }

  attach(events: LinkEvents): void {
    invariant(this.#events === undefined, 'a link is attached once')
    this.#events = events
    this.#schedule()
  }

  send(frame: Uint8Array): boolean {
    if (this.#end !== undefined || this.#other === undefined) return false
    this.#other.#receive(frame.slice())
    return this.#guard.waits(this.bufferedBytes)
  }

  pause(): void {
    this.#isPaused = true
  }
  resume(): void {
    this.#isPaused = false
    this.#schedule()
  }
  welcome(): void {
    this.#guard.welcome()
  }

  close(code: number, why: string): void {
    const other = this.#other
    this.finish({ code, why, by: 'us' })
    other?.finish({ code, why, by: 'them' })
  }

  finish(end: LinkEnd): void {
    if (this.#end !== undefined) return
    this.#end = end
    this.#guard.end()
    this.#atEnd(this)
    if (end.by === 'us') {
      this.#inbox.length = 0
      this.#inboxBytes = 0
    }
    this.#schedule()
  }

  #receive(frame: Uint8Array): void {
    if (this.#end !== undefined || !this.#guard.admitsBytes(frame.length)) return
    this.#inbox.push(frame)
    this.#inboxBytes += frame.length
    this.#schedule()
  }

  #schedule(): void {
    if (this.#isBusy || this.#events === undefined) return
    this.#isBusy = true
    queueMicrotask(() => {
      this.#isBusy = false
      this.#deliver()
    })
  }

  /** One frame a turn: whoever handles it may pause, or close. */
  #deliver(): void {
    const frame = this.#isPaused ? undefined : this.#inbox.shift()
    if (frame !== undefined) {
      this.#inboxBytes -= frame.length
      if (this.#guard.admitsFrame(frame.length)) this.#events?.onFrame(frame) // the one before may have been the hello
      this.#other?.drained()
      this.#schedule()
    } else if (this.#end !== undefined && this.#inbox.length === 0 && !this.#isTold) {
      this.#isTold = true
      this.#events?.onClose(this.#end)
    }
  }

  drained(): void {
    if (this.#end !== undefined) return
    if (this.#guard.drains(this.bufferedBytes)) this.#events?.onDrain?.()
    this.#events?.onSent?.()
  }
}

export function createMemoryNetwork(clock: Clock, limits: LinkLimits = LINK_LIMITS): MemoryNetwork {
  const registers = new Map<string, LinkRegister>()
  const links = new Set<MemoryLink>()
  return {
    listen(address) {
      const register = new LinkRegister(clock, limits)
      registers.set(address, register)
      return {
        onLink: (handler) => register.onLink(handler),
        get links() {
          return register.count
        },
        close() {
          registers.delete(address)
          register.close()
        },
      }
    },
    dialer: {
      async dial({ url }) {
        const register = registers.get(url)
        if (register === undefined) throw new TributaryError('NETWORK', `nothing listens at ${url}`)
        const atEnd = (link: MemoryLink) => {
          links.delete(link)
          register.leave(link)
        }
        const dialed = new MemoryLink('dialed', url, { clock, limits, atEnd })
        const accepted = new MemoryLink('accepted', 'memory', { clock, limits, atEnd })
        dialed.join(accepted)
        accepted.join(dialed)
        for (const link of [dialed, accepted]) links.add(link)
        register.enter(accepted)
        return dialed
      },
    },
    cut() {
      for (const link of [...links]) link.finish({ code: CLOSE.lost, why: 'the connection was cut', by: 'them' })
    },
  }
}
