/**
 * The README's first command: makes small checkpoints, merges them by a recipe in mergekit's form, and audits the result,
 * all through the built command line, saying each command as it runs.
 */
import { spawnSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { makeCheckpoints } from '../examples/make-checkpoints.mjs'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const out = join(root, 'examples', 'out')
const program = join(root, 'dist', 'src', 'main.cjs')
const shown = (path) => relative(root, path)

rmSync(out, { recursive: true, force: true })
const names = makeCheckpoints(join(out, 'checkpoints'))
console.log(`Made ${names.length} checkpoints in ${shown(join(out, 'checkpoints'))}: ${names.join(', ')}`)

/** Runs the program as a person would; the first failure ends the example with its exit code. */
function tributary(...args) {
  console.log(`\n$ tributary ${args.join(' ')}`)
  const { status } = spawnSync(process.execPath, [program, ...args], { cwd: root, stdio: 'inherit' })
  if (status !== 0) process.exit(status ?? 1)
}

const merged = shown(join(out, 'merged'))
tributary('plan', 'examples/recipes/ties.yml')
tributary('merge', 'examples/recipes/ties.yml', '--out', merged)
tributary('audit', merged)

console.log(
  `\nThe merged model is in ${merged}: it loads like any checkpoint, and receipt.json proves how it came to be.`,
)
