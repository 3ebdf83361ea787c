/** Holds answers to what /openapi.json promises of them: route, status and every field. */
import { Compile } from 'typebox/schema'
import { expect } from 'vitest'
import type { Answer, Listener } from './listener.ts'

type Node = Record<string, unknown>

const resolve = (node: unknown, schemas: Node): unknown => {
  if (Array.isArray(node)) return node.map((one) => resolve(one, schemas))
  if (typeof node !== 'object' || node === null) return node
  const reference = (node as Node)['$ref']
  if (typeof reference === 'string') return resolve(schemas[reference.split('/').at(-1)!], schemas)
  return Object.fromEntries(Object.entries(node).map(([key, value]) => [key, resolve(value, schemas)]))
}

/** Calls as the listener does, and fails where an answer is none of those that were promised. */
export async function promising(listener: Pick<Listener, 'app' | 'call'>): Promise<Listener['call']> {
  await listener.app.ready()
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- a document of any shape
  const document = listener.app.swagger() as any
  const promised = (method: string, url: string, { status, headers }: Answer): unknown => {
    const segments = new URL(url, 'http://x').pathname.split('/')
    const fits = (path: string) =>
      path.split('/').length === segments.length &&
      path.split('/').every((one, i) => one.startsWith('{') || one === segments[i])
    const path = Object.keys(document.paths).find(fits)
    const { responses } = document.paths[path!][method.toLowerCase()]
    const type = headers['content-type']?.split(';')[0]
    return (responses[status] ?? responses[`${Math.floor(status / 100)}XX`])?.content?.[type!]?.schema
  }
  return async (method, url, more) => {
    const answer = await listener.call(method, url, more)
    const schema = promised(method, url, answer)
    expect([method, url, answer.status, schema], 'no such answer is promised').not.toContain(undefined)
    const faults = Compile(resolve(schema, document.components.schemas) as object).Errors(answer.json)
    expect(faults, `${method} ${url} answered ${answer.text}`).toEqual([true, []])
    return answer
  }
}
