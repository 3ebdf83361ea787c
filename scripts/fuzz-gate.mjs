/**
 * Mutated updates against the gate and its two readers, many more than the test command tries: `node
 * scripts/fuzz-gate.mjs [N] [SEED]`, by default 2,000,000 from seed 1. Ends with a line of JSON, or at the first update that
 * is judged wrong.
 */
import { spawnSync } from 'node:child_process'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const [count = '2000000', seed = '1'] = process.argv.slice(2)
const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs')
const { status } = spawnSync(
  process.execPath,
  [vitest, 'run', '--project', 'unit', 'test/replication/mutated-updates.test.ts'],
  { cwd: root, stdio: 'inherit', env: { ...process.env, TRIBUTARY_FUZZ_UPDATES: count, TRIBUTARY_FUZZ_SEED: seed } },
)
process.exitCode = status ?? 1
