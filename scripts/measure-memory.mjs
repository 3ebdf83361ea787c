/**
 * Peak memory of local merges of growing size, each in its own process: `node scripts/measure-memory.mjs [MIB…]`, by
 * default 256 and 512; `--large` adds 2048. Prints one line of JSON for each: size of the output, seconds, peak RSS.
 */
import { spawnSync } from 'node:child_process'
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const MIB = 1024 * 1024
const program = join(dirname(dirname(fileURLToPath(import.meta.url))), 'dist', 'src', 'main.cjs')
const given = process.argv.slice(2)
const sizes = given.filter((text) => /^[0-9]+$/.test(text)).map(Number)
if (sizes.length === 0) sizes.push(256, 512)
if (given.includes('--large')) sizes.push(2048)

/** One tensor of half the size and many small ones, as an embedding and its layers are. */
function shapes(mib) {
  const half = Math.max(1, Math.floor(mib / 2))
  const layers = Array.from({ length: mib - half }, (_, i) => [`model.layers.${i}.weight`, [512, 1024]])
  return [['model.embed_tokens.weight', [half * 512, 1024]], ...layers]
}

/** A MiB of bf16 between 2^-3 and 1/2, without pattern. */
function block(seed) {
  let state = seed
  return Uint16Array.from({ length: MIB / 2 }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return (state & 0x8000) | 0x3e00 | (state >>> 24)
  })
}

function writeCheckpoint(directory, mib, seed) {
  mkdirSync(directory)
  const header = {}
  let end = 0
  for (const [name, [rows, columns]] of shapes(mib)) {
    header[name] = { dtype: 'BF16', shape: [rows, columns], data_offsets: [end, (end += rows * columns * 2)] }
  }
  const json = Buffer.from(JSON.stringify(header))
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(json.length))
  const file = openSync(join(directory, 'model.safetensors'), 'w')
  writeSync(file, length)
  writeSync(file, json)
  const bytes = new Uint8Array(block(seed).buffer)
  for (let i = 0; i < mib; i++) writeSync(file, bytes)
  closeSync(file)
}

/** Runs in the measured process, and in its worker, whose peak is the same one. */
const TELL_PEAK = `data:text/javascript,${encodeURIComponent(
  `import { writeFileSync } from 'node:fs'
   process.on('exit', () => writeFileSync(process.env.PEAK_FILE, String(process.resourceUsage().maxRSS)))`,
)}`

for (const mib of sizes) {
  const directory = mkdtempSync(join(tmpdir(), 'tributary-memory-'))
  try {
    writeCheckpoint(join(directory, 'a'), mib, 1)
    writeCheckpoint(join(directory, 'b'), mib, 2)
    const recipe = join(directory, 'recipe.yml')
    writeFileSync(recipe, 'tributary: 1\nstrategy: weight_average\nweights: [[a, 0.7], [b, 0.3]]\n')
    const peak = join(directory, 'peak')
    const start = performance.now()
    const { status, stderr } = spawnSync(
      process.execPath,
      ['--import', TELL_PEAK, program, 'merge', recipe, '--out', join(directory, 'out'), '--json'],
      { encoding: 'utf8', env: { ...process.env, PEAK_FILE: peak, XDG_CACHE_HOME: join(directory, 'cache') } },
    )
    if (status !== 0) throw new Error(`the merge of ${mib} MiB ended with ${status}: ${stderr}`)
    const seconds = (performance.now() - start) / 1000
    const peakMib = Number(readFileSync(peak, 'utf8')) / 1024
    console.log(
      JSON.stringify({ output_mib: mib, seconds: Number(seconds.toFixed(1)), peak_rss_mib: Math.round(peakMib) }),
    )
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}
