/**
 * Everything outside that a command may touch, passed in: streams, the environment, a clock, signals. Tests give
 * their own, so no test needs a process.
 */
import { createInterface } from 'node:readline'
import { setTimeout } from 'node:timers/promises'

export interface Sink {
  write(text: string): void
  readonly isTTY: boolean
  readonly columns: number
}

export type Environment = Readonly<Record<string, string | undefined>>

export interface Io {
  readonly stdout: Sink
  readonly stderr: Sink
  readonly env: Environment
  readonly homeDirectory: string
  /** Milliseconds, only ever used for rates and durations. */
  now(): number
  /** Throws once the signal is aborted. */
  wait(ms: number, signal: AbortSignal): Promise<void>
  /** Calls back at each SIGINT or SIGTERM until what is answered is called. */
  onInterrupt(handler: () => void): () => void
  /** Calls back for each line that is typed until what is answered is called. */
  onLine(handler: (line: string) => void): () => void
  /** Ends the process at once. */
  kill(exitCode: number): void
}

/** Help and errors take this width where no terminal says another. */
export const WIDTH = 100

interface OutStream {
  write(text: string): boolean
  on(event: 'error', listener: (error: NodeJS.ErrnoException) => void): unknown
  readonly isTTY?: boolean
  readonly columns?: number
}

/** A reader that has gone (`tributary ls | head`) is no failure: what follows is dropped, quietly. */
export function sinkOf(stream: OutStream): Sink {
  let gone = false
  stream.on('error', (error) => {
    if (error.code !== 'EPIPE' && error.code !== 'ERR_STREAM_DESTROYED') throw error
    gone = true
  })
  return {
    write(text) {
      if (!gone) stream.write(text)
    },
    get isTTY() {
      return stream.isTTY === true
    },
    get columns() {
      return stream.columns ?? WIDTH
    },
  }
}

const SIGNALS = ['SIGINT', 'SIGTERM'] as const

/** The process's own. */
export function processIo(process: NodeJS.Process, homeDirectory: string): Io {
  return {
    stdout: sinkOf(process.stdout),
    stderr: sinkOf(process.stderr),
    env: process.env,
    homeDirectory,
    now: () => performance.now(),
    wait: (ms, signal) => setTimeout(ms, undefined, { signal }),
    onInterrupt(handler) {
      for (const signal of SIGNALS) process.on(signal, handler)
      return () => {
        for (const signal of SIGNALS) process.off(signal, handler)
      }
    },
    onLine(handler) {
      const lines = createInterface({ input: process.stdin, terminal: false })
      lines.on('line', handler)
      return () => {
        lines.close()
        process.stdin.destroy() // or it keeps the process alive
      }
    },
    kill: (exitCode) => process.exit(exitCode),
  }
}

/** https://no-color.org, and its opposite. */
export const wantsColour = ({ env, stderr }: Io): boolean => {
  if (env['NO_COLOR'] !== undefined && env['NO_COLOR'] !== '') return false
  if (env['FORCE_COLOR'] !== undefined && env['FORCE_COLOR'] !== '' && env['FORCE_COLOR'] !== '0') return true
  return stderr.isTTY && env['TERM'] !== 'dumb'
}
