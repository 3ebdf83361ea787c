/** The limits of one link, the same for every driver: what a stranger may send, what may wait, and for how long. */
import type { Clock } from '../core/clock.ts'
import { CLOSE, type LinkLimits } from './transport.ts'

export interface Guarded {
  readonly clock: Clock
  readonly limits: LinkLimits
  /** Ends the link. */
  readonly close: (code: number, why: string) => void
}

export class LinkGuard {
  readonly #guarded: Guarded
  #strangerFrames = 0
  #strangerBytes = 0
  #isWelcome = false
  #isPaused = false
  #stopStranger = (): void => undefined
  #stopPaused = (): void => undefined

  constructor(guarded: Guarded) {
    this.#guarded = guarded
    const { clock, limits, close } = guarded
    this.#stopStranger = clock.after(limits.strangerMsMax, () => close(CLOSE.refused, 'no hello in time'))
  }

  get isWelcome(): boolean {
    return this.#isWelcome
  }

  welcome(): void {
    this.#isWelcome = true
    this.#stopStranger()
  }

  /** Judges bytes before they are a frame, where a driver sees them come. False: the link was closed. */
  admitsBytes(bytes: number): boolean {
    if (this.#isWelcome) return true
    this.#strangerBytes += bytes
    const { limits, close } = this.#guarded
    if (this.#strangerBytes <= limits.strangerBytesMax) return true
    close(CLOSE.tooLarge, `more than ${limits.strangerBytesMax} bytes before a hello`)
    return false
  }

  /** False: the link was closed. */
  admitsFrame(bytes: number): boolean {
    const { limits, close } = this.#guarded
    if (bytes > limits.frameBytesMax) {
      close(CLOSE.tooLarge, `a frame of more than ${limits.frameBytesMax} bytes`)
      return false
    }
    if (this.#isWelcome) return true
    this.#strangerFrames += 1
    if (this.#strangerFrames <= limits.strangerFramesMax) return true
    close(CLOSE.refused, `more than ${limits.strangerFramesMax} frames before a hello`)
    return false
  }

  /** After something was sent: is more welcome? */
  waits(bufferedBytes: number): boolean {
    const { limits, close, clock } = this.#guarded
    if (bufferedBytes > limits.waitingBytesMax) {
      close(CLOSE.later, `more than ${limits.waitingBytesMax} bytes wait to be taken`)
      return false
    }
    if (bufferedBytes > limits.pauseBytes && !this.#isPaused) {
      this.#isPaused = true
      const seconds = limits.pausedMsMax / 1000
      this.#stopPaused = clock.after(limits.pausedMsMax, () => close(CLOSE.later, `too slow for ${seconds} s`))
    }
    return !this.#isPaused
  }

  /** After something left: does that end a pause? */
  drains(bufferedBytes: number): boolean {
    if (!this.#isPaused || bufferedBytes > this.#guarded.limits.pauseBytes / 2) return false
    this.#isPaused = false
    this.#stopPaused()
    return true
  }

  end(): void {
    this.#stopStranger()
    this.#stopPaused()
  }
}
