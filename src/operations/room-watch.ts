/** What is free of the disk, as it was some seconds ago at the most: for those who can't wait for the answer. */
import { TributaryError } from '../core/errors.ts'
import type { Context } from './context.ts'

/** At the fastest that ops can come, far less than what is kept free. */
const FRESH_MS = 5000

export interface RoomWatch {
  /** DISK_FULL where less than the least was free when it last looked. */
  check(what: string): void
}

export function watchRoom({ storage, limits, now, report }: Context): RoomWatch {
  let free = Infinity
  let lookedAtMs = -Infinity
  let looking: Promise<void> | undefined
  const look = () => {
    lookedAtMs = now()
    looking ??= storage.blobs
      .freeBytes()
      .then(
        (bytes) => void (free = bytes),
        (error: unknown) => report('room', error),
      )
      .finally(() => (looking = undefined))
  }
  return {
    check(what) {
      if (now() - lookedAtMs >= FRESH_MS) look()
      if (free >= limits.freeBytesMin) return
      throw new TributaryError('DISK_FULL', `${what} wait: ${free} bytes are free`, {
        details: { free },
        hint: 'free space on the disk of the data directory',
      })
    },
  }
}
