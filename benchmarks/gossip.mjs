/**
 * How many messages one op takes to reach all of many replicas: `node benchmarks/gossip.mjs` after `npm run build`. A model: the
 * gossip that is shipped, on a random mesh with slow, lossy links; frames are counted, and nothing else is run. Writes
 * docs/benchmarks/gossip.md and gossip.svg.
 */
import { writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { panels } from './plot.mjs'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const { Gossip } = await import(join(root, 'dist', 'src', 'replication', 'gossip.js'))
const { DEFAULT_SETTINGS } = await import(join(root, 'dist', 'src', 'replication', 'settings.js'))

const LOSS = 0.01
const TICK_MS = 200
const WARM_OPS = 40
const COUNTED_OPS = 20

let state = 12345
const luck = () => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0
  return state / 2 ** 32
}

/** Each replica linked to so many others, by chance and both ways. */
function mesh(n, degree) {
  const links = Array.from({ length: n }, () => new Set())
  const join = (a, b) => {
    links[a].add(b)
    links[b].add(a)
  }
  for (let i = 0; i < n; i++) join(i, (i + 1) % n)
  for (let i = 0; i < n; i++)
    for (let tries = 0; links[i].size < degree && tries < 100; tries++) {
      const other = Math.floor(luck() * n)
      if (other !== i && links[other].size < degree + 1) join(i, other)
    }
  return links
}

/** What is due, by whole milliseconds. */
class Agenda {
  #at = new Map()
  #now = 0
  #last = 0
  add(ms, what) {
    const at = this.#now + Math.max(1, Math.round(ms))
    this.#last = Math.max(this.#last, at)
    const due = this.#at.get(at)
    if (due === undefined) this.#at.set(at, [what])
    else due.push(what)
  }
  get now() {
    return this.#now
  }
  run() {
    for (; this.#now <= this.#last; this.#now++) {
      const due = this.#at.get(this.#now) ?? []
      for (const what of due) what()
      this.#at.delete(this.#now)
    }
  }
}

function spread(n, degree) {
  const links = mesh(n, degree)
  const delay = new Map()
  const delayOf = (a, b) => {
    const key = a < b ? a * n + b : b * n + a
    if (!delay.has(key)) delay.set(key, 10 + 90 * luck())
    return delay.get(key) * (0.9 + 0.2 * luck())
  }
  const gossips = links.map((others) => {
    const gossip = new Gossip(DEFAULT_SETTINGS)
    for (const other of others) gossip.join(other)
    return gossip
  })
  const agenda = new Agenda()
  const counts = { payloads: 0, ids: 0, control: 0 }
  const slowest = []
  const ticking = new Set()

  function oneOp(number) {
    const id = number.toString(16).padStart(64, '0')
    const has = new Uint8Array(n)
    const began = agenda.now
    let reached = 0
    const send = (from, to, arrive) => {
      if (luck() >= LOSS) agenda.add(delayOf(from, to), arrive)
    }
    const tick = (node) => {
      if (ticking.has(node)) return
      ticking.add(node)
      agenda.add(TICK_MS * luck(), () => {
        ticking.delete(node)
        const gossip = gossips[node]
        for (const [link, ids] of gossip.takeLazy()) {
          counts.ids += ids.length
          send(node, link, () => {
            for (const one of ids) if (has[link] === 0) gossips[link].heardOf(one, node, agenda.now)
            if (gossips[link].awaited > 0) tick(link)
          })
        }
        for (const link of gossip.takeOverdue(agenda.now).keys()) {
          counts.control += 1
          send(node, link, () => {
            gossips[link].graft(node)
            if (has[link] === 1) push(link, node)
          })
        }
        if (gossip.awaited > 0) agenda.add(TICK_MS, () => tick(node))
      })
    }
    const push = (from, to) => {
      counts.payloads += 1
      send(from, to, () => receive(to, from))
    }
    const receive = (node, from) => {
      const gossip = gossips[node]
      if (has[node] === 1) {
        if (gossip.isFullMesh) return
        counts.control += 1
        gossip.prune(from)
        send(node, from, () => gossips[from].prune(node))
        return
      }
      has[node] = 1
      reached += 1
      if (reached === n) slowest.push(agenda.now - began)
      gossip.arrived(id, from)
      for (const link of links[node]) {
        if (link === from) continue
        if (gossip.isEager(link)) push(node, link)
        else gossip.tellLater(link, id)
      }
      tick(node)
    }
    receive(Math.floor(luck() * n), -1)
    agenda.run()
    return reached
  }

  for (let op = 0; op < WARM_OPS; op++) oneOp(op)
  Object.assign(counts, { payloads: 0, ids: 0, control: 0 })
  slowest.length = 0
  let missed = 0
  for (let op = 0; op < COUNTED_OPS; op++) missed += n - oneOp(1000 + op)
  const per = (count) => count / COUNTED_OPS / n
  return {
    n,
    degree,
    payloads: per(counts.payloads),
    ids: per(counts.ids),
    control: per(counts.control),
    missed: missed / COUNTED_OPS,
    ms: slowest.reduce((sum, ms) => sum + ms, 0) / Math.max(1, slowest.length),
  }
}

const rows = [
  [100, 6],
  [1000, 7],
  [10_000, 8],
].map(([n, degree]) => {
  const row = spread(n, degree)
  console.error(row)
  return row
})

const line = ({ n, degree, payloads, ids, control, missed, ms }) =>
  `| ${n.toLocaleString('en')} | ${degree} | ${payloads.toFixed(3)} | ${ids.toFixed(2)} | ${control.toFixed(3)} | ${(n - 1).toLocaleString('en')} | ${missed} | ${Math.round(ms)} |`
writeFileSync(
  join(root, 'docs', 'benchmarks', 'gossip.md'),
  `# Messages an op

Written by \`node benchmarks/gossip.mjs\` after \`npm run build\`. A model: the gossip that is shipped, on random meshes with links of 10 to 100 ms that
lose ${100 * LOSS} % of what they carry; ${WARM_OPS} ops let the tree form, the next ${COUNTED_OPS} from replicas by chance are counted. Per op and replica; "all pairs" is what
telling everybody directly takes for one round. Those that gossip missed are found when roots are compared.

| replicas | links of each | ops pushed | ids told | grafts and prunes | all pairs | missed an op | ms to reach all |
| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
${rows.map(line).join('\n')}

![Messages an op and replica](gossip.svg)
`,
)
writeFileSync(
  join(root, 'docs', 'benchmarks', 'gossip.svg'),
  panels(
    'Messages an op and replica',
    [
      {
        title: 'replicas',
        x: 'replicas',
        lines: [
          { name: 'ops pushed', points: rows.map(({ n, payloads }) => [n, payloads]) },
          { name: 'ids told', points: rows.map(({ n, ids }) => [n, ids]) },
        ],
      },
    ],
    'messages',
  ),
)
