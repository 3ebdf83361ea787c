/**
 * The kernels of reference.ts in WASM SIMD128: one bit of difference is a bug here, never there. No fused multiply-add
 * and no relaxed SIMD exist in this module, so every machine computes the same.
 */
export { binary, choose, fill, unary } from './element-wise'
export { blockSum } from './block-sums'
export * from './exact'
export * from './kept-sums'
export * from './random'
export * from './selection'
export * from './sort'
export { decodeBf16, decodeF16, decodeF32 } from './decode'
export { encodeBf16, encodeF16, encodeF32 } from './encode'
export { averageInSpan } from './average'
export { averageInF32, averageInInterval } from './average-few'
export { averageBesideMiddles } from './average-middles'
export { averageInParts } from './average-parts'
export { averageInRatio } from './average-ratio'
export { averageF16InInterval } from './average-f16'
export { averageF16InF32 } from './average-f16-whole'
export * from './average-f32'
export { averageF32InInterval } from './average-f32-interval'
export { averageAnyScales } from './average-any'
export { averageInLevels } from './two-levels'
export * from './census'
export { runProgram } from './program'

/** Where memory is free: below it lie this module's constants. */
export function heapBase(): usize {
  return __heap_base
}
