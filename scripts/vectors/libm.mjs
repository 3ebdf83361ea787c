/** The transcendental functions of hashed paths, over their ranges and the points where they turn. */
import { Digest, f64Of, plane, words } from './numbers.mjs'

const POINTS = 20_000
const near = (next) => (next() / 2 ** 32 - 0.5) * 4

export function* libmVectors({ math }) {
  for (const [name, fn] of Object.entries(math)) {
    const next = words(name.length)
    const ranges = {
      near: Float64Array.from({ length: POINTS }, () => near(next)),
      far: Float64Array.from({ length: POINTS }, () => near(next) * 2 ** (next() % 20)),
      bits: Float64Array.from({ length: POINTS }, () => f64Of(next(), next())),
      special: plane('special', 1, 400),
    }
    for (const [range, points] of Object.entries(ranges))
      yield [`${name}/${range}`, new Digest().plane(points.map((x) => fn(x))).hex()]
  }
}
