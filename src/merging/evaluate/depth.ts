/** How deep a value lies: the number of passes over the data that must have ended before it is known. */
import {
  isReducing,
  latersOf,
  type LaterNode,
  type Node,
  operandsOf,
  planesOf,
  type Program,
  sourcesOf,
} from '../../core/graph.ts'

export class Depths {
  readonly #program: Program
  readonly #nodes = new Map<Node, number>()
  readonly #laters = new Map<LaterNode, number>()

  constructor(program: Program) {
    this.#program = program
  }

  ofNode(node: Node): number {
    let depth = this.#nodes.get(node)
    if (depth === undefined) {
      const below = operandsOf(node, this.#program.sites).map((operand) => this.ofNode(operand))
      depth = Math.max(0, ...below, ...latersOf(node).map((later) => this.ofLater(later)))
      this.#nodes.set(node, depth)
    }
    return depth
  }

  ofLater(later: LaterNode): number {
    let depth = this.#laters.get(later)
    if (depth === undefined) {
      const sources = sourcesOf(later, this.#program.sites).map((source) => this.ofLater(source))
      depth = isReducing(later)
        ? 1 + Math.max(...planesOf(later).map((plane) => this.ofNode(plane)))
        : Math.max(0, ...sources)
      this.#laters.set(later, depth)
    }
    return depth
  }
}

export interface Reached {
  readonly nodes: ReadonlySet<Node>
  readonly laters: ReadonlySet<LaterNode>
}

/** What the contributions put into every Σ. */
export const reachTerms = (program: Program): Reached =>
  reach(
    program,
    program.sites.flatMap(({ terms }) => terms.flatMap(({ plane, weight }) => [plane, weight])),
    program.sites.flatMap(({ scalars }) => scalars),
  )

/** Everything that the given planes and values are computed from. */
export function reach(program: Program, planes: readonly Node[], values: readonly LaterNode[] = []): Reached {
  const nodes = new Set<Node>()
  const laters = new Set<LaterNode>()
  const visitLater = (later: LaterNode): void => {
    if (laters.has(later)) return
    laters.add(later)
    for (const source of sourcesOf(later, program.sites)) visitLater(source)
    if (isReducing(later)) for (const plane of planesOf(later)) visit(plane)
  }
  const visit = (node: Node): void => {
    if (nodes.has(node)) return
    nodes.add(node)
    for (const operand of operandsOf(node, program.sites)) visit(operand)
    for (const later of latersOf(node)) visitLater(later)
  }
  for (const node of planes) visit(node)
  for (const later of values) visitLater(later)
  return { nodes, laters }
}
