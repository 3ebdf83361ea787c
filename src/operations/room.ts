/** Room on the disk, asked for before bytes are taken: what would fill it is refused by name. */
import { TributaryError } from '../core/errors.ts'
import type { Context } from './context.ts'

export async function needRoom(
  { storage, limits }: Context,
  bytes: number,
  what: string,
  freeBytesMin = limits.freeBytesMin,
): Promise<void> {
  const free = await storage.blobs.freeBytes()
  const left = Math.max(0, free - freeBytesMin)
  if (bytes <= left) return
  throw new TributaryError('DISK_FULL', `${what} takes ${bytes} bytes, and ${left} are left`, {
    details: { bytes, free },
    hint: 'free space on the disk of the data directory, then ask again',
  })
}
