/** What three streams of bf16 elect of their changes to a base, from bytes to bytes, against the primitives in f64. */
import { describe, expect, test } from 'vitest'
import { endingOf } from '../../src/kernels/elect-onto.ts'
import { electStreamsOf } from '../../src/kernels/elect-streams.ts'
import { maskBytes, type ProgramStep, type StripProgram } from '../../src/kernels/strip-program.ts'
import { createWasmKernels } from '../../src/kernels/wasm.ts'
import { numbersFrom } from '../merge-strategies/world.ts'
import { bitsOf, divisorsOf, expected, f32Of, type Formula, keyOf, type Row } from './elect-world.ts'

/** What is left of the changes of each stream. */
type Left =
  | { readonly mode: 'all' }
  | { readonly mode: 'trim'; readonly key: number; readonly lastTies: readonly number[] }
  | { readonly mode: 'inTurn'; readonly key: number; readonly ties: readonly number[] }
  | { readonly mode: 'pick'; readonly density: number }

interface Asked {
  readonly formula: Formula
  readonly left: Left
  /** Of the base and of three streams. */
  readonly codes: readonly Uint16Array[]
  readonly first?: number
}

const wasm = createWasmKernels({ memoryBytes: 16 << 20 })
const MEMBERS = [1, 2, 3]

function programOf(
  { weights, divides, scales = [] }: Formula,
  left: Left,
  ties: readonly Float64Array[],
): StripProgram {
  const leftOf = (a: number): readonly ProgramStep[] => {
    if (left.mode === 'all') return []
    if (left.mode === 'pick') return [{ do: 'pick', mask: a - 1, a, out: a }]
    if (left.mode === 'inTurn') return [{ do: 'trimInTurn', a, key: left.key, ties: ties[a - 1]!, out: a }]
    return [{ do: 'trim', a, key: left.key, lastTie: left.lastTies[a - 1]!, offset: 0, out: a }]
  }
  const steps: ProgramStep[] = [
    { do: 'read', stream: 0, narrow: true, out: 0 },
    ...MEMBERS.flatMap((a): readonly ProgramStep[] => {
      const scale = scales[a - 1]
      return [
        { do: 'read', stream: a, narrow: true, out: a },
        { do: 'change', a, b: 0, out: a },
        ...leftOf(a),
        ...(scale ? [{ do: 'scale', op: scale[0], a, by: scale[1], out: a } as const] : []),
      ]
    }),
    { do: 'elect', planes: MEMBERS, weights, divisors: divides ? divisorsOf(weights) : undefined, out: 4 },
    { do: 'widen', a: 0, out: 5 },
    { do: 'binary', op: 'plus', a: 5, b: 4, out: 4 },
    { do: 'write', a: 4 },
  ]
  const masks = left.mode === 'pick' ? 3 : 0
  return { steps, constants: [], buffers: 6, streams: Array<'BF16'>(4).fill('BF16'), dtype: 'BF16', masks }
}

const valueOf = (code: number): number => f32Of(code << 16)
const codeOf = (value: number): number => (bitsOf(value) + 0x7fff + ((bitsOf(value) >>> 16) & 1)) >>> 16

/** By the primitives: the bytes, and the ties that are still to come. */
function should({ formula, left, codes, first = 0 }: Asked, masks: readonly Uint8Array[]) {
  const n = codes[0]!.length
  const ties = left.mode === 'inTurn' ? left.ties.map((wanted) => [wanted, -1]) : []
  const rows: Row[] = []
  let isFinite = true
  for (let i = 0; i < n; i++) {
    const base = valueOf(codes[0]![i]!)
    isFinite &&= Number.isFinite(base)
    const changes = MEMBERS.map((a) => {
      const own = valueOf(codes[a]![i]!)
      isFinite &&= Number.isFinite(own)
      const change = Math.fround(own - base)
      const key = keyOf(change)
      if (left.mode === 'all') return change
      if (left.mode === 'pick') return (masks[a - 1]![i >> 3]! >> (i & 7)) & 1 ? change : 0
      if (left.mode === 'trim') {
        const isTie = key === left.key && first + i <= left.lastTies[a - 1]!
        return key > left.key || isTie ? change : 0
      }
      const state = ties[a - 1]!
      if (key !== left.key) return key > left.key ? change : 0
      if (state[0] === 0) return 0
      state[0]! -= 1
      if (state[0] === 0) state[1] = first + i
      return change
    })
    rows.push([base, ...changes] as unknown as Row)
  }
  return { bytes: isFinite ? expected(formula, rows, 'BF16') : undefined, ties }
}

/** Strips after which the step tries again, whatever it was shown before. */
const CALM = Array.from({ length: 4 }, () => new Uint16Array(33 * 512).fill(0x3f80))

function wrong(asked: Asked): unknown {
  if (asked.codes !== CALM)
    ran({ formula: { weights: [1, 1, 1], divides: false }, left: { mode: 'all' }, codes: CALM }, [])
  const n = asked.codes[0]!.length
  const next = numbersFrom(n)
  const { left } = asked
  const masks =
    left.mode !== 'pick'
      ? []
      : MEMBERS.map(() => {
          const bits = new Uint8Array(maskBytes(n))
          for (let i = 0; i < n; i++) if (next() < left.density) bits[i >> 3]! |= 1 << (i & 7)
          return bits
        })
  const [is, other] = [ran(asked, masks), should(asked, masks)]
  if (!is.bytes || !other.bytes) return is.bytes === other.bytes ? undefined : 'only one of both is finite'
  const at = is.bytes.findIndex((byte, i) => byte !== other.bytes![i]) >> 1
  if (at >= 0) {
    const pair = (bytes: Uint8Array) => bytes.slice(2 * at, 2 * at + 2)
    return { at, row: asked.codes.map((codes) => codes[at]), is: pair(is.bytes), should: pair(other.bytes) }
  }
  return left.mode === 'inTurn' && JSON.stringify(is.ties) !== JSON.stringify(other.ties)
    ? [is.ties, other.ties]
    : undefined
}

function ran({ formula, left, codes, first = 0 }: Asked, masks: readonly Uint8Array[]) {
  wasm.reset()
  const ties = left.mode === 'inTurn' ? left.ties.map((wanted) => Float64Array.of(wanted, -1)) : []
  const program = programOf(formula, left, ties)
  expect(electStreamsOf(program, endingOf(program))).toBeDefined()
  const placed = (from: Uint8Array): Uint8Array => {
    const bytes = wasm.allocateBytes(from.length)
    bytes.set(from)
    return bytes
  }
  const streams = codes.map((own) => placed(new Uint8Array(own.buffer, own.byteOffset, own.byteLength)))
  const out = wasm.allocateBytes(2 * codes[0]!.length + 16).fill(0xa5)
  const written = out.subarray(0, 2 * codes[0]!.length)
  const isDone = wasm.compile(program)!(streams, first, codes[0]!.length, written, masks.map(placed))
  expect(out.subarray(written.length).every((byte) => byte === 0xa5)).toBe(true)
  return { bytes: isDone ? Uint8Array.from(written) : undefined, ties: ties.map((state) => [...state]) }
}

const [DECIMAL, EQUAL, APART, LOSSY] = [
  [0.3, 0.5, 0.2],
  [1, 1, 1],
  [2 ** -16, 1, 2 ** 16],
  [0.5 + 2 ** -24, 0.5, 2 ** -4 + 2 ** -24 - 2 ** -27],
].map((weights) => weights.map(Math.fround)) as [number[], number[], number[], number[]]
const FORMULAS: readonly Formula[] = [
  { weights: DECIMAL, divides: true },
  { weights: DECIMAL, divides: false },
  { weights: EQUAL, divides: true },
  { weights: LOSSY, divides: false },
  { weights: APART, divides: true },
  { weights: DECIMAL, divides: false, scales: [['times', 1.7321], ['times', 2.0001], ['times', 0.301]] }, // prettier-ignore
  { weights: EQUAL, divides: true, scales: [['over', 0.7], ['over', 0.5], ['over', 0.3]] }, // prettier-ignore
]
const KEY = keyOf(2 ** -9)
const LEFTS: readonly Left[] = [
  { mode: 'all' },
  { mode: 'trim', key: KEY, lastTies: [700, 5_000, -1] },
  { mode: 'trim', key: 0, lastTies: [1e9, 1e9, 1e9] },
  { mode: 'inTurn', key: KEY, ties: [40, 200, 1] },
  { mode: 'pick', density: 0.5 },
]
const named = LEFTS.map((left) => [JSON.stringify(left), left] as const)

/** A base and what was trained from it, of which one in eight is another. */
function trained(n: number, seed: number, other?: (next: () => number) => readonly number[]): readonly Uint16Array[] {
  const next = numbersFrom(seed)
  const codes = [0, ...MEMBERS].map(() => new Uint16Array(n))
  for (let i = 0; i < n; i++) {
    const own = other && i % 8 === 5 ? other(next) : undefined
    const base = (next() - 0.5) / 8
    codes.forEach((each, a) => (each[i] = own ? own[a]! : codeOf(a === 0 ? base : base + (next() - 0.5) / 64)))
  }
  return codes
}

describe.each(named)('[KRN-131] %s of changes:', (_, left) => {
  test('ordinary numbers have their bytes at any length, and wherever the run begins', () => {
    for (const formula of FORMULAS)
      for (const n of [511, 512, 2_567])
        for (const first of [0, 8_192]) {
          const shifted = left.mode === 'trim' ? { ...left, lastTies: left.lastTies.map((last) => last + first) } : left
          expect(
            wrong({ formula, left: shifted, codes: trained(n, 3), first }),
            JSON.stringify([n, first, formula]),
          ).toBeUndefined()
        }
  })

  test('results beside the middle of two codes, votes beside zero, and changes that cancel', () => {
    const near = (next: () => number): readonly number[] => {
      const exponent = 0x3c00 + (Math.floor(next() * 4) << 7)
      const step = () => Math.floor(next() * 21) - 10
      const base = exponent + Math.floor(next() * 128)
      const sign = next() < 0.5 ? 0x8000 : 0
      return [base, base + step(), base + step(), base + step()].map((code) => code | sign)
    }
    const cancelling = (next: () => number): readonly number[] => {
      const base = 0x3e00 + Math.floor(next() * 256)
      const away = () => (next() < 0.5 ? Math.floor(next() * 4) : 0x8000 | (base + Math.floor(next() * 64)))
      return [base, away(), away(), away()]
    }
    for (const formula of FORMULAS)
      for (const row of [near, cancelling]) {
        expect(wrong({ formula, left, codes: trained(3_072, 5, row) })).toBeUndefined()
      }
  })

  test('codes of every pattern, beside others of any size', () => {
    const next = numbersFrom(9)
    const of = (code: (i: number) => number) => Uint16Array.from({ length: 65_536 }, (_, i) => code(i))
    const finite = (code: number): number => ((code & 0x7f80) === 0x7f80 ? code & 0xbfff : code)
    const beside = (i: number): number => finite((i & 0x8000) | (((i & 0x7fff) + Math.floor(next() * 9)) % 0x7f80))
    const any = () => finite(Math.floor(next() * 65_536))
    const codes = [of(finite), of(beside), of(beside), of(left.mode === 'all' ? any : beside)]
    expect(wrong({ formula: FORMULAS[0]!, left, codes })).toBeUndefined()
  })

  test('zeros of either sign and what is tiny or huge, alone or here and there', () => {
    const kinds = [
      () => 0,
      () => 0x8000,
      (next: () => number) => Math.floor(next() * 128),
      (next: () => number) => 0x2080 + Math.floor(next() * 512),
      (next: () => number) => 0x5e80 + Math.floor(next() * 512),
      (next: () => number) => 0x7f00 + Math.floor(next() * 128),
    ]
    const signed = (next: () => number, code: number): number => (next() < 0.5 ? code ^ 0x8000 : code)
    for (const formula of FORMULAS.slice(0, 2))
      for (const kind of kinds) {
        const row = (next: () => number) => [0, 1, 2, 3].map(() => signed(next, kind(next)))
        expect(wrong({ formula, left, codes: trained(2_048, 7, row) })).toBeUndefined()
        const zeros = (next: () => number) => [0, ...row(next).slice(1)]
        expect(wrong({ formula, left, codes: trained(2_048, 7, zeros) })).toBeUndefined()
        const next = numbersFrom(2)
        const alone = [0, 1, 2, 3].map(() => Uint16Array.from({ length: 1_024 }, () => signed(next, kind(next))))
        expect(wrong({ formula, left, codes: alone })).toBeUndefined()
      }
  })

  test('what is not finite stops it, whichever stream has it and wherever, kept or not', () => {
    for (const code of [0x7f80, 0xff80, 0xffff])
      for (const stream of [0, 1, 2, 3])
        for (const at of [0, 517, 2_047]) {
          const codes = trained(2_560, 4)
          codes[stream]![at] = code
          expect(wrong({ formula: FORMULAS[0]!, left, codes })).toBeUndefined()
          if (left.mode === 'pick')
            expect(wrong({ formula: FORMULAS[1]!, left: { ...left, density: 0 }, codes })).toBeUndefined()
        }
  })
})

test('[KRN-131] ties are kept up to the last, in whatever strip that lies', () => {
  const codes = trained(6_200, 11, (next) => {
    const base = 0x3e00 + Math.floor(next() * 64)
    const tie = () => (next() < 0.5 ? base + 1 : base - 1)
    return [base, tie(), tie(), tie()]
  })
  const key = keyOf(2 ** -10)
  const formula = FORMULAS[0]!
  const some = codes.map((each) => each.slice())
  const count = MEMBERS.map(
    (a) => some[a]!.filter((code, i) => keyOf(Math.fround(valueOf(code) - valueOf(some[0]![i]!))) === key).length,
  )
  expect(Math.min(...count)).toBeGreaterThan(300)
  const cuts = [-1, 0, 5, 511, 512, 1_029, 2_047, 2_048, 4_100, 6_199, 9_999]
  for (const [i, last] of cuts.entries()) {
    const lastTies = [last, cuts[(i + 3) % cuts.length]!, cuts[(i + 7) % cuts.length]!]
    expect(wrong({ formula, left: { mode: 'trim', key, lastTies }, codes })).toBeUndefined()
    const wanted = count.map((all, a) =>
      Math.min(all, [0, 1, 2, 30, 64, 65, 100, 200, 290, 300, all][(i + 4 * a) % 11]!),
    )
    expect(wrong({ formula, left: { mode: 'inTurn', key, ties: wanted }, codes })).toBeUndefined()
  }
})

test('[KRN-131] other programs are made of their steps', () => {
  const left: Left = { mode: 'trim', key: KEY, lastTies: [0, 0, 0] }
  const program = programOf(FORMULAS[0]!, left, [])
  const isQuick = (more: Partial<StripProgram>): boolean => {
    const changed = { ...program, ...more }
    return electStreamsOf(changed, endingOf(changed)) !== undefined
  }
  expect(isQuick({})).toBe(true)
  expect(isQuick({ streams: ['BF16', 'BF16', 'F32', 'BF16'] })).toBe(false)
  const replaced = (from: ProgramStep['do'], to: (step: ProgramStep) => readonly ProgramStep[]) => {
    const at = program.steps.findLastIndex((step) => step.do === from)
    return { steps: program.steps.flatMap((step, i) => (i === at ? to(step) : [step])) }
  }
  const drop = { do: 'drop', key: { low: 1, high: 2 }, probability: 0.5, a: 3, out: 3 } as const
  expect(isQuick(replaced('trim', () => [drop]))).toBe(false)
  expect(isQuick(replaced('trim', () => []))).toBe(false)
  expect(isQuick(replaced('trim', (step) => [step, step]))).toBe(false)
  expect(isQuick(replaced('trim', (step) => [{ ...step, key: 0x7f800000 } as ProgramStep]))).toBe(false)
  expect(isQuick(replaced('change', () => []))).toBe(false)
  expect(isQuick(replaced('change', () => [{ do: 'change', a: 3, b: 2, out: 3 }]))).toBe(false)
  expect(isQuick(replaced('change', (step) => [step, { do: 'finite', a: 3 }]))).toBe(false)
})
