/** Masks of the random words below a probability. */
import { row, setKey, words } from './philox'

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

/** Elements first … first + n − 1, of which `first` is a whole number below 2⁵³. */
export function keep(keyLow: i32, keyHigh: i32, first: f64, probability: usize, out: usize, n: i32): void {
  let index = <u64>first
  const end = index + <u64>n
  setKey(keyLow, keyHigh)
  let base = index & ~15 // sixteen elements at a time, whole blocks
  for (; base < end; base += 16) {
    row(base >> 2)
    if (base >= index && base + 16 <= end) {
      const w0 = v128.load(words)
      const w1 = v128.load(words, 16)
      const w2 = v128.load(words, 32)
      const w3 = v128.load(words, 48)
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
      for (let i: u64 = max(base, index); i < min(base + 16, end); i++) {
        const word = v128.load_zero<u32>(words + (<usize>(i - base) << 2))
        v128.store_lane<u64>(out, kept(word, v128.load_zero<u64>(probability)), 0)
        out += 8
        probability += 8
      }
    }
  }
}
