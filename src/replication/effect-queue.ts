/** Effects as they come about, until whoever runs the core takes them. */
import type { Effect, LinkId, Metric } from './effects.ts'
import { encodeFrame, type Frame } from './frames.ts'

export class EffectQueue {
  #effects: Effect[] = []

  readonly push = (effect: Effect): void => void this.#effects.push(effect)

  readonly send = (link: LinkId, frame: Frame): void =>
    this.push({ t: 'send', link, type: frame.t, frame: encodeFrame(frame) })

  readonly report = (metric: Metric, count: number): void => this.push({ t: 'report', metric, count })

  take(): readonly Effect[] {
    const effects = this.#effects
    this.#effects = []
    return effects
  }
}
