/** Programs run to their end: how long they took and the most memory they held, in the same way for each. */
import { spawnSync } from 'node:child_process'
import { readFileSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = dirname(dirname(fileURLToPath(import.meta.url)))
export const program = join(root, 'dist', 'src', 'main.cjs')

/** Node tells it itself; another program's is asked of the system by a little Python. */
const TELL = `data:text/javascript,${encodeURIComponent(
  "import { writeFileSync } from 'node:fs'; process.on('exit', () => { const { maxRSS, userCPUTime, systemCPUTime } = process.resourceUsage(); writeFileSync(process.env.PEAK_FILE, maxRSS + ' ' + (userCPUTime + systemCPUTime) / 1e6) })",
)}`
const WAIT = `import os, sys
pid = os.spawnvp(os.P_NOWAIT, sys.argv[1], sys.argv[1:])
_, status, used = os.wait4(pid, 0)
open(os.environ['PEAK_FILE'], 'w').write(f'{used.ru_maxrss} {used.ru_utime + used.ru_stime}')
sys.exit(os.waitstatus_to_exitcode(status) & 255)`

/**
 * No program that is measured gets NODE_EXTRA_CA_CERTS: Node reads the certificates it names at every start, which says
 * nothing of any program here.
 */
const environment = { ...process.env, NODE_EXTRA_CA_CERTS: undefined }

export function seconds(command, args, { cwd, env = {} } = {}) {
  const start = performance.now()
  const { status, stderr, error } = spawnSync(command, args, {
    cwd,
    env: { ...environment, ...env },
    encoding: 'utf8',
    stdio: ['ignore', 'ignore', 'pipe'],
    maxBuffer: 1 << 26,
  })
  if (status !== 0)
    throw new Error(`${command} ${args.join(' ')} ended with ${status}: ${error ?? stderr.slice(-2000)}`)
  return (performance.now() - start) / 1000
}

/** { seconds, cpu, mib } of a whole process: `cpu` counts all its threads, and no time that others took. */
function measured(command, args, peak, options) {
  try {
    const took = seconds(command, args, { ...options, env: { ...options.env, PEAK_FILE: peak } })
    const [kib, cpu] = readFileSync(peak, 'utf8').split(' ').map(Number)
    return { seconds: took, cpu, mib: kib / 1024 }
  } finally {
    rmSync(peak, { force: true })
  }
}

export const tributary = (args, { peak, ...options }) =>
  measured(process.execPath, ['--import', TELL, program, ...args], peak, options)
export const foreign = (command, args, { peak, ...options }) =>
  measured('python3', ['-c', WAIT, command, ...args], peak, options)

/** The quickest of some runs, which the rest of the machine disturbed least. */
export function best(runs, work) {
  const all = Array.from({ length: runs }, work)
  return all.reduce((least, one) => ((one.seconds ?? one) < (least.seconds ?? least) ? one : least))
}

/** Reading the inputs and writing as much as the output, by the system's own programs. */
export function catAndDd(inputs, like, scratch, runs) {
  const peak = `${scratch}.peak`
  const read = best(runs, () => foreign('cat', inputs, { peak }))
  const write = best(runs, () => foreign('dd', [`if=${like}`, `of=${scratch}`, 'bs=2M', 'conv=notrunc'], { peak }))
  return { read, write, both: read.seconds + write.seconds, cpu: read.cpu + write.cpu }
}
