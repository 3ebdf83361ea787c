/**
 * A replica under hostile peers: `npm run build && node benchmarks/hostile.mjs`. Each kind misbehaves for some seconds on 8 links
 * that it opens again whenever they are closed, in a process of its own, while an honest client asks for the list of spaces.
 * Prints how the links ended, the client's waiting time beside the undisturbed one, and the memory of the replica.
 */
import { fork, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { WebSocket } from 'ws'
import { sign, keyPairFromSeed } from '../dist/src/core/signature.js'
import { decodeFrame, encodeFrame, helloProof } from '../dist/src/replication/frames.js'

const SECONDS = 4
const LINKS = 8
const root = dirname(dirname(fileURLToPath(import.meta.url)))

/** Says hello as an honest stranger would, each link as another one, then does what `then` does. */
function greeted(then) {
  return (socket) => {
    const key = keyPairFromSeed(randomBytes(32))
    const nonce = randomBytes(32)
    socket.send(encodeFrame({ t: 'hello', versions: [1, 1], rid: key.rid, nonce }))
    let isOpen = false
    socket.on('message', (bytes) => {
      const frame = decodeFrame(new Uint8Array(bytes))
      if (frame.t === 'hello') {
        const ack = { version: 1, spaces: [] }
        const greeting = { from: key.rid, to: frame.rid, fromNonce: nonce, toNonce: frame.nonce }
        socket.send(encodeFrame({ t: 'hello-ack', ...ack, signature: sign('hello', helloProof(greeting, ack), key) }))
      } else if (!isOpen) {
        isOpen = true
        then(socket)
      }
    })
  }
}
/** As fast as the link takes it. */
const pouring = (make) => (socket) => {
  const pour = () => {
    if (socket.readyState !== WebSocket.OPEN) return
    for (let i = 0; i < 64 && socket.bufferedAmount < 4e6; i++) socket.send(make())
    setTimeout(pour, 1)
  }
  pour()
}
const recorded = randomBytes(160)
const KINDS = {
  'opens links and says nothing': () => undefined,
  'sends noise before the hello': pouring(() => randomBytes(512)),
  'sends a frame of 5 MiB': (socket) => socket.send(Buffer.alloc(5 * 1024 * 1024)),
  'replays a hello that was recorded': (socket) => {
    socket.send(encodeFrame({ t: 'hello', versions: [1, 1], rid: 'ab'.repeat(32), nonce: randomBytes(32) }))
    socket.send(Buffer.concat([Buffer.from([2, 0, 0, 0, recorded.length]), recorded]))
  },
  'greets, then floods with malformed frames': greeted(
    pouring(() => Buffer.concat([Buffer.from([4, 0, 0, 0, 8]), randomBytes(8)])), // shorter than the id of a space
  ),
  'greets, then floods with frames nobody knows': greeted(pouring(() => Buffer.from([250, 0, 0, 0, 0]))),
  'greets, then floods with noise for a space nobody has': greeted(
    pouring(() => encodeFrame({ t: 'update', space: '00'.repeat(16), update: randomBytes(64 * 1024) })),
  ),
}

/** In a process of its own, so that its work is not taken for the replica's: until it is told to stop. */
function misbehave(kind, address) {
  const ends = new Map()
  const sockets = new Set()
  const open = () => {
    const socket = new WebSocket(address, { perMessageDeflate: false })
    sockets.add(socket)
    socket.on('open', () => KINDS[kind](socket))
    socket.on('error', () => undefined)
    socket.on('close', (code) => {
      sockets.delete(socket)
      ends.set(code, (ends.get(code) ?? 0) + 1)
      setTimeout(open, 20)
    })
  }
  for (let i = 0; i < LINKS; i++) open()
  process.once('message', () => {
    process.send([...ends].map(([code, count]) => `${code} × ${count}`).join(', ') || 'none')
    process.exit()
  })
}

async function startReplica() {
  const data = mkdtempSync(join(tmpdir(), 'tributary-hostile-'))
  const program = join(root, 'dist', 'src', 'main.cjs')
  const process_ = spawn(
    process.execPath,
    [program, 'up', '--json', '--port', '0', '--data', data, '--log-level', 'silent'],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  )
  const line = await new Promise((resolve) => createInterface(process_.stdout).once('line', resolve))
  const { url } = JSON.parse(line)
  const headers = { 'content-type': 'application/json' }
  await fetch(`${url}/v1/spaces`, { method: 'POST', headers, body: '{"name":"lab"}' })
  return {
    url,
    rssMib: () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${process_.pid}/status`, 'utf8'))[1]) / 1024,
    async stop() {
      process_.kill('SIGTERM')
      await new Promise((resolve) => process_.once('exit', resolve))
      rmSync(data, { recursive: true, force: true })
    },
  }
}

async function waiting(url, seconds) {
  const times = []
  const until = performance.now() + 1000 * seconds
  while (performance.now() < until) {
    const start = performance.now()
    await (await fetch(`${url}/v1/spaces`)).text()
    times.push(performance.now() - start)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  times.sort((a, b) => a - b)
  return { median: times[times.length >> 1], p99: times[Math.floor(times.length * 0.99)] }
}

async function compare() {
  console.log(
    '| a peer that | links ended (code × times) | client median ms | undisturbed | p99 ms | undisturbed | memory MiB |',
  )
  console.log('| --- | --- | ---: | ---: | ---: | ---: | ---: |')
  for (const kind of Object.keys(KINDS)) {
    const replica = await startReplica()
    await waiting(replica.url, 1)
    const calm = await waiting(replica.url, SECONDS)
    const hostile = fork(fileURLToPath(import.meta.url), [
      '--as',
      kind,
      `${replica.url.replace('http', 'ws')}/v1/replicate`,
    ])
    await new Promise((resolve) => setTimeout(resolve, 500))
    const disturbed = await waiting(replica.url, SECONDS)
    const most = replica.rssMib()
    const ends = await new Promise((resolve) => hostile.once('message', resolve).send('stop'))
    const times = [disturbed.median, calm.median, disturbed.p99, calm.p99].map((value) => value.toFixed(1))
    console.log(`| ${kind} | ${ends} | ${times.join(' | ')} | ${most.toFixed(0)} |`)
    await replica.stop()
  }
}

if (process.argv[2] === '--as') misbehave(process.argv[3], process.argv[4])
else await compare()
