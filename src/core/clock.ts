/** Time as whoever waits is given it: a test can hold it still. Pure code takes none. */
export interface Clock {
  /** Milliseconds that only go forward. */
  now(): number
  /** Acts once, later; what it answers calls that off. */
  after(ms: number, act: () => void): () => void
}
