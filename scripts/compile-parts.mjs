/**
 * Has V8 compile the parts of the built program, and keeps that beside them: the built program merges small checkpoints,
 * once at first sight and once with known roots, and audits the output.
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

const BYTES = 2 ** 21
/** Of younger files no roots are kept. */
const SETTLED_MS = 2100
const RECIPE = 'tributary: 1\nstrategy: weight_average\nweights: [[a, 1], [b, 1], [c, 1]]\n'

/** Of two tensors, numbers near 1. */
function writeCheckpoint(folder, seed) {
  const half = BYTES / 2
  const tensor = (begin) => ({ dtype: 'BF16', shape: [half / 2], data_offsets: [begin, begin + half] })
  const header = Buffer.from(JSON.stringify({ a: tensor(0), b: tensor(half) }))
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(header.length))
  const words = Uint16Array.from({ length: BYTES / 2 }, (_, i) => 0x3f00 + ((i * seed) % 251))
  mkdirSync(folder)
  writeFileSync(join(folder, 'config.json'), '{"model_type":"llama","torch_dtype":"bfloat16"}\n')
  writeFileSync(join(folder, 'model.safetensors'), Buffer.concat([length, header, Buffer.from(words.buffer)]))
}

/** Checkpoints to merge; what is done before `compile` is called is time for them to grow old in. */
export function prepareParts() {
  const folder = mkdtempSync(join(tmpdir(), 'tributary-build-'))
  const remove = () => rmSync(folder, { recursive: true, force: true })
  process.on('exit', remove)
  for (const [i, name] of ['a', 'b', 'c'].entries()) writeCheckpoint(join(folder, name), i + 1)
  writeFileSync(join(folder, 'recipe.yml'), RECIPE)
  const settled = sleep(SETTLED_MS)
  // V8 takes what it compiled only where it runs with the same flags
  const own = Object.entries(process.env).filter(([name]) => name !== 'NODE_OPTIONS' && !name.startsWith('TRIBUTARY_'))
  const env = { ...Object.fromEntries(own), TRIBUTARY_CACHE: join(folder, 'cache') }
  const preload = new URL('./keep-compiled.mjs', import.meta.url).href

  return async function compile(program) {
    await settled
    const run = (...args) =>
      execFileSync(process.execPath, ['--import', preload, program, ...args, '--json'], { cwd: folder, env })
    for (const out of ['first', 'second']) run('merge', 'recipe.yml', '--out', out)
    run('audit', 'second')
    remove()
  }
}
