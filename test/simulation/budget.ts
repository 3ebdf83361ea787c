/**
 * What honest replicas may tell each other: ops that were there already at most four times as often as ops that were
 * lacked, and ten frames about ops for each op that came and each link that was opened. A link may cost anew what a cut left open.
 */
import type { Metric } from '../../src/replication/effects.ts'

const ABOUT = ['hello', 'hello-ack', 'state-vector', 'roots', 'need', 'ids', 'reconcile'] as const

export function overspent(metrics: ReadonlyMap<Metric, number>): string[] {
  const count = (metric: Metric): number => metrics.get(metric) ?? 0
  const [needed, links] = [count('ops.admitted'), count('frames.hello')]
  const needless = count('ops.known') + count('ops.void')
  const about = ABOUT.reduce((sum, type) => sum + count(`frames.${type}`), 0)
  return [
    ...(needless > 4 * (needed + links) ? ['budget: ops are sent to who has them'] : []),
    ...(about > 10 * (needed + links) ? ['budget: too much is said about ops'] : []),
  ]
}
