/** Progress of what works on this machine's files: a line for each phase and each thing worked on. */
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
    onProgress({ phase, what, bytes_done, bytes_total }) {
      const key = `${phase} ${what}`
      if (current?.key !== key) {
        done()
        current = { key, line: talk.progress(`${LABELS[phase]} ${what}`) }
      }
      current.line.update(bytes_done, bytes_total)
    },
    done,
  }
}
