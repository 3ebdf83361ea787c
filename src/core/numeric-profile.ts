/**
 * The name of every rule that decides output bits: decoding, exact sums, order of operations, rounding. Hashed into each
 * merge id; changing any bit of any output means another name here or another version of a strategy.
 */
export const NUMERIC_PROFILE = 'exact-f64/1'
