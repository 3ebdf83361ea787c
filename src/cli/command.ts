/** What a command is: a declaration, from which help and parsing follow, and one function. */
import type { ReplicaConfig } from '../config.ts'
import type { LocalOperations } from '../operations/local/local-operations.ts'
import type { StrategyView } from '../operations/operations.ts'
import type { Io } from './io.ts'
import type { ReplicaClient } from './client.ts'
import type { Talk } from './progress.ts'

export interface StartedReplica {
  /** Where it listens, such as http://127.0.0.1:8420. */
  readonly url: string
  /** The public key that other replicas know it by. */
  readonly key: string
  /** Only when it was made just now: it is shown once and never again. */
  readonly token?: string
  stop(): Promise<void>
}

/** For demos: its links to other replicas can be cut. */
export interface CuttableReplica extends StartedReplica {
  readonly cut: () => void
  readonly heal: () => void
}

export interface LocalOptions {
  /** May content roots of files read before be trusted, and noted for next time? */
  readonly useDigestCache: boolean
  readonly workers?: string
  readonly maxMemory?: string
}

/** What commands need of the rest of the program. Each loads its code only when it is called. */
export interface Toolbox {
  /** `log` takes lines of JSON; they go to stderr as they are where it is absent. */
  startReplica(config: ReplicaConfig, log?: { write(line: string): void }): Promise<StartedReplica>
  startCuttable(config: ReplicaConfig): Promise<CuttableReplica>
  openLocal(options: LocalOptions): Promise<LocalOperations>
  strategies(): Promise<readonly StrategyView[]>
}

/** What was given on the command line, by the names that the declaration uses. */
export interface Given {
  /** By position, from 0; empty where an optional one was left out. */
  argument(index: number): string
  text(option: string): string | undefined
  list(option: string): readonly string[]
  flag(option: string): boolean
}

/** What a command works with while it runs. */
export interface Frame {
  readonly io: Io
  readonly toolbox: Toolbox
  readonly talk: Talk
  /** Aborted by the first Ctrl-C. */
  readonly signal: AbortSignal
  readonly json: boolean
  /** The data of the command, on stdout: one line of JSON, or lines for people, ready to be shown. */
  readonly answer: (value: unknown, lines: () => readonly string[]) => void
  /** Opens what works on this machine's files, and closes it whatever happens. Trusts no cache unless --no-cache exists. */
  readonly local: <T>(given: Given, use: (local: LocalOperations) => Promise<T>) => Promise<T>
  /** The replica that the options name. Nothing is sent yet. */
  readonly replica: (given: Given) => Promise<ReplicaClient>
}

export interface ArgumentSpec {
  /** `<NAME>`, or `[NAME]` where it may be left out. */
  readonly name: string
  readonly about: string
  readonly choices?: readonly string[]
}

export interface OptionSpec {
  readonly flags: string
  readonly about: string
  readonly required?: boolean
  readonly repeated?: boolean
  readonly choices?: readonly string[]
}

export interface Command {
  readonly arguments?: readonly ArgumentSpec[]
  readonly options?: readonly OptionSpec[]
  /** More than the summary can say. */
  readonly notes?: string
  readonly example: string
  /** What to do after Ctrl-C. */
  readonly afterStop?: string
  /** Answers an exit code where it is not 0. */
  run(frame: Frame, given: Given): Promise<number | undefined>
}

/** Commands that talk to a replica take these. */
export const REPLICA_OPTIONS: readonly OptionSpec[] = [
  { flags: '--url <URL>', about: 'address of the replica (default: TRIBUTARY_URL, else http://127.0.0.1:8420)' },
  { flags: '--token-file <FILE>', about: 'file that holds the token (default: the token in TRIBUTARY_TOKEN)' },
]

/** Commands that read whole checkpoints take this. */
export const CACHE_OPTION: OptionSpec = {
  flags: '--no-cache',
  about: 'hash every input again, trusting no content root noted earlier',
}

/** Commands that merge, or plan to, take these. */
export const RESOURCE_OPTIONS: readonly OptionSpec[] = [
  { flags: '--workers <N>', about: 'threads that compute (default: TRIBUTARY_WORKERS, else one a core)' },
  {
    flags: '--max-memory <SIZE>',
    about: 'memory the program may take, such as 512MiB (default: TRIBUTARY_MAX_MEMORY, else as needed)',
  },
]

/** What of them was given. */
export function resourceFlags(given: Given): { readonly workers?: string; readonly maxMemory?: string } {
  const [workers, maxMemory] = [given.text('workers'), given.text('maxMemory')]
  return { ...(workers !== undefined && { workers }), ...(maxMemory !== undefined && { maxMemory }) }
}

/** Fulfilled by the first Ctrl-C. */
export const stopped = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
