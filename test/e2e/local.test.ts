/** The built command line over checkpoints on disk: every example, interrupted runs, damage, memory. */
import { spawn, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { cp, mkdir, readdir, readFile, rename, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import type { AuditReport, LocalMerge } from '../../src/operations/local/local-operations.ts'
import { PROGRAM, runProduct } from '../support/product.ts'
import { temporaryDirectory } from '../support/temp-dir.ts'

const MIB = 2 ** 20
const ROOT = new URL('../..', import.meta.url).pathname
const PYTHON = process.env['PYTHON'] ?? 'python3'
const pythonMissing = spawnSync(PYTHON, ['-c', 'import numpy, safetensors.numpy']).status !== 0
if (pythonMissing) console.log(`skipped: ${PYTHON} has no safetensors and numpy (pip install safetensors numpy)`)

/** examples/ as a user has it, with checkpoints made. */
let examples: string
beforeAll(async () => {
  examples = await temporaryDirectory()
  await cp(join(ROOT, 'examples', 'recipes'), join(examples, 'recipes'), { recursive: true })
  const made = spawnSync(process.execPath, [
    join(ROOT, 'examples', 'make-checkpoints.mjs'),
    join(examples, 'out', 'checkpoints'),
  ])
  expect(made.status).toBe(0)
})

async function merge(recipe: string, out: string): Promise<LocalMerge> {
  const ended = await runProduct(examples, 'merge', `recipes/${recipe}`, '--out', out, '--json')
  expect(ended.code, ended.stderr).toBe(0)
  return JSON.parse(ended.stdout) as LocalMerge
}

async function audit(directory: string): Promise<{ code: number | null; report: AuditReport; stderr: string }> {
  const { code, stdout, stderr } = await runProduct(examples, 'audit', directory, '--json')
  return { code, report: JSON.parse(stdout) as AuditReport, stderr }
}

/** A large checkpoint of a number and zeros, made at once and hardly on the disk: whoever merges it is at it for a while. */
async function writeSparse(directory: string, bytes: number, first: number): Promise<void> {
  const tensor = { dtype: 'BF16', shape: [bytes / 2], data_offsets: [0, bytes] }
  const header = Buffer.from(JSON.stringify({ w: tensor }))
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(header.length))
  await mkdir(directory)
  const file = join(directory, 'model.safetensors')
  await writeFile(file, Buffer.concat([length, header, Uint8Array.of(first, 0x3f)]))
  await truncate(file, 8 + header.length + bytes)
}

describe('the examples', () => {
  test.each(['ties', 'slerp', 'average', 'task-arithmetic', 'dare-ties'])(
    '[AUD-1] %s merges in a worker thread, is planned before, and passes its audit',
    async (name) => {
      const plan = await runProduct(examples, 'plan', `recipes/${name}.yml`)
      expect(plan.code, plan.stderr).toBe(0)
      await merge(`${name}.yml`, name)
      expect((await audit(name)).report.verdict).toBe('passed')
    },
  )

  test('[LOC-2] a program started twice writes the same bytes', async () => {
    await merge('average.yml', 'first')
    await merge('average.yml', 'second')
    for (const file of ['model.safetensors', 'README.md', 'config.json', 'tokenizer.json'])
      expect(await readFile(join(examples, 'second', file))).toEqual(await readFile(join(examples, 'first', file)))
  })

  // where the Python packages do not import
  test.skipIf(pythonMissing)('[MRG-2] the safetensors library reads the output, and NumPy agrees on it', async () => {
    await merge('average.yml', 'numpy')
    const { status, stdout, stderr } = spawnSync(
      PYTHON,
      [
        '-c',
        `import json, struct, sys
import numpy as np
def read(path):
    raw = open(path + "/model.safetensors", "rb").read()
    n = struct.unpack("<Q", raw[:8])[0]
    return raw, n, {k: v for k, v in json.loads(raw[8:8+n]).items() if k != "__metadata__"}
def values(model, name):
    raw, n, header = model
    a, b = header[name]["data_offsets"]
    return (np.frombuffer(raw[8+n+a:8+n+b], "<u2").astype(np.uint32) << 16).view(np.float32).astype(np.float64)
from safetensors import safe_open
with safe_open("numpy/model.safetensors", framework="np") as f:
    names = sorted(f.keys())
models = [read("out/checkpoints/" + m) for m in ("chat", "code", "maths")]
out = read("numpy")
weights = [float(np.float32(w)) for w in (0.5, 0.3, 0.2)]
worst = 0.0
for name in names:
    want = sum(w * values(m, name) for w, m in zip(weights, models)) / sum(weights)
    worst = max(worst, float(np.max(np.abs(values(out, name) - want) / np.maximum(np.abs(want), 1e-30))))
print(json.dumps([len(names), worst]))`,
      ],
      { cwd: examples, encoding: 'utf8' },
    )
    expect(status, stderr).toBe(0)
    const [tensors, worst] = JSON.parse(stdout) as [number, number]
    expect(tensors).toBe(39)
    expect(worst).toBeLessThanOrEqual(2 ** -8) // half a unit in the last of bf16's eight places
  })
})

describe('what goes wrong', () => {
  test('[AUD-2] a flipped bit ends the audit with 3 and names tensor and tile', async () => {
    await merge('ties.yml', 'damaged')
    const path = join(examples, 'damaged', 'model.safetensors')
    const bytes = await readFile(path)
    bytes[bytes.length - 9]! ^= 4
    await writeFile(path, bytes)
    const { code, report, stderr } = await audit('damaged')
    expect(code).toBe(3)
    expect(report.difference).toMatchObject({ what: 'tensor', tile: 0 })
    expect(stderr).toContain(report.difference?.tensor)
  })

  test('[AUD-5] inputs that are gone end it with 1', async () => {
    await merge('slerp.yml', 'orphaned')
    const [from, to] = [join(examples, 'out', 'checkpoints', 'code'), join(examples, 'elsewhere')]
    await rename(from, to)
    expect((await audit('orphaned')).code).toBe(1)
    const { code } = await runProduct(examples, 'audit', 'orphaned', '--input', 'elsewhere')
    expect(code).toBe(0)
    await rename(to, from)
  })

  test('[LOC-9] Ctrl-C in the middle leaves nothing behind', async () => {
    const world = await temporaryDirectory()
    for (const [i, name] of ['a', 'b', 'base'].entries()) await writeSparse(join(world, name), 256 * MIB, i + 1)
    const recipe = 'tributary: 1\nstrategy: dare_ties\nbase: base\nweights: [[a, 0.7], [b, 0.3]]\n'
    await writeFile(join(world, 'recipe.yml'), recipe)
    const child = spawn(process.execPath, [PROGRAM, 'merge', 'recipe.yml', '--out', 'out'], {
      cwd: world,
      env: { ...process.env, TRIBUTARY_CACHE: join(world, 'cache') },
    })
    const onTalk = (chunk: Buffer) => {
      if (!chunk.toString().includes('Merging')) return
      child.stderr.off('data', onTalk).resume() // a second one would end it at once
      child.kill('SIGINT')
    }
    child.stderr.on('data', onTalk)
    const code = await new Promise((resolve) => child.on('close', resolve))
    expect(code).toBe(130)
    expect((await readdir(world)).filter((name) => name.includes('out'))).toEqual([])
    expect(existsSync(join(world, 'out'))).toBe(false)
  })
})

test('[LOC-17] twice the model takes the same memory, less than the plan says', () => {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [join(ROOT, 'scripts', 'measure-memory.mjs'), '256', '512'],
    { encoding: 'utf8' },
  )
  expect(status, stderr).toBe(0)
  const [small, large] = stdout
    .trim()
    .split('\n')
    .map((line) => (JSON.parse(line) as { peak_rss_mib: number }).peak_rss_mib)
  expect(Math.abs(large! - small!)).toBeLessThanOrEqual(20)
  expect(large).toBeLessThanOrEqual(195) // what the plan tells: three tiles of 1 MiB, and 192 for the program
}, 120_000)
