/** The words a recorded formula is made of: what strategies say, the engine plans and the kernels compute. */

/** max(a, b) is a unless b > a, min(a, b) is a unless b < a: the first one stays on a tie, and between the two zeros. */
export const BINARIES = ['plus', 'minus', 'times', 'over', 'min', 'max'] as const
export type Binary = (typeof BINARIES)[number]

/** `f32` rounds once, half to even. */
export const UNARIES = ['abs', 'sqrt', 'f32'] as const
export type Unary = (typeof UNARIES)[number]

/** `above` is >, `atLeast` is >=; neither holds for NaN. */
export const COMPARES = ['above', 'atLeast'] as const
export type Compare = (typeof COMPARES)[number]

/** `l2` is the sum of squares while it is being summed; whoever asked for the norm takes one root at the end. */
export const REDUCTIONS = ['sum', 'l1', 'l2', 'dot'] as const
export type Reduction = (typeof REDUCTIONS)[number]
