/**
 * A replica, over HTTP. Problems come back as the TributaryErrors they were; what is no answer of a replica is NETWORK.
 * The token goes to the one address that was named: redirects are not followed.
 */
import { ERROR_CODES, type Details, type ErrorCode, TributaryError } from '../core/errors.ts'
import { isLoopback } from '../config.ts'
import { shown } from './text.ts'

export const DEFAULT_URL = 'http://127.0.0.1:8420'
const PROBLEM_BYTES_MAX = 1024 * 1024
const SECONDS = /^[0-9]{1,6}$/

export interface ClientOptions {
  readonly url: string
  readonly token?: string | undefined
  readonly signal?: AbortSignal | undefined
}

interface Call {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly json?: unknown
  readonly body?: Uint8Array
  /** Instead of the client's own. */
  readonly signal?: AbortSignal
  /** Statuses beyond 2xx whose body is an answer. */
  readonly alsoGood?: readonly number[]
}

export class ReplicaClient {
  readonly url: string
  readonly #token: string | undefined
  readonly #signal: AbortSignal | undefined

  constructor({ url, token, signal }: ClientOptions) {
    this.url = checkUrl(url)
    this.#token = token
    this.#signal = signal
  }

  /** The token would cross a network that anyone on the way can read. */
  get tellsTokenInClear(): boolean {
    const { protocol, hostname } = new URL(this.url)
    return this.#token !== undefined && protocol === 'http:' && !isLoopback(hostname)
  }

  get<T>(path: string, alsoGood: readonly number[] = []): Promise<T> {
    return this.#json<T>(path, { alsoGood })
  }

  post<T>(path: string, json: unknown): Promise<T> {
    return this.#json<T>(path, { method: 'POST', json })
  }

  /** A safetensors body. */
  postBytes<T>(path: string, body: Uint8Array): Promise<T> {
    return this.#json<T>(path, { method: 'POST', body, headers: { 'content-type': 'application/octet-stream' } })
  }

  delete<T>(path: string): Promise<T> {
    return this.#json<T>(path, { method: 'DELETE' })
  }

  async put(path: string, body: Uint8Array, headers: Readonly<Record<string, string>>): Promise<void> {
    const response = await this.#send(path, {
      method: 'PUT',
      body,
      headers: { ...headers, 'content-type': 'application/octet-stream' },
    })
    await this.#reading(() => response.arrayBuffer())
  }

  /** A file from a byte onwards, to be read with `body`. What is named by its content needs no If-Range. */
  download(path: string, { from }: { readonly from: number }): Promise<Response> {
    return this.#send(path, { headers: { accept: '*/*', ...(from > 0 && { range: `bytes=${from}-` }) } })
  }

  /** An answer that goes on until it is called off. */
  stream(path: string, signal: AbortSignal): Promise<Response> {
    return this.#send(path, { headers: { accept: 'text/event-stream' }, signal })
  }

  async *body(response: Response): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      for await (const chunk of response.body ?? []) yield chunk as Uint8Array
    } catch (error) {
      throw this.#networkError(error)
    }
  }

  /** Every item of a list that comes in pages. */
  async list<T>(path: string): Promise<readonly T[]> {
    const items: T[] = []
    let cursor: string | undefined
    do {
      const page: { items?: unknown; next_cursor?: string } = await this.get(
        cursor === undefined ? path : `${path}?cursor=${encodeURIComponent(cursor)}`,
      )
      if (!Array.isArray(page.items)) throw this.#stranger('its list has no items')
      items.push(...(page.items as readonly T[]))
      cursor = page.next_cursor
    } while (cursor !== undefined)
    return items
  }

  /** Reading a body can fail as sending can. */
  async #reading<T>(read: () => Promise<T>): Promise<T> {
    try {
      return await read()
    } catch (error) {
      throw this.#networkError(error)
    }
  }

  async #json<T>(path: string, call: Call): Promise<T> {
    const response = await this.#send(path, call)
    const text = await this.#reading(() => response.text())
    if (text === '') return {} as T
    const value = parseJson(text)
    if (value === undefined) throw this.#stranger(`it answers ${response.status} with something that is no JSON object`)
    return value as T
  }

  async #send(
    path: string,
    { method = 'GET', headers = {}, json, body, signal = this.#signal, alsoGood = [] }: Call,
  ): Promise<Response> {
    const init: RequestInit = {
      method,
      redirect: 'manual',
      headers: {
        accept: 'application/json',
        ...(this.#token !== undefined && { authorization: `Bearer ${this.#token}` }),
        ...(json !== undefined && { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(signal !== undefined && { signal }),
      ...(json !== undefined && { body: JSON.stringify(json) }),
      ...(body !== undefined && { body }),
    }
    const response = await this.#reading(() => fetch(`${this.url}${path}`, init))
    if (response.ok || alsoGood.includes(response.status)) return response
    throw await this.#problem(response)
  }

  async #problem(response: Response): Promise<TributaryError> {
    const { status } = response
    if (status >= 300 && status < 400) {
      await response.body?.cancel()
      return new TributaryError(
        'NETWORK',
        `${this.url} sends on to ${response.headers.get('location') ?? 'elsewhere'}`,
        {
          hint: 'give the address of the replica itself with --url',
        },
      )
    }
    const text = await this.#reading(() => response.text())
    const problem = text.length > PROBLEM_BYTES_MAX ? undefined : parseJson(text)
    const code = problem?.['code']
    const given = (field: string) => (typeof problem?.[field] === 'string' ? problem[field] : undefined)
    if (typeof code !== 'string') return this.#withoutProblem(status)
    const message = given('detail') ?? given('title') ?? `it answers ${status}`
    const hint = given('hint')
    const pointer = given('pointer')
    const retryAfter = response.headers.get('retry-after') ?? ''
    return new TributaryError(knownCode(code, status), message, {
      details: {
        ...detailsOf(problem?.['details']),
        ...(!isKnown(code) && { code }),
        ...(SECONDS.test(retryAfter) && { retry_after_seconds: Number(retryAfter) }),
      },
      ...(hint !== undefined && { hint }),
      ...(pointer !== undefined && { pointer }),
    })
  }

  #withoutProblem(status: number): TributaryError {
    if (status === 401 || status === 403)
      return new TributaryError(codeOfStatus(status), `${this.url} answers ${status}: not allowed`, {
        hint: TOKEN_HINT,
      })
    return this.#stranger(`it answers ${status} without saying why`)
  }

  #stranger(why: string): TributaryError {
    return new TributaryError('NETWORK', `what answers at ${this.url} does not speak as a replica does: ${why}`, {
      hint: 'check --url and TRIBUTARY_URL; `tributary up` starts a replica',
    })
  }

  /** Anything that fetch, or reading a body, throws. Ctrl-C keeps its own error. */
  #networkError(error: unknown): unknown {
    if (this.#signal?.aborted === true) return error
    const cause = (error as { cause?: NodeJS.ErrnoException }).cause
    const code = cause?.code ?? (error as NodeJS.ErrnoException).code
    return new TributaryError(
      'NETWORK',
      `${this.url}: ${REASONS[code ?? ''] ?? `the connection failed (${code ?? cause?.message ?? String(error)})`}`,
      {
        hint: HINTS[code ?? ''] ?? 'run the same command again; what was sent or fetched is kept',
        cause: error,
      },
    )
  }
}

const TOKEN_HINT = 'set TRIBUTARY_TOKEN or give --token-file; the replica printed its token when it first started'

const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there',
  ENOTFOUND: 'no host of that name',
  EAI_AGAIN: 'the name of the host cannot be looked up now',
  ECONNRESET: 'the connection was cut',
  UND_ERR_SOCKET: 'the connection was cut',
  EPIPE: 'the connection was cut',
  ETIMEDOUT: 'no answer in time',
  UND_ERR_CONNECT_TIMEOUT: 'no answer in time',
  UND_ERR_HEADERS_TIMEOUT: 'no answer in time',
  UND_ERR_BODY_TIMEOUT: 'the answer stopped half-way',
  EHOSTUNREACH: 'the host cannot be reached',
  ENETUNREACH: 'the network cannot be reached',
}
const HINTS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'start a replica with `tributary up`, or name another with --url',
  ENOTFOUND: 'check --url and TRIBUTARY_URL',
}

const isKnown = (code: string): code is ErrorCode => (ERROR_CODES as readonly string[]).includes(code)

/** A newer replica may know codes that this program does not. */
const knownCode = (code: string, status: number): ErrorCode => (isKnown(code) ? code : codeOfStatus(status))

function codeOfStatus(status: number): ErrorCode {
  if (status === 401) return 'UNAUTHORIZED'
  if (status === 403) return 'NOT_ALLOWED'
  if (status === 404) return 'ROUTE_NOT_FOUND'
  return status < 500 ? 'REQUEST_INVALID' : 'INTERNAL'
}

function parseJson(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined
  } catch {
    return undefined
  }
}

function detailsOf(value: unknown): Details {
  if (typeof value !== 'object' || value === null) return {}
  const plain = (entry: unknown) => ['string', 'number', 'boolean'].includes(typeof entry)
  const good = (entry: unknown) =>
    plain(entry) || (Array.isArray(entry) && entry.every((each) => typeof each === 'string'))
  return Object.fromEntries(Object.entries(value).filter(([, entry]) => good(entry)))
}

/** An address, without a slash at its end. It may not carry a password: it would end up in logs and histories. */
function checkUrl(text: string): string {
  const refuse = (why: string) => new TributaryError('USAGE', why, { hint: `write it like ${DEFAULT_URL}` })
  if (!URL.canParse(text)) throw refuse(`${shown(text.slice(0, 200))} is no address`)
  const url = new URL(text)
  if (url.protocol !== 'http:' && url.protocol !== 'https:')
    throw refuse(`${url.protocol} is no way to talk to a replica`)
  if (url.username !== '' || url.password !== '')
    throw new TributaryError('USAGE', 'the address of the replica holds a user name or password', {
      hint: 'leave it out, and give the token in TRIBUTARY_TOKEN or with --token-file',
    })
  return `${url.origin}${url.pathname.replace(/\/+$/, '')}`
}

/** One segment, or the segments of a file's path. */
export const inPath = (text: string): string => text.split('/').map(encodeURIComponent).join('/')
