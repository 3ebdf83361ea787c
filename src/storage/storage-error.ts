/** How a driver's own error becomes ours: a full disk is told apart from every other failure, and the cause is kept. */
import { TributaryError } from '../core/errors.ts'

/** Codes that mean "no room": the file system's, a quota's, and SQLite's. */
const FULL = new Set(['ENOSPC', 'EDQUOT', 'EFBIG', 'SQLITE_FULL'])

export function codeOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined
  return typeof error.code === 'string' ? error.code : undefined
}

/** `doing` completes "could not …": `write /data/tmp/0a1b`. An error that is already ours passes through. */
export function storageError(cause: unknown, doing: string): TributaryError {
  if (cause instanceof TributaryError) return cause
  const code = codeOf(cause)
  if (code !== undefined && FULL.has(code))
    return new TributaryError('DISK_FULL', `could not ${doing}: the disk is full`, {
      hint: 'free some space and try again: nothing that was acknowledged is lost',
      cause,
    })
  const why = cause instanceof Error ? cause.message : String(cause)
  return new TributaryError('STORAGE_FAILED', `could not ${doing}: ${why}`, {
    hint: 'look at the disk and its permissions; the log has the whole error',
    cause,
  })
}
