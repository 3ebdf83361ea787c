/** What average-plan.ts found out before an element was seen, as it lies in memory. */

/** Greatest difference of two codes at which no partial sum in f64 can round. */
@inline
export function spanOf(plan: usize): i32 {
  return load<i32>(plan)
}
/** How far the first level's constant lies above the exponent field of the greatest element. */
@inline
export function headOf(plan: usize): i32 {
  return load<i32>(plan, 4)
}
/** How many binades below the greatest the first level takes elements whole. */
@inline
export function dropOf(plan: usize): i32 {
  return load<i32>(plan, 8)
}
/** From the exponent field of the greatest to the highest that the second level can need. */
@inline
export function nextOf(plan: usize): i32 {
  return load<i32>(plan, 12)
}
/** Where the weights of an interval, or of sums in f32, lie. */
@inline
export function scaledOf(plan: usize): usize {
  return <usize>load<u32>(plan, 16)
}
/** Greatest difference of two codes at which no partial sum in f32 can round. */
@inline
export function narrowOf(plan: usize): v128 {
  return v128.load_splat<u16>(plan, 20)
}
/** How far off an interval can be, per unit of the greatest magnitude. */
@inline
export function errorOf(plan: usize): f64 {
  return load<f64>(plan, 24)
}
/** The same in last places of an f64 that is at least 2⁻¹² of the greatest magnitude; shifted left by three. */
@inline
export function placesOf(plan: usize): i32 {
  return load<i32>(plan, 32)
}
/** The same for f16, of which one is at least 2⁻¹⁰ of the greatest magnitude, and not shifted. */
@inline
export function codePlacesOf(plan: usize): i64 {
  return load<i32>(plan, 32)
}
/** Where the parts of the weights lie: of each, one of sixteen bits, and the rest. */
@inline
export function partsOf(plan: usize): usize {
  return <usize>load<u32>(plan, 36)
}
/** From the exponent field of the greatest element to the code of the constant that first parts are added to. */
@inline
export function partsHeadOf(plan: usize): v128 {
  return v128.load_splat<u16>(plan, 40)
}
/** How many codes below the greatest element a result may lie that the parts can prove. */
@inline
export function reachOf(plan: usize): v128 {
  return v128.load_splat<u16>(plan, 44)
}
/** How far off the sum of both parts can be, per unit of that constant. */
@inline
export function partsErrorOf(plan: usize): v128 {
  return v128.load_splat<u32>(plan, 48)
}
/** How far off an interval in f32 can be, per unit of the greatest magnitude. */
@inline
export function errorInF32Of(plan: usize): v128 {
  return v128.load_splat<u32>(plan, 52)
}
/** What goes with the weights of sums in f32. */
@inline
export function divisorInF32Of(plan: usize): v128 {
  return v128.load_splat<u32>(plan, 56)
}
/** Whether there are any, so that weights are, or nearly are, as small whole numbers. */
@inline
export function areWhole(plan: usize): bool {
  return load<f32>(plan, 56) != 0
}
/** How far below the greatest element an f64 sum is sure enough beside the middles of two codes, in places of those. */
@inline
export function middleReachOf(plan: usize): i32 {
  return load<i32>(plan, 60)
}
/** No product is smaller, unless it is zero. */
@inline
export function leastOf(plan: usize): f64 {
  return load<f64>(plan, 64)
}
/** The greatest weight. */
@inline
export function greatestOf(plan: usize): f64 {
  return load<f64>(plan, 72)
}
/** Whether products may have more than the 48 bits of two f32. */
@inline
export function isWide(plan: usize): bool {
  return load<i32>(plan, 88) != 0
}
/** Whether no product has more than 32 bits. */
@inline
export function isNarrow(plan: usize): bool {
  return load<i32>(plan, 112) != 0
}
/** How far off an f64 sum can be, per unit of the greatest magnitude. */
@inline
export function sumErrorOf(plan: usize): f64 {
  return load<f64>(plan, 80)
}
/** How many codes below the greatest element a quotient of whole sums may lie. */
@inline
export function ratioReachOf(plan: usize): v128 {
  return v128.load_splat<u16>(plan, 96)
}
/** How many codes below the greatest element what such quotients leave out is known no better than to its sign. */
@inline
export function ratioDoubtOf(plan: usize): v128 {
  return v128.load_splat<u16>(plan, 100)
}
/** As how many rows of codes, each doubled or not, weights of a small whole sum can be sorted; 0 where they can't. */
@inline
export function rowCountOf(plan: usize): i32 {
  return load<i32>(plan, 92)
}
/** What a sum of such rows is multiplied by. */
@inline
export function rowScaleOf(plan: usize): f64 {
  return load<f64>(plan, 104)
}
/** Whether such a sum can be divided by what `rowDivisorOf` answers, without a scale. */
@inline
export function isDivisorShort(plan: usize): bool {
  return load<f32>(plan, 116) != 0
}
/** The divisor of a sum of such rows, of at most 15 bits, from 1 to 2¹³; and its inverse, rounded. */
@inline
export function rowDivisorOf(plan: usize): v128 {
  return v128.load_splat<u32>(plan, 116)
}
@inline
export function rowInverseOf(plan: usize): v128 {
  return v128.load_splat<u32>(plan, 120)
}
/** The stream of a row in the upper bits, how often it is doubled in four, and in the last whether its sign is turned. */
@inline
export function rowOf(plan: usize, row: i32): i32 {
  return load<i32>(plan + (<usize>row << 2), 128)
}
