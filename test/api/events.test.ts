import { get, type IncomingMessage } from 'node:http'
import { afterEach, expect, test } from 'vitest'
import { createServer, type Server } from '../../src/api/server.ts'
import { until } from '../contracts/transport-contract.ts'
import { HeldClock } from '../support/held-clock.ts'
import { createFakeOperations } from './fake-operations.ts'
import { CONFIG } from './listener.ts'

let server: Server | undefined
afterEach(async () => server?.close())

async function serve() {
  const clock = new HeldClock()
  const operations = createFakeOperations()
  server = createServer({ operations, config: { ...CONFIG, port: 0 }, version: '0', clock })
  const url = await server.listen({ host: '127.0.0.1', port: 0 })
  const watch = async () => {
    const answer = await new Promise<IncomingMessage>((resolve) => get(`${url}/v1/events`, { agent: false }, resolve))
    const seen = { text: '', isOver: false }
    answer.on('data', (piece: Buffer) => (seen.text += piece.toString()))
    answer.on('error', () => (seen.isOver = true))
    answer.on('end', () => (seen.isOver = true))
    return { answer, seen }
  }
  return { clock, operations, watch, server }
}

test('[EVT-1] events come as they are told, each with its name and one line of JSON', async () => {
  const { operations, watch } = await serve()
  const { answer, seen } = await watch()
  expect([answer.statusCode, answer.headers['content-type']]).toEqual([200, 'text/event-stream; charset=utf-8'])
  await until(() => seen.text.includes(': watching'))
  operations.tell({ event: 'space', space: 'abc', root: 'r', ops_root: 'o' })
  await until(() => seen.text.includes('\n\nevent: space\ndata: {"space":"abc","root":"r","ops_root":"o"}\n\n'))
  operations.tell({ event: 'missed' })
  await until(() => seen.text.endsWith('event: missed\ndata: {}\n\n'))
  answer.destroy()
})

test('[EVT-3] a quiet stream says so, and ends when the replica stops', async () => {
  const { clock, watch, server: app } = await serve()
  const { seen } = await watch()
  await until(() => seen.text.includes(': watching'))
  for (let i = 1; i <= 2; i++) {
    await new Promise(setImmediate)
    clock.pass(15_000)
    await until(() => seen.text.split(': quiet').length === i + 1)
  }
  await app.close()
  await until(() => seen.isOver)
})

test('[EVT-3] who has gone is not watched for; beyond the bound one is told so', async () => {
  const { operations, watch } = await serve()
  const all = []
  for (let i = 0; i < 32; i++) all.push(await watch())
  const { answer } = await watch()
  expect(answer.statusCode).toBe(429)
  for (const one of all) one.answer.destroy()
  await until(() => operations.watchers.size === 0)
  const again = await watch()
  expect(again.answer.statusCode).toBe(200)
  again.answer.destroy()
})
