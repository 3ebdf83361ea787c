/**
 * Every benchmark, one after another, on a machine that does nothing else: `npm run bench [NAME…]`. Each figure stands beside a
 * reference of the same run. What a benchmark prints becomes its page in docs/benchmarks/; some draw a page and a plot themselves.
 */
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { availableParallelism, cpus, loadavg } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))

/** Those that have a title are printed to a page; the others write their own. */
const BENCHMARKS = [
  { name: 'kernels' },
  { name: 'kernel-targets', title: 'Kernels against their targets' },
  { name: 'sums' },
  { name: 'worst-merges', title: 'Merges of the worst inputs' },
  { name: 'strategies', title: 'Whole strategies on one thread, in memory' },
  { name: 'merge', args: ['1024'], title: 'Whole merges' },
  { name: 'scaling' },
  { name: 'tier3', title: 'A hundred contributions of 512 × 512' },
  { name: 'gate', title: 'What judging an op costs' },
  { name: 'spaces', title: 'A large space' },
  { name: 'sync', title: 'What a sync of a large space sends' },
  { name: 'blobs', title: 'A model between two replicas' },
  { name: 'gossip' },
  { name: 'hundred-replicas', title: 'A hundred replicas in one process' },
  { name: 'hostile', title: 'A replica under hostile peers' },
]

const asked = process.argv.slice(2)
const unknown = asked.filter((name) => !BENCHMARKS.some((one) => one.name === name))
if (unknown.length > 0) {
  console.error(
    `no benchmark is called ${unknown.join(', ')}; there are ${BENCHMARKS.map(({ name }) => name).join(', ')}`,
  )
  process.exit(2)
}

const isTable = (text) => text.includes('| --- |')
const page = (title, command, load, text) => `# ${title}

Written by \`npm run bench\` from \`${command}\`, which says at its head what it measures; ${availableParallelism()} × ${cpus()[0]?.model ?? 'CPU'},
Node ${process.version}, load ${load} when it began.

${isTable(text) ? text.trim() : `\`\`\`\n${text.trim()}\n\`\`\``}
`

let failed = 0
for (const { name, args = [], title } of BENCHMARKS) {
  if (asked.length > 0 && !asked.includes(name)) continue
  const load = loadavg()[0].toFixed(1)
  const began = Date.now()
  const command = ['node', join('benchmarks', `${name}.mjs`), ...args].join(' ')
  const run = spawnSync(process.execPath, [join(root, 'benchmarks', `${name}.mjs`), ...args], {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    maxBuffer: 2 ** 24,
  })
  console.log(
    `${name}: ${run.status === 0 ? 'done' : 'FAILED'} in ${((Date.now() - began) / 1000).toFixed(0)} s, load ${load}`,
  )
  if (run.status !== 0) failed += 1
  else if (title !== undefined)
    writeFileSync(join(root, 'docs', 'benchmarks', `${name}.md`), page(title, command, load, run.stdout))
}
process.exitCode = failed === 0 ? 0 : 1
