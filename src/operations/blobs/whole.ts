/** A stream of another replica that is let go when nothing comes of it for long. */
import type { Clock } from '../../core/clock.ts'

const STALLED_MS = 15_000

export async function* whole(
  open: (signal: AbortSignal) => AsyncIterable<Uint8Array>,
  { clock, signal }: { readonly clock: Clock; readonly signal: AbortSignal },
): AsyncIterable<Uint8Array> {
  const stall = new AbortController()
  let callOff = clock.after(STALLED_MS, () => stall.abort())
  try {
    for await (const piece of open(AbortSignal.any([signal, stall.signal]))) {
      callOff()
      yield piece
      callOff = clock.after(STALLED_MS, () => stall.abort())
    }
  } finally {
    callOff()
  }
}
