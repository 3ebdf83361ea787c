/** A server over the fake operations, called without a network, and what its answers have in common. */
import type { InjectOptions } from 'fastify'
import { expect } from 'vitest'
import { createServer, type Server, type ServerOptions } from '../../src/api/server.ts'
import type { ErrorCode } from '../../src/core/errors.ts'
import { createFakeOperations, type FakeOperations } from './fake-operations.ts'

export const CONFIG = {
  host: '127.0.0.1',
  port: 8420,
  token: undefined,
  publicHosts: [],
  logLevel: 'silent',
} as const

export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | undefined>>
  readonly text: string
  readonly bytes: Buffer
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- what a test looks into
  readonly json: any
}

export interface Listener {
  readonly app: Server
  readonly operations: FakeOperations
  readonly call: (method: string, url: string, more?: Omit<InjectOptions, 'method' | 'url'>) => Promise<Answer>
}

/** Calls a server by its own name, without a network. */
export const callerOf =
  (app: Server): Listener['call'] =>
  async (method, url, more = {}) => {
    const headers = { host: '127.0.0.1:8420', ...more.headers }
    const answer = await app.inject({ ...more, method: method as 'GET', url, headers })
    const text = answer.payload
    return {
      status: answer.statusCode,
      headers: answer.headers as Record<string, string>,
      text,
      bytes: answer.rawPayload,
      json: /json/.test(String(answer.headers['content-type'])) && text !== '' ? JSON.parse(text) : undefined,
    }
  }

export function createListener(options: Partial<ServerOptions> = {}): Listener {
  const operations = createFakeOperations()
  const app = createServer({ operations, config: CONFIG, version: '0.1.0', ...options })
  return { app, operations, call: callerOf(app) }
}

/** Holds an answer to be a whole, well-formed problem, and gives it back to look closer. */
export function problemIn({ status, headers, json }: Answer, code: ErrorCode, expected: number) {
  expect(json, `expected the problem ${code}`).toMatchObject({ code })
  expect(status).toBe(expected)
  expect(headers['content-type']).toBe('application/problem+json; charset=utf-8')
  expect(json).toMatchObject({ status, type: `urn:tributary:problem:${code.toLowerCase().replaceAll('_', '-')}` })
  expect(json.detail).toMatch(/\S/)
  expect(json.title).toMatch(/^[A-Z][a-z ]+/)
  expect(JSON.stringify(json)).not.toMatch(/node_modules|\.ts:|\\n +at /)
  return json as { hint?: string; pointer?: string; detail: string; details: Record<string, unknown>; instance: string }
}

export const BYTES = { 'content-type': 'application/octet-stream' }
