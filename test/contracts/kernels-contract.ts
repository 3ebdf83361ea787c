/** What every set of kernels owes: the bits of the reference, on numbers chosen to hurt, at every length and place. */
import { describe, expect, test } from 'vitest'
import { BINARIES, COMPARES, UNARIES } from '../../src/core/graph-words.ts'
import type { Kernels } from '../../src/kernels/kernels.ts'
import { BLOCK, type BlockSum, KEY_MAX } from '../../src/kernels/measures.ts'
import { referenceKernels as reference } from '../../src/kernels/reference.ts'
import type { Dtype } from '../../src/tensors/dtypes.ts'
import { numbersFrom } from '../merge-strategies/world.ts'
import { describeAveragesContract } from './averages-contract.ts'
import { cases, memoryOf, mix, type Plane, same, SPECIAL } from './kernel-cases.ts'
import { describeSumsContract } from './sums-contract.ts'

const BLOCK_SUMS: readonly BlockSum[] = ['sum', 'l1', 'l2', 'dot', 'squaredDistance']
const rowOf = (counts: Uint32Array) => Buffer.from(counts.buffer, counts.byteOffset, counts.byteLength)

export function describeKernelsContract(name: string, make: () => Kernels<Plane>): void {
  const kernels = make()
  const { held, bytesOf, own, equal } = memoryOf(kernels)
  type Op = (k: Kernels<Plane>, planes: readonly Plane[]) => Plane

  describe(name, () => {
    describeSumsContract(kernels)
    describeAveragesContract(name, kernels)

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

    test('[KRN-9] buffers are zeros, also those that were given out before', () => {
      kernels.reset()
      kernels.fill(100, 7, kernels.allocate(100))
      kernels.reset()
      expect(
        [...kernels.allocate(50), ...kernels.allocateBytes(99), ...kernels.allocateCounts(60)].every((x) => x === 0),
      ).toBe(true)
      kernels.reset()
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
