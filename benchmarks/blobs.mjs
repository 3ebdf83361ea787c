/**
 * A tensor moves from one replica process to another over loopback, beside a plain HTTP download of the same bytes that is
 * hashed and written: `node benchmarks/blobs.mjs [MIB]`, by default 256. Interleaved, best of five. Needs `npm run build`.
 */
import { fork } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { mkdtempSync, openSync, rmSync, writeSync, fsyncSync, closeSync } from 'node:fs'
import { createServer, get } from 'node:http'
import { loadavg, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const RUNS = 5
const MIB = 2 ** 20
const root = dirname(dirname(fileURLToPath(import.meta.url)))
const built = (path) => import(join(root, 'dist', 'src', path))

/** The giving side, in a process of its own: whole replicas answer with the same code. */
async function give(folder, mib) {
  const { openSqliteStorage } = await built('storage/sqlite/sqlite-storage.js')
  const { LeafCache } = await built('operations/blobs/leaf-cache.js')
  const storage = await openSqliteStorage(join(folder, 'giver'))
  const writer = await storage.blobs.create('tensor')
  const piece = randomBytes(MIB)
  for (let i = 0; i < mib; i++) {
    piece.writeUInt32LE(i)
    await writer.write(piece)
  }
  const sealed = await writer.seal()
  await storage.blobs.publish([sealed])
  const { digest } = sealed.name
  let leaves = new LeafCache(storage.blobs)
  const send = async (response, bytes) => {
    for await (const part of bytes) if (!response.write(part)) await new Promise((next) => response.once('drain', next))
    response.end()
  }
  const server = createServer((request, response) => {
    if (request.url === '/cold') leaves = new LeafCache(storage.blobs) // nothing was hashed before
    if (request.url === '/cold') return void response.end()
    if (request.url.endsWith('/leaves')) return void send(response, leaves.read(digest))
    const [, start, last] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? []
    const end = last === undefined ? mib * MIB : Number(last) + 1
    response.writeHead(last === undefined ? 200 : 206, { 'content-length': end - Number(start ?? 0) })
    void send(response, storage.blobs.read(sealed.name, Number(start ?? 0), end))
  })
  server.listen(0, '127.0.0.1', () => process.send({ digest, port: server.address().port }))
}

const download = (url, file) =>
  new Promise((resolve, reject) => {
    const hash = createHash('sha256')
    const target = openSync(file, 'w')
    get(url, (answer) => {
      answer.on('data', (piece) => {
        hash.update(piece)
        writeSync(target, piece)
      })
      answer.on('end', () => {
        fsyncSync(target)
        closeSync(target)
        resolve(hash.digest('hex'))
      })
    }).on('error', reject)
  })
const ask = (url) => new Promise((resolve) => get(url, (answer) => answer.resume().on('end', resolve)))

async function take(folder, mib, { digest, port }) {
  const { openSqliteStorage } = await built('storage/sqlite/sqlite-storage.js')
  const { fetchTensor } = await built('replication/fetch-tensor.js')
  const { createHttpBlobSource } = await built('transport/http/http-blob-source.js')
  const { systemClock } = await built('api/clock.js')
  const storage = await openSqliteStorage(join(folder, 'taker'))
  const url = `http://127.0.0.1:${port}`
  const source = createHttpBlobSource({ id: 'giver', address: { url } })
  const wanted = { root: digest, bytes: mib * MIB }
  const fetching = { storage, sources: [source], clock: systemClock, now: Date.now, needRoom: async () => undefined }
  const timed = async (work) => {
    const start = performance.now()
    await work()
    return (performance.now() - start) / 1000
  }
  const best = { plain: Infinity, cold: Infinity, known: Infinity }
  for (let i = 0; i < RUNS; i++) {
    const note = (name, seconds) => (best[name] = Math.min(best[name], seconds))
    note('plain', await timed(() => download(`${url}/all`, join(folder, 'plain'))))
    for (const name of ['cold', 'known']) {
      if (name === 'cold') await ask(`${url}/cold`)
      note(name, await timed(() => fetchTensor(wanted, fetching)))
      await storage.blobs.remove({ kind: 'tensor', digest })
    }
  }
  source.close()
  storage.close()
  const rate = (seconds) => `${(mib / seconds).toFixed(0)} MiB/s`
  console.log(`${mib} MiB over loopback, one source, best of ${RUNS}; load ${loadavg()[0].toFixed(1)}`)
  console.log('| how | rate | × plain |')
  console.log('| --- | ---: | ---: |')
  console.log(`| plain HTTP download, hashed, written, synced | ${rate(best.plain)} | 1.00 |`)
  for (const [name, what] of [
    ['cold', 'fetched in verified chunks, leaves hashed meanwhile'],
    ['known', 'fetched in verified chunks, leaves known to the giver'],
  ])
    console.log(`| ${what} | ${rate(best[name])} | ${(best.plain / best[name]).toFixed(2)} |`)
}

if (process.send !== undefined) await give(process.argv[2], Number(process.argv[3]))
else {
  const mib = Number(process.argv[2] ?? 256)
  const folder = mkdtempSync(join(tmpdir(), 'tributary-blobs-'))
  const giver = fork(fileURLToPath(import.meta.url), [folder, String(mib)])
  try {
    const place = await new Promise((resolve, reject) => {
      giver.once('message', resolve)
      giver.once('exit', () => reject(new Error('the giving process ended')))
    })
    await take(folder, mib, place)
  } finally {
    giver.kill()
    rmSync(folder, { recursive: true, force: true })
  }
}
