/**
 * Averages from bytes to bytes held to arbitrary precision, element by element, on numbers chosen to hurt: for each dtype,
 * count of inputs and set of weights, every category interleaved and in blocks of 64 (interleaved ones leave most vectors
 * open, so only blocks try the proofs). `node scripts/verify-averages.mjs [ELEMENTS_PER_DTYPE] [SEED]`, after
 * `npm run build`; exits 1 at any difference.
 */
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const kernelsAt = join(dirname(dirname(fileURLToPath(import.meta.url))), 'dist', 'src', 'kernels')
const { createWasmKernels } = await import(join(kernelsAt, 'wasm.js'))
const { referenceKernels: reference } = await import(join(kernelsAt, 'reference.js'))
const { nearest, units } = await import(join(kernelsAt, 'exact.js'))

const [wanted = 2_000_000, seed = 1] = process.argv.slice(2).map(Number)
const BATCH = 4096
const COUNTS = [1, 2, 3, 4, 5, 6, 8, 12, 16, 24, 32, 48, 64]
const kernels = createWasmKernels()

let state = seed >>> 0
function word() {
  state = (state + 0x6d2b79f5) >>> 0
  let t = Math.imul(state ^ (state >>> 15), state | 1)
  t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
  return (t ^ (t >>> 14)) >>> 0
}
const uniform = () => word() / 2 ** 32
const below = (n) => Math.floor(uniform() * n)
const bell = () => uniform() + uniform() + uniform() + uniform() - 2

const FORMS = {
  BF16: { bytes: 2, mantissa: 7, top: 0x7f80 },
  F16: { bytes: 2, mantissa: 10, top: 0x7c00 },
  F32: { bytes: 4, mantissa: 23, top: 0x7f800000 },
}

/** Each answers the k codes of one element. */
function categoriesOf({ bytes, mantissa, top }) {
  const sign = 2 ** (8 * bytes - 1)
  const fraction = 2 ** mantissa
  const signed = (code) => (uniform() < 0.5 ? code : code + sign)
  const negated = (code) => (code >= sign ? code - sign : code + sign)
  const exponents = top / fraction
  const finite = () => signed(below(top))
  const bias = exponents >> 1
  const codeOf = (value) => {
    const out = new Uint8Array(bytes)
    reference.encode(bytes === 4 ? 'F32' : mantissa === 7 ? 'BF16' : 'F16', Float64Array.of(value), out)
    const cell = new DataView(out.buffer)
    return bytes === 4 ? cell.getUint32(0, true) : cell.getUint16(0, true)
  }
  const inBinade = (field) => signed(Math.max(0, Math.min(exponents - 1, field)) * fraction + below(fraction))
  const each = (make) => (k) => Array.from({ length: k }, make)
  const shuffled = (codes) => {
    for (let i = codes.length - 1; i > 0; i--) {
      const j = below(i + 1)
      ;[codes[i], codes[j]] = [codes[j], codes[i]]
    }
    return codes
  }
  return {
    'any finite bits': each(finite),
    gaussian: each(() => codeOf(bell() * 0.035)),
    subnormal: each(() => signed(below(fraction))),
    cancellation: (k) => {
      const base = inBinade(bias)
      return shuffled(Array.from({ length: k }, (_, i) => (i % 2 === 0 ? base : negated(base) ^ below(4))))
    },
    'one binade, full of ties': (k) => {
      const field = bias + below(5)
      return Array.from({ length: k }, () => inBinade(field))
    },
    'near-tie and a term far below': (k) => {
      const far = inBinade(below(bias))
      return shuffled(Array.from({ length: k }, (_, i) => (i === 0 ? far : inBinade(bias + 3))))
    },
    'pruned, both zeros': each(() => (uniform() < 0.6 ? signed(0) : codeOf(bell()))),
    'exact negations and a residue': (k) => {
      const codes = []
      while (codes.length + 2 <= k) {
        const one = finite()
        codes.push(one, negated(one))
      }
      if (codes.length < k) codes.push(uniform() < 0.3 ? signed(0) : inBinade(below(bias)))
      return shuffled(codes)
    },
    'scales apart that cancel': (k) => {
      const codes = []
      for (let field = exponents - 3; codes.length + 2 <= k; field -= 1 + below(exponents >> 3)) {
        const one = inBinade(Math.max(0, field))
        codes.push(one, negated(one))
      }
      if (codes.length < k) codes.push(signed(below(4)))
      return shuffled(codes)
    },
    'top and bottom edge': each(() => (uniform() < 0.5 ? inBinade(exponents - 1 - below(2)) : inBinade(below(3)))),
  }
}

const WEIGHTS = {
  equal: (k) => Array(k).fill(1),
  small: (k) => Array.from({ length: k }, (_, i) => (i % 3 === 1 ? 2 : 1)),
  halves: (k) => Array(k).fill(0.5),
  decimal: (k) => Array.from({ length: k }, (_, i) => [0.3, 0.5, 0.2, 0.07][i % 4]),
  random: (k) => Array.from({ length: k }, () => 0.05 + uniform()),
  counts: (k) => Array.from({ length: k }, (_, i) => [18000, 12000, 30000, 7][i % 4]),
  negative: (k) => Array.from({ length: k }, (_, i) => (i === 1 ? -0.4 : 0.9)),
  wide: (k) => Array.from({ length: k }, (_, i) => (i % 3 === 1 ? -1 : 1) * (1 + uniform()) * 2 ** (below(61) - 30)),
}

function check(dtype, form, codes, weights, length) {
  const k = weights.length
  kernels.reset()
  const streams = codes.map((list) => {
    const bytes = kernels.allocateBytes(length * form.bytes)
    const own = form.bytes === 4 ? Uint32Array : Uint16Array
    new own(bytes.buffer, bytes.byteOffset, length).set(list)
    return bytes
  })
  const planes = streams.map((bytes) => {
    const plane = new Float64Array(length)
    reference.decode(dtype, bytes.slice(), plane)
    return plane
  })
  const divisor = weights.reduce((sum, weight) => sum + weight, 0) || 1
  const exact = Float64Array.from({ length }, (_, i) => {
    let sum = 0n
    for (let j = 0; j < k; j++) sum += units(planes[j][i] * weights[j])
    return nearest(sum) / divisor
  })
  const right = new Uint8Array(length * form.bytes)
  const refused = reference.encode(dtype, exact, right) >= 0
  const out = kernels.allocateBytes(length * form.bytes)
  const done = kernels.average(dtype, streams, weights, divisor, out)
  if (!done) return refused ? 0 : length
  let wrong = refused ? length : 0
  for (let i = 0; i < right.length; i += form.bytes)
    if (right.subarray(i, i + form.bytes).some((byte, j) => byte !== out[i + j])) wrong += 1
  const own = [
    ...planes.map((plane) =>
      kernels
        .allocate(length)
        .fill(0)
        .map((_, i) => plane[i]),
    ),
  ]
  const held = own.map((plane) => {
    const inside = kernels.allocate(length)
    inside.set(plane)
    return inside
  })
  const sums = kernels.exactSums(length)
  held.forEach((plane, i) => sums.addScaled(plane, weights[i], 1))
  const kept = sums.read(kernels.allocate(length))
  const summed = kernels.weightedSum(held, weights, kernels.allocate(length))
  for (let i = 0; i < length; i++) {
    const value = exact[i] + 0
    if (!(summed[i] / divisor + 0 === value) || !(kept[i] / divisor + 0 === value)) wrong += 1
  }
  return wrong
}

let mismatches = 0
for (const [dtype, form] of Object.entries(FORMS)) {
  const categories = categoriesOf(form)
  const names = Object.keys(categories)
  let elements = 0
  let found = 0
  while (elements < wanted)
    for (const weighting of Object.values(WEIGHTS))
      for (const k of COUNTS) {
        if (uniform() > 6 / k) continue // what is long to prove is asked less often
        const weights = weighting(k).map(Math.fround)
        const blocked = uniform() < 0.6
        const edges = uniform() < 0.1 // results that overflow make a whole call void, so they come apart
        const usual = names.filter(
          (name) => edges || !/edge|any|apart|negations/.test(name) || dtype !== 'F16' || uniform() < 0.5,
        )
        const length = BATCH / 2 - below(9)
        const columns = Array.from({ length }, (_, i) => {
          const name = usual[(blocked ? i >> 6 : i) % usual.length]
          return categories[name](k)
        })
        const codes = Array.from({ length: k }, (_, j) => columns.map((column) => column[j]))
        // an element that overflows would hide all the others: it is replaced by zeros
        const scale = weights.reduce((sum, weight) => sum + weight, 0) || 1
        for (let i = 0; i < length; i++) {
          if (edges) continue
          const size = Math.max(...codes.map((list) => list[i] % (form.top + (2 ** (8 * form.bytes - 1) - form.top))))
          const magnitude = weights.reduce((sum, weight) => sum + Math.abs(weight), 0) / Math.abs(scale)
          const room = Math.ceil(Math.log2(Math.max(1, magnitude))) + 1
          if (size >= form.top - room * 2 ** form.mantissa) for (const list of codes) list[i] = 0
        }
        const wrong = check(dtype, form, codes, weights, length)
        if (wrong > 0) console.log(`${dtype}, k = ${k}: ${wrong} of ${length} differ`, weights.slice(0, 4))
        found += wrong
        elements += length
      }
  console.log(`${dtype}: ${elements} elements, ${found} differ`)
  mismatches += found
}
process.exit(mismatches === 0 ? 0 : 1)
