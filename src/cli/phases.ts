/** Progress of what works on this machine's files: a line for each phase, whatever number of things it works on. */
import type { LocalProgress } from '../operations/local/local-operations.ts'
import type { Progress, Talk } from './progress.ts'

const LABELS: Readonly<Record<LocalProgress['phase'], string>> = {
  'hashing inputs': 'Hashing',
  merging: 'Merging',
  verifying: 'Verifying',
}

export interface Phases {
  readonly onProgress: (progress: LocalProgress) => void
  /** Ends the last phase's line. */
  done(): void
}

export function followPhases(talk: Talk): Phases {
  let current: { readonly key: string; readonly line: Progress } | undefined
  const done = () => {
    current?.line.done()
    current = undefined
  }
  return {
    onProgress({ phase, bytes_done, bytes_total }) {
      const key = `${phase} ${bytes_total}`
      if (current?.key !== key) {
        done()
        current = { key, line: talk.progress(LABELS[phase]) }
      }
      current.line.update(bytes_done, bytes_total)
    },
    done,
  }
}
