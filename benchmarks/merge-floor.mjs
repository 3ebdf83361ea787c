/**
 * What a merge can't do without, and nothing else: threads that read every input in tiles of 512 KiB, write as much as the
 * output to a new file and hash it in leaves of 1 MiB, while the main thread has the disk take it in. As a program: `node
 * benchmarks/merge-floor.mjs OUT INPUT…`; `floorOf` runs it, `ratesOf` measures each part alone.
 */
import { createHash } from 'node:crypto'
import {
  closeSync,
  fdatasync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs'
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { isMainThread, Worker, workerData } from 'node:worker_threads'
import { seconds } from './measure.mjs'

const TILE = 2 ** 19
const LEAF = 2 ** 20
const SYNC_EVERY_MS = 30
const own = fileURLToPath(import.meta.url)
const tiles = (count) => {
  const { buffer } = new WebAssembly.Memory({ initial: (count * TILE) / 65536, maximum: (count * TILE) / 65536 })
  return Array.from({ length: count }, (_, i) => new Uint8Array(buffer, i * TILE, TILE).fill(i))
}
const leafHash = () => createHash('sha256').update(Uint8Array.of(0))

function work({ out, inputs, bytes, next }) {
  const from = inputs.map((path) => openSync(path))
  const to = openSync(out, 'r+')
  const buffers = tiles(inputs.length)
  for (;;) {
    const begin = LEAF * Atomics.add(next, 0, 1)
    if (begin >= bytes) break
    const hash = leafHash()
    for (let at = begin; at < Math.min(bytes, begin + LEAF); at += TILE) {
      const length = Math.min(TILE, bytes - at)
      buffers.forEach((buffer, i) => readSync(from[i], buffer, 0, length, at))
      writeSync(to, buffers[0], 0, length, at)
      hash.update(buffers[0].subarray(0, length))
    }
    hash.digest()
  }
}

async function run([out, ...inputs]) {
  const bytes = Math.min(...inputs.map((path) => statSync(path).size))
  const file = openSync(out, 'w+')
  ftruncateSync(file, bytes)
  const next = new Int32Array(new SharedArrayBuffer(4))
  const threads = Array.from(
    { length: availableParallelism() },
    () => new Worker(own, { workerData: { out, inputs, bytes, next } }),
  )
  let syncing = false
  const timer = setInterval(() => {
    if (syncing) return
    syncing = true
    fdatasync(file, () => (syncing = false))
  }, SYNC_EVERY_MS)
  await Promise.all(threads.map((thread) => new Promise((resolve) => thread.on('exit', resolve))))
  clearInterval(timer)
  fsyncSync(file)
  closeSync(file)
}

/** Seconds of the whole program; the file is made anew. */
export function floorOf(out, inputs) {
  rmSync(out, { force: true })
  return seconds(process.execPath, [own, out, ...inputs])
}

/** GB a second of CPU time that one thread does of each part, best of some runs. */
export function ratesOf(input, scratch) {
  const [a, b] = tiles(2)
  const turns = Math.floor(Math.min(statSync(input).size, 2 ** 28) / TILE)
  const rate = (turn) => {
    let best = 0
    for (let again = 0; again < 3; again++) {
      const start = process.cpuUsage()
      for (let i = 0; i < turns; i++) turn(i * TILE)
      const { user, system } = process.cpuUsage(start)
      best = Math.max(best, (turns * TILE) / 1e3 / (user + system))
    }
    return best
  }
  const from = openSync(input)
  const fresh = () => {
    rmSync(scratch, { force: true })
    const file = openSync(scratch, 'w+')
    ftruncateSync(file, turns * TILE)
    return file
  }
  let to = fresh()
  try {
    const hash = rate(() => leafHash().update(a).digest())
    const copy = rate(() => b.set(a))
    const read = rate((at) => readSync(from, a, 0, TILE, at))
    const write = rate((at) => {
      if (at === 0) {
        closeSync(to)
        to = fresh()
      }
      writeSync(to, a, 0, TILE, at)
    })
    const overwrite = rate((at) => writeSync(to, a, 0, TILE, at))
    return { hash, copy, read, write, overwrite }
  } finally {
    closeSync(from)
    closeSync(to)
    rmSync(scratch, { force: true })
  }
}

if (!isMainThread) work(workerData)
else if (process.argv[1] === own) await run(process.argv.slice(2))
