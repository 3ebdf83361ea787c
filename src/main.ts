/** Process entry of the built program. */
import { partsIn } from './parts.ts'

const { run } = partsIn(import.meta.dirname)('command-line') as typeof import('./command-line.ts')

process.exitCode = 1 // should the process end before the command has
void run(process.argv.slice(2)).then((code) => {
  process.exitCode = code
})
