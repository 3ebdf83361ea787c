/**
 * Tries the built product the way a newcomer would: starts a replica, walks the whole path over HTTP, and merges and
 * audits local checkpoints. Prints one line a step; exits 1 at the first that fails.
 */
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const root = new URL('..', import.meta.url).pathname
const program = join(root, 'dist/src/main.cjs')
const directory = mkdtempSync(join(tmpdir(), 'tributary-smoke-'))
let passed = 0

const step = async (what, work) => {
  const answer = await work()
  passed += 1
  console.log(`ok ${what}`)
  return answer
}
const must = (condition, why) => {
  if (!condition) throw new Error(why)
}

/** Runs the program to its end. */
const run = (...args) =>
  new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [program, ...args], { cwd: directory, stdio: ['ignore', 'pipe', 'pipe'] })
    let stdout = ''
    let stderr = ''
    child.stdout.on('data', (chunk) => (stdout += chunk))
    child.stderr.on('data', (chunk) => (stderr += chunk))
    child.on('error', reject)
    child.on('close', (code) => resolve({ code, stdout, stderr }))
  })

/** A safetensors file of one F32 tensor. */
function checkpoint(values) {
  const header = Buffer.from(`{"w":{"dtype":"F32","shape":[${values.length}],"data_offsets":[0,${values.length * 4}]}}`)
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(header.length))
  return Buffer.concat([length, header, Buffer.from(Float32Array.from(values).buffer)])
}

const replica = spawn(process.execPath, [program, 'up', '--data', join(directory, 'data'), '--port', '0'], {
  stdio: ['ignore', 'pipe', 'pipe'],
})
const url = new Promise((resolve, reject) => {
  let said = ''
  const look = (chunk) => {
    said += chunk
    const found = /http:\/\/127\.0\.0\.1:\d+/.exec(said)
    if (found) resolve(found[0])
  }
  replica.stdout.on('data', look)
  replica.stderr.on('data', look)
  replica.on('close', (code) => reject(new Error(`the replica ended with ${code}: ${said}`)))
})

async function call(base, method, path, body, type = 'application/json') {
  const answer = await fetch(`${base}${path}`, {
    method,
    ...(body !== undefined && {
      body: type === 'application/json' ? JSON.stringify(body) : body,
      headers: { 'content-type': type },
    }),
  })
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`)
  return answer
}

try {
  const base = await step('a replica starts on loopback', () => url)
  await step('it is ready', async () => must((await call(base, 'GET', '/readyz')).ok, 'not ready'))
  await step('a space is made', () => call(base, 'POST', '/v1/spaces', { name: 'smoke' }))
  await step('two models are contributed', async () => {
    for (const [i, values] of [
      [1, 2, 3, 4],
      [3, 4, 5, 6],
    ].entries())
      await call(
        base,
        'POST',
        `/v1/spaces/smoke/contributions?name=m${i}`,
        checkpoint(values),
        'application/octet-stream',
      )
  })
  const merge = await step('a merge is done', async () => {
    const started = await (
      await call(base, 'POST', '/v1/spaces/smoke/merges', { recipe: { strategy: 'weight_average' } })
    ).json()
    for (let tries = 0; tries < 200; tries++) {
      const seen = await (await call(base, 'GET', `/v1/spaces/smoke/merges/${started.id}`)).json()
      if (seen.state === 'done') return seen
      must(['queued', 'running'].includes(seen.state), `the merge is ${seen.state}: ${JSON.stringify(seen.error)}`)
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    throw new Error('the merge took more than 10 s')
  })
  await step('its output is the mean, and its digest is what the header says', async () => {
    const answer = await call(base, 'GET', `/v1/spaces/smoke/merges/${merge.id}/model.safetensors`)
    const bytes = Buffer.from(await answer.arrayBuffer())
    const digest = createHash('sha256').update(bytes).digest('base64')
    must(answer.headers.get('repr-digest') === `sha-256=:${digest}:`, 'the digest differs')
    const values = [0, 4, 8, 12].map((at) => bytes.readFloatLE(bytes.length - 16 + at))
    must(String(values) === '2,3,4,5', `the mean is ${values}`)
  })
  await step('its receipt names that merge', async () => {
    const receipt = await (await call(base, 'GET', `/v1/spaces/smoke/merges/${merge.id}/receipt`)).json()
    must(receipt.statement.merge === merge.id, 'the receipt is of another merge')
  })
  await step('the API describes itself', async () =>
    must((await (await call(base, 'GET', '/openapi.json')).json()).openapi === '3.1.0', 'no OpenAPI 3.1'),
  )
  await step('a foreign Origin is refused', async () => {
    const answer = await fetch(`${base}/v1/spaces`, { headers: { origin: 'https://elsewhere.example' } })
    must(answer.status === 403, `status ${answer.status}`)
  })
  await step('local checkpoints are merged', async () => {
    for (const [name, values] of Object.entries({ a: [1, 2], b: [2, 4] }))
      writeFileSync(join(directory, `${name}.safetensors`), checkpoint(values))
    writeFileSync(
      join(directory, 'recipe.yml'),
      'merge_method: linear\nmodels:\n  - model: ./a.safetensors\n    parameters: {weight: 1}\n  - model: ./b.safetensors\n    parameters: {weight: 1}\n',
    )
    const { code, stderr } = await run('merge', 'recipe.yml', '--out', 'merged')
    must(code === 0, stderr)
  })
  await step('the result passes its audit', async () => {
    const { code, stderr } = await run('audit', 'merged')
    must(code === 0, stderr)
  })
  await step('an unknown command is a usage error', async () =>
    must((await run('mrege')).code === 2, 'another exit code'),
  )
  await step('the replica stops when it is asked to', async () => {
    const ended = new Promise((resolve) => replica.on('close', resolve))
    replica.kill('SIGTERM')
    must((await ended) === 0, 'another exit code')
  })
  console.log(`${passed} passed, 0 failed`)
} catch (error) {
  console.error(`failed: ${error instanceof Error ? error.message : error}`)
  console.log(`${passed} passed, 1 failed`)
  process.exitCode = 1
} finally {
  replica.kill('SIGKILL')
  rmSync(directory, { recursive: true, force: true })
}
