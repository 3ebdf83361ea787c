/** What every set of kernels owes: the bits of the reference, on numbers chosen to hurt, at every length and place. */
import { describe, expect, test } from 'vitest'
import { BINARIES, COMPARES, UNARIES } from '../../src/core/graph-words.ts'
import type { Kernels } from '../../src/kernels/kernels.ts'
import { exactSum } from '../../src/kernels/exact.ts'
import { BLOCK, type BlockSum, KEY_MAX } from '../../src/kernels/measures.ts'
import { referenceKernels as reference } from '../../src/kernels/reference.ts'
import type { Dtype } from '../../src/tensors/dtypes.ts'
import { numbersFrom } from '../merge-strategies/world.ts'

type Plane = Float64Array

const SPECIAL = [
  0,
  -0,
  1,
  -1,
  Number.NaN,
  Infinity,
  -Infinity,
  Number.MIN_VALUE,
  -Number.MIN_VALUE,
  Number.MAX_VALUE,
  -Number.MAX_VALUE,
  2 ** -149,
  -(2 ** -149),
  2 ** -150,
  2 ** -126,
  2 ** -133,
  3 * 2 ** -134,
  2 ** -24,
  2 ** -25,
  65504,
  65519.99,
  65520,
  2 ** 128,
  3.4028235677973366e38,
  3.3961775292304597e38,
  1 + 2 ** -8,
  1 + 3 * 2 ** -8,
  1 + 2 ** -8 + 2 ** -52,
  1 + 2 ** -11,
  1 + 2 ** -24,
  0.5,
  0.3,
]
const FINITE = SPECIAL.filter((value) => Math.abs(value) < 2 ** 127)
const BLOCK_SUMS: readonly BlockSum[] = ['sum', 'l1', 'l2', 'dot', 'squaredDistance']

/** Bits, all NaN being one: machines differ in the rest of theirs, and nothing reads it. */
const bitsOf = (plane: Plane): readonly bigint[] =>
  [...new BigUint64Array(plane.slice().buffer)].map((bits, i) => (Number.isNaN(plane[i]) ? -1n : bits))
const rowOf = (counts: Uint32Array) => Buffer.from(counts.buffer, counts.byteOffset, counts.byteLength)
const same = (given: Plane, wanted: Plane): void => expect(bitsOf(given)).toEqual(bitsOf(wanted))

export function describeKernelsContract(name: string, make: () => Kernels<Plane>): void {
  const kernels = make()
  /** The numbers in a buffer of the set's own, at an odd place. */
  const held = (numbers: ArrayLike<number>): Plane => {
    const whole = kernels.allocate(numbers.length + 3)
    whole.fill(123.25)
    const plane = kernels.view(whole, 1, numbers.length)
    plane.set(numbers)
    return plane
  }
  const bytesOf = (bytes: Uint8Array): Uint8Array => {
    const own = kernels.allocateBytes(bytes.length)
    own.set(bytes)
    return own
  }
  const mix = (next: () => number, kind: number): number => {
    if (kind === 0) return Math.fround((next() - 0.5) * 2 ** Math.floor(next() * 8 - 4))
    if (kind === 1) return SPECIAL[Math.floor(next() * SPECIAL.length)]!
    if (kind === 2) return FINITE[Math.floor(next() * FINITE.length)]!
    if (kind === 3) return Math.fround((next() - 0.5) * 2 ** Math.floor(next() * 250 - 125))
    if (kind === 4) return (next() - 0.5) * 2 ** Math.floor(next() * 1900 - 950)
    return Math.round((next() - 0.5) * 16) * 2 ** -Math.floor(next() * 30)
  }
  /** Planes of every kind of number and every length of a tail. */
  const cases = (count: number, kinds = [0, 1, 2, 3, 4, 5]): readonly (readonly Plane[])[] =>
    [0, 1, 2, 3, 5, 7, 8, 9, 15, 17, 70].flatMap((length, round) =>
      kinds.map((kind) => {
        const next = numbersFrom(1000 * round + 10 * kind + count)
        return Array.from({ length: count }, () => Float64Array.from({ length }, () => mix(next, kind)))
      }),
    )
  const own = (planes: readonly Plane[]): readonly Plane[] => planes.map(held)
  type Op = (k: Kernels<Plane>, planes: readonly Plane[]) => Plane
  /** Equal bits into new memory and over each input. */
  const equal = (
    op: (k: Kernels<Plane>, planes: readonly Plane[], out?: Plane) => Plane,
    all: readonly (readonly Plane[])[],
  ) => {
    for (const planes of all) {
      const wanted = op(reference, planes)
      same(op(kernels, own(planes)), wanted)
      for (const i of new Set([0, 1, planes.length - 1])) {
        if (i >= planes.length) continue
        const over = own(planes)
        expect(op(kernels, over, over[i])).toBe(over[i])
        same(over[i]!, wanted)
      }
    }
    kernels.reset()
  }

  describe(name, () => {
    test.each(BINARIES)('[KRN-1] %s has the bits of the reference', (word) => {
      equal((k, [a, b], out) => k.binary(word, a!, b!, out), cases(2))
    })
    test.each(UNARIES)('[KRN-1] %s has the bits of the reference', (word) => {
      equal((k, [a], out) => k.unary(word, a!, out), cases(1))
    })
    test.each(COMPARES)('[KRN-1] %s has the bits of the reference', (word) => {
      equal((k, [a, b], out) => k.compare(word, a!, b!, out), cases(2))
    })
    test('[KRN-1] choose and fill have the bits of the reference', () => {
      equal((k, [mask, a, b], out) => k.choose(mask!, a!, b!, out), cases(3))
      for (const length of [0, 1, 2, 9])
        for (const value of SPECIAL)
          same(kernels.fill(length, value, held(new Float64Array(length))), reference.fill(length, value))
      kernels.reset()
    })

    test('[KRN-1] nothing beside a view is written', () => {
      const whole = kernels.allocate(20)
      for (let first = 0; first < 5; first++)
        for (let count = 0; count < 12; count++) {
          whole.fill(7)
          const part = kernels.view(whole, first, count)
          kernels.binary('plus', part, part, part)
          kernels.unary('abs', part, part)
          kernels.choose(part, part, part, part)
          kernels.keep({ low: 1, high: 2 }, first, part, part)
          kernels.aboveCutoff(part, 0, 0, 0, part)
          kernels.weightedSum([part, part, part], [1, 2, 3], part)
          kernels.weightedSum([part, part], [1, 2], part)
          kernels.weightedSum([part], [1], part)
          kernels.sort([part], [part])
          kernels.fill(count, 3, part)
          expect([...whole]).toEqual(Array.from({ length: 20 }, (_, i) => (i >= first && i < first + count ? 3 : 7)))
        }
      kernels.reset()
    })

    test.each(BLOCK_SUMS)('[KRN-2] the block sum %s has the lanes of the reference', (word) => {
      for (const planes of cases(2)) {
        const [a, b] = own(planes)
        same(
          Float64Array.of(kernels.reduce(word, a!, b)),
          Float64Array.of(reference.reduce(word, planes[0]!, planes[1])),
        )
      }
      const next = numbersFrom(5)
      const block = Float64Array.from({ length: BLOCK }, () => mix(next, 0))
      expect(kernels.reduce(word, held(block))).toBe(reference.reduce(word, block))
      expect(() => kernels.reduce(word, kernels.allocate(BLOCK + 1))).toThrow(/at most 4096/)
      kernels.reset()
    })

    test.each([1, 2, 3, 4, 5, 9, 16])('[KRN-3] a weighted sum of %i planes has the bits of the reference', (k) => {
      const next = numbersFrom(k)
      for (const weights of [
        Array.from({ length: k }, () => 1),
        Array.from({ length: k }, (_, i) => Math.fround([0.3, 0.5, 0.2, -0.7][i % 4]!)),
        Array.from({ length: k }, () => mix(next, 3)),
        Array.from({ length: k }, (_, i) => (i % 2 === 0 ? 1 : -1) * 2 ** ((i * 37) % 120)),
      ])
        equal((set, planes, out) => set.weightedSum(planes, weights, out), cases(k))
    })

    test('[KRN-3] terms that cancel leave exactly what is left, and a zero is +0', () => {
      const a = Float64Array.from({ length: 40 }, (_, i) => 2 ** (i * 3 - 60))
      const rest = Float64Array.from({ length: 40 }, (_, i) => 2 ** (-i * 3 - 80))
      const minus = a.map((value) => -value)
      for (const planes of [
        [a, rest, minus],
        [a, rest, rest, minus],
        [a, minus, a.map(() => -0)],
        [a.map(() => -0), a.map(() => -0), a.map(() => -0)],
        [a, rest, minus, rest.map((value) => -value), rest.map((value) => value * 2 ** -300)],
      ])
        for (const out of [undefined, 0])
          same(
            ((own) =>
              kernels.weightedSum(
                own,
                planes.map(() => 1),
                out === undefined ? undefined : own[out],
              ))(own(planes)),
            reference.weightedSum(
              planes,
              planes.map(() => 1),
            ),
          )
      kernels.reset()
    })

    test('[KRN-4] kept sums have the bits of the reference through adding, taking away and merging', () => {
      for (const planes of cases(6)) {
        const all = [reference, kernels].map((set) => {
          const mine = set === reference ? planes : own(planes)
          const [one, other] = [set.exactSums(planes[0]!.length), set.exactSums(planes[0]!.length)]
          one.add(mine[0]!, mine[1]!, 1)
          one.add(mine[2]!, mine[3]!, -1)
          one.addScaled(mine[4]!, 0.3, 1)
          other.addScaled(mine[5]!, -(2 ** 60), 1)
          other.add(mine[1]!, mine[0]!, 1)
          one.merge(other)
          const before = one.read().slice()
          one.add(mine[0]!, mine[1]!, -1)
          one.addScaled(mine[5]!, -(2 ** 60), -1)
          const after = one.read().slice()
          one.clear()
          return [before, after, one.read().slice()]
        })
        all[0]!.forEach((wanted, i) => same(all[1]![i]!, wanted))
      }
      kernels.reset()
    })

    test('[KRN-5] masks have the words of the reference, wherever a strip begins', () => {
      const key = { low: 0x12345678, high: 0x9abcdef0 }
      const probabilities = [0, -0, -1, 1, 2, Number.NaN, 2 ** -33, 3 * 2 ** -33, 0.5, 0.3, 1 - 2 ** -33, Infinity]
      for (const first of [0, 1, 2, 3, 5, 13, 15, 16, 4096, 2 ** 34 - 7, 2 ** 34 - 16, 2 ** 34, 2 ** 52 + 1])
        for (const length of [0, 1, 3, 16, 17, 50, 101]) {
          const q = Float64Array.from({ length }, (_, i) => probabilities[i % 12]!)
          same(kernels.keep(key, first, held(q)), reference.keep(key, first, q))
        }
      const q = reference.fill(5000, 0.5)
      same(kernels.keep(key, 4096, held(q)), reference.keep(key, 4096, q))
      kernels.reset()
    })

    test('[KRN-6] counts, ranks and cutoffs are those of the reference', () => {
      const rows = kernels.allocateCounts(2049)
      for (const [plane] of cases(1)) {
        const mine = held(plane!)
        for (const [low, high, shift] of [
          [0, KEY_MAX, 20],
          [0, 0x3f800000, 20],
          [0x3f800000, KEY_MAX, 20],
          [0x3f7ffff0, 0x3f800400, 0],
          [0x3f000000, 0x3f800000, 13],
          [0x7fc00000, 0x7fc00000, 0],
        ] as const) {
          const counts = [rows.fill(0), new Uint32Array(2049), new Uint32Array(2049)] as const
          for (const into of counts) into[3] = 5
          const range = { low, high, shift }
          reference.histogram(plane!, range, counts[2])
          kernels.histogram(mine, range, counts[0])
          kernels.histogram(mine, range, counts[1])
          expect(Buffer.compare(rowOf(counts[0]), rowOf(counts[2]))).toBe(0)
          expect(Buffer.compare(rowOf(counts[1]), rowOf(counts[2]))).toBe(0)
        }
        for (const key of [0, 1, 0x3f800000, 0x7f800000, 0x7fc00000, 0x7fffffff]) {
          expect(kernels.countEqual(mine, key)).toBe(reference.countEqual(plane!, key))
          for (const n of [1, 2, 5, 300])
            expect(kernels.nthEqual(mine, key, n)).toBe(reference.nthEqual(plane!, key, n))
          for (const lastTie of [-1, 0, 103, 110, 1e9])
            same(kernels.aboveCutoff(mine, 100, key, lastTie), reference.aboveCutoff(plane!, 100, key, lastTie))
        }
      }
      kernels.reset()
    })

    test('[KRN-6] every NaN is one magnitude, whatever it carries', () => {
      const bits = [
        0x7ff8000000000000n,
        0xfff8000000000000n,
        0x7ff4ca15418830f1n,
        0xffffffffffffffffn,
        0x7ff0000000000001n,
      ]
      for (const count of [1, 4, 5]) {
        const plane = held(new Float64Array(BigUint64Array.from(bits.slice(0, count)).buffer))
        const counts = kernels.allocateCounts(2049)
        kernels.histogram(plane, { low: 0, high: KEY_MAX, shift: 20 }, counts)
        expect(counts[1 + (0x7fc00000 >>> 20)]).toBe(count)
        expect(kernels.countEqual(plane, 0x7fc00000)).toBe(count)
        expect([...kernels.aboveCutoff(plane, 0, 0x7f800000, -1)]).toEqual(Array<number>(count).fill(1))
        expect([...kernels.aboveCutoff(plane, 0, 0x7fc00000, -1)]).toEqual(Array<number>(count).fill(0))
      }
      kernels.reset()
    })

    test('[KRN-7] values are sorted as the reference sorts them, in place too', () => {
      for (const k of [1, 2, 3, 7])
        for (const planes of cases(k)) {
          const wanted = reference.sort(planes)
          kernels.sort(own(planes)).forEach((plane, i) => same(plane, wanted[i]!))
          const mine = own(planes)
          kernels.sort(mine, mine)
          mine.forEach((plane, i) => same(plane, wanted[i]!))
        }
      kernels.reset()
    })

    test.each(['BF16', 'F16'] as const)('[KRN-8] every pattern of %s is decoded, and encoded back', (dtype) => {
      const codes = Uint16Array.from({ length: 65536 }, (_, i) => (i * 40503) & 0xffff)
      const bytes = new Uint8Array(codes.buffer)
      const [mine, wanted] = [kernels.allocate(65536), new Float64Array(65536)]
      expect(kernels.decode(dtype, bytesOf(bytes), mine)).toBe(reference.decode(dtype, bytes, wanted))
      same(mine, wanted)
      const [back, right] = [kernels.allocateBytes(bytes.length), new Uint8Array(bytes.length)]
      expect(kernels.encode(dtype, mine, back)).toBe(reference.encode(dtype, wanted, right))
      expect(Buffer.compare(back, right)).toBe(0)
      kernels.reset()
    })

    test.each(['BF16', 'F16', 'F32', 'F64', 'F8_E4M3', 'I16'] as const)(
      '[MRG-8] what is not finite in %s is counted, wherever it stands and however much of it there is',
      (dtype) => {
        const size = { BF16: 2, F16: 2, F32: 4, F64: 8, F8_E4M3: 1, I16: 2 }[dtype]
        const codes = Uint16Array.from({ length: 300_000 }, (_, i) => (i * 40503) & 0xffff)
        const all = new Uint8Array(codes.buffer)
        for (const bytes of [all, new Uint8Array(400_000).fill(0xff), all.subarray(0, 7 * size), new Uint8Array(0)])
          for (const skip of [0, 1]) {
            const own = kernels.allocateBytes(bytes.length + 1).subarray(skip, skip + bytes.length)
            own.set(bytes)
            expect(kernels.countNotFinite(dtype, own)).toBe(reference.countNotFinite(dtype, bytes))
          }
        kernels.reset()
      },
    )

    test.each(['BF16', 'F16', 'F32', 'F64', 'F8_E4M3', 'F8_E5M2'] as readonly Dtype[])(
      '[KRN-8] %s is read and rounded as the reference does it, at every length and place',
      (dtype) => {
        const size = { BF16: 2, F16: 2, F32: 4, F64: 8 }[dtype as string] ?? 1
        const halves = (step: number) =>
          Float64Array.from(
            { length: 3000 },
            (_, i) => (1 + i * step) * 2 ** ((i % 300) - 160) * (i % 3 === 0 ? -1 : 1),
          )
        const more = [
          halves(2 ** -9),
          halves(2 ** -12),
          halves(2 ** -25),
          Float64Array.from(SPECIAL.filter(Number.isFinite)),
        ]
        for (const plane of [...cases(1).flat(), ...more])
          for (const skip of [0, 1]) {
            const bytes = kernels.allocateBytes(plane.length * size + 1).subarray(skip, skip + plane.length * size)
            const right = new Uint8Array(plane.length * size)
            expect(kernels.encode(dtype, held(plane), bytes)).toBe(reference.encode(dtype, plane, right))
            expect(Buffer.compare(bytes, right)).toBe(0)
            const [mine, wanted] = [held(plane), plane.slice()]
            expect(kernels.decode(dtype, bytes, mine)).toBe(reference.decode(dtype, right, wanted))
            same(mine, wanted)
          }
        kernels.reset()
      },
    )

    describe.each(['BF16', 'F16', 'F32'] as const)('an average of %s', (dtype) => {
      const size = dtype === 'F32' ? 4 : 2
      /** By its parts: undefined where something is not finite. */
      const wanted = (streams: readonly Uint8Array[], weights: readonly number[], divisor: number) => {
        const length = streams[0]!.length / size
        const planes = streams.map(() => new Float64Array(length))
        const finite = streams.map((stream, i) => reference.decode(dtype, stream, planes[i]!)).every((yes) => yes)
        const out = new Uint8Array(length * size)
        const mean = reference.binary('over', reference.weightedSum(planes, weights), reference.fill(length, divisor))
        return finite && reference.encode(dtype, mean, out) < 0 ? out : undefined
      }
      const check = (streams: readonly Uint8Array[], weights: readonly number[], divisor: number): boolean => {
        const right = wanted(streams, weights, divisor)
        const out = kernels.allocateBytes(streams[0]!.length)
        const done = kernels.average(dtype, streams.map(bytesOf), weights, divisor, out)
        if (done) expect(right && Buffer.compare(out, right)).toBe(0)
        // what this set has a way for is refused only where something is not finite
        else if (name === 'WASM' && divisor !== 0) expect(right).toBeUndefined()
        kernels.reset()
        return done
      }
      const KINDS: Readonly<Record<string, (next: () => number) => (i: number) => number>> = {
        'fine-tunes': (next) => () => (next() + next() + next() - 1.5) * 0.02,
        'any bits': (next) => () => mix(next, 3),
        'one binade, full of ties': (next) => () => 1 + Math.floor(next() * 128) / 128,
        'subnormals and zeros': (next) => () => Math.round((next() - 0.5) * 9) * 2 ** (dtype === 'F16' ? -24 : -133),
        pruned: (next) => () => (next() < 0.5 ? (next() < 0.5 ? -0 : 0) : next() - 0.5),
        outliers: (next) => () => (next() - 0.5) * (next() < 0.02 ? 2 ** -66 : 1),
        'near the largest': (next) => () =>
          (next() < 0.5 ? -1 : 1) * (dtype === 'F16' ? 60000 : 2 ** 127) * (0.5 + next() / 2),
        'near the smallest normal': (next) => () => (next() - 0.5) * (dtype === 'F16' ? 2 ** -13 : 2 ** -124),
      }
      const WEIGHTS: Readonly<Record<string, (k: number) => readonly number[]>> = {
        equal: (k) => Array<number>(k).fill(1),
        whole: (k) => Array.from({ length: k }, (_, i) => (i % 3) + 1),
        'halves of both signs': (k) => Array.from({ length: k }, (_, i) => (i === 1 ? -0.5 : 1.5)),
        'two digits': (k) => Array.from({ length: k }, (_, i) => Math.fround([0.3, 0.5, 0.2][i % 3]!)),
        counts: (k) => Array.from({ length: k }, (_, i) => [18000, 12000, 30000][i % 3]!),
        any: (k) => Array.from({ length: k }, (_, i) => Math.fround(0.731 * (i + 1.37))),
        wide: (k) => Array.from({ length: k }, (_, i) => (i === 1 ? -1 : 1) * 2 ** (((i * 37) % 60) - 30)),
        'with a zero': (k) => Array.from({ length: k }, (_, i) => (i === 0 ? 0 : 0.7)).map(Math.fround),
      }
      test.each(Object.keys(KINDS))('[KRN-13] has the bits of its parts: %s', (kind) => {
        for (const [n, weighting] of Object.values(WEIGHTS).entries())
          for (const k of [1, 2, 3, 8]) {
            const draw = KINDS[kind]!(numbersFrom(100 * n + k))
            const length = [4096 + 5, 64, 8 * 9 + 1, 3][n % 4]!
            const streams = Array.from({ length: k }, (_, s) => {
              const plane = Float64Array.from({ length }, (_, i) => draw(i))
              const bytes = new Uint8Array(length * size)
              if (s > 0 && n % 2 === 0 && kind === 'any bits') plane.set(plane.map((value) => -value))
              reference.encode(dtype, plane, bytes)
              return bytes
            })
            const weights = weighting(k)
            const total = weights.reduce((sum, weight) => sum + weight, 0)
            for (const divisor of total === 0 ? [1] : [1, total]) check(streams, weights, divisor)
          }
      })

      test('[KRN-13] weights that put results close to the middle of two codes, on whatever follows such elements', () => {
        const close = [
          [0.3, 0.5, 0.2],
          [0.6, 0.3, 0.1],
          [0.1, 0.7, 0.2, 0.4, 0.05, 0.15],
          [1.3, -0.4, 0.1],
          [0.9, 2 ** -14, 0.1],
          Array.from({ length: 17 }, (_, i) => 0.01 * (i + 1)),
          [18000, 12000, 30000],
          [-3 * 2 ** 20, 2 ** 21, 5 * 2 ** 20],
          [17, 3, 44],
          [0.3, 0.5, -0.8, 0.1],
        ].map((weights) => weights.map(Math.fround))
        close.forEach((weights, n) => {
          const next = numbersFrom(n)
          const ties = KINDS['one binade, full of ties']!(next)
          const total = weights.reduce((sum, weight) => sum + weight, 0)
          const halfCodes = { BF16: 256, F16: 2048, F32: 2 ** 24 }[dtype]
          const closest = () => {
            for (let tries = 0; ; tries++) {
              const column = weights.map(() => ties(0))
              const mean = Math.abs(column.reduce((sum, value, j) => sum + value * weights[j]!, 0) / total)
              if (tries > 300 || Math.abs(((mean * halfCodes) % 2) - 1) < 2 ** -20) return column
            }
          }
          const kinds = Object.keys(KINDS).map((kind) => KINDS[kind]!(next))
          // enough for the proof of ordinary elements to give up, and then a little of everything
          const columns = Array.from({ length: 12_000 }, (_, i) => {
            if (i < 4096) return i % 8 === 0 ? closest() : weights.map(() => ties(i))
            const draw = kinds[Math.floor(i / 8) % 24] ?? ties
            const first = draw(i)
            const near = i % 48 < 24
            if (i % 48 < 8)
              return weights.map((_, j) => (j < 3 ? first : first * (next() - 0.5) * 2 ** -Math.floor(32 * next())))
            return weights.map((_, j) => (j === 0 ? first : near ? first * (1 + (next() - 0.5) / 16) : draw(i)))
          })
          const streams = weights.map((_, j) => {
            const bytes = new Uint8Array(columns.length * size)
            const plane = Float64Array.from(columns, (all) => all[j]!)
            reference.encode(
              dtype,
              plane.map((value) => (Math.abs(value) < (dtype === 'F16' ? 60000 : 2 ** 120) ? value : 1)),
              bytes,
            )
            return bytes
          })
          for (const divisor of [total, 2 * total, 0.37]) check(streams, weights, divisor)
        })
      })

      test('[KRN-13] what cancels leaves exactly what is left, as +0 where nothing is', () => {
        const codes = (...all: readonly number[]) => {
          const bytes = new Uint8Array(16 * size)
          reference.encode(
            dtype,
            Float64Array.from({ length: 16 }, (_, i) => all[i % all.length]!),
            bytes,
          )
          return bytes
        }
        // what a sum that rounds on the way would lose, near and far below what cancels
        const [top, lowest] = dtype === 'F16' ? [2 ** 15, -24] : [1, -130]
        for (let down = -3; down >= lowest; down--) {
          const streams = [
            codes(top, top / 2, 1.5),
            codes((2 ** down * 255) / 128, (-(2 ** down) * 255) / 128, 0),
            codes(-top, -top / 2, -1.5),
          ]
          for (const weights of [
            [1, 1, 1],
            [0.3, 0.3, 0.3],
            [1, 2 ** -20, 1],
            [0.3, 0.7, 0.3],
          ])
            for (const divisor of [3, 2 ** -14]) check(streams, weights.map(Math.fround), divisor)
        }
        check([codes(-0), codes(-0), codes(-0)], [1, 1, 1], 3)
        check([codes(-0), codes(0), codes(-0)], [0.3, 0.5, 0.2].map(Math.fround), -1)
        check([codes(1), codes(-1)], [1, 1], -2)
      })

      test.each([3, 4, 7, 16, 33, 64])(
        '[KRN-20] %i terms that no proof covers: ties, and scales that cancel one by one',
        (k) => {
          const next = numbersFrom(k)
          const [top, bottom] = dtype === 'F16' ? [14, -24] : dtype === 'BF16' ? [120, -133] : [120, -149]
          const step = Math.max(1, Math.floor((top - bottom) / k))
          const column = (kind: number): readonly number[] => {
            const sign = next() < 0.5 ? -1 : 1
            const tie = 1 + 2 ** -({ BF16: 8, F16: 11, F32: 24 }[dtype] - 1)
            return Array.from({ length: k }, (_, i) => {
              if (i === k - 1) return sign * 2 ** bottom
              if (kind === 0)
                return i === 0 ? tie : i === 1 ? 1 : i % 2 === 0 ? 2 ** (bottom + 20) : -(2 ** (bottom + 20))
              const mantissa = 1 + ((i >> 1) % 8) / 8
              return (i % 2 === 0 ? 1 : -1) * (kind === 1 ? mantissa : 1.5) * 2 ** (top - step * (i - (i % 2)))
            })
          }
          for (const together of [1, 64]) {
            const columns = Array.from({ length: 384 }, (_, i) => column(Math.floor(i / together) % 3))
            const streams = Array.from({ length: k }, (_, j) => {
              const bytes = new Uint8Array(384 * size)
              reference.encode(
                dtype,
                Float64Array.from(columns, (all) => all[j]!),
                bytes,
              )
              return bytes
            })
            const alike = [1, 0.3].map((weight) => Array<number>(k).fill(Math.fround(weight)))
            const inPairs = Array.from({ length: k }, (_, i) => Math.fround(0.731 + 0.137 * (((i >> 1) * 7) % 11)))
            for (const weights of [...alike, inPairs]) {
              const total = weights.reduce((sum, weight) => sum + weight, 0)
              for (const divisor of [total, 2 ** -6]) check(streams, weights, divisor)
              const planes = columns[0]!.map((_, j) => held(columns.map((all) => all[j]!)))
              const sums = kernels.exactSums(384)
              planes.forEach((plane, j) => sums.addScaled(plane, weights[j]!, 1))
              const right = Float64Array.from(columns, (all) => exactSum(all.map((value, j) => value * weights[j]!)))
              same(sums.read(), right)
              same(kernels.weightedSum(planes, weights), right)
              planes.slice(1).forEach((plane, j) => sums.addScaled(plane, weights[j + 1]!, -1))
              same(
                sums.read(),
                Float64Array.from(columns, ([first]) => first! * weights[0]! + 0),
              )
              kernels.reset()
            }
          }
        },
      )

      test.each([250, 256])('[KRN-94] %i inputs with weights up to 120 binades apart, at every scale at once', (k) => {
        const next = numbersFrom(k)
        const [top, bottom] = dtype === 'F16' ? [6, -24] : dtype === 'BF16' ? [60, -133] : [60, -149]
        const weights = Array.from({ length: k }, (_, j) => {
          const up = [0, 60, -60, (((j & ~4) * 37) % 121) - 60][(j >> 3) % 4]!
          return (j % 8 < 4 || j >= k - 2 ? 1 : -1) * Math.fround((1 + ((j >> 3) % 5) / 7) * 2 ** up)
        })
        // weights j and j + 4 are alike but for their signs, so equal elements there cancel
        const columns = Array.from({ length: 72 }, (_, i) => {
          const draw = () => (1 + next()) * 2 ** (bottom + Math.floor(next() * (top - bottom)))
          const all = Array.from({ length: k }, draw)
          if (i % 3 === 2) all.fill(dtype === 'F16' ? 2 ** 7 : 2 ** 61)
          if (i % 3 > 0) all.forEach((value, j) => j % 8 < 4 && j + 4 < k - 2 && (all[j + 4] = value))
          return all
        })
        const streams = weights.map((_, j) => {
          const bytes = new Uint8Array(72 * size)
          reference.encode(
            dtype,
            Float64Array.from(columns, (all) => all[j]!),
            bytes,
          )
          return bytes
        })
        for (const divisor of [2 ** 60, 2 ** 75 / 3]) expect(check(streams, weights, divisor)).toBe(name === 'WASM')
      })

      test.each([4, 6, 13, 16, 40, 64])(
        '[KRN-94] %i terms, each where the last place of a sum ends, many alike',
        (k) => {
          const next = numbersFrom(k)
          const [top, bottom] = dtype === 'F16' ? [14, -24] : dtype === 'BF16' ? [110, -133] : [110, -149]
          const weights = [1, 1, 1, 1 - 2 ** -24, 2 - 2 ** -23, 1, 0.5, 1]
          for (const apart of [53, 27, 12, 1]) {
            const columns = Array.from({ length: 640 }, (_, i) => {
              const highest = top - Math.floor(next() * 20)
              const widest = 1 + Math.floor(next() * 8)
              return Array.from({ length: k }, () => {
                const down = Math.floor(next() * widest) * apart + [0, 0, 0, 1, 2, -1][Math.floor(next() * 6)]!
                const size = 2 ** Math.max(bottom, highest - down)
                const most = i % 2 === 0 || apart === 1 ? 2 - 2 ** -({ BF16: 8, F16: 11, F32: 24 }[dtype] - 1) : 1
                return (next() < (apart === 1 ? 0 : 0.5) ? -1 : 1) * size * (next() < 0.5 ? 1 : most)
              })
            })
            const streams = columns[0]!.map((_, j) => {
              const bytes = new Uint8Array(640 * size)
              reference.encode(
                dtype,
                Float64Array.from(columns, (all) => all[j]!),
                bytes,
              )
              return bytes
            })
            for (const own of [weights, [1]])
              for (const divisor of [64, 1.5])
                check(
                  streams,
                  streams.map((_, j) => own[j % own.length]!),
                  divisor,
                )
          }
        },
      )

      test('[KRN-90] one input of tiny elements beside ordinary ones, here and there or everywhere', () => {
        const tiny = { BF16: 2 ** -133, F16: 2 ** -24, F32: 2 ** -149 }[dtype]
        for (const share of [0.02, 0.5, 1])
          for (const k of [3, 5]) {
            const next = numbersFrom(Math.ceil(100 * share) + k)
            const streams = Array.from({ length: k }, (_, s) => {
              const bytes = new Uint8Array(7003 * size)
              const draw = () =>
                s === 1 && next() < share ? Math.round(next() * 99 - 50) * tiny : Math.round(next() * 64) / 64
              reference.encode(dtype, Float64Array.from({ length: 7003 }, draw), bytes)
              return bytes
            })
            const weights = Array.from({ length: k }, (_, i) => Math.fround(0.731 + 0.1 * i))
            for (const divisor of [4, 0.37]) check(streams, weights, divisor)
          }
      })

      test('[KRN-13] what is not finite is refused, whatever the weights', () => {
        for (const bad of [Number.NaN, Infinity, -Infinity])
          for (const at of [0, 7, 8, 20]) {
            const plane = Float64Array.from({ length: 21 }, (_, i) => (i === at ? bad : 1))
            const broken = new Uint8Array(21 * size)
            reference.encode(dtype, plane, broken)
            const whole = new Uint8Array(21 * size)
            for (const weights of [
              [1, 1],
              [0.3, 0.7],
              [1, 0],
              [2 ** 40, 1],
            ])
              expect(check([whole, broken], weights.map(Math.fround), 1)).toBe(false)
          }
        expect(kernels.average(dtype, [bytesOf(new Uint8Array(16))], [1], 0, kernels.allocateBytes(16))).toBe(false)
      })
    })

    test('[KRN-9] buffers are zeros, also those that were given out before', () => {
      kernels.reset()
      kernels.fill(100, 7, kernels.allocate(100))
      kernels.reset()
      expect(
        [...kernels.allocate(50), ...kernels.allocateBytes(99), ...kernels.allocateCounts(60)].every((x) => x === 0),
      ).toBe(true)
      kernels.reset()
    })

    test('[KRN-91] sums that were cleared are as good as new, whatever they held', () => {
      const next = numbersFrom(91)
      const sums = kernels.exactSums(33)
      for (const kind of [3, 0, 3, 3, 0, 1, 0]) {
        const planes = Array.from({ length: 40 }, () => Float64Array.from({ length: 33 }, () => mix(next, kind)))
        const right = reference.exactSums(33)
        for (const plane of planes) {
          sums.addScaled(held(plane), 0.731, 1)
          right.addScaled(plane, 0.731, 1)
        }
        same(sums.read(), right.read())
        sums.clear()
        expect(sums.read().every((value) => Object.is(value, 0))).toBe(true)
      }
      kernels.reset()
    })

    test.each([3, 5, 16, 17, 200, 1024, 1030])('[KRN-94] weighted sums of %i planes of any f64', (k) => {
      const next = numbersFrom(k)
      const length = 8 * (k > 100 ? 3 : 12) + 5
      for (const kind of [0, 1, 2, 3]) {
        const columns = Array.from({ length }, (_, i) => {
          const draw = (): number => {
            if (kind === 3) return (2 - 2 ** -52) * 2 ** (i % 5 === 0 ? 31 - Math.floor(next() * 90) : 31)
            const widest = [300, 900, 1000][kind]!
            return (next() < 0.5 ? -1 : 1) * (1 + next()) * 2 ** Math.floor((next() - 0.5) * 2 * widest)
          }
          const all = Array.from({ length: k }, draw)
          if (kind < 3 && i % 2 === 0)
            for (let j = 0; j + 1 < k - 1; j += 2) all[j + 1] = -all[j]! * (i % 4 === 0 ? 1 : 1 + 2 ** -52)
          return all
        })
        const weights = Array.from({ length: k }, (_, j) => (kind < 2 ? 1 : 1 + ((j >> 1) % 3) / 2 ** (10 * kind)))
        const planes = weights.map((_, j) => held(columns.map((all) => all[j]!)))
        const right = Float64Array.from(columns, (all) => exactSum(all.map((value, j) => value * weights[j]!)))
        same(kernels.weightedSum(planes, weights), right)
        kernels.reset()
      }
    })

    test('[KRN-9] planes of other memory are taken, alone and mixed with own ones', () => {
      const op: Op = (k, [a, b, c]) => k.weightedSum([k.binary('plus', a!, b!), k.unary('abs', c!), b!], [1, 0.3, 2])
      for (const planes of cases(3)) {
        same(op(kernels, planes), op(reference, planes))
        same(op(kernels, [held(planes[0]!), planes[1]!, held(planes[2]!)]), op(reference, planes))
        const sums = kernels.exactSums(planes[0]!.length)
        sums.add(planes[0]!, planes[1]!, 1)
        sums.addScaled(planes[2]!, 0.3, -1)
        const right = reference.exactSums(planes[0]!.length)
        right.add(planes[0]!, planes[1]!, 1)
        right.addScaled(planes[2]!, 0.3, -1)
        same(sums.read(new Float64Array(planes[0]!.length)), right.read())
      }
      kernels.reset()
    })
  })
}
