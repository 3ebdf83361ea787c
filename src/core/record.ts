/**
 * Recording: runs a formula once on symbolic planes and writes down what it said. Whatever came out of a Σ is marked, and
 * a term that uses it is refused: what each contribution puts into a Σ depends on nothing but itself.
 */
import type { ChannelPart, LaterNode, Node, Program, Stream, VotePart } from './graph.ts'
import {
  built,
  laterOf,
  maskOf,
  operandOf,
  planeOf,
  RecordedLater,
  RecordedPlane,
  RecordedTerm,
  Recorder,
  termOf,
} from './recorder.ts'
import type { Later, Mask, Needs, Own, Plane, Random, Scope, SquareMatrix, Strategy, Term, Votes } from './strategy.ts'

/** A contribution, as far as recording needs to know it. */
export interface Contribution {
  readonly weight: number
  readonly params: unknown
  readonly role?: string
}

/** What a formula is recorded for. */
export interface Occasion {
  readonly params: unknown
  readonly contributions: readonly Contribution[]
  readonly hasBase: boolean
}

type AnyOwn = Own<Needs, unknown>

/** The words of both shapes; the declaration's types decide which of them a formula can see. */
function contextFor(strategy: Strategy, { contributions, hasBase }: Occasion, to: Recorder) {
  const needs = strategy.needs as Needs
  const plane = (node: Node) => new RecordedPlane(node, to)
  const input = (stream: Stream) => plane({ kind: 'input', stream, ofSet: false })
  const one = operandOf(1, to)

  const owns = contributions.map(({ weight, params, role }, owner): AnyOwn => {
    const random: Random = {
      keep: (probability, stream = 0) =>
        plane({ kind: 'keep', owner, stream, probability: operandOf(probability, to), ofSet: false }),
    }
    const sidecars = Object.keys(needs.sidecars ?? {}).map((sidecar) => [sidecar, input({ owner, sidecar })])
    return {
      value: input({ owner }),
      weight: Math.fround(weight),
      params,
      sidecars: Object.fromEntries(sidecars) as AnyOwn['sidecars'],
      random: (needs.stochastic ? random : undefined) as AnyOwn['random'],
      ...(role !== undefined && { role }),
    }
  })

  const ownOnly = (node: { readonly ofSet: boolean }, what: string) => {
    if (strategy.shape === 'sum' && node.ofSet)
      throw to.error(`${what} looks at other contributions; a term may only look at its own`)
  }
  const site = (kind: 'sum' | 'votes' | 'count' | 'largest', terms: readonly RecordedTerm[]): number => {
    for (const { plane, weight } of terms) {
      ownOnly(plane, `a term of ${kind}`)
      ownOnly(weight, `a weight of ${kind}`)
    }
    return to.sites.push({ kind, terms, scalars: [] }) - 1
  }
  const terms = (kind: 'sum' | 'votes', of: (own: AnyOwn) => Term): number =>
    site(
      kind,
      each((own) => termOf(of(own), to)),
    )
  const reading = (from: number, part: ChannelPart) => plane({ kind: 'channel', site: from, part, ofSet: true })
  const each = <T>(of: (own: AnyOwn) => T): readonly T[] => owns.map(of)
  const unweighted = (node: Node) => new RecordedTerm(node, one, to)
  const pairs =
    (op: 'gram' | 'squaredDistances') =>
    (planes: readonly Plane[], scope: Scope = 'tensor') => {
      const nodes = planes.map((p) => planeOf(p, to))
      return new RecordedLater<SquareMatrix>(
        { kind: 'pairs', op, planes: nodes, scope: built(scope, to), ofSet: true },
        to,
      )
    }

  return {
    base: hasBase && needs.base !== 'none' ? input('base') : undefined,
    contributions: owns,
    sum: (of: (own: AnyOwn) => Term) => reading(terms('sum', of), 'sum'),
    votes(of: (own: AnyOwn) => Term): Votes {
      const from = terms('votes', of)
      const part = (name: VotePart) => reading(from, name)
      const [positive, negative] = [part('positive'), part('negative')]
      const [positiveWeight, negativeWeight] = [part('positiveWeight'), part('negativeWeight')]
      const [positiveCount, negativeCount] = [part('positiveCount'), part('negativeCount')]
      return {
        positive,
        negative,
        positiveWeight,
        negativeWeight,
        positiveCount,
        negativeCount,
        side: (up) => ({
          sum: positive.where(up, negative),
          weight: positiveWeight.where(up, negativeWeight),
          count: positiveCount.where(up, negativeCount),
        }),
      }
    },
    count: (of: (own: AnyOwn) => Mask) =>
      reading(
        site(
          'count',
          each((own) => unweighted(maskOf(of(own), to))),
        ),
        'count',
      ),
    largest: (of: (own: AnyOwn) => Plane) =>
      reading(
        site(
          'largest',
          each((own) => unweighted(planeOf(of(own), to))),
        ),
        'largest',
      ),
    total(of: (own: AnyOwn) => number | Later<number>): Later<number> {
      const scalars = each((own): LaterNode => {
        const value = of(own)
        if (typeof value !== 'number') return laterOf(value, to)
        return { kind: 'known', value, ofSet: false }
      })
      for (const scalar of scalars) ownOnly(scalar, 'a summand of total')
      const from = to.sites.push({ kind: 'total', terms: [], scalars }) - 1
      return new RecordedLater<number>({ kind: 'total', site: from, ofSet: true }, to)
    },
    blend(planes: readonly Plane[], coefficients: readonly number[] | Later<readonly number[]>) {
      const later: LaterNode =
        coefficients instanceof RecordedLater
          ? laterOf(coefficients, to)
          : { kind: 'known', value: coefficients, ofSet: true }
      return plane({ kind: 'blend', planes: planes.map((p) => planeOf(p, to)), coefficients: later, ofSet: true })
    },
    sort(planes: readonly Plane[]) {
      const nodes = planes.map((p) => planeOf(p, to))
      const sort = to.intern({ kind: 'sort', planes: nodes, ofSet: true } as const)
      return planes.map((_, rank) => plane({ kind: 'sorted', sort, rank, ofSet: true }))
    },
    gram: pairs('gram'),
    squaredDistances: pairs('squaredDistances'),
  }
}

/**
 * Records the formula for these contributions. With one, the sites hold its terms; with none, only the output matters and
 * its channels read what was accumulated: so one formula is both halves of an incremental merge.
 */
export function record(strategy: Strategy, occasion: Occasion): Program {
  const to = new Recorder(strategy.id)
  const context = contextFor(strategy, occasion, to)
  const output = planeOf(strategy.merge(context as never, occasion.params), to)
  return { output, sites: to.sites, reductions: to.reductions, nodes: to.nodes }
}
