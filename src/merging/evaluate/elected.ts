/**
 * A pass over the steps of a program: votes of which a formula only takes the camp that wins, by the sum of both, become one
 * step, with the division by its weight where there is one. No bit changes.
 */
import type { Step } from './schedule.ts'

type Value = number
type StepOf<B, Do extends Step<B>['do']> = Extract<Step<B>, { readonly do: Do }>

/** So few that there may be a divisor for each camp that they can form. */
const MEMBERS_MAX = 8

export function elected<B>(steps: readonly Step<B>[], constants: ReadonlyMap<Value, number>): readonly Step<B>[] {
  const makers = new Map<Value, Step<B>>()
  for (const step of steps) if ('out' in step) makers.set(step.out, step)

  /** The step that made a value, if it is such a one. */
  function made<Do extends Step<B>['do']>(value: Value, what: Do): StepOf<B, Do> | undefined {
    const maker = makers.get(value)
    return maker?.do === what ? (maker as StepOf<B, Do>) : undefined
  }

  /** Whether a mask holds where the sum of both camps is at least zero. */
  function isUp(mask: Value, votes: StepOf<B, 'votes'>): boolean {
    const compare = made(mask, 'compare')
    if (compare?.op !== 'atLeast' || constants.get(compare.b) !== 0) return false
    const vote = made(compare.a, 'binary')
    return vote?.op === 'plus' && vote.a === votes.outs[0] && vote.b === votes.outs[1]
  }

  /** The sums, or the weights, of the camps that win. */
  function winners(value: Value, votes: StepOf<B, 'votes'>, first: 0 | 2): boolean {
    const choice = made(value, 'choose')
    if (!choice || choice.a !== votes.outs[first] || choice.b !== votes.outs[first + 1]) return false
    return isUp(choice.mask, votes)
  }

  /** By the members of a camp: its weight, or, where that is next to nothing, a number. */
  function divisorsOf(value: Value, { weights, ...votes }: StepOf<B, 'votes'>): readonly number[] | undefined {
    const choice = made(value, 'choose')
    const compare = choice && made(choice.mask, 'compare')
    const size = compare && made(compare.a, 'unary')
    if (compare?.op !== 'atLeast' || size?.op !== 'abs' || size.a !== choice?.a) return undefined
    const [least, instead] = [constants.get(compare.b), constants.get(choice.b)]
    if (least === undefined || instead === undefined || !winners(choice.a, { weights, ...votes }, 2)) return undefined
    return Array.from({ length: 2 ** weights.length }, (_, members) => {
      const weight = weights.reduce((sum, own, i) => (members & (1 << i) ? sum + own : sum), 0)
      return weight >= least ? weight : instead
    })
  }

  const taken = new Map<Step<B>, Step<B>>()
  for (const votes of steps) {
    if (votes.do !== 'votes' || votes.weights.length > MEMBERS_MAX || !votes.weights.every((weight) => weight >= 0))
      continue
    const { planes, weights } = votes
    for (const step of steps) {
      if (step.do === 'choose' && winners(step.out, votes, 0))
        taken.set(step, { do: 'elect', planes, weights, divisors: undefined, out: step.out })
      if (step.do !== 'binary' || step.op !== 'over' || !winners(step.a, votes, 0)) continue
      const divisors = divisorsOf(step.b, votes)
      if (divisors) taken.set(step, { do: 'elect', planes, weights, divisors, out: step.out })
    }
  }
  return steps.map((step) => taken.get(step) ?? step)
}
