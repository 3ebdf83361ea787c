/** A command line without a process: streams that remember, a clock that is told the time, a toolbox of fakes. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll } from 'vitest'
import type { Toolbox } from '../../src/cli/command.ts'
import type { Io } from '../../src/cli/io.ts'
import { runCli } from '../../src/cli/program.ts'
import type { LocalOperations } from '../../src/operations/local/local-operations.ts'

export interface Stage {
  readonly io: Io
  readonly toolbox: Toolbox
  stdout(): string
  stderr(): string
  /** Ctrl-C. */
  interrupt(): void
  type(line: string): void
  readonly killed: number[]
  /** Milliseconds that were waited, each at once. */
  readonly waits: number[]
  run(...argv: string[]): Promise<number>
  json(): unknown
}

export interface StageOptions {
  readonly env?: Readonly<Record<string, string>>
  readonly isTTY?: boolean
  readonly local?: Partial<LocalOperations>
  readonly toolbox?: Partial<Toolbox>
  readonly homeDirectory?: string
  /** Milliseconds that pass at each look at the clock. */
  readonly tickMs?: number
}

const unexpected = (what: string) => (): never => {
  throw new Error(`${what} was not expected`)
}

export function makeStage({
  env = {},
  isTTY = false,
  local,
  toolbox = {},
  homeDirectory = 'home',
  tickMs = 0,
}: StageOptions = {}): Stage {
  const written = { stdout: '', stderr: '' }
  const handlers = new Set<() => void>()
  const killed: number[] = []
  const waits: number[] = []
  const readers = new Set<(line: string) => void>()
  let now = 0
  const sink = (name: 'stdout' | 'stderr') => ({
    write: (text: string) => {
      written[name] += text
    },
    isTTY,
    columns: 100,
  })
  const io: Io = {
    stdout: sink('stdout'),
    stderr: sink('stderr'),
    env,
    homeDirectory,
    now: () => (now += tickMs),
    wait: async (ms, signal) => {
      waits.push(ms)
      signal.throwIfAborted()
    },
    onInterrupt: (handler) => {
      handlers.add(handler)
      return () => void handlers.delete(handler)
    },
    onLine: (handler) => {
      readers.add(handler)
      return () => void readers.delete(handler)
    },
    kill: (exitCode) => killed.push(exitCode),
  }
  const tools: Toolbox = {
    startReplica: unexpected('startReplica'),
    startCuttable: unexpected('startCuttable'),
    openLocal:
      local === undefined
        ? unexpected('openLocal')
        : async () => ({ close: async () => undefined, ...local }) as LocalOperations,
    strategies: unexpected('strategies'),
    ...toolbox,
  }
  return {
    io,
    toolbox: tools,
    stdout: () => written.stdout,
    stderr: () => written.stderr,
    interrupt: () => handlers.forEach((handler) => handler()),
    type: (line) => readers.forEach((handler) => handler(line)),
    killed,
    waits,
    run: (...argv) => runCli(argv, io, tools),
    json: () => JSON.parse(written.stdout) as unknown,
  }
}

export interface Request {
  readonly method: string
  readonly path: string
  readonly headers: IncomingMessage['headers']
  readonly body: Buffer
}
export interface Answer {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  readonly json?: unknown
  readonly body?: Uint8Array | string
  /** Cuts the connection after the body, whatever Content-Length promised; or once this is fulfilled. */
  readonly cut?: boolean | (() => Promise<void>)
}
export interface FakeReplica {
  readonly url: string
  readonly requests: Request[]
}

const servers: Server[] = []
afterAll(() => {
  for (const server of servers) {
    server.closeAllConnections()
    server.close()
  }
})

/** A server on a free port of the loopback that answers as it is told. */
export async function fakeReplica(answer: (request: Request) => Answer | Promise<Answer>): Promise<FakeReplica> {
  const requests: Request[] = []
  const respond = async (incoming: IncomingMessage, response: ServerResponse): Promise<void> => {
    const pieces: Buffer[] = []
    for await (const piece of incoming) pieces.push(piece as Buffer)
    const { method = '', url = '', headers } = incoming
    const request = { method, path: url, headers, body: Buffer.concat(pieces) }
    requests.push(request)
    const {
      status = 200,
      headers: given = {},
      json,
      body = json === undefined ? '' : JSON.stringify(json),
      cut,
    } = await answer(request)
    response.writeHead(status, {
      ...(json !== undefined && { 'content-type': 'application/json' }),
      ...given,
    })
    if (cut === true) response.write(body, () => response.destroy())
    else if (typeof cut === 'function') {
      response.write(body)
      await cut()
      response.destroy()
    } else response.end(body)
  }
  const server = createServer((incoming, response) => void respond(incoming, response))
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, requests }
}

export const problem = (status: number, code: string, detail: string, more: object = {}): Answer => ({
  status,
  headers: { 'content-type': 'application/problem+json' },
  json: { type: 'urn:x', title: code, status, detail, code, ...more },
})
