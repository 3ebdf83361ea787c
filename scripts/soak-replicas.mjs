/**
 * Five replicas as processes, written to while they are killed and cut apart: `node scripts/soak-replicas.mjs [MINUTES]
 * [CONTRIBUTIONS] [MERGE_SECONDS]`, by default 10, 1,000 and 10; the first two end it, whichever comes first. After each
 * heal every replica begins to merge what it has, and at the end all of it. Prints one summary line; exits 1 where roots are
 * not equal 10 s after the last heal, or merged bytes not MERGE_SECONDS after it, or where something acknowledged is gone.
 * Needs `npm run build`.
 */
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'

const [minutes = 10, contributions = 1000, mergeSeconds = 10] = process.argv.slice(2).map(Number)
const REPLICAS = 5
const KILL_EVERY = 20
const CUT_EVERY = 60
const CUT_LASTS = 30
const AGREE_MS = 10_000

const program = new URL('../dist/src/main.cjs', import.meta.url).pathname
const directory = mkdtempSync(join(tmpdir(), 'tributary-soak-'))

/** A way to a replica, for all others, that can be cut. */
async function makeWire() {
  const wire = { port: 0, to: 0, isCut: false, sockets: new Set() }
  const server = createServer((near) => {
    const far = wire.isCut || wire.to === 0 ? undefined : connect(wire.to, '127.0.0.1')
    for (const socket of far ? [near, far] : [near]) {
      wire.sockets.add(socket)
      socket.on('error', () => socket.destroy()).on('close', () => wire.sockets.delete(socket))
    }
    if (!far) return void near.destroy()
    near.pipe(far).on('close', () => near.destroy())
    far.pipe(near).on('close', () => far.destroy())
  }).unref()
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  wire.port = server.address().port
  return wire
}

/** Two ways for each pair, so that a replica is cut in both directions. */
const all = Array.from({ length: REPLICAS }, (_, i) => ({ i, wires: new Map(), child: undefined, url: '' }))
for (const to of all) for (const from of all) if (from !== to) to.wires.set(from.i, await makeWire())

function start(replica) {
  const to = [...replica.wires.values()].flatMap(({ port }) => ['--public-host', `127.0.0.1:${port}`])
  const peers = all
    .filter((other) => other !== replica)
    .flatMap((other) => ['--peer', `http://127.0.0.1:${other.wires.get(replica.i).port}`])
  const data = join(directory, String(replica.i))
  const given = ['up', '--data', data, '--port', '0', '--log-level', 'error', '--workers', '1', ...to, ...peers]
  const child = spawn(process.execPath, [program, ...given], { stdio: ['ignore', 'pipe', 'ignore'] })
  replica.child = child
  return new Promise((resolve, reject) => {
    let said = ''
    child.on('close', (code) => reject(new Error(`replica ${replica.i} ended with ${code}`)))
    child.stdout.on('data', (bytes) => {
      said += bytes
      const [url, port] = /http:\/\/127\.0\.0\.1:(\d+)/.exec(said) ?? []
      if (!url) return
      replica.url = url
      for (const wire of replica.wires.values()) wire.to = Number(port)
      resolve()
    })
  })
}

function kill({ child }) {
  const gone = new Promise((resolve) => child.once('close', resolve))
  child.kill('SIGKILL')
  return gone
}

function setCut(replica, isCut) {
  for (const wire of [...replica.wires.values(), ...all.flatMap(({ wires }) => wires.get(replica.i) ?? [])]) {
    wire.isCut = isCut
    if (isCut) for (const socket of wire.sockets) socket.destroy()
  }
}

function model(serial) {
  const header = Buffer.from('{"w":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}')
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(header.length))
  return Buffer.concat([length, header, Buffer.from(Float32Array.of(serial, 1, 2, 3).buffer)])
}

async function call(url, method, path, body) {
  const type = Buffer.isBuffer(body) ? 'application/octet-stream' : 'application/json'
  const sent = body === undefined ? {} : { body: Buffer.isBuffer(body) ? body : JSON.stringify(body) }
  const answer = await fetch(`${url}${path}`, { method, ...sent, ...(body && { headers: { 'content-type': type } }) })
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`)
  return answer.json()
}
const spaceOf = ({ url }) => call(url, 'GET', '/v1/spaces/soak').catch(() => undefined)

async function agreeWithin(ms) {
  const since = performance.now()
  for (;;) {
    const seen = await Promise.all(all.map(spaceOf))
    const isSame = seen.every(Boolean) && new Set(seen.map(({ root, ops_root }) => root + ops_root)).size === 1
    const took = performance.now() - since
    if (isSame || took > ms) return { isSame, took, seen }
    await wait(100)
  }
}

const recipe = { strategy: 'weight_average' }
/** Bytes begin to come where a merge waits for them. */
const beginMerge = ({ url }) => call(url, 'POST', '/v1/spaces/soak/merges', { recipe }).catch(() => undefined)

/** What the average of everything is here, as SHA-256 of the file that comes out. */
async function merged({ url }) {
  const path = '/v1/spaces/soak/merges'
  for (;;) {
    const merge = await call(url, 'POST', path, { recipe }).catch((error) => {
      if (!String(error).includes(': 409 ')) throw error // what it merges is not all here yet
    })
    if (merge?.state === 'done') {
      const file = await fetch(`${url}${path}/${merge.id}/model.safetensors`)
      return createHash('sha256')
        .update(Buffer.from(await file.arrayBuffer()))
        .digest('hex')
    }
    if (merge?.state === 'failed') throw new Error(`the merge failed: ${JSON.stringify(merge.error)}`)
    await wait(100)
  }
}

async function mergedWithin(ms) {
  const since = performance.now()
  const late = new Promise((resolve) => setTimeout(resolve, ms).unref())
  const outputs = await Promise.race([Promise.all(all.map(merged)), late])
  return { took: performance.now() - since, isSame: outputs !== undefined && new Set(outputs).size === 1 }
}

let [kills, cuts, told] = [0, 0, 0]
try {
  await Promise.all(all.map(start))
  await call(all[0].url, 'POST', '/v1/spaces', { name: 'soak' })
  await agreeWithin(AGREE_MS)
  const since = performance.now()
  while (told < contributions && performance.now() - since < minutes * 60_000) {
    const serial = told + 1
    const member = all[(serial * 7) % REPLICAS]
    const offer = () => call(member.url, 'POST', `/v1/spaces/soak/contributions?name=m-${serial}`, model(serial))
    if (serial % CUT_EVERY === 0) {
      setCut(all[cuts % REPLICAS], true)
      cuts += 1
    } else if (serial % CUT_EVERY === CUT_LASTS) {
      for (const one of all) setCut(one, false)
      for (const one of all) void beginMerge(one)
    }
    if (serial % KILL_EVERY === 0) {
      const asked = offer().catch(() => undefined) // asked again below
      await Promise.all([kill(member), asked])
      kills += 1
      await start(member)
    }
    await offer()
    told = serial
  }
  for (const one of all) setCut(one, false)
  const { isSame, took, seen } = await agreeWithin(AGREE_MS)
  const outputs = await mergedWithin(mergeSeconds * 1000 - took)
  const counts = seen.map((one) => one?.contributions)
  const isWhole = counts.every((count) => count === told)
  const verdict = isSame && isWhole && outputs.isSame ? 'agree' : 'FAILED'
  console.log(
    `${verdict}: ${REPLICAS} replicas, ${told} contributions, ${kills} kills, ${cuts} cuts, ` +
      `equal roots ${Math.round(took)} ms after the heal, ` +
      `${outputs.isSame ? 'equal' : 'no equal'} merged bytes ${Math.round(took + outputs.took)} ms after it, ` +
      `visible ${counts.join(' ')}`,
  )
  if (verdict === 'FAILED') process.exitCode = 1
} finally {
  await Promise.all(all.filter(({ child }) => child?.exitCode === null).map(kill))
  rmSync(directory, { recursive: true, force: true })
}
process.exit()
