/** Two whole replicas over real listeners: links, tickets and bytes by HTTP. */
import { join } from 'node:path'
import { expect, onTestFinished, test, vi } from 'vitest'
import { startReplica } from '../../src/replica.ts'
import { tinyFile } from '../support/safetensors.ts'
import { temporaryDirectory } from '../support/temp-dir.ts'

test(
  '[XCH-21] over loopback a replica merges what was uploaded to another, to the same bytes',
  { timeout: 30_000 },
  async () => {
    const directory = await temporaryDirectory()
    const up = async (name: string, peers: readonly string[]) => {
      const replica = await startReplica({
        dataDirectory: join(directory, name),
        host: '127.0.0.1',
        port: 0,
        token: undefined,
        tokenFile: undefined,
        publicHosts: [],
        advertised: [],
        openBlocks: [],
        fetchQuotaBytes: 2 ** 40,
        peers,
        logLevel: 'silent',
        resources: { workers: 1 },
      })
      onTestFinished(() => replica.stop())
      return replica.url
    }
    const call = async (url: string, body?: unknown) => {
      const isBytes = body instanceof Uint8Array
      const answer = await fetch(url, {
        ...(body !== undefined && {
          method: 'POST',
          body: isBytes ? Buffer.from(body) : JSON.stringify(body),
          headers: { 'content-type': isBytes ? 'application/octet-stream' : 'application/json' },
        }),
      })
      return (await answer.json()) as { id: string; state: string; contributions: number }
    }
    const a = await up('a', [])
    await call(`${a}/v1/spaces`, { name: 'lab' })
    for (const seed of [1, 2]) await call(`${a}/v1/spaces/lab/contributions?name=m${seed}`, tinyFile(seed))
    const b = await up('b', [a])
    const ask = { recipe: { strategy: 'weight_average' } }
    const eventually = <T>(work: () => Promise<T>) => vi.waitFor(work, { timeout: 20_000, interval: 50 })
    const { id } = await call(`${a}/v1/spaces/lab/merges`, ask)
    await eventually(async () => expect((await call(`${b}/v1/spaces/lab`)).contributions).toBe(2))
    await eventually(async () => expect((await call(`${b}/v1/spaces/lab/merges`, ask)).id).toBe(id))
    const outputs = await Promise.all(
      [a, b].map(async (url) => {
        await eventually(async () => expect((await call(`${url}/v1/spaces/lab/merges/${id}`)).state).toBe('done'))
        const output = await fetch(`${url}/v1/spaces/lab/merges/${id}/model.safetensors`)
        return Buffer.from(await output.arrayBuffer())
      }),
    )
    expect(outputs[1]).toEqual(outputs[0])
  },
)
