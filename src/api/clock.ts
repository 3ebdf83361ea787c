/** The time a listener lives in, given from outside so that a test can hold it still. */
export interface Clock {
  /** Milliseconds that only go forward. */
  now(): number
  /** Acts once, later; what it answers calls that off. */
  after(ms: number, act: () => void): () => void
}

export const systemClock: Clock = {
  now: () => performance.now(),
  after(ms, act) {
    const timer = setTimeout(act, ms)
    timer.unref()
    return () => clearTimeout(timer)
  },
}
