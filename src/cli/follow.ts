/** Following a replica: told by its event stream, and by looking again where there is none. */
import { setTimeout as wait } from 'node:timers/promises'
import { isTributaryError } from '../core/errors.ts'
import type { ReplicaEvent } from '../operations/operations.ts'
import type { ReplicaClient } from './client.ts'

/** What no event tells, such as how far behind a peer is, is looked at this often. */
const LOOK_MS = 2_000
/** Changes that come together are looked at together. */
const GATHER_MS = 100
const EVENT_BYTES_MAX = 64 * 1024

export type MergeTold = Extract<ReplicaEvent, { event: 'merge' }>

/** Yields at the start, after each change, and now and then, with the merges that were told of; until it is called off. */
export async function* follow(client: ReplicaClient, signal: AbortSignal): AsyncGenerator<readonly MergeTold[]> {
  const merges = new Map<string, MergeTold>()
  let wake = (): void => undefined
  const over = new AbortController()
  const stop = () => {
    over.abort()
    wake()
  }
  signal.addEventListener('abort', stop, { once: true })
  const listening = listen(client, over.signal, (event) => {
    if (event.event === 'merge') merges.set(event.merge, event)
    wake()
  })
  try {
    while (!signal.aborted) {
      const woken = new Promise<void>((resolve) => (wake = resolve))
      const told = [...merges.values()]
      merges.clear()
      yield told
      await Promise.race([woken, wait(LOOK_MS, undefined, { signal: over.signal }).catch(() => undefined)])
      await wait(GATHER_MS, undefined, { signal: over.signal }).catch(() => undefined)
    }
  } finally {
    signal.removeEventListener('abort', stop)
    stop()
    await listening
  }
}

/** Tries the stream again and again: while it is not there, looking now and then has to do. */
async function listen(client: ReplicaClient, signal: AbortSignal, hear: (event: ReplicaEvent) => void): Promise<void> {
  while (!signal.aborted) {
    try {
      const response = await client.stream('/v1/events', signal)
      let waiting = ''
      for await (const bytes of client.body(response)) {
        const blocks = (waiting + Buffer.from(bytes).toString('utf8')).split('\n\n')
        waiting = (blocks.pop() ?? '').slice(0, EVENT_BYTES_MAX)
        for (const event of blocks.flatMap((block) => eventOf(block) ?? [])) hear(event)
      }
    } catch (error) {
      if (!isTributaryError(error)) return // it was called off
    }
    await wait(LOOK_MS, undefined, { signal }).catch(() => undefined)
  }
}

function eventOf(block: string): ReplicaEvent | undefined {
  const fields = new Map(
    block.split('\n').map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1)]),
  )
  const [event, data] = [fields.get('event')?.trim(), fields.get('data')]
  if (event === undefined || data === undefined) return undefined
  try {
    return { event, ...(JSON.parse(data) as object) } as ReplicaEvent
  } catch {
    return undefined
  }
}
