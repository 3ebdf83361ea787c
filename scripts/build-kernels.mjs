/**
 * Compiles src/kernels/assembly to WASM and writes it, as text with its digest, to src/kernels/wasm-module.ts.
 * `--check` compiles and compares instead.
 */
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const target = join(root, 'src', 'kernels', 'wasm-module.ts')
const LINE = 118

function compile() {
  const folder = mkdtempSync(join(tmpdir(), 'tributary-kernels-'))
  try {
    const binary = join(folder, 'kernels.wasm')
    const text = join(folder, 'kernels.wat')
    const compiler = join(root, 'node_modules', 'assemblyscript', 'bin', 'asc.js')
    const options = '-O3 --converge --runtime stub --noAssert --importMemory --enable simd'.split(' ')
    const source = join('src', 'kernels', 'assembly', 'index.ts')
    execFileSync(process.execPath, [compiler, source, '-o', binary, '-t', text, ...options], {
      cwd: root,
      stdio: 'inherit',
    })
    // Relaxed operations may answer differently on different machines, and a fused multiply-add is one of them.
    const relaxed = readFileSync(text, 'utf8').match(/\S*relaxed\S*/)
    if (relaxed) throw new Error(`the kernels use ${relaxed[0]}, which machines may answer differently`)
    return readFileSync(binary)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function moduleOf(binary) {
  const text = binary.toString('base64')
  const lines = []
  for (let at = 0; at < text.length; at += LINE) lines.push(text.slice(at, at + LINE))
  const sha256 = createHash('sha256').update(binary).digest('hex')
  return `/** The compiled kernels. Written by \`npm run generate\` from src/kernels/assembly: do not edit. */
export const WASM_SHA256 = '${sha256}'
export const WASM_BASE64 = \`
${lines.join('\n')}
\`
`
}

const made = moduleOf(compile())
if (!process.argv.includes('--check')) writeFileSync(target, made)
else if (readFileSync(target, 'utf8') !== made) {
  console.error('src/kernels/wasm-module.ts is not what src/kernels/assembly compiles to: run npm run generate')
  process.exit(1)
}
