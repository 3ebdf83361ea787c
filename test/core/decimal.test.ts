import { inspect } from 'node:util'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import * as decimal from '../../src/core/decimal.ts'
import { golden } from '../support/golden.ts'
import { refusalOf } from '../support/refusal.ts'

interface Vectors {
  decimals: { f64: string; text: string }[]
  weights: { f32: string; text: string }[]
}
const f64Of = (bits: string): number => Buffer.from(bits, 'hex').readDoubleBE()
const f32Of = (bits: string): number => Buffer.from(bits, 'hex').readFloatBE()
const f32 = fc.integer({ min: 0, max: 0xffffffff }).map((bits) => f32Of(bits.toString(16).padStart(8, '0')))
const finite = f32.filter(Number.isFinite)

test('[DEC-1] a decimal is spelled as ECMAScript spells the f64, also where Python works it out', () => {
  for (const { f64, text } of golden<Vectors>('identity').decimals) {
    expect(decimal.printDecimal(f64Of(f64))).toBe(text)
    expect(decimal.checkDecimal(text)).toBe(f64Of(f64) + 0)
  }
})

test('[DEC-1] every finite f64 has one spelling, which reads back to it', () => {
  const doubles = fc.double({ noNaN: true, noDefaultInfinity: true })
  fc.assert(
    fc.property(doubles, (x) => {
      const text = decimal.printDecimal(x)
      expect(text).toBe(String(x + 0))
      expect(decimal.checkDecimal(text)).toBe(x === 0 ? 0 : x)
    }),
    { seed: 1, numRuns: 2_000 },
  )
})

test('[DEC-1] zero has no sign', () => {
  expect(decimal.printDecimal(-0)).toBe('0')
  expect(decimal.parseDecimal('-0')).toBe(0) // toBe tells -0 from 0
  expect(decimal.parseDecimal(-0)).toBe(0)
  expect(decimal.printWeight(-0)).toBe('0')
  expect(decimal.parseWeight('-1e-60')).toBe(0)
})

test('[DEC-2] what people write may be a number or its text, in any of JSON’s spellings', () => {
  for (const given of [0.25, '0.25', '25e-2', '0.250', '2.5E-1']) expect(decimal.parseDecimal(given)).toBe(0.25)
  expect(decimal.parseDecimal('1e-400')).toBe(0)
})

test('[DEC-2] text of a decimal has 64 characters at most', () => {
  const longest = `0.${'1'.repeat(62)}`
  expect(decimal.parseDecimal(longest)).toBe(0.1111111111111111)
  expect(refusalOf(() => decimal.parseDecimal(`${longest}1`)).code).toBe('DECIMAL_INVALID')
})

const refused = ['', ' 1', '1 ', '+1', '.5', '5.', '01', '0x10', '1_000', '1,5', 'NaN', 'Infinity', '-', '1e', '٣']
const never: unknown[] = [...refused, '1e400', NaN, Infinity, null, undefined, true, [], {}, 1n, `0.${'1'.repeat(70)}`]
test.each(never.map((given) => [inspect(given), given]))('[DEC-2] %s is no decimal', (_, given) => {
  const error = refusalOf(() => decimal.parseDecimal(given))
  expect(error.code).toBe('DECIMAL_INVALID')
  expect(error.hint).toContain('0.25')
  expect(error.message.length).toBeLessThan(160)
})

test.each(['1.0', '0.50', '1e0', '1E21', '1e+2', '100000000000000000000000', '-0', '0.0000001', '1e21', '.5'])(
  '[DEC-3] a hashed record does not say %s',
  (text) => {
    expect(refusalOf(() => decimal.checkDecimal(text)).code).toMatch(/^(NOT_CANONICAL|DECIMAL_INVALID)$/)
  },
)

test('[DEC-3] a spelling that is not the one names the one', () => {
  expect(refusalOf(() => decimal.checkDecimal('1.0')).message).toBe('the decimal "1.0" is spelled 1')
  expect(refusalOf(() => decimal.checkWeight('0.10')).message).toBe('the weight "0.10" is spelled 0.1')
  expect(refusalOf(() => decimal.checkWeight('0.10000000149011612')).message).toContain('is spelled 0.1')
})

test('[DEC-4] a weight is read as f64 and rounded once to f32', () => {
  expect(decimal.parseWeight('0.1')).toBe(Math.fround(0.1))
  expect(decimal.parseWeight(1 / 3)).toBe(Math.fround(1 / 3))
  // just above the middle between 1 and its f32 neighbour, but the middle itself as an f64: one rounding each, ties to even
  expect(decimal.parseWeight('1.00000005960464477540')).toBe(1)
  expect(decimal.parseWeight('1.0000000596046449')).toBe(1.0000001192092896)
  for (const large of ['3.5e38', '-1e39', 1e300]) {
    const error = refusalOf(() => decimal.parseWeight(large))
    expect(error.code).toBe('DECIMAL_INVALID')
    expect(error.message).toContain('f32')
  }
})

test('[DEC-5] a weight is spelled by the fewest digits that give it back, as Python works it out', () => {
  for (const { f32: bits, text } of golden<Vectors>('identity').weights) {
    expect(decimal.printWeight(f32Of(bits))).toBe(text)
    expect(decimal.checkWeight(text)).toBe(f32Of(bits) + 0)
  }
})

test('[DEC-5] the digits are the first of one to nine that round back to the weight', () => {
  fc.assert(
    fc.property(finite, (weight) => {
      const text = decimal.printWeight(weight)
      expect(decimal.checkWeight(text)).toBe(weight === 0 ? 0 : weight)
      const digits = text.replace(/e.*/, '').replace(/[-.]/g, '').replace(/^0+/, '').replace(/0+$/, '').length
      expect(digits).toBeLessThanOrEqual(9)
      for (let fewer = 1; fewer < digits; fewer++)
        expect(Math.fround(Number(weight.toPrecision(fewer)))).not.toBe(weight)
    }),
    { seed: 5, numRuns: 3_000 },
  )
})

test('[DEC-5] of two equally near spellings the one farther from zero is taken', () => {
  expect(decimal.printWeight(2097152.25)).toBe('2097152.3')
  expect(decimal.printWeight(-2097152.25)).toBe('-2097152.3')
})

test('[DEC-5] what is not a finite f32 has no spelling as a weight', () => {
  for (const bad of [NaN, Infinity, -Infinity, 1 / 3, 1e300])
    expect(refusalOf(() => decimal.printWeight(bad)).code).toBe('DECIMAL_INVALID')
  expect(refusalOf(() => decimal.printDecimal(NaN)).code).toBe('DECIMAL_INVALID')
})
