/** Held against the safetensors library for Python where it is installed; golden files hold the same where it is not. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { concat } from '../../src/core/bytes.ts'
import { dataStartOf, parseHeader, tensorBytesOf, writeHeader } from '../../src/tensors/safetensors.ts'
import { planShards } from '../../src/tensors/shards.ts'

const PYTHON = process.env['PYTHON'] ?? 'python3'
const python = (script: string, ...more: string[]) => spawnSync(PYTHON, ['-c', script, ...more], { encoding: 'utf8' })
const missing = python('import numpy, safetensors.numpy').status !== 0
if (missing) console.log(`skipped: ${PYTHON} has no safetensors and numpy (pip install safetensors numpy)`)

const folder = mkdtempSync(join(tmpdir(), 'tributary-safetensors-'))
afterAll(() => rmSync(folder, { recursive: true }))

const TENSORS = [
  { name: 'mask', dtype: 'BOOL', shape: [3] },
  { name: 'ids', dtype: 'I64', shape: [1, 2] },
  { name: 'w.ﬁ🌊', dtype: 'F32', shape: [2, 2] },
  { name: 'h', dtype: 'F16', shape: [] },
  { name: 'none', dtype: 'F32', shape: [0, 7] },
] as const

// where the Python package does not import
test.skipIf(missing)(
  '[SAF-13] what is written here, the safetensors library reads: names, dtypes, shapes, bytes',
  () => {
    const tensors = planShards(TENSORS).shards[0]?.tensors ?? []
    const data = tensors.map((tensor) => Uint8Array.from({ length: tensorBytesOf(tensor) }, (_, i) => i % 2))
    const path = join(folder, 'ours.safetensors')
    writeFileSync(path, concat(writeHeader(tensors), ...data))
    const { stdout, stderr } = python(
      `import json, sys
from safetensors import safe_open
with safe_open(sys.argv[1], framework="np") as f:
    print(json.dumps([f.metadata(), {n: [str(f.get_tensor(n).dtype), f.get_tensor(n).shape, f.get_tensor(n).tobytes().hex()] for n in f.keys()}]))`,
      path,
    )
    expect(stderr).toBe('')
    const kinds = { BOOL: 'bool', I64: 'int64', F32: 'float32', F16: 'float16' }
    const expected = tensors.map((tensor, i) => [
      tensor.name,
      [kinds[tensor.dtype], [...tensor.shape], Buffer.from(data[i] ?? []).toString('hex')],
    ])
    expect(JSON.parse(stdout)).toEqual([{ format: 'pt' }, Object.fromEntries(expected)])
  },
)

// where the Python package does not import
test.skipIf(missing)('[SAF-13] what the safetensors library writes is read here', () => {
  const path = join(folder, 'theirs.safetensors')
  const { stderr } = python(
    `import sys, numpy as np
from safetensors.numpy import save_file
save_file({"b": np.arange(6, dtype=np.float16).reshape(2, 3), "a": np.zeros((), dtype=np.int32), "e": np.zeros((0, 2))}, sys.argv[1], {"k": "\\u00e9"})`,
    path,
  )
  expect(stderr).toBe('')
  const file = new Uint8Array(readFileSync(path))
  const header = parseHeader(file)
  expect(parseHeader(file, file.length - dataStartOf(header))).toEqual(header)
  expect(header.metadata).toEqual(new Map([['k', 'é']]))
  expect(Object.fromEntries(header.tensors.map(({ name, dtype, shape }) => [name, [dtype, shape]]))).toEqual({
    a: ['I32', []],
    b: ['F16', [2, 3]],
    e: ['F64', [0, 2]],
  })
})
