/** Which routes there are: for the Allow header, and for the nearest known path to a mistyped one. */
import { closest } from '../core/closest.ts'
import { TributaryError } from '../core/errors.ts'

interface Route {
  readonly methods: Set<string>
  readonly segments: readonly string[]
}

export interface RouteTable {
  add(method: string | readonly string[], pattern: string): void
  /** `GET /v1/spaces`, sorted. */
  list(): readonly string[]
  methodsOf(path: string): readonly string[]
  unknown(path: string): TributaryError
}

const segmentsOf = (path: string): readonly string[] => path.split('/').slice(1)
const fits = (pattern: string, segment: string): boolean =>
  pattern === '*' || (pattern.startsWith(':') ? segment !== '' : pattern === segment)

function covers(pattern: readonly string[], path: readonly string[]): boolean {
  if (pattern.at(-1) === '*') return path.length >= pattern.length && pattern.every((one, i) => fits(one, path[i]!))
  return pattern.length === path.length && pattern.every((one, i) => fits(one, path[i]!))
}

export function createRouteTable(): RouteTable {
  const routes = new Map<string, Route>()

  const nearest = (path: readonly string[]): string | undefined => {
    let left = [...routes.values()].map(({ segments }) => segments)
    for (const [i, segment] of path.entries()) {
      const next = left.filter((pattern) => pattern[i] !== undefined && fits(pattern[i], segment))
      if (next.length === 0) {
        const words = [...new Set(left.map((pattern) => pattern[i] ?? ''))].filter((word) => /^[a-z]/.test(word))
        const word = closest(segment.slice(0, 64), words)
        return word === undefined ? undefined : `/${[...path.slice(0, i), word].join('/')}`
      }
      left = next
    }
    return undefined
  }

  return {
    add(method, pattern) {
      const known = routes.get(pattern)?.methods ?? new Set<string>()
      for (const one of typeof method === 'string' ? [method] : method) known.add(one)
      routes.set(pattern, { methods: known, segments: segmentsOf(pattern) })
    },
    list: () => [...routes].flatMap(([pattern, { methods }]) => [...methods].map((one) => `${one} ${pattern}`)).sort(),
    methodsOf(path) {
      const segments = segmentsOf(path)
      const found = [...routes.values()].filter((route) => covers(route.segments, segments))
      return [...new Set(found.flatMap(({ methods }) => [...methods]))].sort()
    },
    unknown(path) {
      const near = nearest(segmentsOf(path))
      const hint = near === undefined ? 'see /openapi.json for what there is' : `did you mean ${near}?`
      return new TributaryError('ROUTE_NOT_FOUND', `there is nothing at ${path}`, { hint })
    },
  }
}
