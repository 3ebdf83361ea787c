/**
 * Mutates Yjs updates: as trees (counts, clients, clocks, items, keys, deletions, spellings of numbers) and as bytes
 * (flips, cuts, splices). Seeded, so a run that fails can be run again.
 */
import { concat, utf8 } from '../../src/core/bytes.ts'
import { readUpdate } from '../../src/replication/read-update.ts'

export type Random = (below: number) => number

export function randomNumbers(seed: number): Random {
  let state = seed >>> 0
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * below)
  }
}

interface Item {
  info: number
  /** Written before the parent where the info asks for it. */
  origin: [number, number]
  parentInfo: number
  root: string
  key: string
  content: Uint8Array
  /** Other bytes in place of the whole. */
  raw?: Uint8Array
}
interface Client {
  count: number
  client: number
  clock: number
  items: Item[]
}
interface Tree {
  count: number
  clients: Client[]
  deletes: number[]
}

/** With `longer`, some number is spelled in more bytes than it takes. */
class Writer {
  readonly parts: Uint8Array[] = []
  #longer: number

  constructor(longer: number) {
    this.#longer = longer
  }

  number(value: number): void {
    const bytes: number[] = []
    for (let rest = Math.max(0, value); ; rest = Math.floor(rest / 128)) {
      bytes.push(rest >= 128 ? (rest % 128) | 128 : rest)
      if (rest < 128) break
    }
    if (this.#longer-- === 0) bytes.push((bytes.pop()! | 128) & 255, 0)
    this.parts.push(Uint8Array.from(bytes))
  }

  bytes(bytes: Uint8Array): void {
    this.number(bytes.length)
    this.parts.push(bytes)
  }
}

function write({ count, clients, deletes }: Tree, longer = -1): Uint8Array {
  const writer = new Writer(longer)
  writer.number(count)
  for (const { count: items, client, clock, items: list } of clients) {
    writer.number(items)
    writer.number(client)
    writer.number(clock)
    for (const item of list) writeItem(writer, item)
  }
  for (const value of deletes) writer.number(value)
  return concat(...writer.parts)
}

function writeItem(writer: Writer, { info, origin, parentInfo, root, key, content, raw }: Item): void {
  if (raw !== undefined) {
    writer.parts.push(raw)
    return
  }
  writer.parts.push(Uint8Array.of(info))
  for (const bit of [0x80, 0x40]) if ((info & bit) > 0) origin.forEach((value) => writer.number(value))
  if ((info & 0xc0) === 0) {
    writer.number(parentInfo)
    writer.bytes(utf8(root))
    if ((info & 0x20) > 0) writer.bytes(utf8(key))
  }
  writer.bytes(content)
}

function treeOf(update: Uint8Array): Tree {
  const clients = new Map<number, Client>()
  for (const { client, clock, id, record } of readUpdate(update).records ?? []) {
    const group = clients.get(client) ?? { count: 0, client, clock, items: [] }
    clients.set(client, group)
    group.items.push({ info: 0x23, origin: [client, clock], parentInfo: 1, root: 'ops', key: id, content: record })
    group.count++
  }
  return { count: clients.size, clients: [...clients.values()], deletes: [0] }
}

const INFOS = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0x20, 0x22, 0x23, 0x24, 0x28, 0x29, 0x2a, 0x43, 0x63, 0x83, 0xa3, 0xe3]
const ROOTS = ['ops', 'op', 'opss', 'OPS', '', 'other', 'öps']
const RAWS = [
  [0, 1],
  [0, 128, 128, 128, 128, 8],
  [10, 3],
  [0x21, 1, 3, 111, 112, 115, 1, 97, 1],
  [0x28, 1, 3, 111, 112, 115, 1, 97, 1, 119, 1, 97],
  [0x27, 1, 3, 111, 112, 115, 1, 97, 0],
  [0x22, 1, 3, 111, 112, 115, 1, 97, 1, 1, 49],
]

/** One change of the tree. The other trees lend their parts. */
function change(tree: Tree, lender: Tree, random: Random): void {
  const one = <T>(list: readonly T[]): T => list[random(list.length)]!
  const near = (value: number): number => [value + 1, value - 1, 0, 2 ** random(54), value + 2 ** 31][random(5)]!
  const client = one(tree.clients)
  const item = one(client.items)
  const lent = one(one(lender.clients).items)
  const actions: (() => void)[] = [
    () => (tree.count = near(tree.count)),
    () => (client.count = near(client.count)),
    () => (client.client = near(client.client)),
    () => (client.client = one(lender.clients).client),
    () => (client.clock = near(client.clock)),
    () => (item.info = one(INFOS)),
    () => (item.parentInfo = one([0, 1, 2, 128])),
    () => (item.root = one(ROOTS)),
    () => (item.key = item.key.slice(0, random(65))),
    () => (item.key = item.key.replace(/./, one(['A', 'g', '0', 'f', 'é']))),
    () => (item.key = lent.key),
    () => (item.content = lent.content),
    () => ([item.key, item.content] = [lent.key, lent.content]),
    () => (item.content = item.content.subarray(0, random(item.content.length))),
    () => (item.content = flipped(item.content, random)),
    () => (item.raw = Uint8Array.from(one(RAWS))),
    () => {
      client.items.splice(random(client.items.length), 0, lent)
      client.count++
    },
    () => (client.count -= client.items.splice(random(client.items.length), 1).length),
    () => client.items.reverse(),
    () => tree.clients.reverse(),
    () => {
      tree.clients.push(one(lender.clients))
      tree.count++
    },
    () => {
      tree.clients.push(client)
      tree.count++
    },
    () => (tree.deletes = one([[], [1, client.client, 1, 0, 1], [1, 5, 0], [1], [2 ** 31], [0, 0]])),
  ]
  one(actions)()
}

function flipped(bytes: Uint8Array, random: Random): Uint8Array {
  const copy = bytes.slice()
  if (copy.length > 0) copy[random(copy.length)]! ^= 1 << random(8)
  return copy
}

/** One change of the bytes, most often near the front, where the structure is. */
function scrambled(bytes: Uint8Array, lender: Uint8Array, random: Random): Uint8Array {
  const place = random(random(2) === 0 ? Math.min(90, bytes.length + 1) : bytes.length + 1)
  switch (random(6)) {
    case 0:
      return flipped(bytes, random)
    case 1:
      return bytes.slice(0, place)
    case 2:
      return concat(bytes.slice(0, place), lender.slice(random(lender.length)))
    case 3:
      return concat(bytes.slice(0, place), Uint8Array.of(random(256)), bytes.slice(place))
    case 4:
      return concat(bytes.slice(0, place), bytes.slice(place + 1 + random(8)))
    default: {
      const copy = bytes.slice()
      if (place < copy.length) copy[place] = random(256)
      return copy
    }
  }
}

/** One of these updates, honest now and then, mostly not. */
export function mutations(corpus: readonly Uint8Array[], random: Random): Uint8Array {
  const [given, lender] = [corpus[random(corpus.length)]!, corpus[random(corpus.length)]!]
  const kind = random(20)
  if (kind === 0) return given
  if (kind < 7) {
    let bytes = given
    for (let left = 1 + random(2); left > 0; left--) bytes = scrambled(bytes, lender, random)
    return bytes
  }
  const [tree, other] = [treeOf(given), treeOf(lender)]
  for (let left = 1 + random(3); left > 0; left--) {
    if (tree.clients.length === 0 || tree.clients.some(({ items }) => items.length === 0)) break
    change(tree, other, random)
  }
  const bytes = write(tree, random(4) === 0 ? random(12) : -1)
  return kind < 9 ? scrambled(bytes, lender, random) : bytes
}
