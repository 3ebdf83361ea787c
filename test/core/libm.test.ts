import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { math, TURN_MAX } from '../../src/core/libm.ts'

const { NaN, MIN_VALUE, MAX_VALUE } = Number
type Name = Exclude<keyof typeof math, 'sqrt'>
type Row = readonly [x: number, near: number, rest: number]
const vectors = JSON.parse(readFileSync(new URL('../golden/vectors/libm.json', import.meta.url), 'utf8')) as Record<
  Name,
  readonly Row[]
>

/** The distance from a normal number's magnitude to the next one up. */
function ulp(x: number): number {
  const cell = new DataView(new ArrayBuffer(8))
  cell.setFloat64(0, Math.abs(x))
  cell.setBigUint64(0, cell.getBigUint64(0) + 1n)
  return cell.getFloat64(0) - Math.abs(x)
}

// A function that is added does not compile until it has rows here.
const EDGES: Record<Name, readonly (readonly [x: number, y: number])[]> = {
  sin: [
    [0, 0],
    [-0, -0],
    [MIN_VALUE, MIN_VALUE],
    [2 ** -30, 2 ** -30],
    [TURN_MAX, 0.3304931400217347],
    [-TURN_MAX, -0.3304931400217347],
    [TURN_MAX * (1 + 2 ** -52), NaN],
    [Infinity, NaN],
    [NaN, NaN],
  ],
  cos: [
    [0, 1],
    [-0, 1],
    [MIN_VALUE, 1],
    [TURN_MAX, 0.943808393901312],
    [-TURN_MAX * (1 + 2 ** -52), NaN],
    [-Infinity, NaN],
    [NaN, NaN],
  ],
  acos: [
    [1, 0],
    [-1, 3.141592653589793],
    [0, 1.5707963267948966],
    [-0, 1.5707963267948966],
    [0.5, 1.0471975511965979],
    [1 + 2 ** -52, NaN],
    [-1 - 2 ** -52, NaN],
    [Infinity, NaN],
    [NaN, NaN],
  ],
  exp: [
    [0, 1],
    [-0, 1],
    [1, 2.718281828459045],
    [709.782712893384, 1.7976931348622732e308],
    [709.7827128933841, Infinity],
    [Infinity, Infinity],
    [-745.1332191019411, MIN_VALUE],
    [-745.1332191019412, 0],
    [-Infinity, 0],
    [NaN, NaN],
  ],
  log: [
    [1, 0],
    [0, -Infinity],
    [-0, -Infinity],
    [-1, NaN],
    [MIN_VALUE, -744.4400719213812],
    [2 ** -1023, -709.0895657128241],
    [MAX_VALUE, 709.782712893384],
    [Infinity, Infinity],
    [NaN, NaN],
  ],
  tanh: [
    [0, 0],
    [-0, -0],
    [MIN_VALUE, MIN_VALUE],
    [20, 1],
    [-1e300, -1],
    [Infinity, 1],
    [-Infinity, -1],
    [NaN, NaN],
  ],
}
const names = Object.keys(EDGES) as Name[]

describe.each(names)('%s', (name) => {
  test('[NUM-14] is at most one unit in the last place from the truth', () => {
    const off = vectors[name].map(([x, near, rest]) => Math.abs(math[name](x) - near - rest) / ulp(near))
    expect(off.length).toBeGreaterThan(100)
    expect(Math.max(...off)).toBeLessThanOrEqual(1)
  })

  test.each(EDGES[name])('[NUM-15] of %d is %d', (x, y) => {
    expect(math[name](x)).toBe(y)
  })
})

/** SHA-256 over the little-endian bits of results; whoever changes one bit needs a new numeric profile. */
const PINNED: Record<Name, readonly [from: number, to: number, digest: string]> = {
  sin: [-20, 20, '434ddc46bc2b130e3cf13315ad8fd9b52eca30590a30ad93099663c2aef3394a'],
  cos: [-20, 20, '6f75354a9b929418925e7fc42251c007c549888266415f7a19a54f6e8578d007'],
  acos: [-1, 1, '0ac74f5d49febb79997f11c1e83eebef508e2ff8c60ede489bc4f0dea4dd321c'],
  exp: [-30, 30, '7d88282c90efe735a8a11867f741dd7d63be0931e9c77d351962a449cda2053b'],
  log: [2 ** -20, 3, '8abb533b1acfb53ed19f44c75cc7d1f96e42944f7150da51fb3e0c06a4105613'],
  tanh: [-4, 4, '008eef182e77cb72fcbf6a75f633213344923e27b42ab364fd3224f7ad46a989'],
}

test.each(names)('[NUM-16] every bit of %s is pinned', (name) => {
  const [from, to, digest] = PINNED[name]
  const bytes = new DataView(new ArrayBuffer(8 * 4096))
  for (let i = 0; i < 4096; i++) bytes.setFloat64(8 * i, math[name](from + ((to - from) * i) / 4095), true)
  expect(createHash('sha256').update(new Uint8Array(bytes.buffer)).digest('hex')).toBe(digest)
})

test('[NUM-15] sqrt is one operation of IEEE 754', () => {
  expect([2, 4, 0, -0, -1, MIN_VALUE].map(math.sqrt)).toEqual([1.4142135623730951, 2, 0, -0, NaN, 2 ** -537])
})
