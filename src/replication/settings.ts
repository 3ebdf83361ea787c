/** Times and bounds of replication. Every queue has one, and what is beyond it comes again with the next sync. */
export interface Settings {
  /** Peers of a space that get new ops unasked; the others are told ids. */
  readonly eagerPeers: number
  /** Up to so many peers all are eager. */
  readonly fullMeshPeers: number
  /** An op that was told and does not come is asked for after this. */
  readonly graftAfterMs: number
  readonly helloTimeoutMs: number
  /** A vector or a session without an answer is begun anew after this. */
  readonly answerTimeoutMs: number
  /** Roots are told so long after a change at the least, and so often without one. */
  readonly rootsAfterChangeMs: number
  readonly rootsEveryMs: number
  /** So long roots may differ, for ops that are on their way, before ids are exchanged. */
  readonly differMs: number
  readonly parkedMs: number
  /** Frames of one space that wait while it stores; the newest is let go. */
  readonly waitingFrames: number
  readonly waitingBytes: number
  /** Ids that wait to be told to a lazy peer; the oldest is let go. */
  readonly lazyIds: number
  /** Ids that were told and are awaited, a space; the newest is let go. */
  readonly awaitedIds: number
  /** Spaces that are adopted from peers the operator named. */
  readonly adoptedSpaces: number
  /** Peers are told addresses so often at the most. */
  readonly addressesEveryMs: number
  /** While links are fewer than this, learned addresses are dialed: so long apart, and so long waited for. */
  readonly meshLinks: number
  readonly learnedDialEveryMs: number
  readonly learnedDialMs: number
  /** Who is first to write evidence of a fork waits up to this long, the last nine times. */
  readonly evidenceSlotMs: number
  readonly framesPerSecond: number
  readonly bytesPerSecond: number
  /** A bucket holds the tokens of so many seconds; that of a peer that the operator did not name holds fewer. */
  readonly burstSeconds: number
  readonly strangerBurstSeconds: number
  /** Frames that nothing waits for, as of a space that is not kept: beyond these they are a flood. */
  readonly strayPerSecond: number
  readonly strayBurst: number
  /** So many bytes of one count as a frame more. */
  readonly strayBytes: number
}

export const DEFAULT_SETTINGS: Settings = {
  eagerPeers: 4,
  fullMeshPeers: 5,
  graftAfterMs: 1000,
  helloTimeoutMs: 5000,
  answerTimeoutMs: 5000,
  rootsAfterChangeMs: 2000,
  rootsEveryMs: 30_000,
  differMs: 1500,
  parkedMs: 60_000,
  waitingFrames: 256,
  waitingBytes: 16 * 1024 * 1024,
  lazyIds: 4096,
  awaitedIds: 4096,
  adoptedSpaces: 64,
  addressesEveryMs: 60_000,
  meshLinks: 5,
  learnedDialEveryMs: 5000,
  learnedDialMs: 30_000,
  evidenceSlotMs: 2000,
  framesPerSecond: 500,
  bytesPerSecond: 8 * 1024 * 1024,
  burstSeconds: 8,
  strangerBurstSeconds: 4,
  strayPerSecond: 8,
  strayBurst: 256,
  strayBytes: 8 * 1024,
}
