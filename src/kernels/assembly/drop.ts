/** Planes of f32 without what a random mask leaves out. A mask is bits, one an element, in the order of elements. */
import { kept, limitOf, setBlocks, setKey } from './philox'

/** Which random words are below `below`; `first` is a multiple of 32, and all have one high word of the counter. Whole words of 32 bits are written. */
export function draw(keyLow: i32, keyHigh: i32, first: f64, below: i32, out: usize, n: i32): void {
  setKey(keyLow, keyHigh)
  const limit = limitOf(below)
  let block = <u64>first >> 2
  setBlocks(block)
  for (let left = n; left > 0; left -= 32) {
    store<u32>(out, kept(block, limit))
    block += 8
    out += 4
  }
}

/** The bits of a word, four by four: loaded where they are used, for the compiler makes a constant again in every turn. */
const bits: usize = memory.data(128, 16)
for (let bit: usize = 0; bit < 32; bit++) store<u32>(bits + (bit << 2), 1 << <u32>bit)

/** Four elements where bits `bit` … `bit` + 3 of the word are set, else 0. */
@inline
function pickFour(word: v128, bit: usize, a: usize, out: usize): void {
  const own = v128.load(bits + (bit << 2))
  v128.store(out, v128.and(v128.load(a), i32x4.eq(v128.and(word, own), own)))
}

/** 0 but where the mask has a bit. Rows of sixteen are whole. */
export function pick(mask: usize, a: usize, out: usize, n: i32): void {
  for (let left = n; left > 0; left -= 32) {
    const word = v128.load_splat<u32>(mask)
    pickFour(word, 0, a, out)
    pickFour(word, 4, a + 16, out + 16)
    pickFour(word, 8, a + 32, out + 32)
    pickFour(word, 12, a + 48, out + 48)
    if (left <= 16) return
    pickFour(word, 16, a + 64, out + 64)
    pickFour(word, 20, a + 80, out + 80)
    pickFour(word, 24, a + 96, out + 96)
    pickFour(word, 28, a + 112, out + 112)
    mask += 4
    a += 128
    out += 128
  }
}

/** The mask of a strip that is not kept. */
const mask: usize = memory.data(64, 16)

/** 0 but where the random word is below `below`. */
export function drop(keyLow: i32, keyHigh: i32, first: f64, below: i32, a: usize, out: usize, n: i32): void {
  draw(keyLow, keyHigh, first, below, mask, n)
  pick(mask, a, out, n)
}
