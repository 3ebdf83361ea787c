/** One digest for each word of the kernels and each kind of number: over odd lengths and places, and the widths of its data. */
import { bytes, Digest, KINDS, plane, TENSOR_KINDS, words } from './numbers.mjs'

const LENGTHS = [1, 2, 7, 8, 9, 17, 70, 1021]
const SIZES = { BF16: 2, F16: 2, F32: 4, F64: 8, F8_E4M3: 1, F8_E5M2: 1 }
const ALL_KINDS = Object.keys(KINDS)

/** A copy in memory of the set's own, at a place that no vector is aligned to. */
function held(kernels, values) {
  const whole = kernels.allocate(values.length + 3)
  const own = kernels.view(whole, 1, values.length)
  own.set(values)
  return own
}
function heldBytes(kernels, given) {
  const own = kernels.allocateBytes(given.length)
  own.set(given)
  return own
}

/** Runs over planes of every length, and lets go of what it used. */
function overPlanes(kernels, kind, count, work) {
  const digest = new Digest()
  LENGTHS.forEach((length, round) => {
    const planes = Array.from({ length: count }, (_, i) => held(kernels, plane(kind, 1000 * round + i + 1, length)))
    work(digest, planes, length)
  })
  kernels.reset()
  return digest.hex()
}

function* elementWise(kernels, { BINARIES, UNARIES, COMPARES }) {
  for (const kind of ALL_KINDS) {
    for (const op of BINARIES)
      yield [`${op}/${kind}`, overPlanes(kernels, kind, 2, (out, [a, b]) => out.plane(kernels.binary(op, a, b)))]
    for (const op of UNARIES)
      yield [`${op}/${kind}`, overPlanes(kernels, kind, 1, (out, [a]) => out.plane(kernels.unary(op, a)))]
    for (const op of COMPARES)
      yield [`${op}/${kind}`, overPlanes(kernels, kind, 2, (out, [a, b]) => out.plane(kernels.compare(op, a, b)))]
    yield [`choose/${kind}`, overPlanes(kernels, kind, 3, (out, [m, a, b]) => out.plane(kernels.choose(m, a, b)))]
    yield [
      `sort/${kind}`,
      overPlanes(kernels, kind, 5, (out, planes) => kernels.sort(planes).forEach((sorted) => out.plane(sorted))),
    ]
  }
}

function* sums(kernels) {
  for (const kind of ALL_KINDS)
    for (const op of ['sum', 'l1', 'l2', 'dot', 'squaredDistance'])
      yield [`${op}/${kind}`, overPlanes(kernels, kind, 2, (out, [a, b]) => out.number(kernels.reduce(op, a, b)))]
  for (const kind of [...ALL_KINDS, 'cancelling'])
    for (const k of kind === 'wide' || kind === 'cancelling' ? [1, 2, 3, 8, 33] : [1, 2, 3, 8])
      yield [`weighted-sum-of-${k}/${kind}`, weighted(kernels, kind, k)]
  for (const kind of TENSOR_KINDS) yield [`kept-sums/${kind}`, kept(kernels, kind)]
}

const WEIGHTINGS = [() => 1, (i) => Math.fround([0.3, 0.5, 0.2, -0.7][i % 4]), (i) => Math.fround(0.731 * (i + 1.37))]

function weighted(kernels, kind, k) {
  const own = kind === 'cancelling' ? 'wide' : kind
  return overPlanes(kernels, own, k, (out, planes) => {
    // every second plane takes away nearly what the one before it gave
    if (kind === 'cancelling')
      for (let i = 1; i < k; i += 2) planes[i].forEach((_, at) => (planes[i][at] = -planes[i - 1][at] * (1 + 2 ** -23)))
    for (const weightOf of WEIGHTINGS)
      out.plane(
        kernels.weightedSum(
          planes,
          planes.map((_, i) => weightOf(kind === 'cancelling' ? i >> 1 : i)),
        ),
      )
  })
}

const kept = (kernels, kind) =>
  overPlanes(kernels, kind, 4, (out, [a, b, c, d], length) => {
    const [one, other] = [kernels.exactSums(length), kernels.exactSums(length)]
    one.add(a, b, 1)
    one.addScaled(c, Math.fround(0.3), 1)
    other.addScaled(d, -(2 ** 60), 1)
    other.add(b, a, -1)
    one.merge(other)
    out.plane(one.read(kernels.allocate(length)))
    one.add(a, b, -1)
    one.addScaled(d, -(2 ** 60), -1)
    out.plane(one.read(kernels.allocate(length)))
  })

function* choosing(kernels) {
  const keep = new Digest()
  for (const first of [0, 1, 3, 16, 4096, 2 ** 34 - 7, 2 ** 52 + 1])
    for (const kind of ['special', 'tunes'])
      for (const probability of [undefined, 0.5, 0.3, 2 ** -33, 1 - 2 ** -33]) {
        const q = held(kernels, plane(kind, 3, 333))
        keep.plane(
          kernels.keep(
            { low: 0x12345678, high: 0x9abcdef0 },
            first,
            probability === undefined ? q : q.fill(probability),
          ),
        )
      }
  kernels.reset()
  yield ['keep', keep.hex()]
  for (const kind of ALL_KINDS) {
    yield [
      `histogram/${kind}`,
      overPlanes(kernels, kind, 1, (out, [a]) => {
        const counts = kernels.allocateCounts(2049)
        for (const range of [
          { low: 0, high: 0x7fffffff, shift: 20 },
          { low: 0x3f800000, high: 0x3f8fffff, shift: 10 },
          { low: 0x3f800000, high: 0x3f8003ff, shift: 0 },
        ]) {
          kernels.histogram(a, range, counts)
          out.plane(Float64Array.from(counts.subarray(1)))
        }
      }),
    ]
    yield [
      `cutoff/${kind}`,
      overPlanes(kernels, kind, 1, (out, [a]) => {
        for (const key of [0, 1, 0x3c800000, 0x3f800000, 0x7f800000]) {
          out.number(kernels.countEqual(a, key))
          for (const n of [1, 2, 50]) out.number(kernels.nthEqual(a, key, n))
          for (const lastTie of [-1, 103, 1e9]) out.plane(kernels.aboveCutoff(a, 100, key, lastTie))
        }
      }),
    ]
  }
}

function* coding(kernels) {
  const patterns = new Uint8Array(Uint16Array.from({ length: 65536 }, (_, i) => i).buffer)
  for (const [dtype, size] of Object.entries(SIZES)) {
    const all = size === 2 ? patterns : size === 1 ? Uint8Array.from({ length: 256 }, (_, i) => i) : bytes(9, 16000)
    const into = kernels.allocate(all.length / size)
    const back = kernels.allocateBytes(all.length)
    const digest = new Digest()
    digest.text(String(kernels.decode(dtype, heldBytes(kernels, all), into))).plane(into)
    digest.number(kernels.encode(dtype, into, back)).bytes(back)
    kernels.reset()
    yield [`${size <= 2 ? 'every-pattern' : 'random-bits'}/${dtype}`, digest.hex()]
    for (const kind of ALL_KINDS)
      yield [
        `encode-${dtype}/${kind}`,
        overPlanes(kernels, kind, 1, (out, [a], length) => {
          const made = kernels.allocateBytes(length * size)
          out.number(kernels.encode(dtype, a, made)).bytes(made)
        }),
      ]
  }
}

/** A set without a way of its own answers false; then its parts are taken, which owe the same bytes. */
function averageOf(kernels, dtype, streams, weights, divisor) {
  const out = kernels.allocateBytes(streams[0].length)
  if (kernels.average(dtype, streams, weights, divisor, out)) return out
  const length = out.length / SIZES[dtype]
  const planes = streams.map((stream) => {
    const into = kernels.allocate(length)
    return kernels.decode(dtype, stream, into) ? into : undefined
  })
  if (planes.includes(undefined)) return undefined
  const mean = kernels.binary('over', kernels.weightedSum(planes, weights), kernels.fill(length, divisor))
  return kernels.encode(dtype, mean, out) < 0 ? out : undefined
}

function* averages(kernels) {
  for (const dtype of ['BF16', 'F16', 'F32'])
    for (const kind of [...TENSOR_KINDS, 'any-bits']) {
      const digest = new Digest()
      for (const k of [2, 3, 8])
        for (const [n, weightOf] of WEIGHTINGS.entries())
          for (const length of [1029, 65]) {
            const streams = Array.from({ length: k }, (_, i) => {
              const seed = 100 * n + 10 * k + i
              if (kind === 'any-bits') return heldBytes(kernels, finiteBytes(bytes(seed, length * SIZES[dtype]), dtype))
              const stream = kernels.allocateBytes(length * SIZES[dtype])
              kernels.encode(dtype, held(kernels, plane(kind, seed, length)), stream)
              return stream
            })
            const weights = streams.map((_, i) => weightOf(i))
            const made = averageOf(
              kernels,
              dtype,
              streams,
              weights,
              weights.reduce((sum, weight) => sum + weight, 0) || 1,
            )
            digest.bytes(made ?? Buffer.from('not finite'))
            kernels.reset()
          }
      yield [`average-${dtype}/${kind}`, digest.hex()]
    }
}

/** Half the largest exponents at most, so that a sum is finite and there is something to compare. */
function finiteBytes(given, dtype) {
  const top = SIZES[dtype] - 1
  for (let i = top; i < given.length; i += top + 1) given[i] &= 0xbf
  return given
}

/** Tiles of every size hold the same bytes: a stream cut anywhere gives what it gave whole. */
function* tiles(kernels) {
  const length = 1 << 17
  const next = words(77)
  const streams = [0, 1, 2].map(() => {
    const made = new Uint8Array(length * 2)
    new Uint16Array(made.buffer).forEach((_, i, all) => (all[i] = (next() & 0x8fff) | 0x3000))
    return made
  })
  for (const elements of [4096, 16384, length]) {
    const digest = new Digest()
    for (let at = 0; at < length; at += elements) {
      const cut = streams.map((stream) => heldBytes(kernels, stream.subarray(2 * at, 2 * (at + elements))))
      digest.bytes(averageOf(kernels, 'BF16', cut, [0.3, 0.5, 0.2].map(Math.fround), 1))
      kernels.reset()
    }
    yield [`average-in-tiles-of-${elements}`, digest.hex()]
  }
}

/** [name, digest] for each vector, of one set of kernels. */
export function* kernelVectors(kernels, graphWords) {
  for (const part of [elementWise, sums, choosing, coding, averages, tiles]) yield* part(kernels, graphWords)
}
