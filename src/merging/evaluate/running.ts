/**
 * Schedules on the bytes of one tensor, range by range, in one go. Where masks are kept of it, a range goes by those that are
 * there; where they are not, it draws its own, and keeps them if it is told to.
 */
import type { Kernels } from '../../kernels/kernels.ts'
import type { Dtype } from '../../tensors/dtypes.ts'
import { type Compilable, type MaskUse, programOf } from './compile.ts'
import type { ByteStreams } from './evaluation.ts'
import type { Masks } from './masks.ts'
import type { WriteRange } from './measuring.ts'
import type { Compiled } from './recordings.ts'
import type { Schedule } from './schedule.ts'
import type { Spares } from './spares.ts'

/** Of one tensor. */
export interface Ground<B> {
  readonly kernels: Kernels<B>
  readonly source: ByteStreams
  readonly spares: Spares<B>
  readonly tensor: number
  /** Undefined where none may be kept. */
  readonly masks: Masks | undefined
}

/** For kernels that have words for all of it. `use`: of masks that there is room for. */
export function compiled<B>(
  schedule: Schedule<B>,
  dtype: Dtype | undefined,
  { kernels, source, tensor, masks }: Ground<B>,
  use?: MaskUse['use'],
): Compiled | undefined {
  const dtypeOf = (stream: Parameters<ByteStreams['dtypeOf']>[0]) => source.dtypeOf(stream, tensor)
  const compilable = programOf(schedule, dtypeOf, dtype, masks && use && { masks, use })
  const run = compilable && kernels.compile(compilable.program)
  if (!run || compilable.copies.length === 0) return run && { compilable, run }
  const copying: typeof run = (...range) => {
    if (!run(...range)) return false
    for (const { from, to } of compilable.copies) to.set(from)
    return true
  }
  return { compilable, run: copying }
}

/** As it was compiled, where that may be for other tensors too. */
export function runningPlain<B>({ compilable, run }: Compiled, { source, tensor }: Ground<B>): WriteRange {
  return (first, count, out) => run(bytesOf(compilable, source, tensor, first, count), first, count, out)
}

/** Undefined where the kernels have no words for it. */
export function running<B>(
  schedule: Schedule<B>,
  dtype: Dtype | undefined,
  ground: Ground<B>,
  keeps: boolean,
): WriteRange | undefined {
  const recalling = compiled(schedule, dtype, ground, 'recall')
  const { masks, spares, source, tensor } = ground
  const places = recalling?.compilable.masks ?? []
  if (!recalling || !masks || places.length === 0) return recalling && runningPlain(recalling, ground)
  const on = ({ compilable, run }: Compiled, first: number, count: number, out: Uint8Array | undefined): boolean =>
    run(
      bytesOf(compilable, source, tensor, first, count),
      first,
      count,
      out,
      spares.masks(compilable.masks.length, count),
    )
  let drawing: Compiled | undefined
  return (first, count, out) => {
    if (masks.recall(places, first, spares.masks(places.length, count))) return on(recalling, first, count, out)
    drawing ??= compiled(schedule, dtype, ground, keeps ? 'draw' : undefined)
    if (!drawing || !on(drawing, first, count, out)) return false
    const drawn = drawing.compilable.masks
    if (drawn.length > 0) masks.keep(drawn, first, spares.masks(drawn.length, count))
    return true
  }
}

const bytesOf = ({ streams }: Compilable, source: ByteStreams, tensor: number, first: number, count: number) =>
  streams.map((stream) => source.bytes(stream, tensor, first, count))
