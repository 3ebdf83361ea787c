/** What the engine knows of a strategy and its prepared parameters without reading a byte. */
import type { LaterNode } from '../../core/graph.ts'
import { record } from '../../core/record.ts'
import type { Needs, Strategy } from '../../core/strategy.ts'
import { Depths, reach } from './depth.ts'
import { STRIP } from './evaluation.ts'
import { Lowering } from './lower.ts'
import { drawnFor } from './masks.ts'
import { measuringBytesOf, passesOf } from './sinks.ts'

export interface Explained {
  /** Contributions can be added to a kept Σ and taken out again. */
  readonly incremental: boolean
  /** Times the inputs are read, the last time included. */
  readonly passes: number
  /** Some value is measured over all tensors before the first can be written. */
  readonly wholeModel: boolean
  readonly reductions: number
  /** Tensors read side by side. */
  readonly streams: number
  /** The parts of every Σ that the output reads, as `site.part`. */
  readonly channels: readonly string[]
  /** What a kept Σ would take, in bytes an element. */
  readonly channelBytes: number
  /** What the last pass holds at a time, in bytes, whatever a tensor's size. */
  readonly stripBytes: number
  /** What reductions of one pass measure with, in bytes. */
  readonly measuringBytes: number
  /** Random masks that passes over a tensor have in common. */
  readonly masks: number
}

/** Every default is written; `own`: what each contribution has of its own. */
export function explainPrepared(strategy: Strategy, params: unknown, own: unknown, count: number): Explained {
  const program = record(strategy, {
    params,
    hasBase: (strategy.needs as Needs).base !== 'none',
    contributions: Array.from({ length: count }, () => ({ weight: 1, params: own })),
  })
  const { nodes, laters } = reach(program, [program.output])
  const depths = new Depths(program)
  const reductions = program.reductions.filter((node) => laters.has(node))
  const waves = new Map<string, { passes: number; bytes: number }>()
  for (const node of reductions) {
    const wave = `${depths.ofLater(node)} ${node.scope}`
    const { passes, bytes } = waves.get(wave) ?? { passes: 0, bytes: 0 }
    waves.set(wave, { passes: Math.max(passes, passesOf(node)), bytes: bytes + measuringBytesOf(node) })
  }
  const coefficients = new Map<LaterNode, readonly number[]>()
  const streams = new Set<string>()
  const channels = new Set<string>()
  for (const node of nodes) {
    if (node.kind === 'blend') coefficients.set(node.coefficients, Array<number>(node.planes.length).fill(2))
    if (node.kind === 'input') streams.add(JSON.stringify(node.stream))
    if (node.kind === 'channel') channels.add(`${node.site}.${node.part}`)
  }
  const { buffers, sums } = Lowering.output(program.output, {
    sites: program.sites,
    accumulated: false,
    later: (node) => coefficients.get(node) ?? 2,
    cutoff: () => ({ key: 0, lastTie: 0 }),
    weight: Number,
    stream: ({ stream }) => (stream === 'base' ? stream : { input: stream.owner }),
    unchecked: () => true,
    key: () => ({ low: 0, high: 0 }),
    offset: () => 0,
    elements: Infinity,
  })
  return {
    incremental: strategy.shape === 'sum',
    passes: [...waves.values()].reduce((sum, { passes }) => sum + passes, 1),
    wholeModel: reductions.some(({ scope }) => scope === 'model'),
    reductions: reductions.length,
    streams: streams.size,
    channels: [...channels].sort(),
    channelBytes: [...channels].reduce((bytes, channel) => bytes + (/count/i.test(channel) ? 2 : 8), 0),
    stripBytes: (buffers + 2 * sums) * STRIP * 8,
    measuringBytes: [...waves.values()].reduce((most, { bytes }) => Math.max(most, bytes), 0),
    masks: drawnFor(program, { laters }).length,
  }
}
