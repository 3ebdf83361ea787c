/** What every set of kernels owes of sums of planes: the value of the reals, rounded once. */
import { expect, test } from 'vitest'
import { exactSum } from '../../src/kernels/exact.ts'
import type { Kernels } from '../../src/kernels/kernels.ts'
import { referenceKernels as reference } from '../../src/kernels/reference.ts'
import { numbersFrom } from '../merge-strategies/world.ts'
import { cases, memoryOf, mix, type Plane, same } from './kernel-cases.ts'

export function describeSumsContract(kernels: Kernels<Plane>): void {
  const { held, own, equal } = memoryOf(kernels)

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

  test('[KRN-4] kept sums of many terms of all scales read the same whenever they are read, and nothing is left of what is taken away', () => {
    const next = numbersFrom(4)
    const length = 21
    const wide = (most: number) => (next() < 0.5 ? -1 : 1) * (1 + next()) * 2 ** Math.floor((next() - 0.5) * 2 * most)
    const planeOf = (most: number) => Float64Array.from({ length }, () => (next() < 0.1 ? -0 : wide(most)))
    const broken = planeOf(120)
    broken[3] = Infinity
    broken[20] = Number.NaN
    for (const [count, most] of [
      [70, 120],
      [150, 120],
      [9, 440],
      [9, 500],
    ] as const) {
      const [mine, right] = [kernels.exactSums(length), reference.exactSums(length)]
      const [other, otherRight] = [kernels.exactSums(length), reference.exactSums(length)]
      for (let round = 0; round < 2; round++) {
        const planes = Array.from({ length: count }, () => planeOf(most))
        const weights = planes.map((_, i) => (i % 3 === 0 ? planeOf(most) : undefined))
        const add = (sums: typeof mine, set: typeof kernels, i: number, sign: 1 | -1) => {
          const place = set === reference ? (plane: Plane) => plane : held
          const weight = weights[i]
          if (weight) sums.add(place(planes[i]!), place(weight), sign)
          else sums.addScaled(place(planes[i]!), i % 3 === 1 ? 1 : -0.731, sign)
        }
        for (let i = 0; i < count; i++) {
          add(i % 5 === 4 ? other : mine, kernels, i, 1)
          add(i % 5 === 4 ? otherRight : right, reference, i, 1)
          if (i % 11 === 6) same(mine.read(), right.read())
        }
        mine.addScaled(held(broken), 1, 1)
        right.addScaled(broken, 1, 1)
        same(mine.read(), right.read())
        mine.merge(other)
        right.merge(otherRight)
        mine.addScaled(held(broken), 1, -1)
        right.addScaled(broken, 1, -1)
        same(mine.read(), right.read())
        for (let i = 0; i < count; i++) add(mine, kernels, i, -1)
        expect(mine.read().every((value) => Object.is(value, 0))).toBe(true)
        for (const sums of [mine, right, other, otherRight]) sums.clear()
      }
      kernels.reset()
    }
  })

  test('[KRN-91] terms that are kept as they are make zeros that are +0, and are seen again to be few', () => {
    const sums = kernels.exactSums(16)
    const planes = Array.from({ length: 16 }, (_, i) => Float64Array.from({ length: 16 }, () => 2 ** (-60 * i)))
    for (const plane of planes) sums.addScaled(held(plane), 1, 1)
    const zeros = held(new Float64Array(16).fill(-0))
    for (const count of [1, 2, 3, 4, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]) {
      sums.clear()
      for (let i = 0; i < count; i++) sums.addScaled(zeros, 1, 1)
      expect(sums.read().every((value) => Object.is(value, 0))).toBe(true)
      sums.addScaled(held(planes[0]!), count, 1)
      same(sums.read(), new Float64Array(16).fill(count))
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
}
