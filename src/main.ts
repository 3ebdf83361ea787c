/** Process entry of the built program. */
import { partsIn } from './parts.ts'

const { run } = partsIn(import.meta.dirname)('command-line') as typeof import('./command-line.ts')

process.exitCode = await run(process.argv.slice(2))
