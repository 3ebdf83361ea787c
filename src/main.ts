/** Process entry of the built program. Where the command computes, a thread for that starts while the rest is loaded. */
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { computes } from './cli/computing.ts'
import { startMergeThread } from './merging/merge-thread.ts'
import { partsIn } from './parts.ts'

const folder = import.meta.dirname
const argv = process.argv.slice(2)
const early = computes(argv) ? startMergeThread(pathToFileURL(join(folder, 'start-merge-worker.cjs'))) : undefined
const { run } = partsIn(folder)('command-line') as typeof import('./command-line.ts')

process.exitCode = 1 // should the process end before the command has
void run(argv, early).then((code) => {
  process.exitCode = code
})
