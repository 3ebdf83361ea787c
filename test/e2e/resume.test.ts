/** The built command line, killed in the middle of a merge: the next run takes over what was finished. */
import { spawn } from 'node:child_process'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { parseReceipt } from '../../src/core/receipt.ts'
import { floats, numbers, writeCheckpoint } from '../support/checkpoints.ts'
import { PROGRAM, runProduct } from '../support/product.ts'
import { temporaryDirectory } from '../support/temp-dir.ts'

const TENSORS = 60
const RECIPE = `merge_method: ties
base_model: base
models:
  - {model: a, parameters: {weight: 0.6, density: 0.5}}
  - {model: b, parameters: {weight: 0.4, density: 0.5}}
dtype: bfloat16
`

/** Kills it once its journal has so many lines; the readable kernels are slow enough for that on any machine. */
async function killedAfter(lines: number, directory: string): Promise<NodeJS.Signals | null> {
  const child = spawn(process.execPath, [PROGRAM, 'merge', 'recipe.yml', '--out', 'out'], {
    cwd: directory,
    stdio: 'ignore',
    env: { ...process.env, TRIBUTARY_KERNELS: 'reference', TRIBUTARY_CACHE: join(directory, '.cache') },
  })
  const ended = new Promise<NodeJS.Signals | null>((resolve) => child.on('close', (_, signal) => resolve(signal)))
  const isOver = () => child.exitCode !== null || child.signalCode !== null
  while (!isOver() && (await linesOf(directory)) < lines) await new Promise((resolve) => setTimeout(resolve, 1))
  child.kill('SIGKILL')
  return ended
}

async function linesOf(directory: string): Promise<number> {
  const journal = (await readdir(directory)).find((name) => name.endsWith('.journal'))
  if (journal === undefined) return 0
  return (await readFile(join(directory, journal), 'utf8').catch(() => '')).split('\n').length - 1
}

test('[LOC-30] killed in the middle, a merge goes on with the tensors that are left, to the same statement', async () => {
  const directory = await temporaryDirectory()
  for (const [i, name] of ['base', 'a', 'b'].entries()) {
    const next = numbers(i + 1)
    const tensors = Array.from({ length: TENSORS }, (_, t) => floats(`layer.${t}`, 'BF16', [150, 130], next))
    await writeCheckpoint(join(directory, name), tensors)
  }
  await writeFile(join(directory, 'recipe.yml'), RECIPE)

  expect(await killedAfter(5, directory)).toBe('SIGKILL')
  const before = await linesOf(directory)
  expect(before).toBeGreaterThanOrEqual(5)
  expect(before).toBeLessThan(TENSORS)
  const again = await runProduct(directory, 'merge', 'recipe.yml', '--out', 'out')
  expect(again.code, again.stderr).toBe(0)
  const [, taken] = /ended: (\d+) tensors/.exec(again.stderr) ?? []
  expect(Number(taken)).toBeGreaterThanOrEqual(5)
  expect(Number(taken)).toBeLessThan(TENSORS)
  expect((await readdir(directory)).filter((name) => name.startsWith('.out'))).toEqual([])

  const whole = await runProduct(directory, 'merge', 'recipe.yml', '--out', 'whole')
  expect(whole.code, whole.stderr).toBe(0)
  expect(whole.stderr).not.toContain('going on')
  const statements = await Promise.all(
    ['out', 'whole'].map(
      async (out) => parseReceipt(await readFile(join(directory, out, 'receipt.json'))).statement_id,
    ),
  )
  expect(statements[0]).toBe(statements[1])
  const audit = await runProduct(directory, 'audit', 'out')
  expect(audit.code, audit.stderr).toBe(0)
})
