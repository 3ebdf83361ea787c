/** Which faults a run has: each seed a random half of them (swarm testing), so that none hides behind another. */
import type { Luck } from './luck.ts'

export interface Faults {
  readonly loss: number
  readonly duplicates: number
  readonly meanDelayMs: number
  /** Later frames overtake earlier ones. */
  readonly reorders: boolean
  /** One way at a time. */
  readonly partitions: boolean
  /** A way stands still for a while. */
  readonly clogs: boolean
  /** Some ways are far and thin all the time. */
  readonly slowLinks: boolean
  readonly crashes: boolean
  /** What is being written at a crash is all there, or not at all. */
  readonly tornTails: boolean
  readonly cleanStops: boolean
  /** A replica comes back with the disk of some time ago. */
  readonly rollbacks: boolean
  /** A copy of a replica runs beside it. */
  readonly clones: boolean
  readonly full: boolean
  readonly slowDisk: boolean
  /** Records vanish while the replica is down. */
  readonly rot: boolean
  /** Bits of records are flipped while the replica is down. */
  readonly flips: boolean
  /** Clocks are off by up to a day, drift and jump. */
  readonly clocks: boolean
  /** A process stands still for up to 20 s, and goes on as if nothing had been. */
  readonly pauses: boolean
  /** Queues hold so little that they overflow. */
  readonly narrow: boolean
}

export function drawFaults(luck: Luck, isFaulty: boolean): Faults {
  const on = () => isFaulty && luck.chance(0.5)
  const first = {
    loss: on() ? luck.between(0, 0.4) : 0,
    duplicates: on() ? luck.between(0, 0.1) : 0,
    meanDelayMs: on() ? luck.between(1, 100) : 5,
    reorders: on(),
    partitions: on(),
    clogs: on(),
    crashes: on(),
    rollbacks: on() && luck.chance(0.4),
    full: on(),
    slowDisk: on(),
    rot: on(),
  }
  const more = luck.of('faults')
  const also = () => isFaulty && more.chance(0.5)
  return {
    ...first,
    slowLinks: also(),
    tornTails: also(),
    cleanStops: also(),
    clones: also() && more.chance(0.2),
    flips: also(),
    clocks: also(),
    pauses: also(),
    narrow: also(),
  }
}
