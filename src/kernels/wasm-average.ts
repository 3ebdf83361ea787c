/** Weighted averages from bytes to bytes: the plan chooses a proof, and a proof that fails often gives way to another. */
import { type AverageDtype, type AveragePlan, planAverage } from './average-plan.ts'
import type { Address, WasmWords } from './wasm-instance.ts'

/** Streams of one average that the tables have room for. */
export const STREAMS_MAX = 256
const EIGHT_BYTES = 16
const TABLES_BYTES = STREAMS_MAX * (8 + 4 + 4 + 4 + 4 + 64 + EIGHT_BYTES) + 64 + EIGHT_BYTES

/** Intervals are tried on a part; where more of its eights stay open than this, f64 is faster for a while. */
const PROBE_BYTES = 256 * EIGHT_BYTES
const OPEN_MAX = 115
const REST_BYTES = 14 * PROBE_BYTES

export class WasmAverage {
  static readonly tablesBytes = TABLES_BYTES
  readonly #wasm: WasmWords
  readonly #bytes: Uint8Array
  readonly #words: Uint32Array
  readonly #singles: Float32Array
  readonly #doubles: Float64Array
  readonly #weights: Address
  readonly #table: Address
  readonly #tailTable: Address
  readonly #scaled: Address
  readonly #planes: Address
  readonly #tail: Address
  #last: { readonly dtype: AverageDtype; weights: readonly number[]; divisor: number; plan: AveragePlan } | undefined

  /** `tables`: address of as many bytes as `tablesBytes`, for this alone. */
  constructor(wasm: WasmWords, buffer: ArrayBuffer, tables: Address) {
    this.#wasm = wasm
    this.#bytes = new Uint8Array(buffer)
    this.#words = new Uint32Array(buffer)
    this.#singles = new Float32Array(buffer)
    this.#doubles = new Float64Array(buffer)
    this.#weights = tables
    this.#table = tables + 8 * STREAMS_MAX
    this.#tailTable = this.#table + 4 * STREAMS_MAX
    this.#scaled = this.#tailTable + 4 * STREAMS_MAX
    this.#planes = this.#scaled + 4 * STREAMS_MAX
    this.#tail = this.#planes + 68 * STREAMS_MAX + 64
  }

  /** False where an input or a result is not finite; what lies in `out` then means nothing. */
  run(
    dtype: AverageDtype,
    streams: readonly Address[],
    weights: readonly number[],
    divisor: number,
    out: Address,
    bytes: number,
  ): boolean {
    const plan = this.#planOf(dtype, weights, divisor)
    this.#words.set(streams, this.#table / 4)
    this.#doubles.set(weights, this.#weights / 8)
    const whole = bytes - (bytes % EIGHT_BYTES)
    const fits = this.#whole(plan, dtype, streams.length, divisor, whole, out)
    return fits && (whole === bytes || this.#cut(plan, dtype, streams, divisor, whole, bytes - whole, out))
  }

  #planOf(dtype: AverageDtype, weights: readonly number[], divisor: number): AveragePlan {
    const last = this.#last
    if (last?.dtype === dtype && last.divisor === divisor && last.weights === weights) return last.plan
    const plan = planAverage(dtype, weights, divisor)
    this.#last = { dtype, weights, divisor, plan }
    return plan
  }

  #whole(plan: AveragePlan, dtype: AverageDtype, k: number, divisor: number, bytes: number, out: Address): boolean {
    const wasm = this.#wasm
    const f64 = (from: number, to: number) =>
      wasm.averageInF64(
        dtype === 'BF16' ? 1 : 0,
        this.#table,
        this.#weights,
        k,
        divisor,
        plan.span,
        this.#planes,
        from,
        to,
        out,
      ) !== 0
    const { inF32, inInterval } = plan
    const common = [this.#table, this.#weights, k, divisor, plan.span, this.#planes] as const
    if (inF32) {
      this.#singles.set(inF32.weights, this.#scaled / 4)
      return wasm.averageInF32(...common, 0, bytes, out, this.#scaled, inF32.span) !== 0
    }
    if (!inInterval) return f64(0, bytes)
    this.#singles.set(inInterval.weights, this.#scaled / 4)
    for (let from = 0; from < bytes;) {
      const to = Math.min(bytes, from + PROBE_BYTES)
      const open = wasm.averageInInterval(...common, from, to, out, this.#scaled, inInterval.error)
      if (open < 0) return false
      from = to
      if (open <= OPEN_MAX) continue
      const rest = Math.min(bytes, from + REST_BYTES)
      if (!f64(from, rest)) return false
      from = rest
    }
    return true
  }

  /** Fewer than eight elements at the end: with zeros beside them, they are eight. */
  #cut(
    plan: AveragePlan,
    dtype: AverageDtype,
    streams: readonly Address[],
    divisor: number,
    at: number,
    bytes: number,
    out: Address,
  ): boolean {
    const k = streams.length
    streams.forEach((stream, i) => {
      const eight = this.#tail + EIGHT_BYTES * i
      this.#bytes.fill(0, eight, eight + EIGHT_BYTES).copyWithin(eight, stream + at, stream + at + bytes)
      this.#words[this.#tailTable / 4 + i] = eight
    })
    const to = this.#tail + EIGHT_BYTES * STREAMS_MAX
    const fits = this.#wasm.averageInF64(
      dtype === 'BF16' ? 1 : 0,
      this.#tailTable,
      this.#weights,
      k,
      divisor,
      plan.span,
      this.#planes,
      0,
      EIGHT_BYTES,
      to,
    )
    this.#bytes.copyWithin(out + at, to, to + bytes)
    return fits !== 0
  }
}
