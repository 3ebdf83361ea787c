/**
 * What each word of a graph does to the elements. One loop a word, written out: a loop that calls a function for each
 * element is ten times slower once it has met several.
 */
import type { Binary, Compare, Unary } from '../core/graph-words.ts'
import type { BlockSum } from './measures.ts'

type Plane = Float64Array

export const BINARY: Readonly<Record<Binary, (a: Plane, b: Plane, out: Plane) => void>> = {
  plus(a, b, out) {
    for (let i = 0; i < a.length; i++) out[i] = a[i]! + b[i]!
  },
  minus(a, b, out) {
    for (let i = 0; i < a.length; i++) out[i] = a[i]! - b[i]!
  },
  times(a, b, out) {
    for (let i = 0; i < a.length; i++) out[i] = a[i]! * b[i]!
  },
  over(a, b, out) {
    for (let i = 0; i < a.length; i++) out[i] = a[i]! / b[i]!
  },
  min(a, b, out) {
    for (let i = 0; i < a.length; i++) out[i] = b[i]! < a[i]! ? b[i]! : a[i]!
  },
  max(a, b, out) {
    for (let i = 0; i < a.length; i++) out[i] = b[i]! > a[i]! ? b[i]! : a[i]!
  },
}

export const UNARY: Readonly<Record<Unary, (a: Plane, out: Plane) => void>> = {
  abs(a, out) {
    for (let i = 0; i < a.length; i++) out[i] = Math.abs(a[i]!)
  },
  sqrt(a, out) {
    for (let i = 0; i < a.length; i++) out[i] = Math.sqrt(a[i]!) // one operation of IEEE 754, like the four above
  },
  f32(a, out) {
    for (let i = 0; i < a.length; i++) out[i] = Math.fround(a[i]!)
  },
}

export const COMPARE: Readonly<Record<Compare, (a: Plane, b: Plane, out: Plane) => void>> = {
  above(a, b, out) {
    for (let i = 0; i < a.length; i++) out[i] = a[i]! > b[i]! ? 1 : 0
  },
  atLeast(a, b, out) {
    for (let i = 0; i < a.length; i++) out[i] = a[i]! >= b[i]! ? 1 : 0
  },
}

/** Adds a block's terms into eight lanes. */
export const BLOCK_SUM: Readonly<Record<BlockSum, (a: Plane, b: Plane, lane: Plane) => void>> = {
  sum(a, _, lane) {
    for (let i = 0; i < a.length; i++) lane[i & 7]! += a[i]!
  },
  l1(a, _, lane) {
    for (let i = 0; i < a.length; i++) lane[i & 7]! += Math.abs(a[i]!)
  },
  l2(a, _, lane) {
    for (let i = 0; i < a.length; i++) lane[i & 7]! += a[i]! * a[i]!
  },
  dot(a, b, lane) {
    for (let i = 0; i < a.length; i++) lane[i & 7]! += a[i]! * b[i]!
  },
  squaredDistance(a, b, lane) {
    for (let i = 0; i < a.length; i++) lane[i & 7]! += (a[i]! - b[i]!) * (a[i]! - b[i]!)
  },
}
