/**
 * Reading one's own disk, which may have rotted: what lies under an id and is not that op is no op, and neither is what
 * follows it in its chain. Dropped here, both come again from whoever has them.
 */
import { digestBytes } from './digest.ts'
import { entry } from './forks.ts'
import type { OpId } from './ids.ts'
import { type Op, prevOf } from './op.ts'

export interface StoredBytes {
  readonly id: OpId
  readonly bytes: Uint8Array
}

export const isSound = ({ id, bytes }: StoredBytes): boolean => digestBytes('op', bytes) === id

/** Those of these ops that hang together: each follows one that does, or is one of two for its place. */
export function soundOps<O extends Op>(ops: Iterable<O>): readonly O[] {
  const chains = new Map<string, Map<number, O[]>>()
  for (const op of ops) {
    const places = entry(chains, `${op.record.rid}/${op.record.ep}`, () => new Map<number, O[]>())
    entry(places, op.record.seq, () => []).push(op)
  }
  const sound: O[] = []
  for (const places of chains.values()) {
    let before: readonly O[] = []
    for (const seq of [...places.keys()].sort((a, b) => a - b)) {
      const here = places.get(seq)!
      const follows = (op: O): boolean =>
        seq === 0 ? prevOf(op) === undefined : before.some(({ id }) => id === prevOf(op))
      if (here.length === 1 && !here.every(follows)) break
      if (seq > 0 && before[0]?.record.seq !== seq - 1) break
      sound.push(...here)
      before = here
    }
  }
  return sound
}
