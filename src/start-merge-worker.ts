/** Entry of the built thread that merges. */
import { partsIn } from './parts.ts'

partsIn(import.meta.dirname)('merge-worker')
