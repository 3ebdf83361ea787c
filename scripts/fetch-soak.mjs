/**
 * A model moves between replicas as processes: `node scripts/fetch-soak.mjs [MIB] [--json]`, by default 4,096. First beside
 * a plain HTTP download that is hashed and written; then to a receiver that is killed three times on the way, by HTTP and by
 * its link alone; then from three replicas of which one sends wrong bytes. Prints the figures; exits 1 where a byte
 * is wrong, more than 64 MiB came twice, or the liar was not named. Needs `npm run build`, and room for five such models.
 */
import { spawn } from 'node:child_process'
import { createCipheriv, createHash } from 'node:crypto'
import { createReadStream, createWriteStream, mkdtempSync, rmSync } from 'node:fs'
import { get, request } from 'node:http'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { setTimeout as wait } from 'node:timers/promises'

const MIB = 2 ** 20
const args = process.argv.slice(2)
const mib = Number(args.find((arg) => /^\d+$/.test(arg)) ?? 4096)
const isJson = args.includes('--json')
const KILLS = 3
const TWICE_MAX_MIB = 64
const LARGE = 8
const SMALL = 32
const SMALL_BYTES = 100_000
const WITHIN_MS = 60_000 + mib * 200

const program = new URL('../dist/src/main.cjs', import.meta.url).pathname
const directory = mkdtempSync(join(tmpdir(), 'tributary-fetch-'))
const children = new Set()
process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL')
  rmSync(directory, { recursive: true, force: true })
})
const say = (text) => void (isJson || console.log(text))

// the model: a few large tensors, many small ones, of bytes that nothing compresses and no two tensors share

function* tensors() {
  const large = Math.floor((mib * MIB) / LARGE)
  for (let i = 0; i < LARGE; i++) yield { name: `large.${i}`, bytes: large + i } // the last chunk is short
  for (let i = 0; i < SMALL; i++) yield { name: `small.${i}`, bytes: SMALL_BYTES + i }
}

async function writeModel(path) {
  const header = {}
  let offset = 0
  for (const { name, bytes } of tensors()) {
    header[name] = { dtype: 'U8', shape: [bytes], data_offsets: [offset, offset + bytes] }
    offset += bytes
  }
  const text = JSON.stringify(header)
  const head = Buffer.from(text.padEnd(Math.ceil(text.length / 8) * 8))
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(head.length))
  const hash = createHash('sha256')
  const total = offset
  await pipeline(async function* () {
    const cipher = createCipheriv('aes-128-ctr', Buffer.alloc(16), Buffer.alloc(16))
    const zeros = Buffer.alloc(MIB)
    yield Buffer.concat([length, head])
    for (let left = total; left > 0; left -= MIB) yield cipher.update(zeros.subarray(0, Math.min(MIB, left)))
  }, async function* (pieces) {
    for await (const piece of pieces) {
      hash.update(piece)
      yield piece
    }
  }, createWriteStream(path)) // prettier-ignore
  return { path, bytes: total + 8 + head.length, sha256: hash.digest('hex') }
}

// replicas, and the ways between them

/** Counts what a replica gives, and may change a byte of what it gives by HTTP. */
async function makeWire({ lies = false } = {}) {
  const wire = { port: 0, to: 0, given: 0, onGiven: () => undefined, isHttpShut: false }
  const server = createServer((near) => {
    const far = connect(wire.to, '127.0.0.1')
    let isBlobs = false
    near.once('data', (first) => void (isBlobs = first.subarray(0, 40).includes('/v1/blobs/')))
    for (const socket of [near, far]) socket.on('error', () => socket.destroy())
    near.on('data', (bytes) => {
      if (isBlobs && wire.isHttpShut) near.destroy()
      else if (!far.write(bytes)) near.pause()
    })
    far.on('drain', () => near.resume())
    far.on('data', (bytes) => {
      wire.given += bytes.length
      wire.onGiven()
      if (lies && isBlobs && bytes.length > 4096) bytes[bytes.length - 1] ^= 1
      if (!near.write(bytes)) far.pause()
    })
    near.on('drain', () => far.resume())
    near.on('close', () => far.destroy())
    far.on('close', () => near.destroy())
  }).unref()
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  wire.port = server.address().port
  return wire
}

class Replica {
  constructor(name, { wires = [], peers = [] } = {}) {
    Object.assign(this, { name, wires, peers, data: join(directory, name), said: '' })
  }

  start() {
    const named = this.wires.flatMap(({ port }) => ['--public-host', `127.0.0.1:${port}`])
    const peers = this.peers.flatMap((port) => ['--peer', `http://127.0.0.1:${port}`])
    const given = [
      'up',
      '--data',
      this.data,
      '--port',
      '0',
      '--workers',
      '1',
      '--log-level',
      'warn',
      ...named,
      ...peers,
    ]
    const child = spawn(process.execPath, [program, ...given], { stdio: ['ignore', 'pipe', 'pipe'] })
    this.child = child
    children.add(child)
    child.on('close', () => children.delete(child))
    return new Promise((resolve, reject) => {
      let said = ''
      child.on('close', (code) => reject(new Error(`${this.name} ended with ${code}: ${this.said}`)))
      const hear = (bytes) => {
        said += bytes
        this.said += bytes
        const [url, port] = /http:\/\/127\.0\.0\.1:(\d+)/.exec(said) ?? []
        if (!url) return
        this.url = url
        this.port = Number(port)
        for (const wire of this.wires) wire.to = this.port
        resolve(this)
      }
      child.stdout.on('data', hear)
      child.stderr.on('data', hear)
    })
  }

  async end({ drops = false } = {}) {
    const gone = new Promise((resolve) => this.child.once('close', resolve))
    this.child.kill('SIGKILL')
    await gone
    if (drops) rmSync(this.data, { recursive: true, force: true })
  }

  async call(method, path, body) {
    const headers = body ? { 'content-type': 'application/json' } : {}
    const answer = await fetch(`${this.url}${path}`, { method, headers, body: body && JSON.stringify(body) })
    const text = await answer.text()
    if (!answer.ok)
      throw Object.assign(new Error(`${method} ${path}: ${answer.status} ${text}`), { status: answer.status })
    return JSON.parse(text)
  }

  /** Is it so, without an answer no. */
  is(path, so = () => true) {
    return this.call('GET', path).then(so, () => false)
  }

  upload({ path, bytes }, at) {
    return new Promise((resolve, reject) => {
      const headers = { 'content-type': 'application/octet-stream', 'content-length': bytes }
      const sending = request(`${this.url}${at}`, { method: 'POST', headers }, async (answer) => {
        const text = Buffer.concat(await answer.toArray()).toString()
        if (answer.statusCode < 300) resolve(JSON.parse(text))
        else reject(new Error(`upload: ${answer.statusCode} ${text}`))
      })
      sending.on('error', reject)
      pipeline(createReadStream(path, { highWaterMark: MIB }), sending).catch(reject)
    })
  }

  /** As anyone would: every byte hashed, and written. */
  async download(model, to) {
    const hash = createHash('sha256')
    const answer = await new Promise((resolve, reject) => {
      get(`${this.url}/v1/models/${model}/files/model.safetensors`, resolve).on('error', reject)
    })
    const hashed = async function* (pieces) {
      for await (const piece of pieces) {
        hash.update(piece)
        yield piece
      }
    }
    if (to) await pipeline(answer, hashed, createWriteStream(to))
    else for await (const piece of answer) hash.update(piece)
    return hash.digest('hex')
  }
}

async function until(what, isSo, everyMs = 20) {
  const since = performance.now()
  while (!(await isSo())) {
    if (performance.now() - since > WITHIN_MS) throw new Error(`${what}: not within ${WITHIN_MS} ms`)
    await wait(everyMs)
  }
  return (performance.now() - since) / 1000
}

/** Asks for a merge of the model, which lacks its bytes; answers how long they took. */
async function fetchTo(receiver, model) {
  await until('the manifest', () => receiver.is('/v1/spaces/lab', ({ contributions }) => contributions === 1))
  const recipe = { strategy: 'weight_average' }
  await until('the merge is asked for', async () => {
    try {
      return (await receiver.call('POST', '/v1/spaces/lab/merges', { recipe })).id
    } catch (error) {
      if (error.status === 409) return false
      throw error
    }
  })
  return until('the model', () => receiver.is(`/v1/models/${model}`))
}

const isSound = async (replica, model, { sha256 }) => (await replica.download(model)) === sha256
const round = (value) => Math.round(value * 100) / 100
const figures = { mib }
const wrong = []

const file = await writeModel(join(directory, 'model.safetensors'))
const wires = { honest: await makeWire(), second: await makeWire(), lying: await makeWire({ lies: true }) }
const source = await new Replica('source', { wires: [wires.honest] }).start()
await source.call('POST', '/v1/spaces', { name: 'lab' })
const { model } = await source.upload(file, '/v1/spaces/lab/contributions?name=large')

{
  const receiver = await new Replica('beside', { peers: [source.port] }).start()
  const copy = join(directory, 'copy')
  const seconds = { plain: Infinity, fetched: await fetchTo(receiver, model) }
  for (let i = 0; i < 2; i++) {
    const began = performance.now()
    if ((await source.download(model, copy)) !== file.sha256) wrong.push('the plain download')
    seconds.plain = Math.min(seconds.plain, (performance.now() - began) / 1000)
  }
  rmSync(copy)
  if (!(await isSound(receiver, model, file))) wrong.push('what was fetched')
  await receiver.end({ drops: true })
  figures.plain_mib_s = round(mib / seconds.plain)
  figures.fetched_mib_s = round(mib / seconds.fetched)
  figures.ratio = round(seconds.plain / seconds.fetched)
  say(`plain HTTP ${figures.plain_mib_s} MiB/s, fetched ${figures.fetched_mib_s} MiB/s: ${figures.ratio} of it`)
}

/** Killed when a quarter, a half and three quarters have come. */
async function killed(name, wire, replica) {
  const receiver = replica
  const before = wire.given
  let kills = 0
  let restarting
  wire.onGiven = () => {
    if (restarting || kills === KILLS || wire.given - before < ((kills + 1) * file.bytes) / (KILLS + 1)) return
    kills += 1
    restarting = receiver.end().then(() => receiver.start()).finally(() => (restarting = undefined)) // prettier-ignore
  }
  await fetchTo(receiver, model)
  await restarting
  wire.onGiven = () => undefined
  const twice = round((wire.given - before - file.bytes) / MIB)
  if (kills < KILLS) wrong.push(`${name}: only ${kills} kills`)
  if (twice > TWICE_MAX_MIB) wrong.push(`${name}: ${twice} MiB came twice`)
  if (!(await isSound(receiver, model, file))) wrong.push(`${name}: the bytes`)
  await receiver.end({ drops: true })
  figures[`${name}_twice_mib`] = twice
  say(`${kills} kills, ${name}: ${twice} MiB came twice`)
}
await killed('http', wires.honest, await new Replica('killed', { peers: [wires.honest.port] }).start())
wires.honest.isHttpShut = true
await killed('link', wires.honest, await new Replica('killed-link', { peers: [wires.honest.port] }).start())
wires.honest.isHttpShut = false

{
  const others = []
  for (const [name, wire] of [
    ['second', wires.second],
    ['lying', wires.lying],
  ]) {
    const other = await new Replica(name, { wires: [wire], peers: [source.port] }).start()
    await other.upload(file, '/v1/models')
    await until('the space', () => other.is('/v1/spaces/lab', ({ contributions }) => contributions === 1))
    others.push(other)
  }
  const ports = [wires.honest, wires.second, wires.lying].map(({ port }) => port)
  const receiver = await new Replica('receiver', { peers: ports }).start()
  // who is linked only later joins the next model, not this one
  const hasSpace = ({ spaces }) => spaces.some((space) => space.in_sync)
  await until('all three', () =>
    receiver.is('/v1/peers', ({ items }) => items.filter(hasSpace).length === ports.length),
  )
  const seconds = await fetchTo(receiver, model)
  if (!(await isSound(receiver, model, file))) wrong.push('with a liar: the bytes')
  const { items } = await receiver.call('GET', '/v1/peers')
  const named = [...receiver.said.matchAll(/the replica ([0-9a-f]{64}) sent something else/g)].map(([, rid]) => rid)
  const { replica: key } = items.find(({ url }) => url.endsWith(`:${wires.lying.port}`))
  if (new Set(named).size !== 1 || named[0] !== key) wrong.push(`the liar ${key}, but named are ${named}`)
  figures.liar_mib_s = round(mib / seconds)
  figures.liar_named = named[0] === key
  say(`three sources, one lies: ${figures.liar_mib_s} MiB/s, ${named.length > 0 ? 'named' : 'NOT named'}`)
  for (const one of [...others, receiver]) await one.end({ drops: true })
}

console.log(
  isJson ? JSON.stringify({ ...figures, wrong }) : wrong.length > 0 ? `WRONG: ${wrong.join('; ')}` : 'all is well',
)
process.exit(wrong.length > 0 ? 1 : 0)
