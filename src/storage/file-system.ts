/**
 * Port: the few calls on files that storage needs, so that tests can make each of them fail and lose what was not synced.
 * Every failure is a TributaryError, DISK_FULL or STORAGE_FAILED with its cause; "not there" is an answer, not a failure.
 */

/** One open file. Positions are explicit: there is no cursor to lose. */
export interface OpenFile {
  /** Fills `target` from `position`; answers how many bytes there were, fewer than asked only at the end of the file. */
  read(target: Uint8Array, position: number): Promise<number>
  /** Writes all of `bytes` or fails; after a failure any part of them may be there. */
  write(bytes: Uint8Array, position: number): Promise<void>
  bytes(): Promise<number>
  /** The bytes survive a power cut once this has answered. The file's name needs `syncDirectory`. */
  sync(): Promise<void>
  close(): Promise<void>
}

export interface FileStat {
  readonly kind: 'file' | 'directory' | 'other'
  readonly bytes: number
  readonly modifiedAtMs: number
}

export interface FileSystem {
  /** Undefined where there is no such file. */
  openForReading(path: string): Promise<OpenFile | undefined>
  /** Read and write, never truncated; made when absent. */
  openForWriting(path: string): Promise<OpenFile>
  /** A file of that name must not exist yet. Read and write. */
  createExclusive(path: string): Promise<OpenFile>
  /** Within one file system, atomically, over a file of that name. Durable after `syncDirectory`. */
  rename(from: string, to: string): Promise<void>
  /** With its parents; nothing happens where it exists. */
  makeDirectory(path: string): Promise<void>
  /** Names in a directory, sorted; none where there is no such directory. */
  list(path: string): Promise<readonly string[]>
  stat(path: string): Promise<FileStat | undefined>
  /** Nothing happens where there is no such file. */
  remove(path: string): Promise<void>
  /** The names in this directory, as they are now, survive a power cut. */
  syncDirectory(path: string): Promise<void>
  /** What an ordinary user may still write there. */
  freeBytes(path: string): Promise<number>
}
