/**
 * All talk goes through here, to stderr alone. On a terminal progress is one line that is drawn over; elsewhere it is a
 * line at every tenth. Talk and progress never mix on one line.
 */
import type { Io } from './io.ts'
import { clockText, durationText, shown, sizeText } from './text.ts'

export interface Progress {
  readonly update: (bytesDone: number, bytesTotal: number) => void
  /** The last line: how much, and how long it took. */
  readonly done: () => void
}

const REDRAW_MS = 100
/** Before this a rate says nothing about the rest. */
const RATE_AFTER_MS = 1000
const LABEL_WIDTH = 9
const CLEAR_LINE = '\r\u001b[K'

export class Talk {
  readonly #io: Io
  readonly #quiet: boolean
  #live = false

  /** Quiet: nothing is said but failures, so that stderr holds at most their JSON. */
  constructor(io: Io, { quiet }: { readonly quiet: boolean }) {
    this.#io = io
    this.#quiet = quiet
  }

  say(line: string): void {
    if (this.#quiet) return
    this.clear()
    this.#io.stderr.write(`${shown(line)}\n`)
  }

  warn(line: string): void {
    this.say(`warning: ${line}`)
  }

  /** Text that is ready, such as an error's; said even when quiet. */
  raw(text: string): void {
    this.clear()
    this.#io.stderr.write(text)
  }

  clear(): void {
    if (!this.#live) return
    this.#live = false
    this.#io.stderr.write(CLEAR_LINE)
  }

  progress(label: string): Progress {
    if (this.#quiet) return { update: () => undefined, done: () => undefined }
    const meter = new Meter(label, this.#io.now())
    return this.#io.stderr.isTTY ? this.#drawn(meter) : this.#written(meter)
  }

  #drawn(meter: Meter): Progress {
    let drawnAt = -Infinity
    return {
      update: (done, total) => {
        const now = this.#io.now()
        meter.see(done, total)
        if (now - drawnAt < REDRAW_MS) return
        drawnAt = now
        this.#live = true
        this.#io.stderr.write(`${CLEAR_LINE}${meter.line(now).slice(0, Math.max(20, this.#io.stderr.columns - 1))}`)
      },
      done: () => this.say(meter.summary(this.#io.now())),
    }
  }

  #written(meter: Meter): Progress {
    let tenths = 0
    return {
      update: (done, total) => {
        const now = this.#io.now()
        meter.see(done, total)
        const reached = total === 0 ? 0 : Math.floor((done * 10) / total)
        if (reached <= tenths || reached >= 10) return
        tenths = reached
        this.say(`${meter.line(now)}  ${reached * 10} %`)
      },
      done: () => this.say(meter.summary(this.#io.now())),
    }
  }
}

/** What was done since when, and what that lets one expect. */
class Meter {
  readonly #label: string
  readonly #startedMs: number
  /** Bytes that were there when it began, as after a resume: they say nothing about the rate. */
  #before: number | undefined
  #done = 0
  #total = 0

  constructor(label: string, nowMs: number) {
    this.#label = shown(label).padEnd(LABEL_WIDTH)
    this.#startedMs = nowMs
  }

  see(done: number, total: number): void {
    this.#before ??= done
    this.#done = done
    this.#total = total
  }

  line(nowMs: number): string {
    const elapsedMs = nowMs - this.#startedMs
    const amount = `${this.#label} ${sizeText(this.#done)} of ${sizeText(this.#total)}`
    const moved = this.#done - (this.#before ?? 0)
    if (elapsedMs < RATE_AFTER_MS || moved <= 0) return amount
    const perSecond = (moved * 1000) / elapsedMs
    return `${amount}  ${sizeText(Math.round(perSecond))}/s  eta ${clockText((this.#total - this.#done) / perSecond)}`
  }

  summary(nowMs: number): string {
    return `${this.#label} ${sizeText(this.#total)} in ${durationText(nowMs - this.#startedMs)}`
  }
}
