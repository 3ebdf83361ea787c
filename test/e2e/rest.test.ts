/** The built replica over HTTP: the whole path, in six orders of contributing. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { join } from 'node:path'
import { sha256Hex } from '../../src/core/digest.ts'
import { type ProductReplica, upProduct } from '../support/product.ts'
import { tinyFile } from '../support/safetensors.ts'
import { temporaryDirectory } from '../support/temp-dir.ts'

let replica: ProductReplica

beforeAll(async () => {
  replica = await upProduct(join(await temporaryDirectory(), 'data'))
})
afterAll(async () => {
  expect(await replica.end('SIGTERM')).toBe(0)
})

async function call<T>(method: string, path: string, body?: unknown): Promise<T> {
  const bytes = body instanceof Uint8Array
  const answer = await fetch(`${replica.url}${path}`, {
    method,
    ...(body !== undefined && {
      body: bytes ? body : JSON.stringify(body),
      headers: { 'content-type': bytes ? 'application/octet-stream' : 'application/json' },
    }),
  })
  const text = await answer.text()
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`)
  return JSON.parse(text) as T
}

async function done(space: string, id: string): Promise<{ content: string }> {
  for (;;) {
    const merge = await call<{ state: string; content: string }>('GET', `/v1/spaces/${space}/merges/${id}`)
    if (merge.state === 'done') return merge
    if (merge.state !== 'queued' && merge.state !== 'running') throw new Error(`the merge is ${merge.state}`)
    await new Promise((resolve) => setTimeout(resolve, 10)) // asks again; the merge decides when it is done
  }
}

const ORDERS = [
  [1, 2, 3, 4, 5],
  [5, 4, 3, 2, 1],
  [2, 4, 1, 5, 3],
  [3, 1, 5, 2, 4],
  [4, 5, 2, 3, 1],
  [1, 5, 2, 4, 3],
]

test('[SVC-6] five checkpoints through REST in six orders, some twice: one root, one merge, one file', async () => {
  const seen = new Set<string>()
  for (const [i, order] of ORDERS.entries()) {
    const space = `lab-${i}`
    await call('POST', '/v1/spaces', { name: space })
    for (const seed of [...order, order[0]!])
      await call(
        'POST',
        `/v1/spaces/${space}/contributions?name=model-${seed}&weight=0.${seed}`,
        tinyFile(seed, 'BF16'),
      )
    const { root } = await call<{ root: string }>('GET', `/v1/spaces/${space}`)
    const { id } = await call<{ id: string }>('POST', `/v1/spaces/${space}/merges`, {
      recipe: { strategy: 'weight_average' },
    })
    const { content } = await done(space, id)
    const file = await fetch(`${replica.url}/v1/spaces/${space}/merges/${id}/model.safetensors`)
    seen.add([root, id, content, sha256Hex(new Uint8Array(await file.arrayBuffer()))].join(' '))
  }
  expect(seen.size).toBe(1)
})
