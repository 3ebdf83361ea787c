/** What every set of kernels owes of averages from bytes to bytes: the bits of their parts, or a refusal. */
import { describe, expect, test } from 'vitest'
import { exactSum } from '../../src/kernels/exact.ts'
import type { Kernels } from '../../src/kernels/kernels.ts'
import { referenceKernels as reference } from '../../src/kernels/reference.ts'
import { numbersFrom } from '../merge-strategies/world.ts'
import { memoryOf, mix, type Plane, same } from './kernel-cases.ts'

export function describeAveragesContract(name: string, kernels: Kernels<Plane>): void {
  const { held, bytesOf } = memoryOf(kernels)

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
      'of more bits than f32': (k) => Array.from({ length: k }, (_, i) => (i === 1 ? -1 : 1) * Math.sqrt(i + 1.37)),
      'of more bits, far apart': (k) =>
        Array.from({ length: k }, (_, i) => Math.sqrt(2) * 2 ** ((((i + 1) * 37) % 60) - 30)),
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
        [0.3, 0.7],
        [0.85, -0.15],
        [1 / 7, 4 / 7, 2 / 7],
        Array.from({ length: 17 }, (_, i) => 0.01 * (i + 1)),
        [18000, 12000, 30000],
        [-3 * 2 ** 20, 2 ** 21, 5 * 2 ** 20],
        [17, 3, 44],
        [0.3, 0.5, -0.8, 0.1],
      ].map((weights) => weights.map(Math.fround))
      // an arc's shares, and thirds
      close.push(
        [0.3, 0.5, 0.2 / 3],
        [1 / 3, 1 / 3, 1 / 3, 1e-9],
        Array.from({ length: 17 }, (_, i) => 0.01 / (i + 1)),
      )
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

    test('[KRN-13] weights near whole numbers: a middle that a term far below decides, and sums of next to nothing', () => {
      const tenths = [0.3, 0.5, 0.2].map(Math.fround)
      const columns: (readonly number[])[] = []
      for (let down = -1; down <= (dtype === 'F16' ? 20 : 40); down++)
        for (const sign of [-1, 1]) {
          const far = sign * 2 ** -down
          // 3 a + 5 b is an odd multiple of five
          for (const a of [200, 220, 250]) for (const b of [161, 187, 255]) columns.push([a, b, far])
          columns.push([5 * 16, -3 * 16, far], [5, -3, 0], [far, 0, 0], [250, far, 255])
        }
      const streams = tenths.map((_, j) => {
        const bytes = new Uint8Array(size * columns.length)
        reference.encode(
          dtype,
          Float64Array.from(columns, (all) => all[j]!),
          bytes,
        )
        return bytes
      })
      const total = tenths.reduce((sum, weight) => sum + weight, 0)
      for (const divisor of [total, 1, -total]) check(streams, tenths, divisor)
      for (const weights of [
        tenths,
        [0.1, 0.6, 0.3].map(Math.fround),
        [1, 1, 1],
        [2, 1, 1],
        [0.7, 0.9, 0.5].map(Math.fround),
      ])
        for (const order of [
          [1, 2, 0],
          [2, 0, 1],
        ])
          check(
            order.map((j) => streams[j]!),
            weights,
            weights.reduce((sum, weight) => sum + weight, 0),
          )
    })

    test('[KRN-13] an average of negative zeros is +0', () => {
      const zeros = new Uint8Array(40 * size)
      for (let i = 0; i < 40; i++) zeros[(i + 1) * size - 1] = 0x80
      for (const weights of [
        [1],
        [1, 1],
        [1, 1, 1],
        [2, 1, 1],
        [0.3, 0.5, 0.2],
        [0.3, 0.7],
        [0.7, 0.9, 0.5],
        [0.7, 0.9],
      ])
        check(
          weights.map(() => zeros),
          weights.map(Math.fround),
          1,
        )
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
          for (const weights of [...alike, Array<number>(k).fill(1 / 3), inPairs]) {
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

    test('[KRN-13] weights so small or large that products are lost are left to the parts', () => {
      const streams = [new Uint8Array(8 * size), new Uint8Array(8 * size)]
      for (const weight of [Math.SQRT2 * 2 ** -201, Math.SQRT2 * 2 ** 200, Infinity, Number.NaN])
        expect(kernels.average(dtype, streams.map(bytesOf), [1, weight], 1, kernels.allocateBytes(8 * size))).toBe(
          false,
        )
      expect(check(streams, [1, Math.SQRT2 * 2 ** -200], 1)).toBe(name === 'WASM')
      expect(check(streams, [1, -(2 ** 200)], 1)).toBe(name === 'WASM')
    })

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

    test.each([4, 6, 13, 16, 40, 64])('[KRN-94] %i terms, each where the last place of a sum ends, many alike', (k) => {
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
    })

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
}
