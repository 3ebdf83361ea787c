/** The two shapes that no shipped strategy has yet, written as a strategy would be: against the contract alone. */
import { describe, expect, test } from 'vitest'
import {
  defineMatrix,
  defineSearch,
  type Genome,
  type Matrix,
  type NumberSource,
  type Strategy,
  Type,
} from '../../src/core/strategy.ts'

const LAWS = { order: 'free', idempotent: false, fixesBase: true, weightScaleFree: false, bounded: false } as const
const described = (id: string) =>
  ({ id, version: 1, title: id, summary: id, references: [], laws: LAWS, params: Type.Object({}) }) as const

describe('[STR-39] a matrix strategy', () => {
  const mean = defineMatrix({
    ...described('mean_of_matrices'),
    family: 'subspace',
    needs: { base: 'required', contributions: { min: 1 }, weights: 'any' },
    workspace: (rows, columns, count) => (count + 2) * rows * columns,
    merge: ({ base, sum, contributions }) =>
      base.plus(sum((own) => own.value.minus(base).times(own.weight)).times(1 / contributions.length)),
    elsewhere: ({ base, sum }) => base.plus(sum((own) => own.value.minus(base).f32().term(own.weight))),
  })

  test('is a formula over whole matrices, and says what it will hold', () => {
    const of = (entry: number): Matrix =>
      ({
        entry,
        plus: (other: { entry: number }) => of(entry + other.entry),
        minus: (other: { entry: number }) => of(entry - other.entry),
        times: (factor: number) => of(entry * factor),
      }) as unknown as Matrix
    const contributions = [
      { value: of(3), weight: 1, params: {} },
      { value: of(7), weight: 0.5, params: {} },
    ]
    const sum = (term: (own: (typeof contributions)[number]) => Matrix) =>
      contributions.map(term).reduce((a, b) => a.plus(b))
    const besideEachOther = (matrices: readonly Matrix[]) => matrices[0]!
    expect(mean.merge({ base: of(1), contributions, sum, besideEachOther }, {})).toMatchObject({
      entry: 1 + (2 + 3) / 2,
    })
    expect(mean.workspace(2, 3, 4)).toBe(36)
  })

  test('can not be registered before an engine runs it', () => {
    // @ts-expect-error -- the registry takes the shapes that run
    const registered: readonly Strategy[] = [mean]
    expect(registered[0]?.shape).toBe('matrix')
  })

  test('has no base where it declared none', () => {
    const without = defineMatrix({
      ...described('without_base'),
      family: 'subspace',
      needs: { base: 'none', contributions: { min: 1 }, weights: 'any' },
      workspace: () => 0,
      // @ts-expect-error -- there is no base to add to
      merge: ({ base }) => base.plus(base),
      elsewhere: ({ sum }) => sum((own) => own.value.term(own.weight)),
    })
    expect(without.needs.base).toBe('none')
  })
})

describe('[STR-40] a search strategy', () => {
  interface Climb {
    readonly at: Genome
    readonly score: number
    readonly round: number
  }
  const climb = defineSearch({
    ...described('climb'),
    family: 'learned',
    params: Type.Object({ step: Type.Number({ default: 0.5, description: 'How far a proposal may lie.' }) }),
    needs: { base: 'required', contributions: { min: 1 }, weights: 'ignored' },
    start: ({ count }): Climb => ({ at: Array<number>(count).fill(0), score: -Infinity, round: 0 }),
    ask: ({ at, round }, random, { step }) => [at, at.map((x, i) => x + step * random.normal(round, i))],
    tell: (state, scored): Climb => {
      const best = scored.reduce((a, b) => (b.score > a.score ? b : a), { genome: state.at, score: state.score })
      return { at: best.genome, score: best.score, round: state.round + 1 }
    },
    best: ({ at }) => at,
    express: (genome, { groups }) => ({
      strategy: 'task_arithmetic',
      params: {},
      weights: Object.fromEntries(groups.map((group) => [group, genome])),
    }),
  })
  const problem = { count: 2, groups: ['all'] }
  const random: NumberSource = { normal: (stream, index) => ((stream * 7 + index * 3) % 5) - 2 }
  const score = ([x = 0, y = 0]: Genome) => 8 - (x - 1) ** 2 - (y + 1) ** 2

  function run(rounds: number, from = climb.start(problem, { step: 0.5 })): Climb {
    let state = from
    for (let round = 0; round < rounds; round++) {
      const asked = climb.ask(state, random, { step: 0.5 })
      state = climb.tell(
        state,
        asked.map((genome) => ({ genome, score: score(genome) })),
        { step: 0.5 },
      )
    }
    return state
  }

  test('stopped and resumed from plain data goes on as if it had not been stopped', () => {
    const resumed = run(10, JSON.parse(JSON.stringify(run(10))) as Climb)
    expect(resumed).toEqual(run(20))
    expect(resumed.score).toBeGreaterThan(score([0, 0]))
  })

  test('answers a recipe: an ordinary strategy with a weight for each contribution', () => {
    const genome = climb.best(run(20))
    expect(climb.express(genome, problem, { step: 0.5 })).toEqual({
      strategy: 'task_arithmetic',
      params: {},
      weights: { all: genome },
    })
  })
})
