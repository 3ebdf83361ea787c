/**
 * How far a peer is trusted with our time. It limits rate and nothing else: no op is refused because of who brought it.
 * Past good never hides present bad: all that can be earned is less than what one forged signature costs.
 */
const COST = { lied: 16, forged: 8, malformed: 4, refused: 4, withheld: 2, timedOut: 1, floods: 1 } as const
export type Misdeed = keyof typeof COST
export const MISDEEDS = Object.keys(COST) as Misdeed[]

const HALF_LIFE_MS = 600_000
export const EARNED_MAX = 2
const USEFUL_OPS_A_POINT = 50
/** Below it a peer is told ids, and no ops unasked. */
export const LAZY_BELOW = -10
/** Below it the link is closed. */
export const CLOSE_BELOW = -40

export interface PeerScore {
  /** What its misdeeds cost, at `at`. */
  readonly cost: number
  readonly usefulOps: number
  readonly at: number
}

export const newScore = (now: number): PeerScore => ({ cost: 0, usefulOps: 0, at: now })

/** Halves itself every ten minutes. */
const decayed = ({ cost, at }: PeerScore, now: number): number => cost / 2 ** (Math.max(0, now - at) / HALF_LIFE_MS)

export const afterMisdeed = (score: PeerScore, misdeed: Misdeed, now: number): PeerScore => ({
  ...score,
  cost: decayed(score, now) + COST[misdeed],
  at: Math.max(now, score.at),
})

export const afterUsefulOps = (score: PeerScore, ops: number): PeerScore => ({
  ...score,
  usefulOps: Math.min(score.usefulOps + ops, EARNED_MAX * USEFUL_OPS_A_POINT),
})

export const scoreAt = (score: PeerScore, now: number): number =>
  score.usefulOps / USEFUL_OPS_A_POINT - decayed(score, now)
