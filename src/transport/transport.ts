/**
 * Port: frames of bytes over links between two replicas. A link keeps the order and the bounds of frames, loses none while
 * it is open, holds a bounded number of bytes, and ends once. It knows nothing of what the frames say.
 */

export type LinkDirection = 'dialed' | 'accepted'

/** Of RFC 6455, where one fits. */
export const CLOSE = {
  done: 1000,
  goingAway: 1001,
  notBytes: 1003,
  /** No goodbye was heard. Never sent. */
  lost: 1006,
  refused: 1008,
  tooLarge: 1009,
  later: 1013,
} as const

export interface LinkEnd {
  readonly code: number
  /** For people; from the other side it is any text. */
  readonly why: string
  readonly by: 'us' | 'them'
}

export interface LinkEvents {
  readonly onFrame: (frame: Uint8Array) => void
  /** After `send` answered false: there is room again. */
  readonly onDrain?: () => void
  /** Some of what was sent has left: `bufferedBytes` is less. For who holds back what is not urgent. */
  readonly onSent?: () => void
  /** Once, after everything else; never inside a call of ours. */
  readonly onClose: (end: LinkEnd) => void
}

export interface Link {
  readonly direction: LinkDirection
  /** Where the other side is, as the network tells it. */
  readonly remote: string
  /** Bytes that were given to `send` and wait here. */
  readonly bufferedBytes: number
  /** Frames that came before wait for this. Once. */
  attach(events: LinkEvents): void
  /**
   * Takes the frame, and answers whether more is welcome: after a false, wait for `onDrain`. Who goes on regardless, or
   * whose other side takes nothing for long, loses the link with `later`. On a closed link the frame is dropped.
   */
  send(frame: Uint8Array): boolean
  /** Reads no more until `resume`: the other side is held back by its buffers. What was read already still comes. */
  pause(): void
  resume(): void
  /** The other side has said who it is: limits for strangers no longer hold. */
  welcome(): void
  close(code: number, why: string): void
}

export interface Listener {
  onLink(handler: (link: Link) => void): void
  readonly links: number
  /** Ends every link with `goingAway`, and takes no more. */
  readonly close: () => void
}

export interface Address {
  /** http(s) or ws(s); the path is where the replica is mounted. */
  readonly url: string
  /** The address that was judged: it is dialed, whatever the name means by now. */
  readonly pinned?: string
}

export interface Dialer {
  /** NETWORK when no link comes about. */
  dial(address: Address, signal?: AbortSignal): Promise<Link>
}

const MIB = 1024 * 1024

export interface LinkLimits {
  readonly frameBytesMax: number
  /** What somebody may send, and how long it may take, before it has said who it is. */
  readonly strangerFramesMax: number
  readonly strangerBytesMax: number
  readonly strangerMsMax: number
  /** More that waits than this asks the sender to pause, until half of it is gone. */
  readonly pauseBytes: number
  /** More than this, or so long a pause, ends the link: the sync that follows the next one makes up for it. */
  readonly waitingBytesMax: number
  readonly pausedMsMax: number
  /** A side that is silent is asked for a sign of life, and let go without one. */
  readonly pingMs: number
  readonly silentMsMax: number
  readonly openingMsMax: number
  readonly closingMsMax: number
  readonly linksMax: number
  readonly strangersMax: number
  readonly linksPerAddressMax: number
  /** So many at once, and from then on so many a second. */
  readonly newLinksBurst: number
  readonly newLinksPerSecond: number
}

export const LINK_LIMITS: LinkLimits = {
  frameBytesMax: 4 * MIB + 1024,
  strangerFramesMax: 2, // hello, and the answer to ours
  strangerBytesMax: 80 * 1024, // 8 KiB, and what may come in one read behind them
  strangerMsMax: 5_000,
  pauseBytes: 8 * MIB,
  waitingBytesMax: 32 * MIB,
  pausedMsMax: 60_000,
  pingMs: 30_000,
  silentMsMax: 75_000,
  openingMsMax: 10_000,
  closingMsMax: 2_000,
  linksMax: 64,
  strangersMax: 16,
  linksPerAddressMax: 8,
  newLinksBurst: 40,
  newLinksPerSecond: 1,
}
