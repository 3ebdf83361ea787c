/** Weighted averages from bytes to bytes: the plan chooses a proof, and a proof that fails often gives way to another. */
import { type AverageDtype, AVERAGE_DTYPES, type AveragePlan, type AverageTier, planAverage } from './average-plan.ts'
import type { Address, WasmWords } from './wasm-instance.ts'

/** Streams of one average that the tables have room for. */
export const STREAMS_MAX = 256
const EIGHT_BYTES_MAX = 32
const PLAN_BYTES = 256
const TABLES_BYTES = STREAMS_MAX * (8 + 4 + 4 + 8 + 8 + 64 + EIGHT_BYTES_MAX) + PLAN_BYTES + EIGHT_BYTES_MAX

/** A tier is tried on a few eights, and then on more; where a greater share of them stays open, the next one is faster. */
const PROBE_EIGHTS = 32
const PART_EIGHTS = 256
/** Where it holds, the next part is twice as long, up to this: every call from JavaScript costs as much as some eights. */
const PART_EIGHTS_MAX = 8192
const OPEN_SHARE_MAX: Readonly<Record<AverageTier, number>> = {
  inF32: 0.25,
  inInterval: 0.31,
  inParts: 0.2,
  inRatio: 0.2,
  besideMiddles: 0.45,
  inSpan: 0.4,
  inLevels: 0.33,
  anyScales: 1,
}
/** Of few, levels save next to nothing. */
const OPEN_LEVELS_MAX = 0.12
const FEW = 16
/** Parts before the cheaper tier is tried again; twice as many each time it fails at once. */
const REST_PARTS = [14, 112] as const

/** So much that no f64 sum has a code beside a middle. */
const NO_REACH = -(2 ** 30)

const shareOf = (tier: AverageTier, k: number) =>
  tier === 'inLevels' && k <= FEW ? OPEN_LEVELS_MAX : OPEN_SHARE_MAX[tier]

const ELEMENT_BYTES = { BF16: 2, F16: 2, F32: 4 } as const

export class WasmAverage {
  static readonly tablesBytes = TABLES_BYTES
  readonly #wasm: WasmWords
  readonly #buffer: ArrayBuffer
  readonly #bytes: Uint8Array
  readonly #words: Uint32Array
  readonly #doubles: Float64Array
  readonly #weights: Address
  readonly #table: Address
  readonly #tailTable: Address
  readonly #scaled: Address
  readonly #parts: Address
  readonly #terms: Address
  readonly #plan: Address
  readonly #tail: Address
  #last: { readonly dtype: AverageDtype; weights: readonly number[]; divisor: number; plan: AveragePlan } | undefined
  /** Which tier is at work, on how many eights next, for how many parts more, and how long it lasted the last time. */
  #tier = 0
  #eights = PROBE_EIGHTS
  #pieces = 0
  #rest: number = REST_PARTS[0]

  /** `tables`: address of as many bytes as `tablesBytes`, for this alone. */
  constructor(wasm: WasmWords, buffer: ArrayBuffer, tables: Address) {
    this.#wasm = wasm
    this.#buffer = buffer
    this.#bytes = new Uint8Array(buffer)
    this.#words = new Uint32Array(buffer)
    this.#doubles = new Float64Array(buffer)
    this.#plan = tables
    this.#weights = this.#plan + PLAN_BYTES
    this.#scaled = this.#weights + 8 * STREAMS_MAX
    this.#parts = this.#scaled + 8 * STREAMS_MAX
    this.#terms = this.#parts + 8 * STREAMS_MAX
    this.#tail = this.#terms + 64 * STREAMS_MAX
    this.#table = this.#tail + EIGHT_BYTES_MAX * (STREAMS_MAX + 1)
    this.#tailTable = this.#table + 4 * STREAMS_MAX
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
    this.#prepare(dtype, weights, divisor)
    this.#words.set(streams, this.#table / 4)
    this.#doubles.set(weights, this.#weights / 8)
    const eight = 8 * ELEMENT_BYTES[dtype]
    const whole = bytes - (bytes % eight)
    if (!this.#whole(streams.length, whole, eight, out)) return false
    return whole === bytes || this.#cut(streams, whole, bytes - whole, out)
  }

  #prepare(dtype: AverageDtype, weights: readonly number[], divisor: number): void {
    const last = this.#last
    if (last?.dtype === dtype && last.divisor === divisor && last.weights === weights) return
    const plan = planAverage(dtype, weights, divisor)
    this.#last = { dtype, weights, divisor, plan }
    this.#tier = 0
    this.#eights = PROBE_EIGHTS
    this.#pieces = 0
    this.#rest = REST_PARTS[0]
    const { head, drop, next } = plan.levels
    const inRatio = plan.tiers.includes('inRatio') ? plan.inRatio : undefined
    const wholes = plan.inF32 ?? inRatio
    const scaled = wholes?.weights ?? plan.inInterval?.weights
    if (scaled) this.#bytes.set(new Uint8Array(scaled.buffer), this.#scaled)
    const cells = new DataView(this.#buffer, this.#plan, PLAN_BYTES)
    ;[plan.span, head, drop, next, this.#scaled, wholes?.span ?? 0].forEach((cell, i) => {
      cells.setInt32(4 * i, cell, true)
    })
    cells.setFloat64(24, plan.inInterval?.error ?? 0, true)
    cells.setInt32(32, plan.inInterval?.places ?? 0, true)
    cells.setFloat64(64, plan.scales.least, true)
    cells.setFloat64(72, plan.scales.greatest, true)
    cells.setFloat64(80, plan.sumError, true)
    cells.setInt32(88, plan.isWide ? 1 : 0, true)
    cells.setInt32(112, plan.isNarrow ? 1 : 0, true)
    cells.setInt32(92, plan.rows?.rows.length ?? 0, true)
    cells.setFloat64(104, plan.rows?.scale ?? 0, true)
    cells.setFloat32(116, plan.rows?.divisor ?? 0, true)
    cells.setFloat32(120, plan.rows?.divisor ? 1 / plan.rows.divisor : 0, true)
    plan.rows?.rows.forEach(({ stream, doublings, isTurned }, i) => {
      cells.setInt32(128 + 4 * i, (stream << 5) | (doublings << 1) | (isTurned ? 1 : 0), true)
    })
    cells.setFloat32(52, plan.inInterval?.error ?? 0, true)
    cells.setFloat32(56, wholes?.divisor ?? 0, true)
    cells.setInt32(60, plan.middleReach > 0 ? plan.middleReach << 20 : NO_REACH, true)
    cells.setInt32(96, inRatio?.reach ?? 0, true)
    cells.setInt32(100, inRatio?.doubt ?? 0, true)
    const { inParts } = plan
    if (!inParts) return
    this.#bytes.set(new Uint8Array(inParts.parts.buffer), this.#parts)
    ;[this.#parts, inParts.head, inParts.reach].forEach((cell, i) => {
      cells.setInt32(36 + 4 * i, cell, true)
    })
    cells.setFloat32(48, inParts.error, true)
  }

  /** Tier by tier; none of the choices changes a bit. */
  #whole(k: number, bytes: number, eight: number, out: Address): boolean {
    const { tiers } = this.#last!.plan
    for (let from = 0, to; from < bytes; from = to) {
      const tier = tiers[this.#tier]!
      to = Math.min(bytes, from + eight * this.#eights)
      const open = this.#run(tier, this.#table, k, from, to, out)
      if (open < 0) return false
      const holds = open * eight <= shareOf(tier, k) * (to - from)
      if (!holds && this.#tier + 1 < tiers.length) {
        this.#tier += 1
        this.#eights = PROBE_EIGHTS
        this.#pieces = this.#rest
        this.#rest = Math.min(2 * this.#rest, REST_PARTS[1])
        continue
      }
      if (this.#tier === 0) this.#rest = REST_PARTS[0]
      else if ((this.#pieces -= Math.ceil(this.#eights / PART_EIGHTS)) <= 0) {
        this.#tier = 0
        this.#eights = PROBE_EIGHTS
        continue
      }
      this.#eights = Math.max(PART_EIGHTS, Math.min(2 * this.#eights, PART_EIGHTS_MAX))
    }
    return true
  }

  #run(tier: AverageTier, table: Address, k: number, from: Address, to: Address, out: Address): number {
    const { dtype, divisor } = this.#last!
    const wasm = this.#wasm
    const all = [table, this.#weights, k, divisor, this.#terms, this.#plan, from, to, out] as const
    const form = AVERAGE_DTYPES.indexOf(dtype)
    switch (tier) {
      case 'inF32':
        return dtype === 'F16' ? wasm.averageF16InF32(...all) : wasm.averageInF32(...all)
      case 'inInterval':
        if (dtype === 'F32') return wasm.averageF32InInterval(...all)
        return dtype === 'F16' ? wasm.averageF16InInterval(...all) : wasm.averageInInterval(...all)
      case 'inParts':
        return wasm.averageInParts(...all)
      case 'besideMiddles':
        return wasm.averageBesideMiddles(...all)
      case 'inRatio':
        return wasm.averageInRatio(...all)
      case 'inSpan':
        return dtype === 'F32' ? wasm.averageF32InSpan(...all) : wasm.averageInSpan(form, ...all)
      case 'inLevels':
        return wasm.averageInLevels(form, ...all)
      case 'anyScales':
        return wasm.averageAnyScales(form, ...all)
    }
  }

  /** Fewer than eight elements at the end: with zeros beside them, they are eight. */
  #cut(streams: readonly Address[], at: number, bytes: number, out: Address): boolean {
    const eight = 8 * ELEMENT_BYTES[this.#last!.dtype]
    streams.forEach((stream, i) => {
      const own = this.#tail + EIGHT_BYTES_MAX * i
      this.#bytes.fill(0, own, own + eight).copyWithin(own, stream + at, stream + at + bytes)
      this.#words[this.#tailTable / 4 + i] = own
    })
    const to = this.#tail + EIGHT_BYTES_MAX * STREAMS_MAX
    const open = this.#run('inSpan', this.#tailTable, streams.length, 0, eight, to)
    this.#bytes.copyWithin(out + at, to, to + bytes)
    return open >= 0
  }
}
