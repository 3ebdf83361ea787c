/** Three built replicas that know each other, killed and cut apart while they are written to: in the end they agree. */
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { parseOp } from '../../src/core/op.ts'
import { sha256Hex } from '../../src/core/digest.ts'
import type { ContributionView, MergeView, SpaceView } from '../../src/operations/operations.ts'
import type { PeerView } from '../../src/operations/peers.ts'
import { openSqliteStorage } from '../../src/storage/sqlite/sqlite-storage.ts'
import { type FaultyWire, faultyWire } from '../support/faulty-wire.ts'
import { type ProductReplica, upProduct } from '../support/product.ts'
import { safetensors, tinyModel } from '../support/safetensors.ts'
import { temporaryDirectory } from '../support/temp-dir.ts'
import { answerOf, ask, numbersFrom, Unanswered } from './diary.ts'

const REPLICAS = 3
const CONTRIBUTIONS = 50
const KILL_EVERY = 7
/** Between these contributions a replica is cut off from the others, and it is written to all the same. */
const CUTS = [
  { from: 12, to: 26, replica: 2 },
  { from: 34, to: CONTRIBUTIONS, replica: 0 },
] as const
const SLOW = { wire: 0, ms: 40 } as const
const AGREE_MS = 10_000
const START_MS = 60_000
const SPACE = 'lab'

/** One replica over all its lives: the data stay, and its peers reach it at the same addresses. */
class Member {
  readonly directory: string
  /** The ways to it, one for each of the others. */
  readonly wires = new Map<number, FaultyWire>()
  peers: readonly string[] = []
  running!: ProductReplica

  constructor(directory: string) {
    this.directory = directory
  }

  async start(): Promise<void> {
    const names = [...this.wires.values()].map(({ address }) => address)
    const flags = (name: string, values: readonly string[]) => values.flatMap((value) => [name, value])
    this.running = await upProduct(
      this.directory,
      ...['--log-level', 'error'],
      ...flags('--public-host', names),
      ...flags(
        '--peer',
        this.peers.map((peer) => `http://${peer}`),
      ),
    )
    started.push(this.running)
    const port = Number(new URL(this.running.url).port)
    for (const wire of this.wires.values()) wire.leadTo(port)
  }
}

const members: Member[] = []
const started: ProductReplica[] = []
afterAll(() => {
  for (const { process } of started) process.kill('SIGKILL')
})

beforeAll(async () => {
  const directory = await temporaryDirectory()
  for (let i = 0; i < REPLICAS; i++) members.push(new Member(join(directory, `replica-${i}`)))
  for (const [i, to] of members.entries())
    for (const from of members.keys()) if (from !== i) to.wires.set(from, await faultyWire())
  for (const [i, member] of members.entries())
    member.peers = members.filter((other) => other !== member).map((other) => other.wires.get(i)!.address)
  await Promise.all(members.map((member) => member.start()))
})

const wiresOf = (index: number): readonly FaultyWire[] => [
  ...members[index]!.wires.values(),
  ...members.flatMap((other) => other.wires.get(index) ?? []),
]

/** Asks again and again, and answers how long it took. */
async function until(what: string, withinMs: number, isSo: () => Promise<boolean>): Promise<number> {
  const since = performance.now()
  while (!(await isSo())) {
    if (performance.now() - since > withinMs) throw new Error(`${what}: not within ${withinMs} ms`)
    await new Promise((resolve) => setTimeout(resolve, 50)) // asks again; what is asked decides
  }
  return performance.now() - since
}

const spacesOf = ({ running }: Member) =>
  answerOf<{ items: readonly SpaceView[] }>(running.url, 'GET', '/v1/spaces').then(({ items }) => items)
const hasSpace = async (member: Member) => (await spacesOf(member)).some(({ name }) => name === SPACE)
const rootsOf = async (member: Member) =>
  (await spacesOf(member)).map(({ id, root, ops_root }) => `${id} ${root} ${ops_root}`).join()
const shownBy = ({ running }: Member) =>
  answerOf<{ items: readonly ContributionView[] }>(running.url, 'GET', `/v1/spaces/${SPACE}/contributions`).then(
    ({ items }) => items,
  )
const agree = async () => new Set(await Promise.all(members.map(rootsOf))).size === 1

const fileOf = (serial: number) => safetensors([...tinyModel(serial), { name: 'serial', shape: [1], values: [serial] }])

/** Whoever was killed in the middle of it is asked again: what was done before is not done twice. */
async function acknowledged<T>(member: Member, request: (url: string) => Promise<T>): Promise<T> {
  for (;;) {
    const { running } = member
    try {
      return await request(running.url)
    } catch (error) {
      if (!(error instanceof Unanswered)) throw error
      await until('a restart', START_MS, async () => member.running !== running)
    }
  }
}

test(
  '[RPL-21] three replicas that are killed and cut apart while they are written to agree within 10 s, and lose nothing',
  { timeout: 180_000 },
  async () => {
    const number = numbersFrom(7)
    const told = new Map<string, string>()
    const gone = new Set<string>()
    await answerOf(members[0]!.running.url, 'POST', '/v1/spaces', { name: SPACE })
    await until('the space is everywhere', AGREE_MS, async () => {
      const found = await Promise.all(members.map(hasSpace))
      return found.every(Boolean)
    })
    wiresOf(1)[SLOW.wire]!.delay(SLOW.ms)

    for (let serial = 1; serial <= CONTRIBUTIONS; serial++) {
      for (const cut of CUTS) {
        if (serial === cut.from) for (const wire of wiresOf(cut.replica)) wire.cut()
        if (serial === cut.to) for (const wire of wiresOf(cut.replica)) wire.heal()
      }
      const at = Math.floor(number() * REPLICAS)
      const member = members[at]!
      const work = acknowledged(member, (url) =>
        answerOf<{ id: string }>(url, 'POST', `/v1/spaces/${SPACE}/contributions?name=m-${serial}`, fileOf(serial)),
      )
      const kills = serial % KILL_EVERY === 0
      if (kills) {
        await new Promise((resolve) => setTimeout(resolve, number() * 20)) // the moment of the kill
        const victim = members[serial % 2 === 0 ? at : (at + 1) % REPLICAS]!
        await victim.running.end('SIGKILL')
        await victim.start()
      }
      told.set(`m-${serial}`, (await work).id)
      if (serial % 10 !== 0) continue
      const shownHere = await acknowledged(member, () => shownBy(member))
      // of one that was retracted elsewhere the news may come between the look and the call
      const [seen] = shownHere.filter(({ name }) => told.has(name) && !gone.has(name))
      await acknowledged(member, (url) => answerOf(url, 'DELETE', `/v1/spaces/${SPACE}/contributions/${seen!.id}`))
      gone.add(seen!.name)
    }
    for (const at of members.keys()) for (const wire of wiresOf(at)) wire.heal()

    await until('all roots are equal', AGREE_MS, agree)
    const shown = await Promise.all(members.map(shownBy))
    for (const one of shown) {
      const visible = new Map(one.map(({ name, id }) => [name, id]))
      for (const [name, id] of told) expect(visible.get(name)).toBe(gone.has(name) ? undefined : id)
      expect(visible.size).toBe(told.size - gone.size)
    }
  },
)

test('[RPL-22] each of the three merges what they agreed on to the same bytes', { timeout: 120_000 }, async () => {
  const told = await Promise.all(
    members.map(async ({ running: { url } }) => {
      let id = ''
      await until('the manifests are here', START_MS, async () => {
        const recipe = { strategy: 'weight_average' }
        const answer = await ask(url, 'POST', `/v1/spaces/${SPACE}/merges`, { recipe })
        if (answer.status === 409) return false
        id = (JSON.parse(Buffer.from(answer.bytes).toString()) as MergeView).id
        return true
      })
      const path = `/v1/spaces/${SPACE}/merges/${id}`
      await until('the merge is done', START_MS, async () => {
        const { state, error } = await answerOf<MergeView>(url, 'GET', path)
        if (state === 'failed' || state === 'cancelled') throw new Error(`it is ${state}: ${JSON.stringify(error)}`)
        return state === 'done'
      })
      const { status, bytes } = await ask(url, 'GET', `${path}/model.safetensors`)
      return { id, status, output: sha256Hex(bytes) }
    }),
  )
  expect(told[0]!.status).toBe(200)
  expect(told).toEqual([told[0], told[0], told[0]])
})

test('[RPL-23] after all that each sees the others linked and in sync, and no author wrote two ops in one place', async () => {
  await until('all are in sync', AGREE_MS, async () => {
    const lists = await Promise.all(
      members.map(({ running }) => answerOf<{ items: readonly PeerView[] }>(running.url, 'GET', '/v1/peers')),
    )
    return lists.every(
      ({ items }) =>
        items.length === REPLICAS - 1 &&
        items.every(({ state, spaces }) => state === 'linked' && spaces.every(({ in_sync }) => in_sync)),
    )
  })
  const stopped = await Promise.all(members.map(({ running }) => running.end('SIGTERM')))
  expect(stopped).toEqual([0, 0, 0])
  for (const { directory } of members) {
    const storage = await openSqliteStorage(directory)
    for (const { id } of storage.spaces.list()) {
      const ops = storage.ops.forSpace(id).map(({ bytes }) => parseOp(bytes).record)
      expect(ops.filter(({ t }) => t === 'evidence')).toEqual([])
      const places = ops.map(({ rid, ep, seq }) => `${rid} ${ep} ${seq}`)
      expect(new Set(places).size).toBe(places.length)
    }
    storage.close()
  }
})
