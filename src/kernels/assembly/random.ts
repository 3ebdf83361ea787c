/** Philox4x32-10 for four blocks at a time, and the mask of the words below a probability. */

@inline const M0: i32 = <i32>0xd2511f53
@inline const M1: i32 = <i32>0xcd9e8d57
@inline const W0: i32 = <i32>0x9e3779b9
@inline const W1: i32 = <i32>0xbb67ae85

/** Low words of two pairs of 64-bit products. */
@inline
function lows(first: v128, second: v128): v128 {
  return v128.shuffle<i32>(first, second, 0, 2, 4, 6)
}
@inline
function highs(first: v128, second: v128): v128 {
  return v128.shuffle<i32>(first, second, 1, 3, 5, 7)
}

/** round(q · 2³²), half to even, between 0 and 2³²; 0 for NaN. */
@inline
function below(probability: v128): v128 {
  const positive = f64x2.gt(probability, f64x2.splat(0))
  const scaled = f64x2.mul(f64x2.pmin(f64x2.splat(1), probability), f64x2.splat(4294967296))
  const magic = f64x2.splat(4503599627370496)
  return v128.and(positive, f64x2.sub(f64x2.add(scaled, magic), magic))
}

/** A mask of the low two of these words. */
@inline
function kept(words: v128, probability: v128): v128 {
  return v128.and(f64x2.lt(f64x2.convert_low_i32x4_u(words), below(probability)), f64x2.splat(1))
}

/** Scratch for sixteen words, where a row of four blocks is cut. */
const words: usize = memory.data(64)

/** Elements first … first + n − 1, of which `first` is a whole number below 2⁵³. */
export function keep(keyLow: i32, keyHigh: i32, first: f64, probability: usize, out: usize, n: i32): void {
  let index = <u64>first
  const end = index + <u64>n
  const m0 = i32x4.splat(M0)
  const m1 = i32x4.splat(M1)
  let base = index & ~15 // sixteen elements at a time, whole blocks
  for (; base < end; base += 16) {
    const block = base >> 2
    let c0 = i32x4.add(i32x4.splat(<i32>block), i32x4(0, 1, 2, 3)) // a row of four begins at a multiple of four: no carry
    let c1 = i32x4.splat(<i32>(block >> 32))
    let c2 = i32x4.splat(0)
    let c3 = i32x4.splat(0)
    let k0 = keyLow
    let k1 = keyHigh
    for (let round = 0; round < 10; round++) {
      const p0 = i64x2.extmul_low_i32x4_u(m0, c0)
      const p1 = i64x2.extmul_high_i32x4_u(m0, c0)
      const q0 = i64x2.extmul_low_i32x4_u(m1, c2)
      const q1 = i64x2.extmul_high_i32x4_u(m1, c2)
      c0 = v128.xor(v128.xor(highs(q0, q1), c1), i32x4.splat(k0))
      c1 = lows(q0, q1)
      c2 = v128.xor(v128.xor(highs(p0, p1), c3), i32x4.splat(k1))
      c3 = lows(p0, p1)
      k0 += W0
      k1 += W1
    }
    // from one vector a word of four blocks to one vector a block of four words
    const a = v128.shuffle<i32>(c0, c1, 0, 4, 1, 5)
    const b = v128.shuffle<i32>(c2, c3, 0, 4, 1, 5)
    const c = v128.shuffle<i32>(c0, c1, 2, 6, 3, 7)
    const d = v128.shuffle<i32>(c2, c3, 2, 6, 3, 7)
    const w0 = v128.shuffle<i64>(a, b, 0, 2)
    const w1 = v128.shuffle<i64>(a, b, 1, 3)
    const w2 = v128.shuffle<i64>(c, d, 0, 2)
    const w3 = v128.shuffle<i64>(c, d, 1, 3)
    if (base >= index && base + 16 <= end) {
      v128.store(out, kept(w0, v128.load(probability)))
      v128.store(out, kept(v128.shuffle<i64>(w0, w0, 1, 0), v128.load(probability, 16)), 16)
      v128.store(out, kept(w1, v128.load(probability, 32)), 32)
      v128.store(out, kept(v128.shuffle<i64>(w1, w1, 1, 0), v128.load(probability, 48)), 48)
      v128.store(out, kept(w2, v128.load(probability, 64)), 64)
      v128.store(out, kept(v128.shuffle<i64>(w2, w2, 1, 0), v128.load(probability, 80)), 80)
      v128.store(out, kept(w3, v128.load(probability, 96)), 96)
      v128.store(out, kept(v128.shuffle<i64>(w3, w3, 1, 0), v128.load(probability, 112)), 112)
      out += 128
      probability += 128
    } else {
      v128.store(words, w0)
      v128.store(words, w1, 16)
      v128.store(words, w2, 32)
      v128.store(words, w3, 48)
      for (let i: u64 = max(base, index); i < min(base + 16, end); i++) {
        const word = v128.load_zero<u32>(words + (<usize>(i - base) << 2))
        v128.store_lane<u64>(out, kept(word, v128.load_zero<u64>(probability)), 0)
        out += 8
        probability += 8
      }
    }
  }
}
