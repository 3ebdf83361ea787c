/**
 * Three replicas in one process that know each other, shown while they converge: contributions, a cut, merges. Everything
 * but the cut goes through the public API, so what is seen is what a user could do.
 */
import { setTimeout as wait } from 'node:timers/promises'
import { isTributaryError, TributaryError } from '../../core/errors.ts'
import type { ContributionView, MergeView, SpaceView } from '../../operations/operations.ts'
import { ReplicaClient } from '../client.ts'
import type { CuttableReplica } from '../command.ts'
import { durationText, shortId } from '../text.ts'
import { sampleModel } from './samples.ts'

const SPACE = 'demo'
const NAMES = ['oslo', 'kyoto', 'quito']
const LOOK_MS = 50
const PATIENCE_MS = 30_000

/** One thing that happened: as data, and as a line. */
export type Tell = (event: Readonly<Record<string, unknown>>, line: string) => void

export interface DemoParts {
  readonly replicas: readonly CuttableReplica[]
  readonly tell: Tell
  readonly signal: AbortSignal
  readonly now: () => number
}

export class Demo {
  readonly #parts: DemoParts
  readonly #clients: readonly ReplicaClient[]
  #contributed = 0
  #isCut = false

  constructor(parts: DemoParts) {
    this.#parts = parts
    this.#clients = parts.replicas.map(({ url }) => new ReplicaClient({ url, signal: parts.signal }))
  }

  /** The story that is told without a key being pressed. */
  async begin(): Promise<void> {
    const { replicas, tell, now } = this.#parts
    for (const [i, client] of this.#clients.entries())
      for (const other of replicas) if (other !== replicas[i]) await client.post('/v1/peers', { url: other.url })
    const [first] = this.#clients
    const spaces = await first!.list<SpaceView>('/v1/spaces')
    if (!spaces.some(({ name }) => name === SPACE)) await first!.post('/v1/spaces', { name: SPACE })
    const since = now()
    await this.#until('the space reaches every replica', async () => {
      const lists = await Promise.all(this.#clients.map((client) => client.list<SpaceView>('/v1/spaces')))
      return lists.every((list) => list.some(({ name }) => name === SPACE))
    })
    const ms = Math.round(now() - since)
    tell({ event: 'space', space: SPACE, ms }, `space ${SPACE}, made on replica 1, is on all three after ${said(ms)}`)
    this.#contributed = (await first!.list<ContributionView>(`/v1/spaces/${SPACE}/contributions`)).length
    while (this.#contributed < NAMES.length) await this.contribute()
    await this.merge()
  }

  /** The next one contributes. While replica 3 is cut off, it and the others go on apart. */
  async contribute(): Promise<void> {
    const { tell, now } = this.#parts
    const number = this.#contributed++
    const at = number % this.#clients.length
    const name = NAMES[number] ?? `${NAMES[number % NAMES.length]!}-${Math.floor(number / NAMES.length) + 1}`
    const since = now()
    const path = `/v1/spaces/${SPACE}/contributions?name=${name}`
    const { id } = await this.#clients[at]!.postBytes<{ id: string }>(path, sampleModel(number))
    const replica = at + 1
    tell({ event: 'contributed', replica, name, id }, `${name} is contributed on replica ${replica}`)
    await this.#agreement(since)
  }

  /** Replica 3, from the others, and back. */
  async toggleCut(): Promise<void> {
    const { replicas, tell, now } = this.#parts
    const replica = replicas.length
    this.#isCut = !this.#isCut
    if (this.#isCut) {
      replicas.at(-1)!.cut()
      tell({ event: 'cut', replica }, `replica ${replica} is cut off: contribute on both sides, then heal`)
      return
    }
    const since = now()
    replicas.at(-1)!.heal()
    tell({ event: 'healed', replica }, `replica ${replica} is back: its links are dialed again within 5 s`)
    await this.#agreement(since)
  }

  /** The same recipe on two replicas, which tell each other nothing of it. */
  async merge(): Promise<void> {
    const { tell } = this.#parts
    const merged = await Promise.all(this.#clients.slice(0, 2).map((client) => this.#mergeOn(client)))
    for (const [i, { id, content = '' }] of merged.entries())
      tell(
        { event: 'merged', replica: i + 1, merge: id, content },
        `merged on replica ${i + 1}: merge ${shortId(id)}, output ${shortId(content)}`,
      )
    const isSame = new Set(merged.map(({ id, content }) => `${id} ${String(content)}`)).size === 1
    tell({ event: 'compared', same: isSame }, isSame ? 'the same bytes on both' : 'different inputs, different merges')
  }

  async #mergeOn(client: ReplicaClient): Promise<MergeView> {
    let seen: MergeView | undefined
    await this.#until('the merge is done', async () => {
      seen = await asked(client)
      return seen?.state === 'done'
    })
    return seen!
  }

  /** Tells the roots once those that are linked agree. */
  async #agreement(since: number): Promise<void> {
    const { tell, now } = this.#parts
    const linked = this.#isCut ? this.#clients.length - 1 : this.#clients.length
    let spaces: readonly SpaceView[] = []
    await this.#until('the roots agree', async () => {
      spaces = await Promise.all(this.#clients.map((client) => client.get<SpaceView>(`/v1/spaces/${SPACE}`)))
      return new Set(spaces.slice(0, linked).map(({ ops_root }) => ops_root)).size === 1
    })
    const ms = Math.round(now() - since)
    const agree = new Set(spaces.map(({ root }) => root)).size === 1
    const roots = spaces.map(({ root, contributions }) => `${shortId(root)} (${contributions})`).join('   ')
    tell(
      { event: 'roots', roots: spaces.map(({ root }) => root), agree, ms },
      `  roots  ${roots}   ${agree ? `agree after ${said(ms)}` : `replica ${this.#clients.length} is apart`}`,
    )
  }

  async #until(what: string, isSo: () => Promise<boolean>): Promise<void> {
    const { signal, now } = this.#parts
    const since = now()
    while (!(await isSo())) {
      await wait(LOOK_MS, undefined, { signal })
      if (now() - since > PATIENCE_MS)
        throw new TributaryError('INTERNAL', `${what}: not within ${durationText(PATIENCE_MS)}`, {
          hint: 'look at `tributary status --watch` of each replica',
        })
    }
  }
}

/** Asked again, a merge that waits is begun; undefined while not even the headers are there. */
async function asked(client: ReplicaClient): Promise<MergeView | undefined> {
  try {
    const seen = await client.post<MergeView>(`/v1/spaces/${SPACE}/merges`, { recipe: { strategy: 'weight_average' } })
    if (seen.state === 'failed' || seen.state === 'cancelled')
      throw new TributaryError('INTERNAL', `the merge is ${seen.state}: ${seen.error?.message ?? 'without a reason'}`)
    return seen
  } catch (error) {
    if (isTributaryError(error) && error.code === 'MANIFEST_MISSING') return undefined
    throw error
  }
}

const said = (ms: number): string => (ms < 1000 ? `${ms} ms` : durationText(ms))
