/** How a replica is set up: flags and environment, checked once, frozen. The only reader of the environment. */
import { availableParallelism } from 'node:os'
import { TributaryError } from './core/errors.ts'
import { parseSize, SIZE_HINT } from './core/size.ts'
import type { Resources } from './merging/merger.ts'

export interface ReplicaConfig {
  readonly dataDirectory: string
  readonly host: string
  readonly port: number
  /** Beyond loopback every request but the health checks carries it. Absent on loopback: none is asked for. */
  readonly token: string | undefined
  readonly tokenFile: string | undefined
  /** Names, besides its own address, by which this replica may be called: for the Host check. */
  readonly publicHosts: readonly string[]
  /** Replicas to link to, as the operator names them. */
  readonly peers: readonly string[]
  /** Addresses of this replica that other replicas are told. */
  readonly advertised: readonly string[]
  /** Blocks in which addresses told by other replicas may be dialed, though they are not public. */
  readonly openBlocks: readonly string[]
  /** Bytes of other replicas' models that are kept for one space. */
  readonly fetchQuotaBytes: number
  readonly logLevel: string
  readonly resources: Resources
}

export interface ConfigFlags extends ResourceFlags {
  readonly data?: string
  readonly host?: string
  readonly port?: string | number
  readonly tokenFile?: string
  readonly publicHost?: readonly string[]
  readonly peer?: readonly string[]
  readonly advertise?: readonly string[]
  readonly openBlock?: readonly string[]
  readonly fetchQuota?: string
  readonly logLevel?: string
}

export const DEFAULTS = { data: './tributary-data', host: '127.0.0.1', port: 8420, fetchQuota: '512GiB' } as const

const ADVERTISED_MAX = 4
const ADVERTISED_CHARACTERS_MAX = 256

const LOG_LEVELS = ['silent', 'error', 'warn', 'info', 'debug']

const wrong = (what: string, hint: string) => new TributaryError('CONFIG_INVALID', what, { hint })

export function makeConfig(
  flags: ConfigFlags,
  environment: Readonly<Record<string, string | undefined>>,
  cores = availableParallelism(),
): ReplicaConfig {
  const port = Number(flags.port ?? environment['TRIBUTARY_PORT'] ?? DEFAULTS.port)
  if (!Number.isInteger(port) || port < 0 || port > 65535)
    throw wrong(
      `the port ${String(flags.port ?? environment['TRIBUTARY_PORT'])} is no port`,
      'give a number from 0 to 65535; 0 takes a free one',
    )
  const logLevel = flags.logLevel ?? environment['TRIBUTARY_LOG'] ?? 'info'
  if (!LOG_LEVELS.includes(logLevel))
    throw wrong(`the log level ${logLevel} is unknown`, `use one of ${LOG_LEVELS.join(', ')}`)
  const token = environment['TRIBUTARY_TOKEN']
  if (token !== undefined && token.length < 16)
    throw wrong('TRIBUTARY_TOKEN is shorter than 16 characters', 'use a longer one, or leave it unset and one is made')
  const listOf = (given: readonly string[] | undefined, name: string) =>
    Object.freeze((given ?? environment[name]?.split(',') ?? []).map((one) => one.trim()).filter((one) => one !== ''))
  const publicHosts = listOf(flags.publicHost, 'TRIBUTARY_PUBLIC_HOSTS')
  const advertised = listOf(flags.advertise, 'TRIBUTARY_ADVERTISE')
  if (advertised.length > ADVERTISED_MAX || advertised.some(({ length }) => length > ADVERTISED_CHARACTERS_MAX))
    throw wrong(
      `other replicas are told ${ADVERTISED_MAX} addresses of at most ${ADVERTISED_CHARACTERS_MAX} characters`,
      'give --advertise the one or two that are reached best',
    )
  const fetchQuota = flags.fetchQuota ?? environment['TRIBUTARY_FETCH_QUOTA'] ?? DEFAULTS.fetchQuota
  const fetchQuotaBytes = parseSize(fetchQuota)
  if (fetchQuotaBytes === undefined) throw wrong(`the fetch quota ${JSON.stringify(fetchQuota)} is no size`, SIZE_HINT)
  return Object.freeze({
    dataDirectory: flags.data ?? environment['TRIBUTARY_DATA'] ?? DEFAULTS.data,
    host: flags.host ?? environment['TRIBUTARY_HOST'] ?? DEFAULTS.host,
    port,
    token,
    tokenFile: flags.tokenFile ?? environment['TRIBUTARY_TOKEN_FILE'],
    publicHosts,
    peers: listOf(flags.peer, 'TRIBUTARY_PEERS'),
    advertised:
      advertised.length > 0 ? Object.freeze(advertised.filter((one) => one !== 'none')) : addressesOf(publicHosts),
    openBlocks: listOf(flags.openBlock, 'TRIBUTARY_OPEN_BLOCKS'),
    fetchQuotaBytes,
    logLevel,
    resources: makeResources(flags, environment, cores),
  })
}

/** A public name stands for a proxy that speaks TLS. What is no name of the world's is advertised by hand or not at all. */
const addressesOf = (publicHosts: readonly string[]): readonly string[] =>
  publicHosts
    .filter((host) => /[.][a-z-]+(:[0-9]+)?$/i.test(host))
    .map((host) => `https://${host.toLowerCase()}`)
    .slice(0, ADVERTISED_MAX)

export interface ResourceFlags {
  readonly workers?: string
  readonly maxMemory?: string
}

/** More threads than this only wait for each other and for memory. */
const WORKERS_MAX = 64

/** What merges may use of the machine: by default a thread for each of its `cores`, and what memory that takes. */
export function makeResources(
  flags: ResourceFlags,
  environment: Readonly<Record<string, string | undefined>>,
  cores = availableParallelism(),
): Resources {
  const asked = flags.workers ?? environment['TRIBUTARY_WORKERS']
  const workers = asked === undefined ? Math.min(cores, WORKERS_MAX) : /^[0-9]{1,3}$/.test(asked) ? Number(asked) : 0
  if (workers < 1 || workers > WORKERS_MAX)
    throw wrong(`${String(asked)} is no number of workers`, `give a number from 1 to ${WORKERS_MAX}`)
  const allowed = flags.maxMemory ?? environment['TRIBUTARY_MAX_MEMORY']
  const memoryBytes = allowed === undefined ? undefined : parseSize(allowed)
  if (allowed !== undefined && memoryBytes === undefined)
    throw wrong(`${JSON.stringify(allowed)} is no size of memory`, SIZE_HINT)
  return Object.freeze({ workers, ...(memoryBytes !== undefined && { memoryBytes }) })
}

/** TRIBUTARY_KERNELS=reference merges with the readable kernels: the same bytes, slowly. For whoever suspects the fast ones. */
export function kernelChoice(environment: Readonly<Record<string, string | undefined>>): 'fastest' | 'reference' {
  const kernels = environment['TRIBUTARY_KERNELS'] ?? 'fastest'
  if (kernels !== 'fastest' && kernels !== 'reference')
    throw wrong(`TRIBUTARY_KERNELS is ${kernels}`, 'use fastest or reference, or leave it unset')
  return kernels
}

const LOOPBACK = /^(127(\.[0-9]{1,3}){3}|::1|\[::1\]|localhost)$/
export const isLoopback = (host: string): boolean => LOOPBACK.test(host)
